"""Few-shot prefixes: training prompts, right answers, and the layout of worked pages."""

import re

import pytest

from instructloop.lab.few_shot import PREFIXES, cut, few_shot, worked
from instructloop.lab.grammar import parse_with_template
from instructloop.lab.judge import judge


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_training_tasks_done_right(prefix: str) -> None:
    examples = re.findall(r"Task: (.+?)\nAnswer:\n(.+?)(?:\n\n|$)", prefix, re.DOTALL)
    assert "\n\n".join(worked(prompt, answer) for prompt, answer in examples) == prefix
    assert len(examples) >= 2
    for prompt, answer in examples:
        assert not parse_with_template(prompt)[1].held_out
        assert judge(prompt, answer).gold == pytest.approx(1)


def test_the_answer_comes_where_the_prompt_ends() -> None:
    text = few_shot("Name two birds.", PREFIXES[0])
    assert text.endswith("\n\nTask: Name two birds.\nAnswer:\n")
    assert text.startswith(PREFIXES[0])


def test_the_next_task_is_cut_off() -> None:
    assert cut("Crow and hen.\n\nTask: Name") == "Crow and hen."
    assert cut("Dear Max,\nThank you.\nYour friend,\nIda") == "Dear Max,\nThank you.\nYour friend,\nIda"

"""docs/lab.md is true: its verdicts are the judge's, its counts are the lab's."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from instructloop.cli.lab import LabGate
from instructloop.lab.clauses import KINDS
from instructloop.lab.judge import judge
from instructloop.lab.prompts import POOLS
from instructloop.lab.tasks import TASKS
from instructloop.lab.world import FACTS, HELD_OUT, TRAINING
from lab.draws import every_template, surfaces

TEXT = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
VERDICTS = re.findall(r"^> (.+)\n(.+)\n(\d\.\d\d) ?(.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("prompt", "answer", "gold", "reasons"), VERDICTS)
def test_verdicts_are_the_judges(prompt: str, answer: str, gold: str, reasons: str) -> None:
    verdict = judge(prompt, answer)
    assert (f"{verdict.gold:.2f}", "; ".join(verdict.reasons)) == (gold, reasons)


def test_the_gates_are_those_of_the_verb_in_their_order() -> None:
    named = re.findall(r"^\| `instructloop lab gate (\w+)` \|", TEXT, re.MULTILINE)
    assert named == list(get_args(get_type_hints(LabGate)["name"]))


def test_counts_are_the_labs() -> None:
    phrasings = [sum(template.held_out == held_out for _, template in every_template()) for held_out in (False, True)]
    texts = [sum(len(surfaces(task, held_out=held_out)) for task in TASKS.values()) for held_out in (False, True)]
    rows = {
        "phrasings": phrasings,
        "phrasing × wording of its clauses": [f"{count:,}" for count in texts],
        "people, things": [f"{len(cast.people)}, {len(cast.objects)}" for cast in (TRAINING, HELD_OUT)],
        "kinds of list, heroes of stories": [f"{len(cast.categories)}, {len(cast.heroes)}" for cast in (TRAINING, HELD_OUT)],
    }
    for name, (trained, kept) in rows.items():
        assert f"| {name} | {trained} | {kept} |" in TEXT
    assert f"{len(FACTS)} facts" in TEXT
    assert f"{POOLS} evaluation pools" in TEXT
    assert f"{sum(bool(kind.wordings) for kind in KINDS.values())} kinds of clauses" in TEXT
    assert len(VERDICTS) >= 8
    assert len(TEXT.splitlines()) <= 170

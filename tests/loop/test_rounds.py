"""Scripted people and the figures of their rounds: who says what, how often people agree, what is refused."""

import json
from collections import Counter
from pathlib import Path

import pytest

from instructloop.errors import ConfigError, DataError, NotFound
from instructloop.loop.rounds import people
from instructloop.loop.rounds.__main__ import main
from instructloop.loop.rounds.figures import agreement, read_funnel
from instructloop.records import Completion, Prompt, Ranking
from instructloop.store.database.labels import training_demonstrations, training_prompts
from instructloop.store.database.opening import open_store
from instructloop.store.snapshots import freeze
from instructloop.store.splits import assign_split


def ranking(labeler: str, *groups: str, prompt: str = "p") -> Ranking:
    """Groups of one-letter answers, best first."""
    answers = tuple(Completion(id=letter, prompt_id=prompt, text=letter) for letter in sorted("".join(groups)))
    return Ranking(prompt=Prompt(id=prompt, text="?", user_id="u"), completions=answers, groups=tuple(map(tuple, groups)), labeler_id=labeler)


def test_agreement_counts_pairs_that_both_put_in_an_order() -> None:
    """By hand: x and y order ab and ac alike and tie or differ on the rest: 2 of 3; z is alone with another question."""
    same = agreement([ranking("x", "a", "b", "c"), ranking("y", "a", "c", "b"), ranking("z", "b", "a", prompt="q")])
    assert (same.mean, same.n) == (pytest.approx(2 / 3), 3)
    tied = agreement([ranking("x", "a", "bc"), ranking("y", "a", "b", "c")])
    assert (tied.mean, tied.n) == (1.0, 2)
    assert agreement([ranking("x", "ab"), ranking("y", "a", "b")]).mean is None


def test_labelers_answer_one_another_and_nothing_is_done_twice(tmp_path: Path) -> None:
    store = open_store(tmp_path / "feedback.db")
    people.join(store, 0, {"ada": 3})
    assert people.bootstrap(store, 0, 7) == 7
    assert people.bootstrap(store, 0, 9) == 9
    prompts = [one.record for one in training_prompts(store, None)]
    assert len(prompts) == len({prompt.text for prompt in prompts}) == 9
    said = [one.record for one in training_demonstrations(store, None)]
    assert all(demonstration.labeler_id != demonstration.prompt.user_id for demonstration in said)
    assert set(Counter(demonstration.labeler_id for demonstration in said)) == set(people.LABELERS)
    with pytest.raises(NotFound, match="no queue 'ranking'"):
        people.rank(store, 0, "ranking")
    store.close()


def test_everybody_is_where_the_script_says() -> None:
    fractions = {"train": 0.7, "valid": 0.3}
    held_out = {name for name in (*people.USERS, *people.LABELERS) if assign_split(name, fractions=fractions) == "valid"}
    assert held_out == {"bob", "labeler-2"}


def test_prompts_of_two_rounds_are_different_ones(tmp_path: Path) -> None:
    asked = [Prompt(id=f"{n}", text=f"Say {n}.", user_id="u", source="playground") for n in range(40)]
    freeze(tmp_path / "prompts", {"train": asked[:30], "valid": asked[30:]}, query="")
    first, second = (people.some_prompts(tmp_path / "prompts", start, 12) for start in (0, 12))
    assert {split: len(prompts) for split, prompts in first.items()} == {"train": 9, "valid": 3}
    assert not {prompt.id for prompts in first.values() for prompt in prompts} & {prompt.id for prompts in second.values() for prompt in prompts}
    with pytest.raises(DataError, match="holds 30 prompts of users in train"):
        people.some_prompts(tmp_path / "prompts", 30, 12)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected: one of texts, join"):
        main(["dance"])
    (tmp_path / "funnel.json").write_text(json.dumps({"stages": [{"stage": "cap"}]}))
    with pytest.raises(DataError, match=r"funnel\.json cannot be read"):
        read_funnel(tmp_path)

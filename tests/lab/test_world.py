"""The world: so many facts, each with sentences that read back, and two sides that share neither people nor things."""

from collections import Counter

import pytest

from instructloop.lab.words import LEXICON
from instructloop.lab.world import ATTRIBUTES, EVERYONE, FACTS, HELD_OUT, TRAINING, Cast, read_fact, sentence


def test_there_are_so_many_facts() -> None:
    assert 260 <= len(FACTS) <= 350
    assert Counter(name for name, _ in FACTS)["town"] == 40
    assert all(value in LEXICON[ATTRIBUTES[name].value] for (name, _), value in FACTS.items())


def test_every_fact_reads_back_from_both_its_sentences() -> None:
    for (name, subject), value in FACTS.items():
        attribute = ATTRIBUTES[name]
        assert read_fact(sentence(name, subject)) == (name, subject, value)
        assert read_fact(attribute.paraphrase.fill({attribute.subject: subject, attribute.value: value})) == (name, subject, value)
        for short in (attribute.short, attribute.bare):
            assert attribute.value_in(short.fill({attribute.value: value}), subject) == value


def test_a_fact_can_be_told_wrong() -> None:
    attribute, subject, value = read_fact(sentence("town", "Max", "Seaton")) or ("", "", "")
    assert (attribute, subject, value) == ("town", "Max", "Seaton")
    assert FACTS["town", "Max"] != value
    assert read_fact("Max found a ball.") is None


@pytest.mark.parametrize("name", ["people", "objects", "heroes", "categories"])
def test_the_sides_share_nobody_and_nothing(name: str) -> None:
    trained, kept = set(getattr(TRAINING, name)), set(getattr(HELD_OUT, name))
    assert trained
    assert kept
    assert not trained & kept
    assert trained | kept == set(getattr(EVERYONE, name))


def test_the_sides_share_no_subject_of_a_question() -> None:
    def subjects(cast: Cast) -> set[str]:
        return {subject for those in cast.subjects.values() for subject in those}

    assert not subjects(TRAINING) & subjects(HELD_OUT)
    assert subjects(TRAINING) | subjects(HELD_OUT) == subjects(EVERYONE)

"""Frames: what is written is read back, word for word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.lab.frames import Frame, read_any
from instructloop.lab.words import LEXICON

FRAME = Frame("{A animal} and {the object} were with {person}, and {person} saw {a object2:object}.")


@given(*(st.sampled_from(LEXICON[kind]) for kind in ("animal", "object", "person", "object")))
def test_what_is_filled_is_read(animal: str, thing: str, person: str, other: str) -> None:
    values = {"animal": animal, "object": thing, "person": person, "object2": other}
    assert FRAME.read(FRAME.fill(values)) == values


def test_articles_and_capitals() -> None:
    assert Frame("{A animal} met {a animal2:animal}.").fill({"animal": "owl", "animal2": "dog"}) == "An owl met a dog."
    assert Frame("{The animal} slept.").read("The owl slept.") == {"animal": "owl"}


@pytest.mark.parametrize("text", ["A owl slept.", "An owl slept", "An owl slept. ", "The owl slept.", "An engine slept."])
def test_nothing_else_is_read(text: str) -> None:
    assert Frame("{A animal} slept.").read(text) is None


def test_a_slot_that_comes_twice_must_say_the_same() -> None:
    frame = Frame("{Person} likes {person}.")
    assert frame.read("Max likes Max.") == {"person": "Max"}
    assert frame.read("Max likes Anna.") is None


def test_the_first_frame_that_matches_reads() -> None:
    options = (Frame("{Person} is {a job}."), Frame("{Person} is {mood}."))
    assert read_any(options, "Max is glad.") == {"person": "Max", "mood": "glad"}
    assert read_any(options, "Max is away.") is None

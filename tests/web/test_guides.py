"""Guides as parts of a page, and letters in place of ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.store.database.queues import MODES
from instructloop.web.blind import to_ids, to_letters
from instructloop.web.guide_text import Block, blocks, shipped_guide


def test_headings_lists_and_paragraphs() -> None:
    text = "# One\n\nTwo words\nof a paragraph.\n\n## Three\n- four\n- five\n  goes on\n\nSix:\n- <b>seven</b>"
    assert blocks(text) == [
        Block("title", ("One",)), Block("paragraph", ("Two words of a paragraph.",)), Block("heading", ("Three",)),
        Block("list", ("four", "five goes on")), Block("paragraph", ("Six:",)), Block("list", ("<b>seven</b>",)),
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_no_word_of_a_guide_is_lost(text: str) -> None:
    shown = "".join(line for block in blocks(text) for line in block.lines)
    kept = "".join(character for character in text if not character.isspace() and character not in "#-")
    assert [character for character in shown if not character.isspace() and character not in "#-"] == list(kept)


@pytest.mark.parametrize("mode", MODES)
def test_a_guide_for_each_mode_ships(mode: str) -> None:
    found = blocks(shipped_guide(mode))  # type: ignore[arg-type]
    assert found[0].part == "title"
    assert len(found) > 12
    first = " ".join(line for block in found[2:4] for line in block.lines)
    assert ("put helpfulness first" in first) == (mode == "training")


SHOWN = ("ppo-3", "sft-1", "B", "A")
"""Ids may even be letters themselves."""


def test_letters_and_ids_are_told_apart_and_words_are_left_alone() -> None:
    body = {"ratings": {"A": {"note": "B"}, "D": {}}, "groups": [["A", "B"], ["C"], ["D"]], "preferred": "C", "better": "A"}
    ids = {"ratings": {"ppo-3": {"note": "B"}, "A": {}}, "groups": [["ppo-3", "sft-1"], ["B"], ["A"]], "preferred": "B", "better": "A"}
    assert to_ids(body, SHOWN) == ids
    assert to_letters(ids, SHOWN) == body


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from("ABCD"), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ABCD"), inner)
)


@given(st.dictionaries(st.sampled_from(["ratings", "groups", "preferred", "text"]), JSON) | JSON)
def test_whatever_comes_is_passed_on_and_comes_back_the_same(body: object) -> None:
    assert to_letters(to_ids(body, ("w", "x", "y", "z")), ("w", "x", "y", "z")) == body

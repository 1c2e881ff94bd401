"""Text files: one that is given alone is cut at its blank lines, and nothing else of it is lost."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.loop.freezing import SplitRule, freeze_files
from instructloop.records import Document
from instructloop.store.layouts import read_documents
from instructloop.store.snapshots import read_split
from instructloop.store.tables import PIECE_CHARACTERS, pieces_of

SHARES = SplitRule(fractions={"train": 0.9, "valid": 0.1})
PARAGRAPHS = [f"Paragraph {number}.\n" + "  and so it went on.\n" * (number % 40) + "The end of it." for number in range(300)]
SHORT = st.text(alphabet=" \t\r\n\u2028ab", max_size=60)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("\n\n".join(PARAGRAPHS))
    return tmp_path / "book.txt"


def test_one_book_is_enough_for_a_snapshot(book: Path, tmp_path: Path) -> None:
    freeze_files([book], tmp_path / "frozen", kind="documents", rule=SHARES)
    train, valid = (list(read_split(tmp_path / "frozen", split, Document)) for split in SHARES.fractions)
    assert len(train) > len(valid) > 0
    assert {document.source for document in (*train, *valid)} == {"book"}


def test_pieces_are_whole_paragraphs_and_as_long_as_they_may_be(book: Path) -> None:
    documents = list(read_documents(book))
    assert [document.id for document in documents] == [f"book.txt-{number}" for number in range(1, len(documents) + 1)]
    assert [paragraph for document in documents for paragraph in document.text.split("\n\n")] == PARAGRAPHS
    assert max(len(document.text) for document in documents) <= PIECE_CHARACTERS
    for one, next_one in pairwise(documents):
        assert len(one.text) + 2 + len(next_one.text.split("\n\n")[0]) > PIECE_CHARACTERS


def test_a_paragraph_is_never_cut() -> None:
    long = "x" * (3 * PIECE_CHARACTERS)
    assert list(pieces_of(f"one\n\n{long}\n \t\n\ntwo\n")) == ["one", long, "two\n"]
    assert list(pieces_of(long)) == [long]


def test_lines_may_end_as_on_windows() -> None:
    first, second = "a" * PIECE_CHARACTERS, "  b\r\n\tb\r\n"
    assert list(pieces_of(f"{first}\r\n\r\n\r\n{second}")) == [first, second]


@given(st.lists(st.one_of(SHORT, SHORT.map(lambda text: text + "c" * PIECE_CHARACTERS)), max_size=6))
def test_nothing_is_lost_but_blank_lines_between_pieces(parts: list[str]) -> None:
    text, at = "".join(parts), 0
    for piece in pieces_of(text):
        found = text.index(piece, at)
        assert piece.strip()
        assert found == at or re.fullmatch(r"\r?\n([^\S\n]*\n)+", text[at:found])
        at = found + len(piece)
    assert not text[at:].strip()


def test_a_short_text_is_one_document_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"\n\nOne.\n\n\nTwo.\n\n")
    assert [(document.id, document.text) for document in read_documents(tmp_path / "note.txt")] == [("note.txt", "\n\nOne.\n\n\nTwo.\n\n")]


def test_each_of_several_files_is_one_document(book: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("One.\n\nTwo.")
    texts = {document.id: document.text for document in read_documents(book, tmp_path / "note.txt")}
    assert texts == {"book.txt": book.read_text(), "note.txt": "One.\n\nTwo."}
    with pytest.raises(DataError, match=r"none of 2 records fell into the split 'valid'[\s\S]*in one \.txt file: alone it is cut"):
        freeze_files([book, tmp_path / "note.txt"], tmp_path / "frozen", kind="documents", rule=SplitRule(fractions={"train": 1, "valid": 0}))


def test_an_empty_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n \n")
    with pytest.raises(DataError, match=r"empty\.txt:1: 'text' is empty"):
        list(read_documents(tmp_path / "empty.txt"))

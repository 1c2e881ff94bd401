"""Token streams: every document once and in order, and windows that depend on the update alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instructloop.data import pretraining
from instructloop.data.pretraining import TokenStream, token_stream
from instructloop.errors import DataError
from instructloop.records import Document
from instructloop.text.tokenizer import load_tokenizer, train_tokenizer
from shared_data import SHARED, needs_shared

TOKENIZER = train_tokenizer(["once upon a time there was a little girl"] * 5, vocab=280)
DOCUMENTS = [Document(id=f"d{n}", text=f"once upon a time {n}") for n in range(40)]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_the_stream_is_the_documents_in_order(texts: list[str]) -> None:
    stream = token_stream([Document(id=str(n), text=text) for n, text in enumerate(texts)], TOKENIZER)
    pieces: list[list[int]] = [[]]
    for token in stream.tokens.tolist():
        if token == TOKENIZER.end_id:
            pieces.append([])
        else:
            pieces[-1].append(token)
    assert [TOKENIZER.decode(piece) for piece in pieces] == [*texts, ""]
    assert stream.tokens.dtype == np.uint16


def test_tokenising_in_batches_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = token_stream(DOCUMENTS, TOKENIZER)
    monkeypatch.setattr(pretraining, "CHARACTERS_AT_ONCE", 30)
    assert np.array_equal(token_stream(DOCUMENTS, TOKENIZER).tokens, whole.tokens)


def test_the_cache_is_used_and_keyed_by_text_and_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    first = token_stream(DOCUMENTS, TOKENIZER, cache=cache)
    assert isinstance(first.tokens, np.memmap)
    other = train_tokenizer(["something else entirely"] * 5, vocab=270)
    token_stream(DOCUMENTS, other, cache=cache)
    token_stream(DOCUMENTS[:-1], TOKENIZER, cache=cache)
    assert len(list(cache.iterdir())) == 3
    monkeypatch.setattr(pretraining, "_tokenise", lambda *_: pytest.fail("tokenised again"))
    assert np.array_equal(token_stream(DOCUMENTS, TOKENIZER, cache=cache).tokens, first.tokens)


def test_without_a_place_for_the_cache_text_is_tokenised_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(RuntimeWarning, match=r"tokens cannot be written to \(Not a directory\)"):
        stream = token_stream(DOCUMENTS, TOKENIZER, cache=tmp_path / "file" / "tokens")
    assert np.array_equal(stream.tokens, token_stream(DOCUMENTS, TOKENIZER).tokens)


def test_a_full_disk_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, array: object) -> None:
        file.write_bytes(b"half an")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert len(token_stream(DOCUMENTS, TOKENIZER, cache=tmp_path)) == len(token_stream(DOCUMENTS, TOKENIZER))
    assert not list(tmp_path.iterdir())


def test_windows_are_pieces_of_the_stream() -> None:
    stream = TokenStream(np.arange(1000, dtype=np.uint16))
    rows = stream.sample_rows(3, rows=8, length=10, seed=0, name="pretrain")
    assert (rows.dtype, rows.shape) == (torch.int64, (8, 10))
    assert torch.equal(rows - rows[:, :1], torch.arange(10).expand(8, 10))
    assert torch.equal(rows, stream.sample_rows(3, rows=8, length=10, seed=0, name="pretrain"))
    assert not torch.equal(rows, stream.sample_rows(4, rows=8, length=10, seed=0, name="pretrain"))
    assert not torch.equal(rows, stream.sample_rows(3, rows=8, length=10, seed=0, name="ptx"))


def test_every_window_can_be_drawn() -> None:
    stream = TokenStream(np.arange(5, dtype=np.uint16))
    assert set(stream.sample_rows(0, rows=200, length=4, seed=0, name="x")[:, 0].tolist()) == {0, 1}
    assert stream.sample_rows(0, rows=2, length=5, seed=0, name="x").tolist() == [[0, 1, 2, 3, 4]] * 2


def test_consecutive_windows_read_each_token_once() -> None:
    stream = TokenStream(np.arange(47, dtype=np.uint16))
    batches = list(stream.consecutive(rows=4, length=5))
    assert [tuple(batch.shape) for batch in batches] == [(4, 5), (4, 5), (1, 5)]
    assert torch.cat(batches).flatten().tolist() == list(range(45))


def test_a_short_text_is_refused() -> None:
    stream = TokenStream(np.arange(5, dtype=np.uint16))
    with pytest.raises(DataError, match="5 tokens long"):
        stream.sample_rows(0, rows=1, length=6, seed=0, name="x")
    with pytest.raises(DataError, match="5 tokens long"):
        next(stream.consecutive(rows=1, length=6))


@needs_shared
def test_a_beginning_that_is_the_end_stands_once_between_documents() -> None:
    stories = load_tokenizer(SHARED / "models" / "stories260k")
    stream = token_stream([Document(id="1", text="Once upon a time")] * 2, stories)
    assert stream.tokens.tolist() == [403, 407, 261, 378, 1] * 2

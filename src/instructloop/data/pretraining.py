"""Pretraining text: documents become one long stream of tokens, read in windows.

Shapes: B windows, T tokens of a window.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instructloop.algo.seeds import generator
from instructloop.errors import DataError
from instructloop.records import Document
from instructloop.text.tokenizer import Tokenizer

CHARACTERS_AT_ONCE = 4_000_000
"""Text tokenised in one call: enough to keep all cores busy, little enough to keep memory flat."""


@dataclass(frozen=True, eq=False)
class TokenStream:
    """All documents, one after another, each closed by the end token."""

    tokens: NDArray[Any]
    """One dimension, uint16 or uint32; possibly a memory-mapped file."""

    def __len__(self) -> int:
        return len(self.tokens)

    def sample_rows(self, update: int, *, rows: int, length: int, seed: int, name: str) -> Tensor:
        """int64 BT: windows at random places, a pure function of seed, name and update."""
        self.require_length(length)
        starts = torch.randint(len(self.tokens) - length + 1, (rows,), generator=generator(seed, name, update))
        return self._windows(starts.tolist(), length)

    def consecutive(self, *, rows: int, length: int) -> Iterator[Tensor]:
        """int64 BT: the stream in windows that do not overlap, at most `rows` at a time; what is left at its end is not read."""
        self.require_length(length)
        starts = range(0, len(self.tokens) - length + 1, length)
        for first in range(0, len(starts), rows):
            yield self._windows(starts[first : first + rows], length)

    def spaced(self, *, rows: int, length: int) -> Tensor:
        """int64 BT: windows spread evenly over the whole stream, so that no kind of text is left out of a held-out loss."""
        self.require_length(length)
        last = len(self.tokens) - length
        return self._windows([last * row // max(rows - 1, 1) for row in range(min(rows, last + 1))], length)

    def _windows(self, starts: Sequence[int], length: int) -> Tensor:
        return torch.from_numpy(np.stack([self.tokens[start : start + length] for start in starts]).astype(np.int64))

    def require_length(self, length: int) -> None:
        """Raise `DataError` if the text is too short for one row."""
        if len(self.tokens) < length:
            raise DataError(
                f"the text is {len(self.tokens)} tokens long",
                expected=f"at least one row of {length} tokens",
                remedy="add text, or use shorter rows",
            )


def token_cache() -> Path:
    """Where tokenised text is kept between runs: `INSTRUCTLOOP_CACHE`, else `~/.cache/instructloop`. Safe to delete."""
    return Path(os.environ.get("INSTRUCTLOOP_CACHE", "~/.cache/instructloop")).expanduser() / "tokens"


def token_stream(documents: Iterable[Document], tokenizer: Tokenizer, *, cache: Path | None = None) -> TokenStream:
    """Tokenise documents into one stream; with a `cache` folder, once per tokenizer and text, or with a warning if it cannot be written to.

    Before each document stand the tokenizer's begin ids, unless they are the end token itself: then the end of one
    document is already the beginning of the next.
    """
    if cache is None:
        return TokenStream(_tokenise(documents, tokenizer))
    documents = list(documents)
    file = cache / f"tokens-{tokenizer.fingerprint[:16]}-{_hash_of(documents)[:16]}.npy"
    with suppress(OSError):
        return TokenStream(np.load(file, mmap_mode="r"))
    tokens = _tokenise(documents, tokenizer)
    try:
        _write_whole(file, tokens)
    except OSError as error:
        told = (
            f"{cache} cannot be written to ({error.strerror or error}): text is tokenised anew in every run; INSTRUCTLOOP_CACHE names another folder"
        )
        warnings.warn(told, RuntimeWarning, stacklevel=2)  # Python shows the same warning once
        return TokenStream(tokens)
    return TokenStream(np.load(file, mmap_mode="r"))


def _write_whole(file: Path, tokens: NDArray[Any]) -> None:
    """Write the array so that `file` is at every moment absent or whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.stem}.{os.getpid()}.unfinished.npy")
    try:
        np.save(unfinished, tokens)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _tokenise(documents: Iterable[Document], tokenizer: Tokenizer) -> NDArray[Any]:
    dtype = np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32
    begin = () if tokenizer.begin_ids == (tokenizer.end_id,) else tokenizer.begin_ids
    pieces = [
        np.fromiter(chain(begin, ids, (tokenizer.end_id,)), dtype=dtype, count=len(begin) + len(ids) + 1)
        for texts in _batches(documents)
        for ids in tokenizer.encode_batch(texts)
    ]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=dtype)


def _batches(documents: Iterable[Document]) -> Iterator[list[str]]:
    texts: list[str] = []
    characters = 0
    for document in documents:
        texts.append(document.text)
        characters += len(document.text)
        if characters >= CHARACTERS_AT_ONCE:
            yield texts
            texts, characters = [], 0
    if texts:
        yield texts


def _hash_of(documents: Iterable[Document]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        text = document.text.encode()
        digest.update(f"{len(text)}:".encode())
        digest.update(text)
    return digest.hexdigest()

"""What a stage says of a prompt: it stays as it is, it stays with another text, or it goes, and why."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from instructloop.records import Prompt

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Removed:
    """A prompt that goes."""

    prompt: Prompt
    reason: str
    """In a few words, the same for all that go for it: what the funnel counts."""
    detail: str = ""
    """What is particular to this prompt; never its text, nor what was found in it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A prompt that stays with another text."""

    prompt: Prompt
    what: str
    """In a few words, the same for all that are changed so."""


Verdict = Prompt | Changed | Removed
Stage = Callable[[Iterable[Prompt]], Iterator[Verdict]]
"""Prompts in, a verdict on each, in the same order; a pure function of the prompts."""


class TextMap(Protocol):
    """Applies a function of many texts, a chunk at a time, and gives the results one by one in the order of the texts."""

    def __call__(self, function: Callable[[Sequence[str]], Sequence[R]], texts: Iterable[str]) -> Iterator[R]: ...

"""Frames: sentences with slots, which are filled to write and matched to read. What one writes, the same one reads back.

`{person}` is a slot of the class of that name in `words.LEXICON`; `{a object}` and `{the object}` carry an article;
`{Who}`, `{A object}` and `{The object}` stand at the start of a sentence; `{sender:person}` is called one thing and is of the
class of another; the classes `text`, `passage`, `sentence` and `question` are any text within a line and without quotation marks.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from instructloop.lab.words import LEXICON, capitalised, with_article

_SLOT = re.compile(r"(\{[^}]+\})")
_INSIDE = re.compile(r"\{(?:(a|the|A|The) )?(\w+)(?::(\w+))?\}")
_FREE = {
    "text": r'[^\n"]+',
    "passage": r'[A-Z][^\n"?:]+\.',
    "sentence": r'[A-Z][^\n".!?]+\.',
    "question": r'(?:What (?:did|colour|was)|Where|On which|Who|How|Which animal) [^\n"?.:]+\?',
    "also": r"(?: [^\n]+)?",
}


@dataclass(frozen=True)
class _Slot:
    """One place to fill: the surface of each value, and the value of each surface; both empty where any text may stand."""

    key: str
    pattern: str
    surfaces: Mapping[str, str]
    values: Mapping[str, str]


class Frame:
    """A sentence with slots."""

    __slots__ = ("_parts", "_pattern", "_slots", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = [piece for piece in _SLOT.split(text) if piece]
        self._parts = tuple(_slot(piece) if piece.startswith("{") else piece for piece in pieces)
        self._slots = tuple(part for part in self._parts if isinstance(part, _Slot))
        self._pattern = re.compile("".join(f"({part.pattern})" if isinstance(part, _Slot) else re.escape(part) for part in self._parts))

    def fill(self, values: Mapping[str, str]) -> str:
        """The sentence with its slots filled; values that it has no slot for are left alone."""
        return "".join(part if isinstance(part, str) else part.surfaces.get(values[part.key], values[part.key]) for part in self._parts)

    def read(self, text: str) -> dict[str, str] | None:
        """What stands in the slots, or None if the text is not this sentence; a slot that comes twice must say the same."""
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        values: dict[str, str] = {}
        for slot, surface in zip(self._slots, found.groups(), strict=True):
            value = slot.values.get(surface, surface)
            if values.setdefault(slot.key, value) != value:
                return None
        return values

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its slots."""
        return tuple(slot.key for slot in self._slots)


def frames(*texts: str) -> tuple[Frame, ...]:
    """One frame for each text."""
    return tuple(Frame(text) for text in texts)


def read_any(options: Iterable[Frame], text: str) -> dict[str, str] | None:
    """What the first frame that matches reads; None if none does."""
    for frame in options:
        if (values := frame.read(text)) is not None:
            return values
    return None


def _slot(piece: str) -> _Slot:
    inside = _INSIDE.fullmatch(piece)
    assert inside is not None, f"{piece} is no slot"
    article, name, kind = inside.groups()
    key, capital = name.lower(), (article or name)[0].isupper()
    kind = kind or key
    if kind in _FREE:
        return _Slot(key, _FREE[kind], {}, {})
    surfaces = {value: _surface(value, (article or "").lower(), capital) for value in LEXICON[kind]}
    values = {surface: value for value, surface in surfaces.items()}
    return _Slot(key, "|".join(re.escape(surface) for surface in sorted(values, key=len, reverse=True)), surfaces, values)


def _surface(value: str, article: str, capital: bool) -> str:
    surface = with_article(value) if article == "a" else f"the {value}" if article == "the" else value
    return capitalised(surface) if capital else surface

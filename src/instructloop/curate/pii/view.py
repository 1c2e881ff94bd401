"""The text as detectors read it: zero-width characters taken out, other scripts' digits and signs as plain ones, every place known.

"ｎａｍｅ＠example.com" and "na<zero-width space>me@example.com" are addresses to whoever copies them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ZERO_WIDTH = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Soft hyphen, joiners, direction marks: characters without width."""

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe63"
_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6)
"""Zero in Arabic, Persian, Devanagari and Bengali; the other digits follow it."""

_PLAIN = str.maketrans(
    {
        **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # fullwidth forms of ASCII
        **dict.fromkeys(map(ord, _SPACES), " "),
        **dict.fromkeys(map(ord, _HYPHENS), "-"),
        **{zero + digit: str(digit) for zero in _ZEROS for digit in range(10)},
    }
)
_WITHOUT = frozenset(ZERO_WIDTH)


@dataclass(frozen=True)
class View:
    """A text in plain characters; `places[i]` is where its character i stands in the original, None where nothing moved."""

    text: str
    places: Sequence[int] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters `start` to `end` (exclusive, not empty) of the view stand in the original."""
        return (start, end) if self.places is None else (self.places[start], self.places[end - 1] + 1)


def view_of(text: str) -> View:
    """The text as detectors read it."""
    if text.isascii():
        return View(text)
    if _WITHOUT.isdisjoint(text):
        return View(text.translate(_PLAIN))
    places = [place for place, character in enumerate(text) if character not in _WITHOUT]
    return View("".join(text[place] for place in places).translate(_PLAIN), places)

"""Near-duplicates across users: equal texts, then texts with a long common prefix (paper §3.2). The first in file order stays.

Texts are compared as Unicode's canonical caseless matching has it (Unicode 15, definition D145), without characters of no
width and without white space at the ends: "STRASSE" equals "straße", an é of one code point equals one of two. Case is folded
by the rules that hold for every language but Turkish: "I" equals "i" and not "ı", and "İ" equals "i̇" (i with a dot above it).
"""

import hashlib
import math
import unicodedata
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from instructloop.curate.few_shot import whole_of
from instructloop.curate.pii.view import ZERO_WIDTH
from instructloop.curate.verdicts import Removed, Verdict
from instructloop.records import Prompt

_NO_WIDTH = dict.fromkeys(map(ord, ZERO_WIDTH))
BLOCK = 1024
"""Texts in a block of `SortedTexts`: inserting moves at most so many."""


def without_repeats(prompts: Iterable[Prompt]) -> Iterator[Verdict]:
    """Of prompts with equal texts, of whatever users, the first stays."""
    first: dict[bytes, str] = {}
    for prompt in prompts:
        digest = hashlib.blake2b(fold(prompt.text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = first.get(digest)
        if known is None:
            first[digest] = prompt.id
            yield prompt
        else:
            yield Removed(prompt, "the same text", f"as prompt {known}")


def without_long_prefixes(prompts: Iterable[Prompt], *, characters: int, share: float) -> Iterator[Verdict]:
    """Of prompts that begin alike the first stays: alike for `characters` or more, and for `share` of the shorter one or more.

    Each prompt is compared with O(log n) others. Parts of one few-shot prompt (`few_shot.whole_of`) begin alike by their making:
    what becomes of the first of them becomes of all.
    """
    groups: dict[str, PrefixIndex] = {}
    decided: dict[str, str | None] = {}
    for prompt in prompts:
        whole = whole_of(prompt.id)
        known = decided[whole] if whole in decided else _find_or_add(groups, prompt, characters, share)
        if whole is not None:
            decided[whole] = known
        yield prompt if known is None else Removed(prompt, "a long common prefix", f"with prompt {known}")


def fold(text: str) -> str:
    """The text as it is compared: two texts are equal for a reader of another case, encoding or indentation if their folds are equal."""
    if text.isascii():
        return text.strip().lower()
    bare = unicodedata.normalize("NFD", text.translate(_NO_WIDTH)).casefold()
    return unicodedata.normalize("NFC", bare).strip()


def _find_or_add(groups: dict[str, "PrefixIndex"], prompt: Prompt, characters: int, share: float) -> str | None:
    """The id of a kept prompt that is alike; where there is none the prompt is kept from now on."""
    text = fold(prompt.text)
    if len(text) < characters:
        return None
    index = groups.setdefault(text[:characters], PrefixIndex(share))
    known = index.find(text)
    if known is None:
        index.add(text, prompt.id)
    return known


class PrefixIndex:
    """Texts kept so far, none of them alike: that two texts are alike means that a `share` of the shorter begins both.

    What a text needs in common with a longer one is its *key*, its first `share`. A new text is alike to one that is kept if
    it begins with that one's key, or that one begins with its key. No key is the beginning of another, so the only key with
    which a text can begin is the last one that is not greater; and texts that begin with a key stand side by side from it on.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._keys, self._texts = SortedTexts(), SortedTexts()
        self._ids: dict[str, str] = {}

    def find(self, text: str) -> str | None:
        """The id of a kept text that is alike; None if there is none."""
        key = self._keys.last_up_to(text)
        if key is not None and text.startswith(key):
            return self._ids[key]
        other = self._texts.first_from(key := self._key(text))
        return self._ids[self._key(other)] if other is not None and other.startswith(key) else None

    def add(self, text: str, id_: str) -> None:
        """Keep a text for which `find` gave None."""
        key = self._key(text)
        self._ids[key] = id_
        self._keys.add(key)
        self._texts.add(text)

    def _key(self, text: str) -> str:
        return text[: math.ceil(self._share * len(text))]


class SortedTexts:
    """Texts in order, in blocks: finding takes O(log n) comparisons, adding moves at most a block."""

    def __init__(self) -> None:
        self._blocks: list[list[str]] = []
        self._last: list[str] = []
        """The last text of each block."""

    def add(self, text: str) -> None:
        """Put a text in its place."""
        if not self._blocks:
            self._blocks, self._last = [[text]], [text]
            return
        number = min(bisect_left(self._last, text), len(self._blocks) - 1)
        block = self._blocks[number]
        insort(block, text)
        self._last[number] = block[-1]
        if len(block) > BLOCK:
            half = block[: BLOCK // 2]
            self._blocks[number : number + 1] = [half, block[BLOCK // 2 :]]
            self._last.insert(number, half[-1])

    def first_from(self, text: str) -> str | None:
        """The first that is not less than `text`."""
        number = bisect_left(self._last, text)
        return self._blocks[number][bisect_left(self._blocks[number], text)] if number < len(self._blocks) else None

    def last_up_to(self, text: str) -> str | None:
        """The last that is not greater than `text`."""
        number = bisect_left(self._last, text)
        if number < len(self._blocks) and (place := bisect_right(self._blocks[number], text)):
            return self._blocks[number][place - 1]
        return self._last[number - 1] if number else None

"""Text from token ids as they come: each id is decoded once, and nothing that a later id could change is given away.

detokenizer = Detokenizer(tokenizer)
text = "".join(map(detokenizer.push, ids)) + detokenizer.finish()      equals tokenizer.decode(ids)
"""

from collections.abc import Sequence

from instructloop.text.tokenizer import Tokenizer

LOST = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are no character, or not yet one."""
WINDOW, CONTEXT = 32, 8
"""Once as many ids as the first are decoded together, the last few of them stand for all before."""


class Detokenizer:
    """The text of one growing sequence of ids.

    Held back are bytes that may become one character with those of the next id, and, for tokenizers that write unknown
    characters as byte tokens (`<0xE2>`), the whole run of byte tokens: one wrong byte would turn all of the run into "\ufffd".
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._shown = 0
        """Characters of the window's text that have been given away."""
        self._in_bytes = False

    def push(self, id_: int) -> str:
        """The text that is certain with this id and was not before; empty while a character is unfinished."""
        if self._tokenizer.is_silent(id_):
            return ""
        self._window.append(id_)
        self._in_bytes = id_ in self._tokenizer.byte_ids
        if self._in_bytes:
            return ""
        text = self._tokenizer.decode(self._window)
        # Of several replaced pieces at the end only the last can still be completed.
        certain = len(text) - text.endswith(LOST)
        piece, self._shown = text[self._shown : certain], max(self._shown, certain)
        if len(self._window) >= WINDOW and self._shown == len(text):
            self._window = self._window[-CONTEXT:]
            self._shown = len(self._tokenizer.decode(self._window))
        return piece

    def finish(self) -> str:
        """What was held back, as it reads if nothing follows."""
        piece = self._tokenizer.decode(self._window)[self._shown :]
        self._window, self._shown = [], 0
        return piece


class StopTexts:
    """Looks for texts that end an answer, in pieces of any size; no part of one found is ever given away."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def push(self, piece: str) -> str:
        """The text that is certain to stand before any stop text. Once one was `found`, what follows is dropped."""
        if self.found:
            return ""
        text = self._held + piece
        # The one that is complete first, as if characters came one by one: so the pieces do not matter.
        ends = [(place + len(stop), place) for stop in self._stops if (place := text.find(stop)) >= 0]
        if ends:
            self.found, self._held = True, ""
            return text[: min(ends)[1]]
        certain = len(text) - self._longest_beginning(text)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """What was held back because a stop text could have begun there."""
        held, self._held = self._held, ""
        return held

    def _longest_beginning(self, text: str) -> int:
        """Characters at the end of the text that are the beginning of a stop text."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        lengths = range(min(longest, len(text)), 0, -1)
        return next((length for length in lengths if any(stop.startswith(text[-length:]) for stop in self._stops)), 0)

"""An answer as people read it, made from the engine's events: whole characters, cut before any stop text, counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from instructloop.protocols import CompletionChunk, CompletionRequest, FinishReason
from instructloop.rollout.slots import Event
from instructloop.text.streaming import Detokenizer, StopTexts
from instructloop.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class _Token:
    """What one token adds to the text, and how likely it was."""

    text: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...]


class AnswerText:
    """One answer in the making. Text goes out in whole tokens, so that a chunk's tokens are its text."""

    def __init__(self, tokenizer: Tokenizer, request: CompletionRequest, *, prompt_tokens: int) -> None:
        self._tokenizer, self._request = tokenizer, request
        self._detokenizer, self._stops = Detokenizer(tokenizer), StopTexts(request.stop)
        self._held: list[_Token] = []
        """Tokens that have not gone out."""
        self._certain = 0
        """Characters of the held tokens that stand before any stop text."""
        self._prompt_tokens, self._num_tokens = prompt_tokens, 0

    def add(self, event: Event) -> CompletionChunk | None:
        """The chunk that this token completes, or None. A stop text ends the answer, whatever the event says."""
        self._num_tokens += 1
        text = self._detokenizer.push(event.id) + (self._detokenizer.finish() if event.finish_reason else "")
        near = tuple((self._tokenizer.spell(id_), logprob) for id_, logprob in event.likeliest)
        self._held.append(_Token(text, event.logprob, near))
        self._certain += len(self._stops.push(text))
        if self._stops.found:
            return self._chunk(self._before_the_stop_text(), "stop")
        if event.finish_reason:
            return self._chunk(self._held, event.finish_reason)
        ready = self._take_ready()
        return self._chunk(ready, None) if ready else None

    def _take_ready(self) -> list[_Token]:
        """The held tokens up to the last that has a text and lies in what is certain; those without text go with the next."""
        ready = length = 0
        for count, token in enumerate(self._held, start=1):
            length += len(token.text)
            if length > self._certain:
                break
            ready = count if token.text else ready
        taken, self._held = self._held[:ready], self._held[ready:]
        self._certain -= sum(len(token.text) for token in taken)
        return taken

    def _before_the_stop_text(self) -> list[_Token]:
        """The held tokens whose text begins before the stop text, the last of them cut off there."""
        kept: list[_Token] = []
        for token in self._held:
            kept.append(replace(token, text=token.text[: self._certain]))
            self._certain -= len(kept[-1].text)
        last = max((count for count, token in enumerate(kept, start=1) if token.text), default=0)
        return kept[:last]

    def _chunk(self, tokens: Sequence[_Token], finish_reason: FinishReason | None) -> CompletionChunk:
        chunk = CompletionChunk(
            text="".join(token.text for token in tokens),
            finish_reason=finish_reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._num_tokens,
        )
        if self._request.top_logprobs is None:
            return chunk
        return replace(
            chunk,
            logprobs=tuple(token.logprob for token in tokens),
            tokens=tuple(token.text for token in tokens),
            top_logprobs=tuple(token.likeliest for token in tokens),
        )

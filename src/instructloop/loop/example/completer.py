"""What answers in the playground of the example: the best of the example's own answers, word by word. It is no model, and says so."""

import re
import time
from collections.abc import Iterator

from instructloop.loop.example.texts import asked
from instructloop.protocols import CompletionChunk, CompletionRequest
from instructloop.records import conversation_text

NAME = "example (no model)"
PACE = 0.02
"""Seconds between words, so that one sees it write."""
UNKNOWN = "This is the example: no model stands behind it. It knows the prompts of its own tasks only; start the site with --model to ask a real one."


class ExampleCompleter:
    """A completer without a model."""

    def complete(self, request: CompletionRequest) -> Iterator[CompletionChunk]:
        """The answer, one word at a time."""
        return _Words(request)


class _Words:
    """The iterator of one answer; `close` works from any thread, as the protocol asks."""

    def __init__(self, request: CompletionRequest) -> None:
        prompt = request.prompt or conversation_text(request.messages)
        known = {one.text: one.answers[0].text for one in asked()}
        self._words = re.findall(r"\S+\s*", known.get(prompt.strip(), UNKNOWN))
        self._count = min(len(self._words), request.sampling.max_new_tokens)
        self._prompt_tokens, self._at = len(prompt.split()), 0

    def __iter__(self) -> "_Words":
        return self

    def __next__(self) -> CompletionChunk:
        if self._at >= self._count:
            raise StopIteration
        time.sleep(PACE)
        self._at += 1
        last = self._at == self._count
        finish = ("stop" if self._count == len(self._words) else "length") if last else None
        return CompletionChunk(
            text=self._words[self._at - 1], finish_reason=finish, prompt_tokens=self._prompt_tokens, completion_tokens=self._at
        )  # fmt: skip

    def close(self) -> None:
        """Say nothing more."""
        self._at = self._count

"""The JSON objects of the API, whole and in chunks, made from the chunks of a completer.

shape = ChatShape(id=..., created=..., model=..., with_logprobs=False)
shape.whole(answers)          one object
shape.chunk(index, chunk)     one event of a stream
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from instructloop.protocols import CompletionChunk, FinishReason

DONE = "data: [DONE]\n\n"


class Token(NamedTuple):
    """A token of an answer, and how likely it was."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]
    """(text, log-probability) of the likeliest at its place."""


@dataclass
class Answer:
    """An answer as far as it has come."""

    index: int
    pieces: list[str] = field(default_factory=list[str])
    tokens: list[Token] = field(default_factory=list[Token])
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, chunk: CompletionChunk) -> None:
        """Take in the next chunk; its counts are those of the answer so far."""
        self.pieces.append(chunk.text)
        self.tokens += tokens_of(chunk)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.prompt_tokens = max(self.prompt_tokens, chunk.prompt_tokens)
        self.completion_tokens = max(self.completion_tokens, chunk.completion_tokens)

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(self.pieces)


def usage_of(answers: Sequence[Answer], *, per_prompt: int) -> dict[str, int]:
    """Token counts of all answers; a prompt that several answers share counts once."""
    read = sum(answer.prompt_tokens for answer in answers if answer.index % per_prompt == 0)
    written = sum(answer.completion_tokens for answer in answers)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def tokens_of(chunk: CompletionChunk) -> list[Token]:
    """The tokens of a chunk; those of which the completer tells no alternatives have none."""
    alternatives = chunk.top_logprobs or ((),) * len(chunk.tokens)
    return [Token(*told) for told in zip(chunk.tokens, chunk.logprobs, alternatives, strict=True)]


def event(data: Mapping[str, Any]) -> str:
    """One server-sent event. JSON escapes every line break, so no text of a model can end an event or begin another."""
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n"


@dataclass(frozen=True, kw_only=True)
class CompletionShape:
    """`text_completion` objects."""

    model: str
    with_logprobs: bool
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: Sequence[Answer], usage: Mapping[str, int]) -> dict[str, Any]:
        """All answers at once."""
        choices = [self._choice(answer.index, answer.text, answer.tokens, answer.finish_reason, 0) for answer in answers]
        return {**self._head(), "choices": choices, "usage": dict(usage)}

    def opening(self, index: int) -> list[dict[str, Any]]:
        """What comes before the first piece: nothing."""
        return []

    def chunk(self, answer: Answer, chunk: CompletionChunk) -> dict[str, Any]:
        """A piece of `answer`, to which it was added already."""
        offset = len(answer.text) - len(chunk.text)
        return {**self._head(), "choices": [self._choice(answer.index, chunk.text, tokens_of(chunk), chunk.finish_reason, offset)]}

    def closing(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """The chunk that counts."""
        return {**self._head(), "choices": [], "usage": dict(usage)}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}

    def _choice(self, index: int, text: str, tokens: Sequence[Token], finish: FinishReason | None, offset: int) -> dict[str, Any]:
        logprobs = _completion_logprobs(tokens, offset) if self.with_logprobs else None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}


@dataclass(frozen=True, kw_only=True)
class ChatShape:
    """`chat.completion` objects, and in streams `chat.completion.chunk`."""

    model: str
    with_logprobs: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: Sequence[Answer], usage: Mapping[str, int]) -> dict[str, Any]:
        """All answers at once."""
        choices = [
            {
                "index": answer.index,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": self._logprobs(answer.tokens),
                "finish_reason": answer.finish_reason,
            }
            for answer in answers
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": dict(usage)}

    def opening(self, index: int) -> list[dict[str, Any]]:
        """The chunk that says who speaks."""
        return [self._delta(index, {"role": "assistant", "content": ""}, None, None)]

    def chunk(self, answer: Answer, chunk: CompletionChunk) -> dict[str, Any]:
        """A piece of `answer`."""
        return self._delta(answer.index, {"content": chunk.text} if chunk.text else {}, self._logprobs(tokens_of(chunk)), chunk.finish_reason)

    def closing(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """The chunk that counts."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": dict(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _delta(self, index: int, delta: Mapping[str, str], logprobs: object, finish: FinishReason | None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self.with_logprobs:
            return None
        content = [
            {**_likely(token.text, token.logprob), "top_logprobs": [_likely(*alternative) for alternative in token.alternatives]} for token in tokens
        ]
        return {"content": content, "refusal": None}


Shape = CompletionShape | ChatShape


def _likely(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _completion_logprobs(tokens: Sequence[Token], offset: int) -> dict[str, Any]:
    offsets: list[int] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    named = [dict(token.alternatives) for token in tokens] if any(token.alternatives for token in tokens) else None
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": named,
        "text_offset": offsets,
    }

"""The seams: what one room asks of another. Passed in as arguments; a fake is ten lines. Standard library only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from instructloop.errors import ConfigError
from instructloop.records import Turn

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn. Training rollouts use temperature 1 and no truncation (law A4)."""

    max_new_tokens: int
    temperature: float = 1.0
    """0 is greedy. Logits are divided by it before every log-probability."""
    top_p: float = 1.0
    """Nucleus mass kept; below 1 for serving only."""
    top_k: int = 0
    """Number of likeliest tokens kept; 0 keeps all. For serving only."""
    stop_ids: frozenset[int] = frozenset()
    """Sampling any of these ends the answer; the id sampled is part of it."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {self.max_new_tokens}", expected="at least 1", remedy="ask for one token or more")
        if self.temperature < 0:
            raise ConfigError(f"temperature is {self.temperature}", expected="0 (greedy) or more", remedy="use 1 for training rollouts")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}", expected="more than 0, at most 1", remedy="use 1 to keep every token")
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}", expected="0 (off) or more", remedy="use 0 to keep every token")

    @property
    def truncates(self) -> bool:
        """True if some tokens can never be drawn, which biases the PPO ratio and makes the KL negative."""
        return self.top_p < 1 or self.top_k > 0


@dataclass(frozen=True)
class Generated:
    """One sampled answer: the ids (a stop id included), the log-probability of each, and why it ended."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason


class Engine(Protocol):
    """Token ids in, sampled ids with log-probabilities out. Holds its own copy of the weights."""

    version: int

    def load(self, state: Mapping[str, Any], version: int) -> None:
        """Replace the weights by the tensors of `state` (name -> tensor) and remember `version`."""
        ...

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]) -> list[Generated]:
        """One answer per prompt, in order; the same seed gives the same answer whatever its companions."""
        ...

    def logprobs(self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token of each given answer, by the same cached path that samples (law A2)."""
        ...


MAX_STOP_TEXTS = 4
"""Texts that may end an answer."""


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """A request for text, as a person or an API client makes it: a prompt, or a conversation."""

    prompt: str = ""
    """Answered as the model was trained to answer prompts; a model that was not goes on from it."""
    messages: tuple[Turn, ...] = ()
    """In place of a prompt. Models without a chat template read it as `records.conversation_text` writes it."""
    sampling: Sampling
    stop: tuple[str, ...] = ()
    """Texts that end the answer and are no part of it."""
    seed: int = 0
    fit_context: bool = False
    """Where the context has no room for `max_new_tokens`, take what there is, if one token at least, rather than refuse."""
    top_logprobs: int | None = None
    """How many likeliest tokens to name at each place; 0 gives the chosen ones only. None: log-probabilities are not needed."""

    def __post_init__(self) -> None:
        if self.prompt and self.messages:
            raise ConfigError("a prompt and a conversation in one request", expected="one of them", remedy="make the prompt the last message")
        if len(self.stop) > MAX_STOP_TEXTS or "" in self.stop:
            raise ConfigError(f"the stop texts {self.stop}", expected=f"at most {MAX_STOP_TEXTS}, none empty", remedy="leave some out")
        if self.top_logprobs is not None and self.top_logprobs < 0:
            raise ConfigError(f"top_logprobs is {self.top_logprobs}", expected="0 or more", remedy="use 0 for the chosen tokens only")


@dataclass(frozen=True, kw_only=True)
class CompletionChunk:
    """A piece of an answer as it is produced; `finish_reason` is set on the last one only.

    `logprobs`, `tokens` and `top_logprobs` have an entry for each token of the piece, or none where they were not asked for.
    """

    text: str
    logprobs: tuple[float, ...] = ()
    """Under the distribution drawn from: with temperature and truncation; a greedy choice has that of temperature 1."""
    tokens: tuple[str, ...] = ()
    """What each token adds to the text; together they are `text`. A token that ends inside a character adds nothing, the last of it all."""
    top_logprobs: tuple[tuple[tuple[str, float], ...], ...] = ()
    """(text, log-probability) of the likeliest tokens at each place, likeliest first; fewer where truncation leaves fewer."""
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    """Tokens of the prompt as the model read it, known from the first chunk of a local model, with the last of a remote one."""
    completion_tokens: int = 0
    """Tokens of the answer so far, its end token included."""


class Completer(Protocol):
    """Text in, text out, streamed; closing the iterator cancels the generation.

    `complete` itself raises what stands in the way of an answer: `ContextExceeded`, another `UserError`, `Busy`, or
    `ModelUnavailable`, which may also come between two chunks. The iterator's `close()` may be called from any thread.
    """

    def complete(self, request: CompletionRequest) -> Iterator[CompletionChunk]: ...


class Scorer(Protocol):
    """Prompts and answers in, one scalar each out: a reward model, a rule, a remote service."""

    def __call__(self, prompts: Sequence[str], answers: Sequence[str]) -> Sequence[float]: ...


class Judge(Protocol):
    """A prompt and K answers in; groups of answer positions out, best to worst, equal within a group."""

    def __call__(self, prompt: str, answers: Sequence[str]) -> Sequence[Sequence[int]]: ...


class MetricSink(Protocol):
    """Receives the metrics of one update."""

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None: ...

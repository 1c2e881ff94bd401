"""Who answers, how often and how: the settings of `instructloop sample`, read and checked before any model is loaded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructloop.config import Precision
from instructloop.errors import ConfigError
from instructloop.protocols import Sampling
from instructloop.records import MAX_ANSWERS, MIN_ANSWERS

EVERY_SPLIT = "all"
"""In place of a split's name: the prompts of the whole snapshot."""
SHARE_TOLERANCE = 1e-6


SAMPLE_SETTINGS = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
BEAM_SETTINGS = {"beam_width": MAX_ANSWERS, "length_penalty": 1.0}
"""Settings that one method reads and the other does not, with their defaults."""


@dataclass(frozen=True)
class ModelShare:
    """A model, and the share of all answers it gives."""

    path: str
    """Directory or hub id."""
    share: float


@dataclass(frozen=True)
class NumAnswers:
    """Answers per prompt: a number in this range, drawn for each prompt."""

    least: int
    most: int

    def draw(self, uniform: float) -> int:
        """The number for a prompt with this place in [0, 1); every number of the range is equally likely."""
        return self.least + int(uniform * (self.most - self.least + 1))


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How answers are made."""

    method: Literal["sample", "beam"] = "sample"
    """sample: different answers drawn at random; beam: the likeliest ones, by beam search."""
    temperature: float = SAMPLE_SETTINGS["temperature"]
    """sample: logits are divided by it."""
    top_p: float = SAMPLE_SETTINGS["top_p"]
    """sample: nucleus mass kept; 1 keeps every token."""
    top_k: int = int(SAMPLE_SETTINGS["top_k"])
    """sample: number of likeliest tokens kept; 0 keeps every token."""
    beam_width: int = int(BEAM_SETTINGS["beam_width"])
    """beam: unfinished answers followed at a time; at least the number of answers."""
    length_penalty: float = BEAM_SETTINGS["length_penalty"]
    """beam: log-probabilities are divided by length to this power; 0 is none, above 0 favours length."""
    max_new_tokens: int = 256
    """Tokens of the longest answer; prompts that leave less room in the context are left out and counted."""
    seed: int = 0
    """Decides the number of answers, which model gives them, what is drawn and in which order they stand, prompt by prompt."""
    precision: Precision = "bf16"
    """Arithmetic of the models."""
    parity_mean: float = 0.03
    """Law A2 in bf16: largest mean |Δ log-probability| between the engine and a pass over the whole answer."""
    parity_p999: float = 0.3
    """Law A2 in bf16: largest 99.9th percentile."""

    def __post_init__(self) -> None:
        self._refuse_what_is_not_read()
        if self.method == "sample" and self.temperature == 0:
            raise ConfigError("several answers at temperature 0", expected="a temperature above 0", remedy="raise it, or use --method beam")
        self.sampling(frozenset())

    def _refuse_what_is_not_read(self) -> None:
        unread = BEAM_SETTINGS if self.method == "sample" else SAMPLE_SETTINGS
        for name, default in unread.items():
            if getattr(self, name) != default:
                raise ConfigError(
                    f"{name} is {getattr(self, name)} with method {self.method!r}, which does not read it",
                    expected=f"settings of the method {self.method!r}",
                    remedy="leave it out, or choose the other --method",
                )

    def sampling(self, stop_ids: frozenset[int]) -> Sampling:
        """The engine's settings, for a model with these stop ids."""
        return Sampling(max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, stop_ids=stop_ids)

    def require_room(self, num_answers: NumAnswers) -> None:
        """Raise `ConfigError` for a beam too narrow for the answers asked for."""
        if self.method == "beam" and self.beam_width < num_answers.most:
            raise ConfigError(
                f"{num_answers.most} answers from a beam of width {self.beam_width}",
                expected="a beam as wide as the number of answers",
                remedy=f"use --beam-width {num_answers.most} or more",
            )

    @property
    def described(self) -> dict[str, int | float | str]:
        """What an answer's record says about how it was made."""
        if self.method == "beam":
            settings: dict[str, int | float | str] = {"beam_width": self.beam_width, "length_penalty": self.length_penalty}
        else:
            settings = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return {"method": self.method, **settings, "max_new_tokens": self.max_new_tokens}


def parse_models(texts: Sequence[str]) -> tuple[ModelShare, ...]:
    """`PATH:SHARE` of each model, or the bare path of an only one; raises `ConfigError` unless the shares sum to 1.

    What stands after the last colon is a share if it is a number, and a part of the path otherwise, or if the whole names a folder.
    """
    if not texts:
        raise ConfigError("no model is given", expected="one --model or more", remedy="add --model PATH, or --model PATH:SHARE for each of several")
    if len(texts) == 1 and _split_share(texts[0])[1] is None:
        return (ModelShare(texts[0], 1.0),)
    parsed = [_split_share(text) for text in texts]
    if without := [path for path, share in parsed if share is None]:
        raise ConfigError(
            f"the model {without[0]!r} has no share", expected="PATH:SHARE for each of several models", remedy=f"for instance {without[0]}:0.5"
        )
    models = tuple(ModelShare(path, share) for path, share in parsed if share is not None)
    shares = [model.share for model in models]
    if not (all(share > 0 for share in shares) and abs(math.fsum(shares) - 1) <= SHARE_TOLERANCE):
        came = " + ".join(f"{share:g}" for share in shares)
        raise ConfigError(
            f"the shares of the models are {came} = {math.fsum(shares):g}", expected="shares above 0 that sum to 1", remedy="correct --model"
        )
    return models


def parse_num_answers(text: str) -> NumAnswers:
    """ "4" or "4..9" -> the range; raises `ConfigError` outside 2..9."""
    least, dots, most = text.partition("..")
    try:
        found = NumAnswers(int(least), int(most if dots else least))
    except ValueError:
        found = NumAnswers(0, 0)
    if not MIN_ANSWERS <= found.least <= found.most <= MAX_ANSWERS:
        raise ConfigError(
            f"--num-answers {text}",
            expected=f"a number from {MIN_ANSWERS} to {MAX_ANSWERS}, or a range in it, as in 4..9",
            remedy="the paper used 4..9",
        )
    return found


def answers_of_each(total: int, shares: Sequence[float], uniform: float) -> list[int]:
    """How many of `total` answers each model gives: its share of them, rounded down or up.

    One uniform number in [0, 1) rounds all (systematic sampling), so that a model's expected number is exactly its share:
    n_m = ⌊total·(s_1 + … + s_m) + u⌋ − ⌊total·(s_1 + … + s_{m−1}) + u⌋.
    """
    bounds = [math.floor(total * math.fsum(shares[:place]) + uniform) for place in range(len(shares))]
    return [end - start for start, end in zip(bounds, [*bounds[1:], total], strict=True)]


def _split_share(text: str) -> tuple[str, float | None]:
    path, colon, share = text.rpartition(":")
    if not colon or not path or Path(text).exists():
        return text, None
    try:
        return path, float(share)
    except ValueError:
        return text, None

"""`results.json` of the demo: one run, five models, and every figure that its table, its words and its report are made of.

Numbers are finite or null where a field says so; a file with any other key, type or value is refused by name.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from instructloop.errors import DataError
from instructloop.evals.statistics import Interval
from instructloop.reading import build

MODEL_NAMES = {"base": "base", "base_prompted": "prompted base", "sft": "SFT", "ppo": "PPO", "ppo_ptx": "PPO-ptx"}
"""Name in `results.json` -> name that people read, from the weakest to the strongest of the paper's Figure 1."""

NO_STAGES = {"setup", "set-up", "set_up", "total"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A mean of paired differences and its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """The same figures without the count."""
        return cls(mean=interval.mean, low=interval.low, high=interval.high)


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """One model on the test prompts, one answer to each at temperature 1."""

    win_rate_vs_sft: Interval | None
    """Over prompts and simulated evaluation labelers, a tie counting one half; None for SFT itself."""
    score: float
    """Mean score by the reward model."""
    gold: float
    """Mean noise-free utility."""
    kl: float | None
    """Nats per sequence to the start of PPO, on the model's own samples; None for the prompted base."""
    response_tokens: float
    pretraining_loss: float
    """Nats per token of held-out text."""


@dataclass(frozen=True, kw_only=True)
class ModelResults:
    """The five models."""

    base: ModelResult
    base_prompted: ModelResult
    sft: ModelResult
    ppo: ModelResult
    ppo_ptx: ModelResult

    def __iter__(self) -> Iterator[tuple[str, ModelResult]]:
        """(name, result), in the order of `MODEL_NAMES`."""
        return ((name, getattr(self, name)) for name in MODEL_NAMES)


@dataclass(frozen=True, kw_only=True)
class RewardModelResult:
    """How often the reward model orders two answers as a held-out simulated labeler did, and what to compare that with."""

    accuracy: float
    low: float
    high: float
    n: int
    """Pairs; the interval is from drawing prompts again."""
    labeler_agreement: float
    """Two labelers on the same pairs; pairs tied by either are dropped in both."""
    length_only: float
    bag_of_words: float

    @property
    def interval(self) -> Interval:
        """The accuracy as an interval."""
        return Interval(self.accuracy, self.low, self.high, self.n)


@dataclass(frozen=True, kw_only=True)
class PairedResult:
    """Differences of the loss on pretraining text, nats per token, paired by held-out document."""

    loss_ppo_minus_init: Difference
    loss_ppo_minus_ppo_ptx: Difference


@dataclass(frozen=True, kw_only=True)
class Results:
    """What one run of the demo measured."""

    models: ModelResults
    reward_model: RewardModelResult
    paired: PairedResult
    seconds: Mapping[str, float]
    """Timed stage -> seconds; disjoint, without set-up and without a total."""
    gflops_bf16: float
    """10⁹ operations per second of a bf16 1,024³ matrix product."""
    peak_rss_mb: float
    seed: int

    def __post_init__(self) -> None:
        refuse_non_finite(self, "results")
        for name, model in self.models:
            _check_null(model.win_rate_vs_sft, f"results.models.{name}.win_rate_vs_sft", null=name == "sft")
            _check_null(model.kl, f"results.models.{name}.kl", null=name == "base_prompted")
        for where, interval in _intervals(self):
            if interval.low > interval.high:
                raise DataError(f"{where} runs from {interval.low} to {interval.high}", expected="low ≤ high", remedy="swap the ends")
        for where, share in _shares(self):
            if not 0 <= share <= 1:
                raise DataError(f"{where} is {share}", expected="a share from 0 to 1", remedy="divide by the number of comparisons")
        for stage, seconds in self.seconds.items():
            if stage in NO_STAGES or seconds < 0:
                raise DataError(f"results.seconds.{stage} is {seconds}", expected="timed stages only, at least 0 s each", remedy="leave it out")

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `results.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The results of a JSON object; raises `DataError` naming the key that is unknown, missing or wrong."""
        return build(cls, row, "results")

    def write(self, path: Path) -> None:
        """Save as `results.json`."""
        path.write_text(json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Load what `write` saved."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DataError(f"{path} is not JSON: {error}", expected="a results.json of the demo", remedy="run the demo again") from error


def refuse_non_finite(value: object, where: str) -> None:
    """Raise `DataError` naming the first number inside dataclasses, mappings and tuples that is NaN or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{where} is {value}", expected="a finite number", remedy="find out why it could not be measured; do not report the run")
    inside: Mapping[Any, Any] = {}
    if dataclasses.is_dataclass(value):
        inside = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        inside = value
    elif isinstance(value, tuple | list):
        inside = dict(enumerate(value))
    for name, item in inside.items():
        refuse_non_finite(item, f"{where}.{name}")


def _check_null(value: object, where: str, *, null: bool) -> None:
    if null and value is not None:
        raise DataError(f"{where} is {value}", expected="null: it has no meaning here", remedy="write null")
    if not null and value is None:
        raise DataError(f"{where} is null", expected="a measurement", remedy="measure it")


def _intervals(results: Results) -> Iterator[tuple[str, Interval | Difference]]:
    for name, model in results.models:
        if model.win_rate_vs_sft is not None:
            yield f"results.models.{name}.win_rate_vs_sft", model.win_rate_vs_sft
    yield "results.reward_model", results.reward_model.interval
    yield "results.paired.loss_ppo_minus_init", results.paired.loss_ppo_minus_init
    yield "results.paired.loss_ppo_minus_ppo_ptx", results.paired.loss_ppo_minus_ppo_ptx


def _shares(results: Results) -> Iterator[tuple[str, float]]:
    for name, model in results.models:
        if (rate := model.win_rate_vs_sft) is not None:
            yield from ((f"results.models.{name}.win_rate_vs_sft.{end}", getattr(rate, end)) for end in ("mean", "low", "high"))
    reward = results.reward_model
    for name in ("accuracy", "low", "high", "labeler_agreement", "length_only", "bag_of_words"):
        yield f"results.reward_model.{name}", getattr(reward, name)

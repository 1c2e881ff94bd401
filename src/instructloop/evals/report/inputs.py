"""Everything the page shows that is not in `results.json`: counts, curves, bins, answers side by side, notes.

Policies are named `ppo` and `ppo_ptx`, models as in `results.json`. Every number is finite; curves are equally long in x and y.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from instructloop.errors import DataError
from instructloop.evals.results import MODEL_NAMES, refuse_non_finite
from instructloop.evals.statistics import Interval
from instructloop.reading import build

POLICIES = ("ppo", "ppo_ptx")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What went through the loop."""

    users: int
    """Simulated users who wrote prompts."""
    prompts: int
    """Distinct training prompts."""
    demonstrations: int
    labelers: int
    """Simulated labelers who ranked answers for training."""
    rankings_by_k: Mapping[str, int]
    """Number of answers K -> rankings of K answers."""
    pairs: int
    """Pairs of answers that one was preferred in."""
    tied_pairs: int
    episodes: int
    """Answers that PPO learned from, in each of its two runs."""
    test_prompts: int
    judges: int
    """Simulated evaluation labelers, of whom none ranked for training."""
    judgements: int
    """Pairs of answers judged by one judge each."""

    @property
    def rankings(self) -> int:
        """Rankings of any K."""
        return sum(self.rankings_by_k.values())


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Values y at x: updates of an optimizer, or iterations of PPO."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not self.x:
            raise DataError(f"a curve of {len(self.x)} x and {len(self.y)} y", expected="as many of each, at least one", remedy="pair them")


@dataclass(frozen=True, kw_only=True)
class PolicyCurves:
    """One policy by iteration of PPO, over all prompts or over those of one use-case."""

    score: Curve
    """Mean score by the reward model."""
    kl: Curve
    """Nats per answer to the start of PPO."""
    entropy: Curve
    """Nats per token."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What was logged while the models learned."""

    sft_loss: Curve
    """Nats per token of a batch, the demonstrations' answers and pretraining text that is mixed in, by update."""
    sft_valid_loss: Curve
    """Nats per token of the answers of held-out demonstrations."""
    reward_accuracy: Curve
    """On the pairs of each batch before it was learned from, by update; the last point on the pairs of rankings held out."""
    policies: Mapping[str, PolicyCurves]
    """Policy -> its curves over all prompts."""
    by_use_case: Mapping[str, Mapping[str, PolicyCurves]]
    """Use-case -> policy -> its curves over the prompts of that use-case."""
    pretraining_loss: Mapping[str, Curve]
    """Policy -> nats per token of held-out text, by iteration."""


@dataclass(frozen=True, kw_only=True)
class Distance:
    """A policy at one moment of its training, on development prompts."""

    kl: float
    """Nats per answer to the start of PPO."""
    score: float
    gold: float


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Pairs whose higher score should win with a probability from low to high, and how often it did."""

    low: float
    high: float
    predicted: float
    observed: float
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """As `reward_report.calibration` returns it."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float


@dataclass(frozen=True, kw_only=True)
class RewardInputs:
    """The reward model beside two rewards that read no prompt; intervals by prompt."""

    length_only: Interval
    bag_of_words: Interval
    labeler_agreement: Interval
    calibration: Mapping[str, Calibration]
    """Of `reward_model`, and of `length_only` and `bag_of_words` where they give probabilities."""

    def __post_init__(self) -> None:
        if "reward_model" not in self.calibration:
            raise DataError(f"calibration of {list(self.calibration)}", expected="one of reward_model", remedy="add the bins of the reward model")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model answered, and what the noise-free judge says about it."""

    text: str
    gold: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One test prompt and the answer of each model."""

    prompt: str
    use_case: str
    answers: Mapping[str, Answer]

    def __post_init__(self) -> None:
        if list(MODEL_NAMES) != [name for name in MODEL_NAMES if name in self.answers] or len(self.answers) > len(MODEL_NAMES):
            raise DataError(f"answers of {list(self.answers)} to one prompt", expected=f"one of each of {list(MODEL_NAMES)}", remedy="sample them")


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """The second half of what `report_html` needs; the first is `Results`."""

    machine: str
    """Processor, cores and libraries, in a few words."""
    base_parameters: int
    departures: tuple[str, ...]
    """What the recipe does otherwise than the paper, a sentence each."""
    counts: Counts
    curves: Curves
    distances: Mapping[str, tuple[Distance, ...]]
    """Policy -> where it stood, from the start of PPO to its end."""
    reward: RewardInputs
    win_rates: Mapping[str, Mapping[str, Interval]]
    """Use-case -> model -> win rate against SFT on the test prompts of that use-case."""
    examples: tuple[Example, ...]
    """Test prompts taken by a rule, such as the first of each use-case: the page says that none was chosen by hand."""
    hacks: tuple[str, ...]
    """Reward hacking that was seen, a sentence or two each; empty where it was looked for and not seen."""

    def __post_init__(self) -> None:
        refuse_non_finite(self, "inputs")
        for where, names in (("curves.policies", self.curves.policies), ("distances", self.distances)):
            if sorted(names) != sorted(POLICIES):
                raise DataError(f"inputs.{where} of {sorted(names)}", expected=f"one of each of {sorted(POLICIES)}", remedy="record both runs")

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The inputs of a JSON object; raises `DataError` naming the key that is unknown, missing or wrong."""
        return build(cls, row, "inputs")

    def write(self, path: Path) -> None:
        """Save beside the page, so that it can be drawn again."""
        path.write_text(json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

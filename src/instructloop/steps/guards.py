"""Guards of a run: numbers that must be finite (law E1), and alarms for what silently goes wrong (law E2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from instructloop.errors import LawBroken
from instructloop.steps.running import Run


def require_finite(run: Run, batch: Mapping[str, Any], **tensors: Tensor) -> None:
    """Raise `LawBroken` E1 naming the first tensor that holds a NaN or an infinity; the batch is saved first."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            path = run.save_offender({**batch, **tensors})
            raise LawBroken(
                "E1",
                expected=f"finite values in {name}",
                came=f"{int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} are not; the batch is in {path}",
                usual_cause="a learning rate that is too high, float16 overflow, or a broken checkpoint",
            )


@dataclass
class Alarms:
    """Watches the metrics of PPO and says what looks wrong, once per kind until it looks right again."""

    max_response: int
    entropy_floor: float = 0.05
    """Share of the first iteration's entropy below which the policy has collapsed."""
    history: dict[str, list[float]] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)

    def check(self, metrics: Mapping[str, float]) -> list[str]:
        """The alarms newly raised by this iteration's metrics."""
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)
        now = [text for name, text in self._conditions(metrics).items() if name not in self.raised]
        self.raised = list(self._conditions(metrics))
        return now

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "raised": self.raised}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self.history, self.raised = {k: list(v) for k, v in state["history"].items()}, list(state["raised"])

    def _conditions(self, metrics: Mapping[str, float]) -> dict[str, str]:
        held: dict[str, str] = {}
        noise = 3 * metrics["kl_standard_error"] + 1e-3
        if metrics["kl"] < -noise:
            held["kl"] = f"mean KL to the start is {metrics['kl']:.3f} nats, below zero beyond noise: are policy and reference scored alike?"
        if metrics["ratio_first_error"] > 0.1:
            held["ratio"] = f"the first ratio of the iteration is off by {metrics['ratio_first_error']:.3f}: π_old was not made by this policy"
        if metrics["response_tokens"] > 0.95 * self.max_response > 1.5 * self.history["response_tokens"][0]:
            held["length"] = f"answers run to {metrics['response_tokens']:.0f} of {self.max_response} tokens: the reward may pay for length"
        if metrics["entropy"] < self.entropy_floor * self.history["entropy"][0]:
            held["entropy"] = f"entropy fell to {metrics['entropy']:.3f} nats per token: the policy says one thing only"
        if metrics["ended_share"] < 0.5:
            held["end"] = f"only {metrics['ended_share']:.0%} of the answers end by themselves"
        if self._parting("valid_score", "valid_heldout_score"):
            held["parting"] = "the reward score still rises on validation prompts while the held-out reward model's falls: over-optimisation"
        return held

    def _parting(self, rising: str, falling: str, span: int = 3) -> bool:
        up, down = self.history.get(rising, [])[-span:], self.history.get(falling, [])[-span:]
        return min(len(up), len(down)) == span and up == sorted(up) and down == sorted(down, reverse=True) and up[0] < up[-1] and down[0] > down[-1]

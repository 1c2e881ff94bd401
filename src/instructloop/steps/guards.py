"""Guards of a run: numbers that must be finite (law E1), and alarms for what silently goes wrong (law E2)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from instructloop.model.finite import NotFinite
from instructloop.steps.running import Run

ENTROPY_FLOOR = 0.05
"""Share of the first iteration's entropy below which the policy has collapsed."""
RATIO_DRIFT = 0.1
"""Distance of the mean ratio from 1, and nats per token from the sampling policy, that one iteration's updates should not exceed."""


@contextmanager
def offender_kept(run: Run) -> Iterator[None]:
    """Save the batch that breaks law E1 inside to `offending_batch.pt`, and say so in the error."""
    try:
        yield
    except NotFinite as broken:
        path = run.save_offender(broken.tensors)
        raise NotFinite(broken.name, broken.found, broken.tensors, kept_in=f"; the batch is in {path}") from None


@dataclass
class Alarms:
    """Watches the metrics of PPO and says what looks wrong, once per kind until it looks right again."""

    max_response: int
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
        if abs(metrics["ratio"] - 1) > RATIO_DRIFT or metrics["approx_kl"] > RATIO_DRIFT:
            held["ratio"] = (
                f"the policy drifts from the one that sampled: mean ratio {metrics['ratio']:.3f}, {metrics['approx_kl']:.3f} nats per token; "
                "is the learning rate too high?"
            )
        if metrics["response_tokens"] > max(0.9 * self.max_response, 1.2 * self.history["response_tokens"][0]):
            held["length"] = f"answers run to {metrics['response_tokens']:.0f} of {self.max_response} tokens: the reward may pay for length"
        if metrics["entropy"] < ENTROPY_FLOOR * self.history["entropy"][0]:
            held["entropy"] = f"entropy fell to {metrics['entropy']:.3f} nats per token: the policy says one thing only"
        if metrics["ended_share"] < 0.5:
            held["end"] = f"only {metrics['ended_share']:.0%} of the answers end by themselves"
        if self._parting("valid_score", "valid_heldout_score"):
            held["parting"] = "the reward score still rises on validation prompts while the held-out reward model's falls: over-optimisation"
        return held

    def _parting(self, rising: str, falling: str, span: int = 3) -> bool:
        up, down = self.history.get(rising, [])[-span:], self.history.get(falling, [])[-span:]
        return min(len(up), len(down)) == span and up == sorted(up) and down == sorted(down, reverse=True) and up[0] < up[-1] and down[0] > down[-1]

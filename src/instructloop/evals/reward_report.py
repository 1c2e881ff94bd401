"""How good a reward model is, beyond its loss: accuracy by K, source and labeler, calibration, scores of demonstrations.

Legend: N answers of all rankings one after another, P pairs. Everything returned is plain JSON; `plots.py` draws it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from instructloop.evals.statistics import Floats, bootstrap_mean, pair_hits


class Ranked(Protocol):
    """What the report asks of a ranking: its pairs of answer positions, and whom and where it came from."""

    @property
    def pairs(self) -> Sequence[tuple[int, int]]: ...
    @property
    def k(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def labeler(self) -> str: ...
    @property
    def prompt_key(self) -> str: ...


def reward_report(
    rankings: Sequence[Ranked], scores: Sequence[ArrayLike], demonstration_scores: ArrayLike | None = None, *, bins: int = 10, seed: int = 0
) -> dict[str, Any]:
    """The whole report; `scores[i]` holds one score per answer of `rankings[i]`, in its order.

    Accuracy and log loss are means over pairs, with intervals from drawing prompts again; equal scores count one half.
    Rankings with one `prompt_key` are one prompt, in the intervals and in the count of prompts.
    """
    margin_P = margins(rankings, scores)
    hit_P, owner = pair_hits(margin_P), [item for item in rankings for _ in item.pairs]
    prompts = [item.prompt_key for item in owner]
    report: dict[str, Any] = {
        "prompts": len(set(prompts)),
        "pairs": len(margin_P),
        "accuracy": asdict(bootstrap_mean(hit_P, prompts, seed=seed)),
        "accuracy_by_k": _accuracy_by(lambda item: str(item.k), hit_P, owner, seed),
        "accuracy_by_source": _accuracy_by(lambda item: item.source, hit_P, owner, seed),
        "accuracy_by_labeler": _accuracy_by(lambda item: item.labeler, hit_P, owner, seed),
        "log_loss": asdict(bootstrap_mean(np.logaddexp(0, -margin_P), prompts, seed=seed)),
        "calibration": calibration(margin_P, bins=bins),
    }
    if demonstration_scores is not None:
        report["demonstrations"] = histogram(demonstration_scores)
    return report


def margins(rankings: Sequence[Ranked], scores: Sequence[ArrayLike]) -> Floats:
    """Score of the better answer less that of the worse, for every pair of every ranking [P]."""
    scored = [(item, np.asarray(given, dtype=np.float64)) for item, given in zip(rankings, scores, strict=True)]
    return np.array([score_K[winner] - score_K[loser] for item, score_K in scored for winner, loser in item.pairs], dtype=np.float64)


def calibration(margin_P: ArrayLike, *, bins: int = 10) -> dict[str, Any]:
    """Predicted against observed: of the pairs whose higher score should win with probability p, how many it won.

    `margin_P` is r_winner − r_loser. Which answer stands first is arbitrary, so p = σ(|margin|) runs from ½ to 1 in equal
    bins. `expected_error` is Σ over bins of (pairs in the bin / pairs) · |observed − predicted|.
    """
    margin_P = np.asarray(margin_P, dtype=np.float64)
    predicted_P = 1 / (1 + np.exp(-np.abs(margin_P)))
    observed_P = pair_hits(margin_P)
    edges = np.linspace(0.5, 1.0, bins + 1)
    bin_P = np.minimum(((predicted_P - 0.5) * 2 * bins).astype(np.int64), bins - 1)
    rows: list[dict[str, float]] = []
    for i in np.unique(bin_P):
        inside = bin_P == i
        rows.append({
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "predicted": float(predicted_P[inside].mean()),
            "observed": float(observed_P[inside].mean()),
            "pairs": int(inside.sum()),
        })  # fmt: skip
    error = sum(row["pairs"] * abs(row["observed"] - row["predicted"]) for row in rows) / max(len(margin_P), 1)
    return {"bins": rows, "expected_error": float(error)}


def histogram(values: ArrayLike, *, bins: int = 30) -> dict[str, Any]:
    """Mean, population standard deviation, and counts between equally spaced edges."""
    values = np.asarray(values, dtype=np.float64)
    count, edge = np.histogram(values, bins=bins)
    return {"mean": float(values.mean()), "std": float(values.std()), "edges": edge.tolist(), "counts": count.tolist()}


def _accuracy_by(name_of: Callable[[Ranked], Hashable], hit_P: Floats, owner: Sequence[Ranked], seed: int) -> dict[str, Any]:
    names = [str(name_of(item)) for item in owner]
    table: dict[str, Any] = {}
    for name in sorted(set(names)):
        rows = [i for i, other in enumerate(names) if other == name]
        table[name] = asdict(bootstrap_mean(hit_P[rows], [owner[i].prompt_key for i in rows], seed=seed)) | {"pairs": len(rows)}
    return table

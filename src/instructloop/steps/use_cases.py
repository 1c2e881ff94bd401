"""What an iteration of PPO was like for each use-case: an average hides one that collapsed.

B episodes, R response tokens.
"""

from collections.abc import Sequence

from instructloop.rollout.batch import Rollout

Metrics = dict[str, float]


def use_case_metrics(rollout: Rollout, use_cases: Sequence[str | None]) -> Metrics:
    """`use_case/NAME/…` for each use-case among the episodes' prompts: score, KL per answer, entropy; nothing where there is one at most.

    The entropy, in nats per token, is estimated by −log π_old of the tokens sampled, whose mean it is.
    """
    names = sorted({name for name in use_cases if name is not None})
    if len(names) < 2:
        return {}
    mask_BR = rollout.mask_BR
    logp_BR = rollout.logp_old_BR.double().masked_fill(~mask_BR, 0)
    kl_B = (logp_BR - rollout.logp_ref_BR.double().masked_fill(~mask_BR, 0)).sum(1)
    metrics: Metrics = {}
    for name in names:
        rows = [row for row, use_case in enumerate(use_cases) if use_case == name]
        metrics |= {
            f"use_case/{name}/score": float(rollout.score_B[rows].double().mean()),
            f"use_case/{name}/kl": float(kl_B[rows].mean()),
            f"use_case/{name}/entropy": float(-logp_BR[rows].sum() / mask_BR[rows].sum()),
        }
    return metrics

"""The learning rate over a run, as a factor of its peak."""

import math

from instructloop.config import Decay


def lr_factor(update: int, *, total: int, decay: Decay, final_fraction: float, warmup: int, warmup_from: float) -> float:
    """Factor of the peak learning rate at `update`, counted from 0 (PPO counts iterations).

        warmup   warmup_from + (1 − warmup_from) · update / warmup                 for the first `warmup` updates
        then     1 − (1 − final_fraction) · s(p),   p from 0 at the peak to 1 at the last update

    with s(p) = (1 − cos πp) / 2 for cosine, p for linear, 0 for constant. After the last update the factor stays.
    Source: InstructGPT App. C: cosine to 10 % without warmup for supervised training; App. C.4: constant after ten
    iterations of warmup from 0.1 for PPO.
    """
    if update < warmup:
        return warmup_from + (1 - warmup_from) * update / warmup
    progress = min((update - warmup) / max(total - 1 - warmup, 1), 1.0)
    return 1 - (1 - final_fraction) * _spent(progress, decay)


def _spent(progress: float, decay: Decay) -> float:
    match decay:
        case "cosine":
            return (1 - math.cos(math.pi * progress)) / 2
        case "linear":
            return progress
        case "constant":
            return 0.0

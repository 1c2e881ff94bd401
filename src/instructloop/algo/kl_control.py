"""Two controllers of two coefficients that are often confused (law C5). Plain numbers in, the next coefficient out.

`adaptive_coef` steers β, the charge inside the *reward* for leaving π_SFT. `penalty_coef` steers β′, the charge inside
the *loss* for leaving π_old within one update.
"""

MAX_ERROR = 0.2
"""Ziegler et al. clip the proportional error here."""
TOLERANCE = 1.5
"""The PPO paper leaves the coefficient alone within this factor of the target."""


def adaptive_coef(coef: float, kl_per_sequence: float, *, target: float, horizon: float, episodes: int) -> float:
    """β ← β · (1 + e · episodes / horizon),  e = clip(KL / target − 1, −0.2, 0.2).

    `kl_per_sequence` and `target` are nats per *sequence*, to π_SFT; `episodes` is how many were sampled since the last
    call, so that `horizon` is a number of episodes whatever the batch.
    Source: Ziegler et al. (arXiv 1909.08593) §2.2, whose K_β is episodes / horizon; off in InstructGPT (fixed β).
    """
    error = max(-MAX_ERROR, min(kl_per_sequence / target - 1, MAX_ERROR))
    return coef * (1 + error * episodes / horizon)


def penalty_coef(coef: float, kl: float, *, target: float) -> float:
    """β′ / 2 if KL < target / 1.5,  2 β′ if KL > 1.5 · target,  else β′.

    `kl` is the measured KL(π_old‖π) after an iteration's updates, in nats per token, like `target`.
    Source: PPO (arXiv 1707.06347) §4.
    """
    if kl < target / TOLERANCE:
        return coef / 2
    if kl > target * TOLERANCE:
        return coef * 2
    return coef

"""Paired differences of the loss on pretraining text, on tokens made by hand."""

import numpy as np
import pytest

from instructloop.loop.judged import paired_losses
from instructloop.loop.judging import TextLoss

DOCUMENT = [0, 0, 0, 1]
"""Of each token: the first document has three."""


def loss(*nll: float) -> TextLoss:
    return TextLoss(np.array(nll), DOCUMENT)


def test_the_difference_is_per_token_and_documents_are_drawn_again() -> None:
    """PPO loses 1 nat on each token of the first document and none on the second: 3/4 of a nat, between the two documents' own means."""
    start, ppo, ptx = loss(1, 2, 3, 4), loss(2, 3, 4, 4), loss(2, 3, 4, 3.6)
    paired = paired_losses({"sft": start, "ppo": ppo, "ppo_ptx": ptx})
    init = paired.loss_ppo_minus_init
    assert (init.mean, init.low, init.high) == (0.75, 0.0, 1.0)
    assert paired.loss_ppo_minus_ppo_ptx.mean == pytest.approx(0.1)
    assert paired.loss_ppo_minus_ppo_ptx.high == pytest.approx(0.4)


def test_equal_losses_differ_by_nothing_however_far_the_documents_lie_apart() -> None:
    same = loss(1, 9, 2, 100)
    init = paired_losses({"sft": same, "ppo": same, "ppo_ptx": same}).loss_ppo_minus_init
    assert (init.mean, init.low, init.high) == (0, 0, 0)

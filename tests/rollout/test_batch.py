"""The Rollout record: slices, micro-batches, and fields that come later."""

from dataclasses import replace

import pytest
import torch

from instructloop.errors import DataError
from instructloop.protocols import Generated
from instructloop.rollout.batch import Rollout, assemble


@pytest.fixture
def rollout() -> Rollout:
    answers = [Generated(tuple(range(2, 3 + n)), (-1.0,) * (n + 1), "stop" if n % 2 else "length") for n in range(5)]
    return replace(assemble([[10 + n] * (5 - n) for n in range(5)], answers, pad_id=1), score_B=torch.arange(5.0))


def test_rows_are_taken_from_every_field(rollout: Rollout) -> None:
    part = rollout[torch.tensor([3, 1])]
    assert len(part) == 2
    assert part.tokens_BT.tolist() == rollout.tokens_BT[[3, 1]].tolist()
    assert part.score_B.tolist() == [3.0, 1.0]
    assert part.ended_B.tolist() == [True, True]
    assert part.value_BR is None


def test_micro_batches_put_together_are_the_whole(rollout: Rollout) -> None:
    parts = list(rollout.split(2))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.mask_BR for part in parts]), rollout.mask_BR)
    assert torch.equal(torch.cat([part.score_B for part in parts]), rollout.score_B)


def test_an_answer_for_every_prompt() -> None:
    with pytest.raises(DataError, match="1 answers for 2 prompts"):
        assemble([[1], [2]], [Generated((3,), (-1.0,), "stop")], pad_id=1)
    with pytest.raises(DataError, match="0 answers for 0 prompts"):
        assemble([], [], pad_id=1)

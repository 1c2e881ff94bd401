"""A small trained model made elsewhere: its known greedy continuation and loss, through the engine."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from instructloop.config import Run
from instructloop.model.policy import load_policy
from instructloop.protocols import Sampling
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.probe import probe_parity
from instructloop.steps.laws import probed_engine
from instructloop.text.tokenizer import load_tokenizer
from shared_data import SHARED, needs_shared

FOLDER = SHARED / "models" / "stories260k"
BEGINNING = [1, 403, 407, 261, 378]
CONTINUATION = ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball."
PAD_ID = 0

pytestmark = needs_shared


@pytest.fixture(scope="module")
def policy() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()


def test_the_greedy_continuation_and_its_loss_are_the_published_ones(policy: PreTrainedModel) -> None:
    tokenizer, engine = AutoTokenizer.from_pretrained(FOLDER), LocalEngine(policy, pad_id=PAD_ID)
    assert tokenizer("Once upon a time").input_ids == BEGINNING
    answer = engine.generate([BEGINNING], Sampling(max_new_tokens=40, temperature=0.0), [0])[0]
    assert tokenizer.decode(BEGINNING + list(answer.ids), skip_special_tokens=True) == "Once upon a time" + CONTINUATION
    whole = [*BEGINNING, *answer.ids]
    nll = -torch.tensor(engine.logprobs([whole[:1]], [whole[1:]])[0])
    assert len(nll) == 44
    assert nll.mean().item() == pytest.approx(0.3241, abs=1e-3)


def test_bf16_stays_within_the_default_limits(policy: PreTrainedModel) -> None:
    """Measured elsewhere with 64 × 200 tokens: mean 0.017, 99.9th percentile 0.17, against the float32 pass."""
    engine = LocalEngine(policy, pad_id=PAD_ID, precision="bf16")
    parity = probe_parity(engine, policy, [BEGINNING] * 16, precision="fp32", new_tokens=100)
    assert 1e-4 < parity.mean <= 0.03
    assert parity.p999 <= 0.3


@pytest.mark.parametrize("seed", range(6))
def test_the_probe_of_a_run_lets_bf16_pass(seed: int) -> None:
    """It probes with the model's own words: on ids drawn at random the same model is beyond the limits for some seeds."""
    tokenizer = load_tokenizer(str(FOLDER))
    policy = load_policy(FOLDER, precision="bf16", tokenizer=tokenizer, context=512)
    assert probed_engine(policy, tokenizer, Run(precision="bf16", seed=seed)).holds(policy.state_dict())


def test_float32_agrees(policy: PreTrainedModel) -> None:
    parity = probe_parity(LocalEngine(policy, pad_id=PAD_ID), policy, [BEGINNING] * 4, precision="fp32", new_tokens=60)
    assert parity.largest <= 1e-4
    assert parity.greedy_gap == 0

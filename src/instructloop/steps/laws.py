"""The laws every run checks on the model it trains and not on a toy (docs/laws.md).

A1  before the first update of an iteration, π / π_old is 1 on every sampled token
A2  the engine's log-probabilities are the trainer's
A7  weights that were handed to the engine have arrived
"""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.algo.seeds import derive, generator
from instructloop.config import Config
from instructloop.errors import LawBroken
from instructloop.model.policy import autocast, response_logprobs
from instructloop.protocols import Engine, Sampling
from instructloop.rollout.batch import assemble
from instructloop.rollout.engine import LocalEngine
from instructloop.text.tokenizer import Tokenizer

RATIO_LIMIT = {"bf16": 1e-2, "fp32": 1e-4, "fp64": 1e-9}
"""Law A1: largest |ratio − 1| in the first minibatch of an iteration."""
PARITY_LIMIT = {"fp32": 1e-4, "fp64": 1e-9}
"""Law A2: largest |Δ log-probability|; in bf16 `run.parity_mean` and `run.parity_p999` are the limits."""
PROBES, PROBE_PROMPT, PROBE_ANSWER = 8, 12, 24
"""Sequences of the probe, the tokens of their longest prompt, and of their answers."""


def require_engine_parity(policy: PreTrainedModel, tokenizer: Tokenizer, config: Config) -> LocalEngine:
    """An engine with a copy of `policy`, after law A2 was seen to hold between the two; prints what was measured."""
    engine = LocalEngine(policy, pad_id=tokenizer.pad_id, precision=config.run.precision)
    mean, p999 = measure_parity(engine, policy, config)
    print(f"law A2: |Δ log-probability| between engine and trainer: mean {mean:.2g}, 99.9th percentile {p999:.2g}")
    _refuse_gap("A2", mean, p999, config, usual_cause="an architecture whose cache or positions the engine does not know")
    return engine


def require_weights_arrived(engine: Engine, policy: PreTrainedModel, config: Config) -> None:
    """Law A7: after an update, the engine's log-probabilities of a probe are those of the weights just trained."""
    mean, p999 = measure_parity(engine, policy, config)
    _refuse_gap("A7", mean, p999, config, usual_cause="the engine still has the weights of an earlier update")


def require_unit_ratio(error: float, config: Config) -> None:
    """Law A1: before the first update of an iteration the ratio is 1; `error` is the largest |ratio − 1| there."""
    limit = RATIO_LIMIT[config.run.precision]
    if error > limit:
        raise LawBroken(
            "A1",
            expected=f"|π/π_old − 1| of at most {limit} before the first update",
            came=f"{error:.3g}",
            usual_cause="dropout that is on, or π_old from another pass than the update's",
        )


@torch.no_grad()
def measure_parity(engine: Engine, policy: PreTrainedModel, config: Config) -> tuple[float, float]:
    """Mean and 99.9th percentile of |Δ log-probability| between engine and trainer, on the engine's own answers to random prompts."""
    vocab = policy.get_input_embeddings().num_embeddings
    draw = generator(config.run.seed, "probe")
    prompts = [torch.randint(vocab, (PROBE_PROMPT - place,), generator=draw).tolist() for place in range(PROBES)]
    seeds = [derive(config.run.seed, "probe", row) for row in range(PROBES)]
    rollout = assemble(prompts, engine.generate(prompts, Sampling(max_new_tokens=PROBE_ANSWER), seeds), pad_id=0).to(policy.device)
    with autocast(config.run.precision, policy.device):
        logp_BR, _ = response_logprobs(policy, rollout.tokens_BT, rollout.prompt_length_B, rollout.mask_BR, chunk=config.run.loss_chunk)
    gap_N: Tensor = (logp_BR.double() - rollout.engine_logp_BR)[rollout.mask_BR].abs()
    return float(gap_N.mean()), float(gap_N.quantile(0.999))


def _refuse_gap(law: str, mean: float, p999: float, config: Config, *, usual_cause: str) -> None:
    run = config.run
    limit_mean, limit_p999 = (run.parity_mean, run.parity_p999) if run.precision == "bf16" else (PARITY_LIMIT[run.precision],) * 2
    if not (mean <= limit_mean and p999 <= limit_p999):
        raise LawBroken(
            law,
            expected=f"|Δ log-probability| between engine and trainer of at most {limit_mean} on average, {limit_p999} at the 99.9th percentile",
            came=f"{mean:.3g} and {p999:.3g}",
            usual_cause=usual_cause,
        )

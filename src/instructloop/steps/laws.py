"""The laws every run checks on the model it trains and not on a toy (docs/laws.md).

A1  before the first update of an iteration, π / π_old is 1 on every sampled token
A2  the engine's log-probabilities are the trainer's
A7  weights that were handed to the engine have arrived
"""

from collections.abc import Mapping

from transformers import PreTrainedModel

from instructloop.config import Config, Run
from instructloop.errors import LawBroken
from instructloop.rollout.attention import context_length
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.probe import PARITY_LIMIT, probe_parity, refuse_stale_weights, refuse_unless_equal, spoken_prompts
from instructloop.text.tokenizer import Tokenizer

RATIO_LIMIT = {"bf16": 1e-2, "fp32": 1e-4, "fp64": 1e-9}
"""Law A1: largest |ratio − 1| in the first minibatch of an iteration."""


def require_engine_parity(policy: PreTrainedModel, tokenizer: Tokenizer, config: Config) -> LocalEngine:
    """The engine of a training run: `probed_engine` at the temperature at which the run samples."""
    return probed_engine(policy, tokenizer, config.run, temperature=config.ppo.temperature)


def probed_engine(policy: PreTrainedModel, tokenizer: Tokenizer, run: Run, *, temperature: float = 1.0, slots: int = 64) -> LocalEngine:
    """An engine with a copy of `policy`, after law A2 was seen to hold between the two; prints what was measured."""
    engine = LocalEngine(policy, pad_id=tokenizer.pad_id, slots=slots, precision=run.precision)
    prompts = spoken_prompts(engine, tokenizer.begin_ids or (tokenizer.end_id,), context=context_length(policy), seed=run.seed)
    parity = probe_parity(engine, policy, prompts, precision=run.precision, temperature=temperature, seed=run.seed)
    limits = f"mean {run.parity_mean:g}, 99.9th percentile {run.parity_p999:g}" if run.precision == "bf16" else f"{PARITY_LIMIT[run.precision]:g}"
    print(f"law A2: {parity} (at most {limits})")
    refuse_unless_equal(parity, type(policy).__name__, precision=run.precision, parity_mean=run.parity_mean, parity_p999=run.parity_p999)
    return engine


def load_engine(engine: LocalEngine, policy: PreTrainedModel, *, version: int) -> None:
    """Hand the engine the policy's weights as they are now, and see that they have arrived (law A7)."""
    state = policy.state_dict()
    engine.load(state, version)
    refuse_stale_weights(engine, state, version=version)


def require_small_gap(metrics: Mapping[str, float], config: Config) -> None:
    """Laws A2 and A7 on the answers that an iteration learned from: the engine's log-probabilities were the trainer's.

    Finds what a comparison of weights cannot: an engine that computes from something it derived of them. In bf16 a mean of
    twice the limit of the start is let pass, since weights and answers have changed since.
    """
    mean, largest = metrics["engine_gap_mean"], metrics["engine_gap_p999"]
    held = mean <= 2 * config.run.parity_mean if config.run.precision == "bf16" else largest <= PARITY_LIMIT[config.run.precision]
    if not held:
        raise LawBroken(
            "A7",
            expected="the engine's log-probabilities of the sampled answers to be the trainer's",
            came=f"a mean gap of {mean:.3g} nats, 99.9th percentile {largest:.3g}",
            usual_cause="an engine that goes on with something computed from earlier weights, or bf16 at the limits of an architecture",
        )


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

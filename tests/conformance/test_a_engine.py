"""Laws A2–A5 and A7: the engine's cached path against transformers' own passes over one whole sequence at a time."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from instructloop.config import ModelShape, Run
from instructloop.errors import CheckpointError, ConfigError, LawBroken
from instructloop.model.policy import new_policy
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.batch import assemble
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.probe import probe_parity, random_prompts, refuse_stale_weights, refuse_unless_equal
from instructloop.rollout.sampling import training_sampling
from instructloop.steps.laws import probed_engine
from instructloop.text.tokenizer import train_tokenizer
from tiny_models import ARCHITECTURES, END_ID, PAD_ID, tiny

VOCAB = 96
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
PROMPTS = [[7, 3, 9], [5], [11, 60, 3, 4, 8, 2, 90, 33], [44, 12], [7, 3, 9, 1, 1], [2, 95, 94, 93, 92, 91]]
SEEDS = [101, 202, 303, 404, 505, 606]
LONG = Sampling(max_new_tokens=20)
SOON_ENDED = Sampling(max_new_tokens=20, stop_ids=frozenset(range(0, VOCAB, 6)))
"""One token in six ends an answer, so that rows leave the batch at all times."""

dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
architectures = pytest.mark.parametrize("architecture", ARCHITECTURES)


def engine_of(model: PreTrainedModel, slots: int = 4) -> LocalEngine:
    return LocalEngine(model, pad_id=PAD_ID, slots=slots)


@torch.no_grad()
def own_logprobs(model: PreTrainedModel, prompt: list[int], answer: Generated, temperature: float = 1.0) -> list[float]:
    """log π of the answer by transformers' forward pass over prompt and answer, without padding or cache."""
    ids_T = torch.tensor([*prompt, *answer.ids])
    logits_TV = model(input_ids=ids_T[None], use_cache=False).logits[0, len(prompt) - 1 : -1] / temperature
    return logits_TV.log_softmax(-1).gather(-1, ids_T[len(prompt) :, None])[:, 0].tolist()


def assert_close(ours: list[list[float]], theirs: list[list[float]], tolerance: float) -> None:
    assert [len(row) for row in ours] == [len(row) for row in theirs]
    for row, expected in zip(ours, theirs, strict=True):
        assert row == pytest.approx(expected, rel=0, abs=tolerance)


@dtypes
@architectures
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a2_a4_sampled_logprobs_are_those_of_a_full_pass(architecture: str, dtype: torch.dtype, temperature: float) -> None:
    model = tiny(architecture, vocab=VOCAB, dtype=dtype)
    answers = engine_of(model).generate(PROMPTS, replace(SOON_ENDED, temperature=temperature), SEEDS)
    expected = [own_logprobs(model, prompt, answer, temperature) for prompt, answer in zip(PROMPTS, answers, strict=True)]
    assert_close([list(answer.logprobs) for answer in answers], expected, TOLERANCE[dtype])
    assert len({len(answer.ids) for answer in answers}) > 1


@dtypes
@architectures
def test_a2_given_answers_get_the_logprobs_of_a_full_pass(architecture: str, dtype: torch.dtype) -> None:
    model, draw = tiny(architecture, vocab=VOCAB, dtype=dtype), torch.Generator().manual_seed(1)
    answers = [torch.randint(VOCAB, (length,), generator=draw).tolist() for length in (4, 0, 9, 1, 9, 30)]
    found = engine_of(model).logprobs(PROMPTS, answers, temperature=0.8)
    expected = [own_logprobs(model, prompt, Generated(tuple(ids), (), "length"), 0.8) for prompt, ids in zip(PROMPTS, answers, strict=True)]
    assert_close(found, expected, TOLERANCE[dtype])


@dtypes
@architectures
def test_a2_greedy_is_transformers_generate_token_for_token(architecture: str, dtype: torch.dtype) -> None:
    model = tiny(architecture, vocab=VOCAB, dtype=dtype)
    greedy = Sampling(max_new_tokens=24, temperature=0.0, stop_ids=frozenset({END_ID, 5, 17}))
    answers = engine_of(model).generate(PROMPTS, greedy, SEEDS)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        tokens_1T = torch.tensor([prompt])
        settings_ = {"do_sample": False, "max_new_tokens": 24, "eos_token_id": [END_ID, 5, 17], "pad_token_id": PAD_ID}
        expected = model.generate(tokens_1T, attention_mask=torch.ones_like(tokens_1T), **settings_)
        assert list(answer.ids) == expected[0, len(prompt) :].tolist()


@architectures
def test_a3_companions_slots_and_order_change_nothing(architecture: str) -> None:
    model = tiny(architecture, vocab=VOCAB)
    alone = [engine_of(model).generate([prompt], SOON_ENDED, [seed])[0] for prompt, seed in zip(PROMPTS, SEEDS, strict=True)]
    for slots, order in ((1, (0, 1, 2, 3, 4, 5)), (6, (5, 3, 1, 0, 2, 4)), (4, (2, 2, 0, 5, 1, 3, 4, 2))):
        together = engine_of(model, slots).generate([PROMPTS[i] for i in order], SOON_ENDED, [SEEDS[i] for i in order])
        assert [answer.ids for answer in together] == [alone[i].ids for i in order]
        assert [answer.finish_reason for answer in together] == [alone[i].finish_reason for i in order]
        assert_close([list(answer.logprobs) for answer in together], [list(alone[i].logprobs) for i in order], 1e-9)


@settings(max_examples=15)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6), slots=st.integers(1, 6), seed=st.integers(0, 2**62))
def test_a3_any_lengths_in_any_slots(lengths: list[int], slots: int, seed: int) -> None:
    model, draw = GPT2, torch.Generator().manual_seed(seed)
    prompts = [torch.randint(VOCAB, (length,), generator=draw).tolist() for length in lengths]
    answers = engine_of(model, slots).generate(prompts, SOON_ENDED, [seed + i for i in range(len(prompts))])
    expected = [own_logprobs(model, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    assert_close([list(answer.logprobs) for answer in answers], expected, 1e-9)


GPT2 = tiny("gpt2", vocab=VOCAB)
"""Learned absolute positions: a wrong position moves log-probabilities by nats."""


@pytest.mark.parametrize("truncation", [{"top_p": 0.9}, {"top_k": 50}])
def test_a4_truncated_sampling_is_refused_for_training(truncation: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"top_p .* and top_k .*"):
        training_sampling(replace(LONG, **truncation))


def test_a4_greedy_is_refused_for_training() -> None:
    with pytest.raises(ConfigError, match="temperature 0"):
        training_sampling(replace(LONG, temperature=0.0))
    assert training_sampling(LONG) is LONG


def test_a5_the_ids_sampled_are_the_ids_trained_on() -> None:
    answers = engine_of(GPT2).generate(PROMPTS, SOON_ENDED, SEEDS)
    rollout = assemble(PROMPTS, answers, pad_id=PAD_ID)
    for row, (prompt, answer) in enumerate(zip(PROMPTS, answers, strict=True)):
        used = len(prompt) + len(answer.ids)
        assert rollout.tokens_BT[row].tolist() == [*prompt, *answer.ids, *[PAD_ID] * (rollout.tokens_BT.shape[1] - used)]
        assert rollout.engine_logp_BR[row, : len(answer.ids)].tolist() == list(answer.logprobs)


@architectures
def test_a7_loaded_weights_are_those_that_sample(architecture: str) -> None:
    before, after = tiny(architecture, vocab=VOCAB), tiny(architecture, vocab=VOCAB, seed=1)
    engine = engine_of(before)
    engine.load(after.state_dict(), version=3)
    answers = engine.generate(PROMPTS, LONG, SEEDS)
    expected = [own_logprobs(after, prompt, answer) for prompt, answer in zip(PROMPTS, answers, strict=True)]
    assert_close([list(answer.logprobs) for answer in answers], expected, 1e-9)
    refuse_stale_weights(engine, after.state_dict(), version=3)


def test_a7_the_engine_keeps_its_own_weights_until_it_is_given_others() -> None:
    policy = tiny("llama", vocab=VOCAB)
    engine = engine_of(policy)
    before = engine.logprobs(PROMPTS, PROMPTS)
    with torch.no_grad():
        policy.get_output_embeddings().weight.mul_(1 + 1e-7)
    assert engine.logprobs(PROMPTS, PROMPTS) == before
    with pytest.raises(LawBroken, match="A7"):
        refuse_stale_weights(engine, policy.state_dict(), version=0)
    engine.load(policy.state_dict(), version=1)
    refuse_stale_weights(engine, policy.state_dict(), version=1)
    with pytest.raises(LawBroken, match="version 1, the same weights"):
        refuse_stale_weights(engine, policy.state_dict(), version=2)


def test_a7_weights_are_cast_and_the_rotary_angles_are_not() -> None:
    policy = tiny("gpt_neox", vocab=VOCAB, dtype=torch.float32)
    engine = LocalEngine(policy, pad_id=PAD_ID, precision="bf16")
    other = tiny("gpt_neox", vocab=VOCAB, dtype=torch.float32, seed=1)
    engine.load(other.state_dict(), version=1)
    head = engine.model.get_output_embeddings().weight
    assert head.dtype == torch.float32
    assert {parameter.dtype for parameter in engine.model.parameters() if parameter is not head} == {torch.bfloat16}
    assert engine.holds(other.state_dict())
    assert not engine.holds(policy.state_dict())
    for ours, theirs in zip(engine.model.buffers(), policy.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_a7_weights_that_do_not_fit_are_refused() -> None:
    engine, state = engine_of(GPT2), GPT2.state_dict()
    name = next(iter(state))
    for wrong in (
        {key: tensor for key, tensor in state.items() if key != name},
        state | {"another.weight": torch.zeros(1)},
        state | {name: torch.zeros(2, 2)},
    ):
        with pytest.raises(CheckpointError, match="weights for the engine"):
            engine.load(wrong, version=1)
    assert engine.version == 0
    assert engine.holds(state)


@dtypes
@architectures
def test_a2_the_probe_accepts_an_engine_that_agrees(architecture: str, dtype: torch.dtype) -> None:
    model, precision = tiny(architecture, vocab=VOCAB, dtype=dtype), "fp64" if dtype == torch.float64 else "fp32"
    parity = probe_parity(engine_of(model), model, random_prompts(VOCAB, seed=0), precision=precision)
    assert parity.largest <= TOLERANCE[dtype]
    assert parity.tokens == 8 * 24
    refuse_unless_equal(parity, "TinyModel", precision=precision, parity_mean=0.03, parity_p999=0.3)


@pytest.mark.parametrize("context", [2, 3, 12, 39, 40])
def test_a2_the_probe_fits_into_a_short_context(context: int) -> None:
    tokenizer = train_tokenizer(["a"], vocab=258)
    model = new_policy(ModelShape(layers=1, width=16, heads=2, vocab=258, context=context), tokenizer, seed=0)
    assert probed_engine(model, tokenizer, Run(precision="fp32")).holds(model.state_dict())
    assert max(map(len, random_prompts(258, seed=0, context=context))) == max(1, context * 16 // 40)


def test_a2_the_probe_refuses_an_engine_that_disagrees() -> None:
    model, other = tiny("qwen3", vocab=VOCAB), tiny("qwen3", vocab=VOCAB, seed=1)
    parity = probe_parity(engine_of(other), model, random_prompts(VOCAB, seed=0), precision="fp64")
    for precision in ("fp64", "fp32", "bf16"):
        with pytest.raises(CheckpointError, match="law A2 is broken by TinyModel"):
            refuse_unless_equal(parity, "TinyModel", precision=precision, parity_mean=0.03, parity_p999=0.3)

"""Slots: what is refused, who takes which place, and that nothing stays behind. That companions change nothing: `conformance/test_a_slots.py`."""

import gc
import weakref

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from instructloop.errors import Busy, ConfigError, ContextExceeded, DataError, LawBroken
from instructloop.protocols import Sampling
from instructloop.rollout import slots as slots_module
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.slots import Slots, Ticket
from tiny_models import PAD_ID, tiny

ENGINE = LocalEngine(tiny("llama", vocab=96), pad_id=PAD_ID, slots=2)
TEN = Sampling(max_new_tokens=10)


def test_waiting_requests_take_free_slots_in_order() -> None:
    slots = Slots(ENGINE, waiting=9)
    lengths = [2, 5, 1, 3]
    tickets = [slots.submit([7, 8], Sampling(max_new_tokens=length), seed, tag=seed) for seed, length in enumerate(lengths)]
    steps = [[event.ticket.tag for event in slots.step()] for _ in range(6)]
    assert steps == [[0, 1], [0, 1], [2, 1], [3, 1], [3, 1], [3]]
    assert slots.step() == []
    assert [ticket.produced for ticket in tickets] == lengths


def test_cancelling_frees_the_slot_before_the_next_step() -> None:
    slots = Slots(ENGINE, waiting=9)
    first, second, third, fourth = (slots.submit([7], TEN, seed) for seed in range(4))
    assert [event.ticket for event in slots.step()] == [first, second]
    slots.cancel(first)
    slots.cancel(third)
    assert {event.ticket for event in slots.step()} == {second, fourth}
    assert (slots.num_live, slots.num_waiting) == (2, 0)
    slots.cancel(second)
    slots.cancel(fourth)
    assert slots.step() == []
    assert first.produced == 1


def test_a_full_queue_is_busy_until_somebody_leaves_it() -> None:
    slots = Slots(ENGINE, waiting=3)
    waiting = [slots.submit([7], TEN, seed) for seed in range(3)]
    with pytest.raises(Busy, match="3 requests wait") as busy:
        slots.submit([7], TEN, 3)
    assert busy.value.retry_after >= 1
    slots.step()
    assert slots.num_waiting == 1
    slots.submit([7], TEN, 3)
    slots.submit([7], TEN, 4)
    with pytest.raises(Busy):
        slots.submit([7], TEN, 5)
    slots.cancel(waiting[2])
    slots.step()
    slots.submit([7], TEN, 5)


def test_how_long_to_wait_follows_the_pace_of_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 7))
    monkeypatch.setattr(slots_module.time, "monotonic", lambda: float(next(clock)))
    slots = Slots(ENGINE, waiting=1)
    for seed in range(3):
        slots.submit([7], Sampling(max_new_tokens=1), seed)
        slots.step()
    slots.submit([7], TEN, 3)
    with pytest.raises(Busy) as busy:
        slots.submit([7], TEN, 4)
    assert busy.value.retry_after == 7


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    slots = Slots(ENGINE, waiting=2)
    with pytest.raises(ContextExceeded, match="ask for 28 new tokens at most"):
        slots.submit([3] * 100, Sampling(max_new_tokens=29), 0)
    with pytest.raises(ContextExceeded, match=r"the prompt has 128 tokens\n.*at most 127"):
        slots.submit([3] * 128, Sampling(max_new_tokens=1), 0)
    with pytest.raises(DataError, match="the prompt is empty"):
        slots.submit([], TEN, 0)
    with pytest.raises(ConfigError, match="waiting is 0"):
        Slots(ENGINE, waiting=0)
    slots.submit([3] * 100, Sampling(max_new_tokens=28), 0)
    assert [len(slots.step()) for _ in range(29)] == [1] * 28 + [0]


def test_a_sliding_window_is_the_context() -> None:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16}
    policy = MistralForCausalLM(MistralConfig(vocab_size=32, sliding_window=8, max_position_embeddings=64, **shape)).double().eval()
    slots = Slots(LocalEngine(policy, pad_id=PAD_ID, slots=2), waiting=2)
    with pytest.raises(ContextExceeded, match="context of 8"):
        slots.submit([3, 4], Sampling(max_new_tokens=7), 0)
    slots.submit([3, 4], Sampling(max_new_tokens=6), 0)
    assert [len(slots.step()) for _ in range(6)] == [1] * 6


def test_long_prompts_do_not_come_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "PROMPT_TOKENS", 100)
    slots = Slots(LocalEngine(ENGINE.model, pad_id=PAD_ID, slots=4), waiting=9)
    for seed, length in enumerate((60, 60, 60, 3)):
        slots.submit([7] * length, TEN, seed)
    assert [len(slots.step()) for _ in range(2)] == [2, 4]


def test_likely_alternatives_are_those_of_a_full_pass() -> None:
    slots, prompt = Slots(ENGINE, waiting=2), [7, 3, 9]
    slots.submit(prompt, Sampling(max_new_tokens=1, temperature=0.7), 0, num_likeliest=5)
    slots.submit(prompt, Sampling(max_new_tokens=1, temperature=0.7, top_k=3), 0, num_likeliest=5)
    whole, truncated = slots.step()
    with torch.no_grad():
        logits_V = ENGINE.model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0, -1] / 0.7
    logp_C, id_C = logits_V.log_softmax(-1).topk(5)
    assert [id_ for id_, _ in whole.likeliest] == id_C.tolist()
    assert [logp for _, logp in whole.likeliest] == pytest.approx(logp_C.tolist(), abs=1e-9)
    assert [id_ for id_, _ in truncated.likeliest] == id_C[:3].tolist()
    assert [logp for _, logp in truncated.likeliest] == pytest.approx(logits_V[id_C[:3]].log_softmax(-1).tolist(), abs=1e-9)


def test_greedy_alternatives_have_the_chosen_token_first() -> None:
    slots = Slots(ENGINE, waiting=2)
    slots.submit([7, 3, 9], Sampling(max_new_tokens=4, temperature=0), 0, num_likeliest=2)
    events = [slots.step()[0] for _ in range(4)]
    assert [event.likeliest[0] for event in events] == [(event.id, event.logprob) for event in events]


def test_thousands_of_requests_leave_nothing_behind() -> None:
    slots = Slots(ENGINE, waiting=50)
    kept: list[weakref.ref[Ticket]] = []
    for round_ in range(40):
        tickets = [slots.submit([7, 8], Sampling(max_new_tokens=1 + seed % 2), seed) for seed in range(50)]
        kept += map(weakref.ref, tickets)
        for ticket in tickets[round_ % 3 :: 3]:
            slots.cancel(ticket)
        del tickets, ticket
        while slots.num_live or slots.num_waiting:
            slots.step()
    assert slots.step() == []
    gc.collect()
    assert len(kept) == 2000
    assert sum(reference() is not None for reference in kept) == 0
    assert slots._decoder is None, "with nobody there is no cache"


def test_a_failed_step_can_be_given_up_and_followed_by_others() -> None:
    broken = tiny("llama", vocab=96)
    with torch.no_grad():
        broken.get_output_embeddings().weight[4, 0] = torch.nan
    slots = Slots(LocalEngine(broken, pad_id=PAD_ID, slots=1), waiting=4)
    first, second, third = (slots.submit([7], TEN, seed) for seed in range(3))
    slots.cancel(third)
    with pytest.raises(LawBroken, match="E1"):
        slots.step()
    assert slots.abandon() == [first, second]
    slots.engine.load(tiny("llama", vocab=96).state_dict(), version=1)
    slots.submit([7], TEN, 0)
    assert len(slots.step()) == 1

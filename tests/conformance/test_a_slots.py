"""Law A3 for companions that come and go: what a request is answered depends on itself alone."""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from instructloop.config import Precision
from instructloop.protocols import Generated, Sampling
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.slots import BLOCK, Slots, Ticket
from tiny_models import ARCHITECTURES, PAD_ID, tiny

VOCAB = 96
STOPS = frozenset(range(0, VOCAB, 12))


@dataclass(frozen=True)
class Request:
    prompt: list[int]
    sampling: Sampling
    seed: int
    arrives: int
    """Steps after the request before it."""
    cancelled_after: int | None
    """Steps until it is given up; None: never."""


SAMPLINGS = st.builds(
    Sampling,
    max_new_tokens=st.integers(1, 20),
    temperature=st.sampled_from([0.0, 0.7, 1.0, 1.3]),
    top_p=st.sampled_from([0.8, 1.0]),
    top_k=st.sampled_from([0, 5]),
    stop_ids=st.sampled_from([frozenset[int](), STOPS]),
)
REQUESTS = st.builds(
    Request,
    prompt=st.lists(st.integers(2, VOCAB - 1), min_size=1, max_size=90),
    sampling=SAMPLINGS,
    seed=st.integers(-(2**63), 2**63 - 1),
    arrives=st.integers(0, 6),
    cancelled_after=st.none() | st.integers(0, 12),
)
SCHEDULES = st.lists(REQUESTS, min_size=3, max_size=7)


def play(slots: Slots, schedule: list[Request]) -> list[Generated | None]:
    """What each request is answered, None for those that are cancelled before the end."""
    arrivals = torch.tensor([request.arrives for request in schedule]).cumsum(0).tolist()
    tickets: dict[int, Ticket] = {}
    found: dict[Ticket, list] = {}
    now = 0
    while len(tickets) < len(schedule) or slots.num_live or slots.num_waiting:
        for place, request in enumerate(schedule):
            if arrivals[place] == now:
                tickets[place] = slots.submit(request.prompt, request.sampling, request.seed)
            if request.cancelled_after is not None and arrivals[place] + request.cancelled_after == now:
                slots.cancel(tickets[place])
        for event in slots.step():
            found.setdefault(event.ticket, []).append(event)
        now += 1
    return [_generated(found.get(tickets[place], [])) for place in range(len(schedule))]


def _generated(events: list) -> Generated | None:
    if not events or events[-1].finish_reason is None:
        return None
    return Generated(tuple(event.id for event in events), tuple(event.logprob for event in events), events[-1].finish_reason)


def alone(engine: LocalEngine, request: Request) -> Generated:
    return engine.generate([request.prompt], request.sampling, [request.seed])[0]


ENGINES = {architecture: LocalEngine(tiny(architecture, vocab=VOCAB), pad_id=PAD_ID, slots=3) for architecture in ARCHITECTURES}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(max_examples=20)
@given(schedule=SCHEDULES)
def test_a3_a_request_is_answered_as_if_it_were_alone(architecture: str, schedule: list[Request]) -> None:
    """Against `generate`, another path through the engine, to rounding."""
    engine = ENGINES[architecture]
    for request, answer in zip(schedule, play(Slots(engine, waiting=9), schedule), strict=True):
        if answer is None:
            assert request.cancelled_after is not None
            continue
        expected = alone(engine, request)
        assert (answer.ids, answer.finish_reason) == (expected.ids, expected.finish_reason)
        assert answer.logprobs == pytest.approx(expected.logprobs, rel=0, abs=1e-9)


def wide(architecture: str, precision: Precision) -> LocalEngine:
    """Wide enough for matrix products to be cut into the blocks that real ones are cut into."""
    model: PreTrainedModel = tiny(architecture, vocab=VOCAB, dtype=torch.float32, width=128, context=256)
    return LocalEngine(model, pad_id=PAD_ID, slots=5, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
@settings(max_examples=15)
@given(schedule=SCHEDULES)
def test_a3_bit_for_bit_in_any_precision(architecture: str, precision: Precision, schedule: list[Request]) -> None:
    """Against the same slots with nobody else in them: rounding is the same too, which in bf16 is what keeps words the same."""
    engine = WIDE[architecture, precision]
    for request, answer in zip(schedule, play(Slots(engine, waiting=9), schedule), strict=True):
        assert answer in (None, play(Slots(engine, waiting=1), [replace(request, arrives=0, cancelled_after=None)])[0])


WIDE = {(architecture, precision): wide(architecture, precision) for architecture in ("gpt2", "qwen3") for precision in ("fp32", "bf16")}


def test_a3_the_cache_grows_under_answers_that_are_on_their_way() -> None:
    engine = WIDE["gpt2", "fp32"]
    long = Request([3] * (BLOCK - 3), Sampling(max_new_tokens=2 * BLOCK), 1, 0, None)
    longer = Request([4] * (2 * BLOCK + 5), Sampling(max_new_tokens=9), 2, 2, None)
    answers = play(Slots(engine, waiting=9), [long, longer])
    assert answers == [play(Slots(engine, waiting=1), [replace(one, arrives=0)])[0] for one in (long, longer)]
    assert [len(answer.ids) for answer in answers if answer] == [2 * BLOCK, 9]

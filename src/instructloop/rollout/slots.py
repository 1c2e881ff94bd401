"""Continuous batching: requests come, go and are cancelled while others are being answered.

A fixed number of slots stand behind one cache. Between two decode steps waiting requests take the free slots: a
newcomer's prompt is read alone, then put into the shared cache. Every step computes all slots, taken or not, over whole
blocks of cache columns, so that no matrix has a shape that depends on who else is there. That is how law A3 holds here:
what a request is answered depends on itself alone, bit for bit on a CPU, in any precision.

S slots, V vocabulary.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from instructloop.errors import Busy, ConfigError
from instructloop.model.finite import require_finite
from instructloop.protocols import FinishReason, Sampling
from instructloop.rollout.attention import context_length
from instructloop.rollout.decoder import RowDecoder
from instructloop.rollout.engine import LocalEngine, require_room
from instructloop.rollout.sampling import choose, likeliest, uniforms

BLOCK = 64
"""Columns of the cache that are computed together."""
PROMPT_TOKENS = 512
"""Once this many tokens of new prompts were read between two steps, further newcomers wait for the next: answers under way do not stall."""
PACE = 16
"""Finished answers over which the time to the next free slot is estimated."""


@dataclass(eq=False)
class Ticket:
    """A request on its way; `tag` is the caller's own."""

    prompt: tuple[int, ...]
    sampling: Sampling
    num_likeliest: int
    tag: Any
    uniforms: list[float] = field(repr=False)
    """One number per token, drawn from the seed alone."""
    produced: int = 0
    cancelled: bool = False


@dataclass(frozen=True)
class Event:
    """One token of one request; `finish_reason` is set on its last."""

    ticket: Ticket
    id: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...]
    """(id, log-probability) of the likeliest tokens in this place, as many as were asked for and can be drawn."""
    finish_reason: FinishReason | None


class Slots:
    """The requests that one engine answers together. `submit` and `cancel` may be called from any thread, the rest from one."""

    def __init__(self, engine: LocalEngine, *, waiting: int) -> None:
        """As many slots as the engine's; at most `waiting` requests may wait for one."""
        if waiting < 1:
            raise ConfigError(f"waiting is {waiting}", expected="at least 1: a request waits before it takes a slot", remedy="raise it")
        self.engine, self.limit = engine, waiting
        self.context = context_length(engine.model)
        self._slots: list[Ticket | None] = [None] * engine.slots
        self._waiting: deque[Ticket] = deque()
        self._lock = threading.Lock()
        self._decoder: RowDecoder | None = None
        self._finished_at: deque[float] = deque(maxlen=PACE)

    @property
    def num_live(self) -> int:
        """Slots taken."""
        return sum(ticket is not None for ticket in self._slots)

    @property
    def num_waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int, *, num_likeliest: int = 0, tag: Any = None) -> Ticket:
        """Queue a request. Raises `Busy` where too many wait already, `ContextExceeded` for what the context has no room for."""
        require_room(prompt, sampling.max_new_tokens, self.context, name="the prompt")
        numbers = uniforms([seed], sampling.max_new_tokens)[0].tolist()
        ticket = Ticket(tuple(prompt), sampling, num_likeliest, tag, numbers)
        with self._lock:
            if len(self._waiting) >= self.limit:
                raise Busy(f"{len(self._waiting)} requests wait for the model already", retry_after=self._seconds_to_a_place())
            self._waiting.append(ticket)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Give up a request: there are no further events of it after the step under way, and its slot is free for that step's successor."""
        ticket.cancelled = True

    def abandon(self) -> list[Ticket]:
        """Give up everything, for when a step has failed; returns the requests that were waiting or being answered."""
        with self._lock:
            given_up = [*(ticket for ticket in self._slots if ticket), *self._waiting]
            self._waiting.clear()
        self._slots, self._decoder = [None] * len(self._slots), None
        return [ticket for ticket in given_up if not ticket.cancelled]

    @torch.inference_mode()
    def step(self, *, admit: bool = True) -> list[Event]:
        """One token for every request that has a slot, newcomers included. With `admit` False nobody is given one."""
        self._drop_cancelled()
        if admit:
            self._admit()
        live = [(slot, ticket) for slot, ticket in enumerate(self._slots) if ticket]
        if not live or self._decoder is None:
            self._decoder = None  # with nobody there the cache goes too
            return []
        events = self._choose(self._decoder, live)
        for (slot, ticket), event in zip(live, events, strict=True):
            ticket.produced += 1
            if event.finish_reason:
                self._slots[slot] = None
                self._finished_at.append(time.monotonic())
        if any(self._slots):
            ids = {slot: event.id for (slot, _), event in zip(live, events, strict=True)}
            self._advance(self._decoder, ids)
        return events

    def _drop_cancelled(self) -> None:
        self._slots = [None if ticket is None or ticket.cancelled else ticket for ticket in self._slots]
        with self._lock:
            if any(ticket.cancelled for ticket in self._waiting):
                self._waiting = deque(ticket for ticket in self._waiting if not ticket.cancelled)

    def _admit(self) -> None:
        read = 0
        for slot, taken in enumerate(self._slots):
            if taken is None and read < PROMPT_TOKENS:
                with self._lock:
                    if not self._waiting:
                        return
                    ticket = self._waiting.popleft()
                # Taken before the prompt is read: should reading fail, `abandon` still finds the request.
                self._slots[slot] = ticket
                self._read_prompt(slot, ticket)
                read += len(ticket.prompt)

    def _read_prompt(self, slot: int, ticket: Ticket) -> None:
        model = self.engine.model
        if self._decoder is None:
            self._decoder = RowDecoder.empty(model, len(self._slots), block=BLOCK)
        self._decoder.put(slot, RowDecoder.start(model, [ticket.prompt], room=0, pad_id=self.engine.pad_id))

    def _choose(self, decoder: RowDecoder, live: Sequence[tuple[int, Ticket]]) -> list[Event]:
        """The next token of each request, those with the same sampling together."""
        groups: dict[tuple[float, float, int, int], list[tuple[int, Ticket]]] = {}
        for slot, ticket in live:
            drawn = ticket.sampling
            groups.setdefault((drawn.temperature, drawn.top_p, drawn.top_k, ticket.num_likeliest), []).append((slot, ticket))
        found: dict[int, Event] = {}
        for members in groups.values():
            sampling, num_likeliest = members[0][1].sampling, members[0][1].num_likeliest
            logits_SV = decoder.logits_BV[[slot for slot, _ in members]]
            numbers = [ticket.uniforms[ticket.produced] for _, ticket in members]
            id_S, logp_S = choose(logits_SV, torch.tensor(numbers, dtype=torch.float64, device=logits_SV.device), sampling)
            require_finite({"id_S": id_S}, engine_logp_S=logp_S)
            others = _pairs(*likeliest(logits_SV, sampling, num_likeliest)) if num_likeliest else [()] * len(members)
            for (slot, ticket), id_, logprob, near in zip(members, id_S.tolist(), logp_S.tolist(), others, strict=True):
                found[slot] = Event(ticket, id_, logprob, near, _finish_reason(ticket, id_))
        return [found[slot] for slot, _ in live]

    def _advance(self, decoder: RowDecoder, ids: dict[int, int]) -> None:
        device = self.engine.model.device
        id_S = torch.tensor([ids.get(slot, self.engine.pad_id) for slot in range(len(self._slots))], device=device)
        live_S = torch.tensor([ticket is not None for ticket in self._slots], device=device)
        decoder.step(id_S, live_S)

    def _seconds_to_a_place(self) -> float:
        """How long it takes on average until an answer is finished and the queue moves; at least a second."""
        times = list(self._finished_at)
        return max(1.0, (times[-1] - times[0]) / (len(times) - 1)) if len(times) > 1 else 1.0


def _finish_reason(ticket: Ticket, id_: int) -> FinishReason | None:
    if id_ in ticket.sampling.stop_ids:
        return "stop"
    return "length" if ticket.produced + 1 == ticket.sampling.max_new_tokens else None


def _pairs(id_SC: Tensor, logp_SC: Tensor) -> list[tuple[tuple[int, float], ...]]:
    rows = zip(id_SC.tolist(), logp_SC.tolist(), strict=True)
    return [tuple((id_, logp) for id_, logp in zip(ids, logps, strict=True) if logp > float("-inf")) for ids, logps in rows]

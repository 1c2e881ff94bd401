"""From what somebody asks to what a completer is told: the model, the limits, and what goes wrong in between."""

import math
from collections.abc import Sequence

from instructloop.errors import Busy, ContextExceeded, ModelUnavailable, UserError
from instructloop.protocols import Completer, Sampling
from instructloop.store.database.roles import Account
from instructloop.web.refusals import Refusal
from instructloop.web.site import Site

UNAVAILABLE_SECONDS = 5.0
"""What a client is told to wait for a model that does not answer."""


def completer_of(site: Site, model: str) -> Completer:
    """The completer that serves `model`; `Refusal` 404 if there is none."""
    if model not in site.completers:
        raise Refusal(404, "model_not_found", param="model", model=model)
    return site.completers[model]


def sampling_of(site: Site, *, temperature: float | None, top_p: float | None, max_tokens: int, param: str = "max_tokens") -> Sampling:
    """How tokens are drawn; `Refusal` 400 for a longer answer than the site gives."""
    most = site.settings.max_tokens
    if max_tokens > most:
        raise Refusal(400, "invalid_value", param=param, problem=f"is {max_tokens}; at most {most} are given")
    return Sampling(max_new_tokens=max_tokens, temperature=1.0 if temperature is None else temperature, top_p=1.0 if top_p is None else top_p)


def take_turn(site: Site, account: Account, num_answers: int) -> None:
    """Count answers against the account's share; `Refusal` 429 with the time to wait if it is used up."""
    wait = site.asked.take(account.id, num_answers)
    if wait:
        raise Refusal(429, "rate_limit_exceeded", retry_after=wait, limit=site.asked.limit, seconds=math.ceil(wait))


def seeds(seed: int, count: int) -> Sequence[int]:
    """A seed for each of several answers: the first is the one that was given."""
    return [(seed + index) % (1 << 63) for index in range(count)]


def refusal_of(error: Exception) -> Refusal | None:
    """What a completer's error means to whoever asked; None for a bug."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Busy):
        return Refusal(429, "busy", retry_after=error.retry_after)
    if isinstance(error, ModelUnavailable):
        return Refusal(503, "model_unavailable", retry_after=UNAVAILABLE_SECONDS)
    if isinstance(error, ContextExceeded):
        return Refusal(400, "context_length_exceeded", problem=told(error))
    if isinstance(error, UserError):
        return Refusal(400, "invalid", problem=told(error))
    return None


def told(error: UserError) -> str:
    """What an error of ours says, as sentences for a page."""
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in (error.came, f"expected: {error.expected}", error.remedy))

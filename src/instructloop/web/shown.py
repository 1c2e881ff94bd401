"""Figures as people read them: shares with their interval and n, coefficients, times; and why there is none."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from instructloop.web.texts import catalogue, text

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate

PAPER_AGREEMENT = 0.726
"""Training labelers with each other, paper §5.2: something to compare with."""


def share(one: "Estimate") -> str:
    """ "73.1 % [71.0, 75.2], n = 540"; the reason where there is no value."""
    if one.value is None:
        return undefined(one)
    return f"{share_only(one)}, n = {one.n:,}"


def share_only(one: "Estimate") -> str:
    """The same without n."""
    if one.value is None:
        return undefined(one)
    interval = f" [{100 * one.low:.1f}, {100 * one.high:.1f}]" if one.low is not None and one.high is not None else ""
    return f"{100 * one.value:.1f} %{interval}"


def coefficient(one: "Estimate") -> str:
    """ "0.62 [0.55, 0.68]"; the reason where there is no value."""
    if one.value is None:
        return undefined(one)
    interval = f" [{signed(one.low)}, {signed(one.high)}]" if one.low is not None and one.high is not None else ""
    return f"{signed(one.value)}{interval}"


def coefficient_of(one: "Estimate") -> str:
    """The same with its own n: κ and τ-b of a pair of labelers count other cases than their agreement."""
    return undefined(one) if one.value is None else f"{coefficient(one)}, n = {one.n:,}"


def undefined(one: "Estimate") -> str:
    """Why an estimate has no value."""
    return text(f"admin.undefined_{one.why}")


def signed(value: float) -> str:
    """Two decimals, with a true minus."""
    return f"{value:.2f}".replace("-", "−")


def seconds(value: float) -> str:
    """ "42 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def reason(stored: str) -> str:
    """Why a task was skipped: the reason that was chosen, as the labeler read it, and what else the person said."""
    name, _, more = stored.partition(":")
    chosen = catalogue().get(f"choices.skip_reasons.{name.strip()}", name.strip()) or text("admin.no_reason")
    return f"{chosen}: {more.strip()}" if more.strip() else chosen


def detail(value: object, names: Mapping[str, str], joint: str = ", ") -> str:
    """A detail of an audit row: names in place of ids, yes and no, a dash for nothing; the parts of a list with `joint` between them."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return text("admin.yes" if value else "admin.no")
    if isinstance(value, list | tuple):
        return joint.join(detail(one, names, joint) for one in cast(Sequence[object], value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {detail(one, names, joint)}" for name, one in cast(Mapping[str, object], value).items())
    return names.get(value, value) if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else str(value)

"""The funnel of curation as a picture: a stream of prompts that narrows from stage to stage and parts into splits at its foot.

Each row is a stretched square of 1000 × 100 in which width is proportional to prompts; rows stand below one another without
a gap, so that the stream goes on. Words stand beside it in HTML, colours come from the page's style sheet.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

WIDTH, HEIGHT = 1000.0, 100.0
BEND = 38.0
"""Height at which a stage begins to narrow the stream."""
APART = 26.0
"""Space between two splits at the foot."""


def stage_row(came: int, kept: int, widest: int) -> str:
    """The stream through one stage: what stays, and at its sides, faintly, what goes. `widest` prompts fill the width."""
    before, after = (WIDTH * count / max(widest, 1) for count in (came, kept))
    stream = _band(before, after)
    lost = _wings(before, after) if kept < came else ""
    return _svg(lost + stream)


def foot_row(splits: Mapping[str, int], widest: int) -> str:
    """The stream parts into its splits; each keeps its width."""
    widths = [WIDTH * count / max(widest, 1) for count in splits.values()]
    top = _starts(widths, 0.0)
    bottom = _starts(widths, min(APART, (WIDTH - sum(widths)) / max(len(widths) - 1, 1)))
    bands = [
        f'<path class="stream split-{number}" d="{_flow((x, x + width), (to, to + width))}"/>'
        for number, (x, to, width) in enumerate(zip(top, bottom, widths, strict=True))
    ]
    return _svg("".join(bands))


def _starts(widths: Sequence[float], gap: float) -> list[float]:
    """Where each of some bands begins if all stand in the middle, side by side with gaps."""
    left = (WIDTH - sum(widths) - gap * (len(widths) - 1)) / 2
    return [left + place for place in accumulate((width + gap for width in widths[:-1]), initial=0.0)] if widths else []


def _band(before: float, after: float) -> str:
    return f'<path class="stream" d="{_flow(_middle(before), _middle(after))}"/>'


def _wings(before: float, after: float) -> str:
    (left, right), (inner_left, inner_right) = _middle(before), _middle(after)
    return "".join(
        f'<path class="lost" d="M{_n(edge)} {_n(BEND)}{_curve(edge, inner)}L{_n(edge)} {_n(HEIGHT)}Z"/>'
        for edge, inner in ((left, inner_left), (right, inner_right))
    )


def _flow(top: tuple[float, float], bottom: tuple[float, float]) -> str:
    """A band that keeps its edges down to the bend and then flows to the edges below."""
    down = f"M{_n(top[0])} 0L{_n(top[0])} {_n(BEND)}{_curve(top[0], bottom[0])}"
    middle = (BEND + HEIGHT) / 2
    up = f"L{_n(bottom[1])} {_n(HEIGHT)}C{_n(bottom[1])} {_n(middle)} {_n(top[1])} {_n(middle)} {_n(top[1])} {_n(BEND)}L{_n(top[1])} 0Z"
    return down + up


def _curve(start: float, end: float) -> str:
    middle = (BEND + HEIGHT) / 2
    return f"C{_n(start)} {_n(middle)} {_n(end)} {_n(middle)} {_n(end)} {_n(HEIGHT)}"


def _middle(width: float) -> tuple[float, float]:
    return (WIDTH - width) / 2, (WIDTH + width) / 2


def _n(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _svg(inside: str) -> str:
    return f'<svg viewBox="0 0 {_n(WIDTH)} {_n(HEIGHT)}" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'

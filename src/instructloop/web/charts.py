"""Charts as inline SVG, made on the server: no script, no style of their own, colours by class from the style sheet.

Positions across are percentages, so that text keeps its size at any width; heights are pixels. Lines are drawn in a stretched
inner square. Every chart has its numbers in a table beside it, as its label alone says too little. Same numbers, same bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

SQUARE = 1000
ROW, BAR_AT, BAR = 44, 22, 12
"""Pixels: height of a row of bars, where the bar begins in it, its height."""
NUM_COLOURS = 8
"""Colours of series; further ones begin anew."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One bar or one mark with its interval."""

    name: str
    value: float | None
    shown: str
    low: float | None = None
    high: float | None = None
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Round ticks, from 0 or another end."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def round_scale(high: float, *, low: float = 0.0, steps: int = 4, whole: bool = False) -> Scale:
    """About `steps` ticks at 1, 2, 2.5 or 5 times a power of ten; `whole` numbers only where things are counted."""
    rough = max(high - low, 1e-9) / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    step = max(1.0, math.ceil(step)) if whole else step
    count = max(1, math.ceil((high - low) / step - 1e-9))
    return Scale(low=low, high=low + count * step, ticks=tuple(low + step * place for place in range(count + 1)))


def bar_rows(rows: Sequence[Row], *, title: str) -> Markup:
    """A bar for each row from 0 to the largest value, its name above it and its figures at the end."""
    most = max((row.value or 0.0 for row in rows), default=0.0) or 1.0
    parts = [_row_words(row, place) + _bar(row, place, most) for place, row in enumerate(rows)]
    return _plot(title, ROW * len(rows), parts, "rows")


def interval_rows(rows: Sequence[Row], scale: Scale, *, title: str, label: str = "{:.0%}", mark: float | None = None) -> Markup:
    """A dot with its interval for each row on a common scale; `mark` is a level to compare with. Rows without a value say why."""
    height = ROW * len(rows)
    parts = [_upright(scale.at(tick), height, label.format(tick)) for tick in scale.ticks]
    if mark is not None:
        parts.append(_tag("line", x1=_percent(scale.at(mark)), x2=_percent(scale.at(mark)), y1=0, y2=height, css="mark"))
    for place, row in enumerate(rows):
        parts.append(_row_words(row, place))
        middle = ROW * place + BAR_AT + BAR / 2
        if row.low is not None and row.high is not None:
            parts.append(
                _tag(
                    "line",
                    x1=_percent(scale.at(row.low)),
                    x2=_percent(scale.at(row.high)),
                    y1=middle,
                    y2=middle,
                    css=f"whisker c{_colour(row.colour)}",
                )
            )
        if row.value is not None:
            parts.append(_tag("circle", cx=_percent(scale.at(row.value)), cy=middle, r=5, css=f"dot c{_colour(row.colour)}"))
    return _plot(title, height, parts, "rows axis")


def day_bars(days: Sequence[str], series: Mapping[str, Sequence[int]], *, title: str, height: int = 180) -> Markup:
    """A column for each day, the series on top of one another; the first and the last day are named."""
    totals = [sum(counts) for counts in zip(*series.values(), strict=True)] if series else [0] * len(days)
    scale = round_scale(max(totals, default=0) or 1, whole=True)
    parts = [_level(1 - scale.at(tick), height, f"{tick:,.0f}") for tick in scale.ticks]
    width = 100 / max(len(days), 1)
    base = [0.0] * len(days)
    for colour, counts in enumerate(series.values()):
        for place, count in enumerate(counts):
            if count:
                top = scale.at(base[place] + count)
                parts.append(
                    _tag(
                        "rect", x=f"{width * place + width * 0.12:.3f}%", width=f"{width * 0.76:.3f}%", y=_short(height * (1 - top)),
                        height=_short(height * (top - scale.at(base[place]))), css=f"mass c{_colour(colour)}",
                    )
                )  # fmt: skip
                base[place] += count
    return _plot(title, height, [*parts, *_ends(days, height)], "days")


def line(
    points: Sequence[tuple[float | None, float | None, float | None]], names: Sequence[str], scale: Scale, *, title: str, height: int = 180
) -> Markup:
    """A value for each step with the band of its interval; steps without a value are left open."""
    across = [(place + 0.5) / max(len(points), 1) for place in range(len(points))]
    parts = [_level(1 - scale.at(tick), height, f"{tick:.0%}") for tick in scale.ticks]
    known = [(x, *point) for x, point in zip(across, points, strict=True) if point[0] is not None]
    inside = [
        _tag(
            "polygon",
            points=_corners([(x, low) for x, _, low, _ in banded] + [(x, high) for x, _, _, high in reversed(banded)], scale),
            css="band c0",
        )
        for banded in [[point for point in known if point[2] is not None]]
        if len(banded) > 1
    ]
    inside.append(
        _tag("polyline", points=_corners([(x, value) for x, value, _, _ in known], scale), css="line c0", vector_effect="non-scaling-stroke")
    )
    parts.append(_tag("svg", *inside, width="100%", height="100%", viewBox=f"0 0 {SQUARE} {SQUARE}", preserveAspectRatio="none"))
    parts += [_tag("circle", cx=_percent(x), cy=_short(height * (1 - scale.at(value or 0.0))), r=4, css="dot c0") for x, value, _, _ in known]
    return _plot(title, height, [*parts, *_ends(names, height)], "days")


def funnel_rows(rows: Sequence[Row], *, title: str) -> Markup:
    """A bar for each stage in the middle, narrower from stage to stage."""
    most = max((row.value or 0.0 for row in rows), default=0.0) or 1.0
    parts: list[Markup] = []
    for place, row in enumerate(rows):
        width = 100 * (row.value or 0.0) / most
        parts.append(_row_words(row, place))
        parts.append(_tag("rect", x=0, y=ROW * place + BAR_AT, width="100%", height=BAR, rx=3, css="track"))
        parts.append(_tag("rect", x=0, y=ROW * place + BAR_AT, width=f"{width:.3f}%", height=BAR, rx=3, css="mass data"))
    return _plot(title, ROW * len(rows), parts, "rows")


def _plot(title: str, height: float, parts: Sequence[Markup], css: str) -> Markup:
    return _tag("svg", *parts, role="img", aria_label=title, height=_short(height), css=f"plot {css}")


def _row_words(row: Row, place: int) -> Markup:
    y = ROW * place + BAR_AT - 8
    return _tag("text", row.name, x=0, y=y, css="name") + _tag("text", row.shown, x="100%", y=y, css="figure end")


def _bar(row: Row, place: int, most: float) -> Markup:
    y, width = ROW * place + BAR_AT, 100 * (row.value or 0.0) / most
    track = _tag("rect", x=0, y=y, width="100%", height=BAR, rx=3, css="track")
    return track + _tag("rect", x=0, y=y, width=f"{width:.3f}%", height=BAR, rx=3, css=f"mass c{_colour(row.colour)}")


def _level(fraction: float, height: int, label: str) -> Markup:
    y = _short(height * fraction)
    return _tag("line", x1=0, x2="100%", y1=y, y2=y, css="grid") + _tag("text", label, x=-8, y=y, dy="0.32em", css="tick end")


def _upright(fraction: float, height: int, label: str) -> Markup:
    anchor = "start" if fraction < 0.02 else "end" if fraction > 0.98 else "mid"
    line_ = _tag("line", x1=_percent(fraction), x2=_percent(fraction), y1=0, y2=height, css="grid")
    return line_ + _tag("text", label, x=_percent(fraction), y=height + 16, css=f"tick {anchor}")


def _ends(names: Sequence[str], height: int) -> list[Markup]:
    if not names:
        return []
    ends = [_tag("text", names[0], x=0, y=height + 18, css="tick start")]
    return [*ends, _tag("text", names[-1], x="100%", y=height + 18, css="tick end")] if len(names) > 1 else ends


def _corners(points: Sequence[tuple[float, float | None]], scale: Scale) -> str:
    return " ".join(f"{_short(SQUARE * x)},{_short(SQUARE * (1 - scale.at(y or 0.0)))}" for x, y in points)


def _colour(number: int) -> int:
    return number % NUM_COLOURS


def _percent(fraction: float) -> str:
    return f"{_short(100 * fraction)}%"


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _tag(name: str, *inside: str, css: str = "", **attributes: Any) -> Markup:
    """An element; text inside and in attributes is escaped."""
    named = {"class": css, **attributes} if css else attributes
    written = Markup("").join(Markup(' {}="{}"').format(Markup(key.replace("_", "-")), value) for key, value in named.items())
    return Markup("<{name}{written}>{inside}</{name}>").format(
        name=Markup(name), written=written, inside=Markup("").join(escape(one) for one in inside)
    )

"""Charts as inline SVG that fill the width they are given, and take every colour from the page's style sheet.

The drawing area of a chart is the whole `<svg>`: positions are percentages of it, so text keeps its size at any width, and
labels stand outside in the margin that the style sheet leaves (`.plot`). Lines are drawn in a stretched inner square of
1000 × 1000. Series name classes (`c-ppo`), never colours. Pure functions: the same numbers give the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SQUARE = 1000
ROW_PX, BAR_TOP, BAR_PX = 46, 20, 14
"""Height of a row of bars: a line of text, and the bar below it."""
LARGEST_DOT, SMALLEST_DOT = 7.0, 2.5
"""Radii in pixels."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From values to fractions of a side, with round numbers marked."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """0 at low, 1 at high."""
        return (value - self.low) / (self.high - self.low)

    def label(self, tick: float) -> str:
        """The tick with as many decimals as tell it from its neighbours."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        shown = f"{tick:,.{decimals(step)}f}"
        return "0" if float(shown.replace(",", "")) == 0 else shown.replace("-", "−")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series: points in order, the class of its colour, the name that is read out."""

    name: str
    style: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of a bar chart, with its interval where there is one."""

    name: str
    style: str
    mean: float
    low: float | None = None
    high: float | None = None
    shown: str
    """The figures at the end of the row."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A level across a bar chart, named above it."""

    at: float
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A point whose area says how much it weighs."""

    x: float
    y: float
    weight: float
    title: str


def round_scale(low: float, high: float, *, steps: int = 4, widen: bool = True) -> Scale:
    """Ticks at 1, 2, 2.5 or 5 times a power of ten, about `steps` apart; with `widen` the ends are ticks too."""
    if high <= low:
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    step = _round_step((high - low) / steps)
    first = math.floor(low / step + 1e-9) if widen else math.ceil(low / step - 1e-9)
    last = math.ceil(high / step - 1e-9) if widen else math.floor(high / step + 1e-9)
    ticks = tuple(step * i for i in range(first, last + 1))
    return Scale(low=ticks[0], high=ticks[-1], ticks=ticks) if widen else Scale(low=low, high=high, ticks=ticks)


def scale_of(lines: Sequence[Line], *, steps: int = 4) -> Scale:
    """A scale for y that holds every line with a little air."""
    values = [y for line in lines for y in line.y]
    air = 0.05 * (max(values) - min(values))
    return round_scale(min(values) - air, max(values) + air, steps=steps, widen=False)


def line_chart(lines: Sequence[Line], *, title: str, y: Scale | None = None, height: int = 180, dots: bool = False) -> str:
    """Lines over a common x; with `dots` every point is marked and the last one stands out (a path, not a function)."""
    x_values = [x for line in lines for x in line.x]
    x = round_scale(min(x_values), max(x_values), widen=False)
    y = y or scale_of(lines)
    parts = [_grid(x, y, height), _square(*(_path(line, x, y) for line in lines))]
    if dots:
        parts += [_dots_of(line, x, y) for line in lines]
    return _plot(title, height, parts)


def bar_chart(bars: Sequence[Bar], *, title: str, scale: Scale, mark: Mark | None = None) -> str:
    """A horizontal bar from the scale's low end (or from 0 if it lies inside) for each row, intervals on top; `mark` is a level to compare with."""
    height = ROW_PX * len(bars)
    origin = scale(min(max(0.0, scale.low), scale.high))
    parts = [_vertical(scale(tick), height, scale.label(tick)) for tick in scale.ticks]
    parts += [_bar(bar, scale, origin, ROW_PX * i) for i, bar in enumerate(bars)]
    if mark is not None:
        parts.append(_mark(mark, scale(mark.at), height))
    parts += [_words(bar, ROW_PX * i) for i, bar in enumerate(bars)]
    return _plot(title, height, parts, extra="bars marked" if mark and mark.name else "bars")


def calibration_chart(dots: Sequence[Dot], *, title: str, others: Sequence[Line] = (), height: int = 260) -> str:
    """Observed over predicted frequency: a dot for each bin, its area by its pairs; the diagonal is perfect."""
    lowest = min([0.5, *(dot.y for dot in dots), *(y for line in others for y in line.y)])
    x, y = round_scale(0.5, 1.0, steps=5), round_scale(lowest, 1.0, steps=5)
    diagonal = Line(name="", style="c-diagonal", x=(0.5, 1.0), y=(0.5, 1.0))
    own = Line(name="", style="c-ppo", x=[dot.x for dot in dots], y=[dot.y for dot in dots])
    heaviest = max((dot.weight for dot in dots), default=1.0) or 1.0
    marks = [
        _tag(
            "circle",
            _tag("title", escape(dot.title)),
            **{"class": "dot c-ppo"},
            cx=_percent(x(dot.x)),
            cy=_percent(1 - y(dot.y)),
            r=_radius(dot, heaviest),
        )
        for dot in dots
    ]
    return _plot(title, height, [_grid(x, y, height), _square(*(_path(line, x, y) for line in (diagonal, *others, own))), *marks])


def decimals(step: float) -> int:
    """Decimals that a number has which is a multiple of `step`; at most 6."""
    return next((places for places in range(7) if abs(round(step, places) - step) < 1e-9 * max(1.0, abs(step))), 6)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _plot(title: str, height: int, parts: Sequence[str], extra: str = "") -> str:
    return _tag("svg", *parts, role="img", **{"class": f"plot {extra}".strip(), "aria-label": title}, height=height)


def _grid(x: Scale, y: Scale, height: int) -> str:
    rows = [
        _tag("line", **{"class": "grid"}, x1="0", x2="100%", y1=_percent(1 - y(tick)), y2=_percent(1 - y(tick)))
        + _tag("text", y.label(tick), **{"class": "tick end"}, x=-8, y=_percent(1 - y(tick)), dy="0.32em")
        for tick in y.ticks
    ]
    columns = [_tag("text", x.label(tick), **{"class": "tick mid"}, x=_percent(x(tick)), y=height + 17) for tick in x.ticks]
    return "".join([*rows, *columns])


def _vertical(fraction: float, height: int, label: str) -> str:
    line = _tag("line", **{"class": "grid"}, x1=_percent(fraction), x2=_percent(fraction), y1=0, y2=height)
    return line + _tag("text", label, **{"class": f"tick {_anchor(fraction)}"}, x=_percent(fraction), y=height + 17)


def _square(*paths: str) -> str:
    inside = {"viewBox": f"0 0 {SQUARE} {SQUARE}", "preserveAspectRatio": "none", "class": "square"}
    return _tag("svg", *paths, width="100%", height="100%", **inside)


def _path(line: Line, x: Scale, y: Scale) -> str:
    points = " ".join(f"{_short(SQUARE * x(a))},{_short(SQUARE * (1 - y(b)))}" for a, b in zip(line.x, line.y, strict=True))
    return _tag("polyline", **{"class": f"line {line.style}", "vector-effect": "non-scaling-stroke"}, points=points)


def _dots_of(line: Line, x: Scale, y: Scale) -> str:
    last = len(line.x) - 1
    return "".join(
        _tag("circle", **{"class": f"dot {line.style}"}, cx=_percent(x(a)), cy=_percent(1 - y(b)), r=5 if i == last else 2.5)
        for i, (a, b) in enumerate(zip(line.x, line.y, strict=True))
    )


def _bar(bar: Bar, scale: Scale, origin: float, top: int) -> str:
    end, middle = scale(bar.mean), top + BAR_TOP + BAR_PX // 2
    parts = [
        _tag(
            "rect", **{"class": f"bar {bar.style}"}, x=_percent(min(origin, end)), width=_percent(abs(end - origin)), y=top + BAR_TOP, height=BAR_PX
        ),
    ]
    if bar.low is not None and bar.high is not None:
        low, high = _percent(scale(bar.low)), _percent(scale(bar.high))
        ends = [(low, high, middle, middle), (low, low, middle - 4, middle + 4), (high, high, middle - 4, middle + 4)]
        parts += [_tag("line", **{"class": style}, x1=x1, x2=x2, y1=y1, y2=y2) for style in ("halo", "whisker") for x1, x2, y1, y2 in ends]
    return "".join(parts)


def _mark(mark: Mark, fraction: float, height: int) -> str:
    at = _percent(fraction)
    name = _tag("text", escape(mark.name), **{"class": f"tick {_anchor(fraction)}"}, x=at, y=-8) if mark.name else ""
    return _tag("line", **{"class": "mark"}, x1=at, x2=at, y1=-4, y2=height) + name


def _words(bar: Bar, top: int) -> str:
    name = _tag("text", escape(bar.name), **{"class": "name"}, x=0, y=top + 14)
    return name + _tag("text", escape(bar.shown), **{"class": "value end"}, x="100%", y=top + 14)


def _anchor(fraction: float) -> str:
    """Labels at the ends of an axis stay inside it."""
    return "start" if fraction < 0.02 else "end" if fraction > 0.98 else "mid"


def _radius(dot: Dot, heaviest: float) -> float:
    return max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(dot.weight / heaviest))


def _percent(fraction: float) -> str:
    return f"{_short(100 * fraction)}%"


def _short(number: float) -> str:
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _tag(name: str, *inside: str, **attributes: str | float) -> str:
    """An element; attribute values are escaped here, what is inside must be markup already."""
    written = "".join(f' {key}="{escape(_short(value) if isinstance(value, float) else str(value))}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inside)}</{name}>"

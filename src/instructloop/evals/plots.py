"""Small, quiet SVG pictures. The same numbers give the same bytes; matplotlib is reached only when something is drawn."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instructloop.errors import MissingExtra

_COLOURS = ("#2f6f9f", "#c8553d", "#4d8b57", "#8a6bb1", "#b08a2e", "#555555")
_STYLE: Any = {
    "svg.hashsalt": "instructloop", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9.0,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888", "axes.grid": True,
    "axes.axisbelow": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.6, "xtick.color": "#555555", "ytick.color": "#555555",
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.4,
}  # fmt: skip
_SIZE = (5.2, 3.0)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The words around a picture."""

    title: str
    x: str
    y: str
    log_from: float | None = None
    """x is linear up to here and logarithmic beyond; linear throughout without it."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of several pictures beside each other."""

    labels: Labels
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    """Name -> x and y, with a dot at each point."""


def curves_svg(curves: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]], labels: Labels) -> str:
    """Lines by name; each name holds one (x, y) per seed, drawn thin in one colour."""

    def draw(axes: Any) -> None:
        for i, (name, seeds) in enumerate(curves.items()):
            for j, (x, y) in enumerate(seeds):
                axes.plot(x, y, color=_COLOURS[i % len(_COLOURS)], alpha=0.75, label=name if j == 0 else None)
        if len(curves) > 1:
            axes.legend()

    return _svg(draw, labels)


def panels_svg(rows: Sequence[Sequence[Panel]]) -> str:
    """Panels in rows, as many in each."""

    def draw(axes_RC: Any) -> None:
        for panel, axes in zip((panel for row in rows for panel in row), axes_RC.flat, strict=True):
            for i, (name, (x, y)) in enumerate(panel.lines.items()):
                axes.plot(x, y, color=_COLOURS[i % len(_COLOURS)], marker="o", markersize=3, label=name)
            if len(panel.lines) > 1:
                axes.legend()
            if panel.labels.log_from is not None:
                axes.set_xscale("symlog", linthresh=panel.labels.log_from)
            _name(axes, panel.labels)

    return _figure(draw, rows=len(rows), columns=len(rows[0]))


def bars_svg(bars: Mapping[str, tuple[float, float, float]], labels: Labels, *, line_at: float | None = None) -> str:
    """One horizontal bar per name with its (mean, low, high); `line_at` marks a level such as chance."""

    def draw(axes: Any) -> None:
        names = list(bars)[::-1]
        mean, low, high = zip(*(bars[name] for name in names), strict=True)
        spread = [[m - a for m, a in zip(mean, low, strict=True)], [b - m for m, b in zip(mean, high, strict=True)]]
        axes.barh(names, mean, xerr=spread, color=_COLOURS[0], height=0.6, ecolor="#333333", capsize=2)
        if line_at is not None:
            axes.axvline(line_at, color="#888888", linestyle="--", linewidth=0.8)
        axes.grid(visible=False, axis="y")

    return _svg(draw, labels)


def calibration_svg(calibration: Mapping[str, Any], *, title: str = "Calibration") -> str:
    """Observed against predicted probability, as `reward_report.calibration` returns them; the diagonal is perfect."""

    def draw(axes: Any) -> None:
        rows = calibration["bins"]
        axes.plot([0.5, 1], [0.5, 1], color="#888888", linestyle="--", linewidth=0.8)
        axes.plot([row["predicted"] for row in rows], [row["observed"] for row in rows], color=_COLOURS[0], marker="o", markersize=3)
        axes.text(0.98, 0.04, f"expected error {calibration['expected_error']:.3f}", transform=axes.transAxes, ha="right")

    return _svg(draw, Labels(title=title, x="predicted probability", y="observed frequency"))


def histogram_svg(histogram: Mapping[str, Any], labels: Labels) -> str:
    """Counts between edges, as `reward_report.histogram` returns them."""

    def draw(axes: Any) -> None:
        axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=_COLOURS[0])

    return _svg(draw, labels)


def _svg(draw: Callable[[Any], None], labels: Labels) -> str:
    def draw_one(axes_RC: Any) -> None:
        draw(axes_RC[0, 0])
        _name(axes_RC[0, 0], labels)

    return _figure(draw_one, rows=1, columns=1)


def _name(axes: Any, labels: Labels) -> None:
    axes.set_title(labels.title, loc="left", fontsize=10)
    axes.set_xlabel(labels.x)
    axes.set_ylabel(labels.y)


def _figure(draw: Callable[[Any], None], *, rows: int, columns: int) -> str:
    """What `draw` puts on the axes [rows, columns], as SVG."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "plots") from error
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_SIZE[0] * columns, _SIZE[1] * rows), layout="constrained")
        draw(figure.subplots(rows, columns, squeeze=False))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()

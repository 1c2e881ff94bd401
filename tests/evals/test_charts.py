"""Charts put things where the numbers are: geometry by hand, in percent of the drawing area."""

from xml.etree import ElementTree

import pytest

from instructloop.evals.report.charts import (
    Bar,
    Dot,
    Line,
    Mark,
    Scale,
    bar_chart,
    calibration_chart,
    line_chart,
    round_scale,
    scale_of,
)

UNIT = Scale(low=0.0, high=1.0, ticks=(0.0, 0.5, 1.0))


def elements(svg: str, name: str, style: str = "") -> list[dict[str, str]]:
    return [element.attrib for element in ElementTree.fromstring(svg).iter(name) if style in element.get("class", "").split() or not style]


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def test_a_line_runs_through_its_points():
    line = Line(name="PPO", style="c-ppo", x=(0, 5, 10), y=(0.0, 0.5, 1.0))
    svg = line_chart([line], title="Score", y=UNIT)
    # x from 0 to 10 and y from 0 to 1 in a square of 1000, y downwards.
    assert [row["points"] for row in elements(svg, "polyline")] == ["0,1000 500,500 1000,0"]
    assert [row["y"] for row in elements(svg, "text", "end")] == ["100%", "50%", "0%"]
    assert words(svg) == ["0", "0.5", "1.0", "0", "2.5", "5.0", "7.5", "10.0"]
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "Score"


def test_every_point_of_a_path_is_marked_and_its_end_stands_out():
    line = Line(name="PPO", style="c-ppo", x=(0, 4, 2), y=(0.0, 1.0, 0.25))
    dots = elements(line_chart([line], title="", y=UNIT, dots=True), "circle")
    assert [(dot["cx"], dot["cy"], dot["r"]) for dot in dots] == [("0%", "100%", "2.5"), ("100%", "0%", "2.5"), ("50%", "75%", "5")]


def test_a_bar_starts_at_zero_and_its_interval_lies_on_it():
    svg = bar_chart(
        [Bar(name="base", style="c-base", mean=0.25, low=0.2, high=0.35, shown="0.25")], title="", scale=UNIT, mark=Mark(at=0.5, name="SFT")
    )
    (bar,) = elements(svg, "rect")
    assert (bar["x"], bar["width"]) == ("0%", "25%")
    across, left, right = elements(svg, "line", "whisker")
    assert (across["x1"], across["x2"], left["x1"], right["x2"]) == ("20%", "35%", "20%", "35%")
    assert [line["x1"] for line in elements(svg, "line", "mark")] == ["50%"]
    assert {"base", "0.25", "SFT"} <= set(words(svg))


def test_a_negative_bar_ends_at_zero():
    scale = Scale(low=-1.0, high=1.0, ticks=(-1.0, 0.0, 1.0))
    (bar,) = elements(bar_chart([Bar(name="", style="", mean=-0.5, shown="")], title="", scale=scale), "rect")
    assert (bar["x"], bar["width"]) == ("25%", "25%")


def test_where_zero_is_off_the_scale_a_bar_starts_at_its_end():
    scale = Scale(low=0.5, high=1.0, ticks=(0.5, 1.0))
    (bar,) = elements(bar_chart([Bar(name="", style="", mean=0.75, shown="")], title="", scale=scale), "rect")
    assert (bar["x"], bar["width"]) == ("0%", "50%")


def test_calibration_dots_have_areas_by_weight():
    dots = [Dot(x=0.75, y=0.75, weight=400, title="400 pairs"), Dot(x=1.0, y=0.5, weight=100, title="100 pairs")]
    svg = calibration_chart(dots, title="")
    # A quarter of the pairs has a quarter of the area: half the radius of 7.
    assert [(dot["cx"], dot["cy"], dot["r"]) for dot in elements(svg, "circle")] == [("50%", "50%", "7"), ("100%", "100%", "3.5")]
    assert elements(svg, "polyline", "c-diagonal")[0]["points"] == "0,1000 1000,0"
    assert elements(svg, "polyline", "c-ppo")[0]["points"] == "500,500 1000,1000"


def test_what_charts_are_told_is_escaped():
    hostile = '<script>"&'
    bar = Bar(name=hostile, style=hostile, mean=0.5, shown=hostile)
    for svg in (
        bar_chart([bar], title=hostile, scale=UNIT, mark=Mark(at=0.5, name=hostile)),
        line_chart([Line(name=hostile, style=hostile, x=(0, 1), y=(0, 1))], title=hostile, dots=True),
        calibration_chart([Dot(x=0.5, y=0.5, weight=1, title=hostile)], title=hostile),
    ):
        assert "<script" not in svg
        assert ElementTree.fromstring(svg).attrib["aria-label"] == hostile


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, (0, 0.25, 0.5, 0.75, 1)), (0.13, 0.87, (0, 0.2, 0.4, 0.6, 0.8, 1)), (-0.4, 1.4, (-0.5, 0, 0.5, 1, 1.5)), (0, 36, (0, 10, 20, 30, 40))],
)
def test_ticks_are_round_and_hold_the_data(low: float, high: float, ticks: tuple[float, ...]):
    scale = round_scale(low, high)
    assert scale.ticks == pytest.approx(ticks)
    assert (scale.low, scale.high) == pytest.approx((ticks[0], ticks[-1]))


def test_a_scale_that_is_not_widened_ends_where_the_data_do():
    scale = round_scale(1, 36, widen=False)
    assert (scale.low, scale.high, scale.ticks) == (1, 36, (10, 20, 30))


def test_one_value_has_a_scale_too():
    scale = scale_of([Line(name="", style="", x=(1,), y=(2.0,))])
    assert scale.low < 2 < scale.high


@pytest.mark.parametrize(
    ("tick", "step", "label"), [(0.25, 0.25, "0.25"), (1.0, 0.5, "1.0"), (1_500, 500, "1,500"), (-0.5, 0.5, "−0.5"), (-0.0, 0.5, "0")]
)
def test_labels_have_the_decimals_of_their_step(tick: float, step: float, label: str):
    assert Scale(low=0, high=1, ticks=(0.0, step)).label(tick) == label

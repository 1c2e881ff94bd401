"""Pictures are SVG, say what they were given, repeat to the byte, and name the extra when matplotlib is absent."""

import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from instructloop.errors import MissingExtra
from instructloop.evals.plots import Labels, Panel, bars_svg, calibration_svg, curves_svg, histogram_svg, panels_svg
from instructloop.evals.reward_report import calibration, histogram

LABELS = Labels(title="Loss of the base", x="update", y="nats per token")
TWO = {"proxy": ([0, 0.1, 1], [1, 2, 3]), "gold": ([0, 0.1, 1], [1, 2, 1])}


def drawn() -> list[str]:
    return [
        curves_svg({"with ptx": [([0, 1], [2, 1]), ([0, 1], [2, 1.5])], "without": [([0, 1], [2, 3])]}, LABELS),
        bars_svg({"reward model": (0.6, 0.55, 0.65), "length only": (0.5, 0.45, 0.55)}, LABELS, line_at=0.5),
        calibration_svg(calibration([1.0, -0.5, 2.0]), title="Loss of the base"),
        histogram_svg(histogram([0, 1, 1, 2], bins=3), LABELS),
        panels_svg([[Panel(labels=LABELS, lines={"gold": ([0, 0.1, 1], [1, 2, 3])}), Panel(labels=replace(LABELS, log_from=0.1), lines=TWO)]]),
    ]


def test_well_formed_titled_and_repeatable():
    first, second = drawn(), drawn()
    assert first == second
    for svg in first:
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert "Loss of the base" in svg
    assert "with ptx" in first[0]
    assert "length only" in first[1]
    assert "proxy" in first[4]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"instructloop\[plots\]"):
        histogram_svg(histogram([0, 1]), LABELS)

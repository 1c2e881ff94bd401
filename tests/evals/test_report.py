"""The report shows what it was given and nothing else, whatever was in it, and fetches nothing."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from evals.demo_run import HOSTILE, report_inputs, results, results_json, unlucky
from instructloop.errors import DataError
from instructloop.evals.plain_words import fixed, plain_words
from instructloop.evals.report.inputs import Curve, Example, ReportInputs
from instructloop.evals.report.loop_picture import loop_picture
from instructloop.evals.report.page import REFERENCE_GFLOPS, report_html, write_report
from instructloop.evals.results import Results

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
OF_THE_PAGE = {"95", "0.5", "1", "1,024", "700"}
"""Confidence level, level of SFT, temperature, matrix size, reference speed."""
BELOW_THE_FOLD = 5
"""Examples that the page counts."""
MEASURED_TWICE = ("length_only", "bag_of_words", "labeler_agreement")
"""Figures that stand in both records and must agree."""


class Page(HTMLParser):
    """Elements and visible text of a page; what stands in charts and in the style sheet is no text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._silent += tag in ("style", "svg")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "svg")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return report_html(results(), report_inputs())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if inside is None:
        yield path, value
    else:
        for key, item in inside:
            yield from leaves(item, (*path, key))


def shown(number: float) -> set[str]:
    """The ways in which the page may write a number."""
    return {fixed(abs(number), places) for places in range(4)} | {f"{abs(number):g}", f"{100 * abs(number):.1f}"}


def test_every_number_comes_from_the_run(html: str):
    run, inputs = results(), report_inputs()
    given = [value for _, value in [*leaves(run.to_json()), *leaves(inputs.to_json())]]
    total = sum(run.seconds.values())
    derived = [inputs.counts.rankings, inputs.base_parameters / 1e6, total / 60, total / 60 * run.gflops_bf16 / REFERENCE_GFLOPS, BELOW_THE_FOLD]
    known = set(OF_THE_PAGE)
    for value in [*given, *derived, *inputs.counts.rankings_by_k]:
        known |= set(NUMBER.findall(value)) if isinstance(value, str) else shown(value) if value is not None else set()
    numbers = {number for text in Page(html).texts for number in NUMBER.findall(text)}
    assert len(numbers) > 300
    assert sorted(numbers - known) == []


@pytest.mark.parametrize("path", [path for path, value in leaves(results_json()) if isinstance(value, float) and path[-1] not in MEASURED_TWICE])
def test_every_figure_of_results_json_shows(path: tuple[str, ...], html: str):
    row = results_json()
    here = row
    for name in path[:-1]:
        here = here[name]
    by = {"seconds": 2.0, "gflops_bf16": 2.0, "peak_rss_mb": 2.0}.get(path[0], 0.2 if path[-1] == "response_tokens" else 0.011)
    here[path[-1]] += -by if path[-1] == "low" else by
    assert report_html(Results.from_json(row), report_inputs()) != html


def test_hostile_text_stays_text(html: str):
    page = Page(html)
    assert [tag for tag, _ in page.elements if tag in ("script", "img", "iframe", "link", "object", "form")] == []
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on") or name in ("src", "href")] == []
    text = "".join(page.texts)
    for hostile in HOSTILE:
        assert hostile in text
    assert html.count("<style>") == html.count("</style>") == 1


def test_the_page_asks_for_nothing(html: str):
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert set(re.findall(r"url\(([^)]*)\)", html)) == {"#head-wide", "#head-tall"}


def test_the_words_are_those_of_the_terminal():
    run = unlucky(results())
    text = " ".join("".join(Page(report_html(run, report_inputs())).texts).split())
    for words in plain_words(run):
        assert words in text


def test_sections_are_in_order_and_every_drawing_has_a_name(html: str):
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    drawings = [attributes for tag, attributes in Page(html).elements if tag == "svg" and attributes.get("class") != "square"]
    assert len(drawings) > 40
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawings)


def test_the_loop_shows_what_went_through_it():
    wide, tall = (loop_picture(report_inputs().counts, layout) for layout in ("wide", "tall"))
    for number in ("240", "5,312", "1,204", "1,053", "K = 4 to 9", "16,874", "1,933", "9,216", "9,792", "612 test prompts"):
        assert number in wide
        assert number in tall


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, html: str):
    write_report(results(), report_inputs(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html


def test_half_an_emoji_is_written(tmp_path: Path):
    inputs = replace(report_inputs(), machine="half \ud83d an emoji")
    write_report(results(), inputs, tmp_path / "report.html")
    assert "half ? an emoji" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_without_notes_says_so():
    html = report_html(results(), replace(report_inputs(), hacks=(), departures=(), examples=report_inputs().examples[:1]))
    assert "None was seen in this run" in html
    assert "more prompts" not in html


def test_inputs_there_and_back(tmp_path: Path):
    inputs = report_inputs()
    inputs.write(tmp_path / "inputs.json")
    assert ReportInputs.from_json(json.loads((tmp_path / "inputs.json").read_text())) == inputs


def test_what_is_no_number_or_not_whole_is_refused():
    inputs = report_inputs()
    with pytest.raises(DataError, match=r"inputs\.counts\.pairs is nan"):
        replace(inputs, counts=replace(inputs.counts, pairs=math.nan))
    with pytest.raises(DataError, match=r"inputs\.curves\.sft_loss\.y\.1 is inf"):
        replace(inputs, curves=replace(inputs.curves, sft_loss=Curve(x=(0, 1), y=(0, math.inf))))
    with pytest.raises(DataError, match="2 x and 1 y"):
        Curve(x=(0, 1), y=(0,))
    with pytest.raises(DataError, match="one of each of"):
        replace(inputs, distances={})
    with pytest.raises(DataError, match="answers of"):
        Example(prompt="?", use_case="chat", answers={"sft": inputs.examples[0].answers["sft"]})
    with pytest.raises(DataError, match="reward_model"):
        replace(inputs.reward, calibration={})


def test_records_that_contradict_each_other_are_refused():
    inputs = report_inputs()
    with pytest.raises(DataError, match=r"inputs\.counts\.test_prompts for the win rate of base is 600"):
        report_html(results(), replace(inputs, counts=replace(inputs.counts, test_prompts=600)))
    with pytest.raises(DataError, match=r"inputs\.reward\.length_only is 0\.6"):
        report_html(results(), replace(inputs, reward=replace(inputs.reward, length_only=replace(inputs.reward.length_only, mean=0.6))))

"""The report of the rounds: it tells the truth of its numbers, names nobody, and can be read in a browser, light and dark."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from evals.test_curation_page import AXE, BARRIERS, TOO_WIDE
from instructloop.curate.funnel import StageReport
from instructloop.evals.report.rounds_page import Rate, RoundFigures, RoundsReport, rounds_html, write_rounds_report

ROUND = RoundFigures(
    number=1, users=6, new_rankings=120, rankings=120, ranked_prompts=40, answers={"<sft>": 252}, likert={"<sft>": Rate(mean=2.938, n=756)},
    agreement=Rate(mean=0.687, n=1775), reward_accuracy=Rate(mean=0.4514, n=401), score=[0.01, 0.02, 0.05], kl=[0.0, 0.1, 0.4],
    valid_score=0.0812, valid_kl=0.45,
)  # fmt: skip
SECOND = replace(ROUND, number=2, rankings=240, answers={"<sft>": 137, "ppo": 135}, agreement=Rate(mean=None, n=0), likert={})
REPORT = RoundsReport(
    written=60, asked={"user 1": 41, "user 2": 60, "user 3": 1250}, demonstrations=100, rounds=(ROUND, SECOND),
    funnel=(
        StageReport(stage="exact", came=1351, kept=1350, reasons={"the same text": 1}, users=1, seconds=0.1),
        StageReport(stage="cap", came=1350, kept=301, reasons={"beyond 200 of one user": 1049}, users=1, seconds=0.1),
        StageReport(stage="split", came=301, kept=301, changes={"train": 301}, seconds=0.0),
    ),
)  # fmt: skip


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<body>")[2]))


def test_its_figures_are_those_of_the_rounds() -> None:
    told = words(rounds_html(REPORT))
    assert "The loop has turned twice" in told
    assert "Labelers wrote 60 prompts" in told
    assert "asked 1,351 prompts, 1,250 of them one alone" in told
    assert "−1,049 from 1 user" in told
    assert "rankings in the reward model 120 240" in told
    assert "answers of ppo among them – 135" in told
    assert "answers of &lt;sft&gt; among them 252 137" in told
    assert "2.94 (756) –" in told
    assert "labelers agree, of pairs that both order 69% of 1,775 –" in told
    assert "45% of 401" in told
    assert "0.08 0.08" in told


def test_one_round_has_a_page_too() -> None:
    assert "The loop has turned once" in rounds_html(replace(REPORT, rounds=(ROUND,)))
    assert "The loop has turned 3 times" in rounds_html(replace(REPORT, rounds=(ROUND, SECOND, SECOND)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_it_can_be_read(browser: Any, tmp_path: Path, theme: str, width: int) -> None:
    write_rounds_report(REPORT, tmp_path / "report.html")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(TOO_WIDE) == []
    page.add_script_tag(path=str(AXE))
    assert page.evaluate(BARRIERS) == []
    context.close()

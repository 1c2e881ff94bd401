"""The report of a curation: it tells the truth of its numbers, shows no prompt, and can be read in a browser, light and dark."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from instructloop.curate.funnel import StageReport
from instructloop.curate.settings import Curation
from instructloop.curate.sizes import size_table
from instructloop.evals.report.curation_page import CurationSummary, curation_html, explanations, write_curation_report
from instructloop.evals.report.funnel_picture import foot_row, stage_row
from instructloop.records import Prompt

AXE = Path(__file__).parents[1] / "axe_core" / "axe.min.js"
BARRIERS = "async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))])"
TOO_WIDE = """() => [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll *, .unseen'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1).map(e => e.outerHTML.slice(0, 120))"""


def summary(**changes: Any) -> CurationSummary:
    """A curation of 1,000 prompts of which 700 stay, one of them few-shot with three examples."""
    stages = (
        StageReport(stage="consent", came=1000, kept=900, reasons={"no consent": 100}, users=40, seconds=0.1),
        StageReport(stage="pii", came=900, kept=880, reasons={"dropped: <card>": 20}, changes={"masked: email": 7}, users=1, seconds=2.0),
        StageReport(stage="exact", came=880, kept=700, reasons={"the same text": 180}, users=90, seconds=0.2),
        StageReport(stage="split", came=700, kept=700, changes={"train, 60 users": 700}, seconds=0.0),
        StageReport(stage="few_shot", came=700, kept=702, changes={"expanded": 1}, seconds=0.0),
    )
    asked = {"train": [Prompt(id=str(n), text="t", user_id="u", source="playground") for n in range(5)]}
    given = {"stages": stages, "prompts": {"train": 602, "valid": 100}, "users": {"train": 50, "valid": 10}, "demonstrations": {"train": 3}}
    return CurationSummary(**{**given, "sizes": size_table({"PPO": asked}), "settings": Curation(), "command": "instructloop curate <x>", **changes})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("curation") / "report.html"
    write_curation_report(summary(), path)
    return path.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read(browser: Any, address: str, theme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(TOO_WIDE) == []
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(BARRIERS) == []
    assert asked == [address]
    context.close()


def test_the_numbers_add_up_and_what_comes_from_data_is_text() -> None:
    page = curation_html(summary())
    assert "<title>700 of 1,000 prompts may be used</title>" in page
    assert "dropped: &lt;card&gt;" in page
    assert "curate &lt;x&gt;" in page
    assert re.search(r"−20</span> from 1 user\b", page)
    assert "1 users" not in page
    assert "−180</span> from 90 users" in page
    assert "2 more" in page
    assert "<td>300</td><td>30.00%</td>" in page
    assert "No user fell into the split test." in page
    assert "3 demonstrations for train" in page
    assert "<script" not in page


def test_without_a_split_the_stream_does_not_part() -> None:
    stages = (StageReport(stage="cap", came=9, kept=9, seconds=0.0),)
    page = curation_html(summary(stages=stages, prompts={"all": 9}, users={"all": 2}, demonstrations={}))
    assert "9 of 9 prompts may be used" in page
    assert 'class="foot"' not in page
    assert "No user fell" not in page


def test_the_stream_is_as_wide_as_there_are_prompts() -> None:
    row = stage_row(500, 250, 1000)
    edges = [float(x) for x in re.findall(r'class="stream" d="M([\d.]+) 0.*?C[\d. ]+ ([\d.]+) 100L([\d.]+) 100C.*? ([\d.]+) 38L', row)[0]]
    assert edges == [250.0, 375.0, 625.0, 750.0], "half the width above, a quarter below, in the middle"
    assert row.count('class="lost"') == 2
    assert 'class="lost"' not in stage_row(5, 5, 10)
    starts = [float(x) for x in re.findall(r'split-\d" d="M([\d.]+) 0', foot_row({"train": 60, "valid": 20}, 100))]
    assert starts == [100.0, 700.0], "side by side in the middle: 600 and 200 wide"
    assert foot_row({}, 0).endswith("></svg>")


def test_every_stage_is_explained_with_its_knobs() -> None:
    told = explanations(Curation(per_user=7, prefix_share=0.5, languages=("en", "de")))
    assert told["cap"] == "at most 7 of one user"
    assert "50% of the shorter one" in told["prefix"]
    assert told["language"].startswith("in en or de")

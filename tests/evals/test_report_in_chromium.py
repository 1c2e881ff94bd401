"""The report in a real browser, light and dark, on a phone and on a desk: no barrier, no overflow, no script, no request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from evals.demo_run import report_inputs, results
from instructloop.evals.report.page import write_report

AXE = Path(__file__).parents[1] / "axe_core" / "axe.min.js"
BARRIERS = "async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))])"
TOO_WIDE = """() => [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll *, .unseen'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1).map(e => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(results(), report_inputs(), path)
    return path.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read(browser: Any, address: str, theme: str, width: int):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(TOO_WIDE) == []
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(BARRIERS) == []
    assert page.evaluate("window.stolen") is None
    assert asked == [address]
    context.close()


def test_the_themes_differ_and_the_phone_has_its_own_picture(browser: Any, address: str):
    seen: dict[tuple[str, int], tuple[str, bool]] = {}
    for theme, width in (("light", 1280), ("dark", 390)):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        page.goto(address)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen[theme, width] = (paper, page.locator(".loop-tall").is_visible())
        page.close()
    assert seen["light", 1280] == ("rgb(251, 250, 246)", False)
    assert seen["dark", 390] == ("rgb(22, 23, 26)", True)

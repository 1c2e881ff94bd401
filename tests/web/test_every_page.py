"""Every page of the site, filled by the example and empty, in a real browser: no barriers, nothing sideways, nothing from elsewhere."""

import re
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.kinds import KINDS
from instructloop.store.database.sessions import start_session
from instructloop.store.database.spot_checks import check_submission
from web.benches import AXE, BARRIERS
from web.example_site import Address, ExampleSite
from web.people import HERE, browsing
from web.scripted import PASSWORD, Stage, served
from web.test_roles import RULES, routes, things_of

EMPTY = (
    "/playground", "/data", "/labeling", "/labeling/own", "/self-assessment", "/admin", "/admin/agreement", "/admin/queues", "/admin/review",
    "/admin/leases", "/admin/spot-checks", "/admin/screening", "/admin/guides", "/admin/models", "/admin/jobs", "/admin/exports",
)  # fmt: skip
"""Pages that say something else where there is nothing to show."""


def test_no_page_is_forgotten(site: Stage, example: ExampleSite) -> None:
    """A route that answers with a page must be among the addresses that are looked at."""
    pages = set[str]()
    for method, template in routes(site.app):
        if method == "GET":
            rule = RULES[method, template]
            with browsing(site, None if rule.visitor == 200 else "administrator") as client:
                found = client.http.get(things_of(site, "administrator", template).path(template), follow_redirects=False)
            if found.status_code == 200 and found.headers["content-type"].startswith("text/html"):
                pages.add(template)
    assert {one.template for one in example.addresses()} - {""} == pages


def test_every_submission_can_be_spot_checked(example: ExampleSite) -> None:
    """Of whichever kind it is: each has another form, and which one is drawn is left to chance."""
    lead, checked = example.people["Lena"], list[str]()
    token, _ = start_session(example.store, lead, client="a browser")
    with httpx.Client(base_url=example.url, cookies={"session": token}, headers=HERE) as client:
        while "Nothing to check" not in (page := client.get("/admin/spot-checks")).text:
            assert page.status_code == 200
            checked += re.findall(r'name="submission" value="(\w+)"', page.text)
            check_submission(example.store, lead, checked[-1], fine=True)
    query = sa.select(schema.queues.c.kind).join_from(schema.queues, schema.tasks).join(schema.submissions)
    with example.store.reading() as connection:
        assert set(connection.execute(query.where(schema.submissions.c.id.in_(checked))).scalars()) == set(KINDS)


WAYS = [("light", 390), *(pytest.param(*way, marks=pytest.mark.slow) for way in (("dark", 1280), ("light", 1280), ("dark", 390)))]


@pytest.mark.parametrize(("theme", "width"), WAYS)
def test_every_page_is_without_barriers(example: ExampleSite, browser: Any, theme: str, width: int) -> None:
    asked = list[str]()
    addresses = example.addresses()
    for who in dict.fromkeys(one.who for one in addresses):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
        if who is not None:
            example.log_in(context, who)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for one in addresses:
            if one.who == who:
                look(page, example.url, one, width)
        context.close()
    assert {request for request in asked if not request.startswith(example.url)} == set()


@pytest.mark.parametrize(("theme", "width"), WAYS)
def test_an_empty_site_says_what_to_do(site: Stage, browser: Any, theme: str, width: int) -> None:
    with served(site.app) as url:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
        page = context.new_page()
        page.goto(f"{url}/login")
        page.fill("#name", "administrator")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(".menu-name")
        for path in EMPTY:
            look(page, url, Address(who="administrator", path=path, template=path, what="empty"), width)
        context.close()


def look(page: Any, url: str, one: Address, width: int) -> None:
    """The page has a name of its own and one heading, axe finds nothing, nothing reaches over the edge, and every chart has its numbers below it."""
    page.goto(url + one.path)
    if one.template == "/labeling/queues/{id}" and page.query_selector("#work"):
        page.wait_for_selector("body[data-ready]")
    page.evaluate("for (const one of document.querySelectorAll('details.numbers')) one.open = true")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(BARRIERS) == [], one
    assert page.evaluate("document.documentElement.scrollWidth") <= width, one
    assert page.title().removesuffix(" · instructloop"), one
    assert page.locator("h1").count() == 1, one
    assert page.evaluate("[...document.querySelectorAll('.plot-frame')].every(one => one.parentElement.querySelector('.numbers td'))"), one

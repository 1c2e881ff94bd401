"""Every page of the administration in a real browser, filled by the example: no barriers, nothing sideways, nothing from elsewhere."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from browser import chromium
from instructloop.errors import UserError
from instructloop.loop.example.completer import NAME, ExampleCompleter
from instructloop.loop.example.filling import Example, fill
from instructloop.store.database import schema
from instructloop.store.database.leases import lease_next
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.oversight import lease_rows
from instructloop.store.database.roles import account_of
from instructloop.web.app import make_app
from instructloop.web.settings import SiteSettings
from web.scripted import served

AXE = Path(__file__).parents[1] / "axe_core" / "axe.min.js"
BARRIERS = "async () => (await axe.run()).violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))])"
PAGES = (
    "/admin", "/admin/agreement", "/admin/queues", "/admin/queues/{queue}", "/admin/review", "/admin/leases", "/admin/spot-checks",
    "/admin/screening", "/admin/guides", "/admin/guides/{guide}", "/admin/people", "/admin/people/{person}", "/admin/exports", "/admin/models",
    "/admin/models/example-ppo", "/admin/jobs", "/admin/audit", "/self-assessment",
)  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Example]:
    path = tmp_path_factory.mktemp("example") / "feedback.db"
    store = open_store(path)
    made = fill(store)
    store.close()
    return path, made


@pytest.fixture
def example(filled: tuple[Path, Example], tmp_path: Path) -> Iterator[tuple[Store, str, str]]:
    shutil.copy(filled[0], tmp_path / "feedback.db")
    store = open_store(tmp_path / "feedback.db")
    with served(make_app(store, {NAME: ExampleCompleter()}, SiteSettings())) as url:
        yield store, url, filled[1].password
    store.close()


def ids(store: Store) -> dict[str, str]:
    with store.reading() as connection:
        queue = connection.execute(sa.select(schema.queues.c.id).where(schema.queues.c.name == "Rank answers")).scalar_one()
        guide = connection.execute(sa.select(schema.guides.c.id)).scalars().first()
        person = connection.execute(sa.select(schema.accounts.c.id).where(schema.accounts.c.name == "Dana")).scalar_one()
    return {"queue": queue, "guide": guide or "", "person": person}


def log_in(page: Any, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/login")
    page.fill("#name", name)
    page.fill("#password", password)
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    page.wait_for_selector(".menu-name")


@pytest.mark.parametrize(
    ("theme", "width"),
    [("light", 390), pytest.param("dark", 1280, marks=pytest.mark.slow), pytest.param("light", 1280, marks=pytest.mark.slow),
     pytest.param("dark", 390, marks=pytest.mark.slow)],
)  # fmt: skip
def test_every_page_is_without_barriers(example: tuple[Store, str, str], theme: str, width: int) -> None:
    store, url, password = example
    with chromium() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
        page, asked, errors = context.new_page(), list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        log_in(page, url, "Ada", password)
        for path in PAGES:
            assert page.goto(url + path.format(**ids(store))).status == 200, path
            for details in page.query_selector_all("details.numbers"):
                details.evaluate("one => one.open = true")
            page.evaluate(AXE.read_text(encoding="utf-8"))
            assert page.evaluate(BARRIERS) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert {request for request in asked if not request.startswith(url)} == set()
        assert errors == []


def test_several_leases_are_ticked_and_freed(example: tuple[Store, str, str]) -> None:
    store, url, password = example
    with store.reading() as connection:
        people = {row["name"]: account_of(row) for row in connection.execute(sa.select(schema.accounts)).mappings()}
        queues = connection.execute(sa.select(schema.queues.c.id)).scalars().all()
    lead = people["Lena"]
    for name in ("Ben", "Chidi", "Dana", "Emil"):  # who holds what in the example is drawn anew each time
        for queue in queues:
            with contextlib.suppress(UserError):  # who has not read a guide is given nothing
                lease_next(store, people[name], queue)
    assert len(lease_rows(store, lead)) > 1
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(8000)
        log_in(page, url, "Lena", password)
        page.goto(f"{url}/admin/leases")
        page.check("[data-all]")
        assert page.text_content("[data-picked]") == f"{len(lease_rows(store, lead))} ticked"
        page.click("button[value=free]")
        page.wait_for_selector("text=Nobody holds a task")
    assert lease_rows(store, lead) == []

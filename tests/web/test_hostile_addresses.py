"""What no row can hold stands in an address or a form: an answer that says so, on both databases, and never an error of the server."""

import re

import pytest
from fastapi.routing import APIRoute

from instructloop.store.database.accounts import create_account
from instructloop.store.database.opening import open_store
from instructloop.store.database.roles import ROLES
from instructloop.web.api import routes as api
from instructloop.web.app import PAGES, make_app
from instructloop.web.settings import SiteSettings
from store_world import PlaceMaker, empty_sqlite, new_place, place, postgres, postgres_stores
from web.people import Browser, browsing
from web.scripted import PASSWORD, Stage

__all__ = ["PlaceMaker", "empty_sqlite", "new_place", "place", "postgres", "postgres_stores"]


@pytest.fixture
def site(place: str):
    store = open_store(place)
    people = {role: create_account(store, None, name=role, role=role, password=PASSWORD) for role in ROLES}
    made = Stage(store, make_app(store, {}, SiteSettings()), {})
    made.people = people
    yield made
    store.close()


def asked(browser: Browser, method: str, word: str) -> dict[str, int]:
    """Path -> status of every route that names something, if it is called that."""
    routes = [route for router in (*PAGES, api.router) for route in router.routes if isinstance(route, APIRoute)]
    named = [route.path for route in routes if method in route.methods and "{" in route.path]
    assert len(named) > 5
    found: dict[str, int] = {}
    for path in named:
        address = re.sub(r"\{[^}]*\}", word, path)
        answer = browser.http.get(address) if method == "GET" else browser.submit(address)
        found[path] = answer.status_code
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_name_is_an_error_of_the_server(site: Stage, method: str) -> None:
    with browsing(site, "administrator") as browser:
        for word in ("%00", "a%00b", "%F0%9F%91%91", "x" * 3000, "99999999999999999999"):
            assert {path: status for path, status in asked(browser, method, word).items() if status >= 500} == {}, word


def test_nor_is_any_question(site: Stage) -> None:
    with browsing(site, "administrator") as browser:
        for path in ("/data?before=%00", "/playground?prompt=a%00", "/admin/audit?before=%00", "/admin/people?after=%00"):
            assert browser.http.get(path).status_code < 500, path


def test_nor_is_any_name_at_the_door(site: Stage) -> None:
    with browsing(site) as browser:
        assert browser.submit("/login", name="a\0b", password="x\0").status_code < 500
        for path in ("/invitation/%00", "/invitation/a%00b"):
            assert browser.http.get(path).status_code in (400, 404)


def test_nor_is_any_name_that_a_script_sends(site: Stage) -> None:
    with browsing(site, "playground") as browser:
        headers = {"X-Form-Token": browser.token(), "Content-Type": "application/json", "Accept": "application/json"}
        for name in (r"\u0000", r"\ud800", r"a\udfffb", r"\u202e"):
            for path, about in (("thumbs", '"answer": "x", "up": true'), ("comparisons", '"answers": ["x", "y"], "better": null')):
                answer = browser.http.post(f"/playground/{path}", content=f'{{"prompt": "{name}", {about}}}', headers=headers)
                assert answer.status_code in (400, 404), (path, name)


@pytest.mark.parametrize("setting", ["overlap", "lease_seconds", "gold_rate"])
def test_nor_is_any_number(site: Stage, setting: str) -> None:
    with browsing(site, "administrator") as browser:
        for number in ("9" * 20, "9" * 400, "3000000000", "-1", "1e400", "1.0e400", "nan", "many"):
            made = browser.submit("/admin/queues", **{"name": "q", "kind": "ranking", "mode": "training", setting: number})
            assert made.status_code == 400, number
            assert browser.submit("/admin/review", task="none", act="requeue", overlap=number).status_code in (400, 404), number

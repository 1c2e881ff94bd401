"""Coming in: the first link, invitations, logging in, and what must not be carried over."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from instructloop.store.database.invitations import first_administrator_link, invite
from instructloop.store.database.opening import open_store
from instructloop.store.database.sessions import session_of
from instructloop.web.app import make_app
from instructloop.web.rates import MAX_NAMES, RateLimit
from instructloop.web.settings import SiteSettings
from web.people import browsing
from web.scripted import PASSWORD, Stage


def test_the_first_link_makes_the_administrator_once(tmp_path: Path) -> None:
    store = open_store(tmp_path / "new.db")
    site = Stage(store, make_app(store, {}, SiteSettings()), {})
    token = first_administrator_link(store)
    with browsing(site) as browser:
        page = browser.http.get(f"/invitation/{token}")
        assert "Create the first account" in page.text
        fields = {"name": "Grace", "password": PASSWORD, "repeat": PASSWORD}
        assert browser.submit(f"/invitation/{token}", **fields).headers["location"] == "/"
        assert browser.http.get("/admin/people").status_code == 200
        assert browser.http.get(f"/invitation/{token}").status_code == 404
    assert first_administrator_link(store) is None
    store.close()


def test_an_invitation_that_is_not_filled_in_rightly_can_be_tried_again(site: Stage) -> None:
    token, _ = invite(site.store, site.people["administrator"], "labeler")
    path = f"/invitation/{token}"
    with browsing(site) as browser:
        for name, password, repeat, said in (
            ("new", PASSWORD, "other", "The two passwords differ"),
            ("ADA", PASSWORD, PASSWORD, "is taken"),
            ("new", "short", "short", "A password of 5 characters"),
            ("  ", PASSWORD, PASSWORD, "The name is empty"),
        ):
            answer = browser.submit(path, name=name, password=password, repeat=repeat)
            assert answer.status_code == 400
            assert said in answer.text
            assert PASSWORD not in answer.text
        assert browser.submit(path, name="new", password=PASSWORD, repeat=PASSWORD).status_code == 303
        assert browser.submit(path, name="newer", password=PASSWORD, repeat=PASSWORD).status_code == 404


def test_old_links_and_invented_ones_are_no_good(site: Stage) -> None:
    old, _ = invite(site.store, site.people["administrator"], "labeler", lifetime=timedelta(seconds=-1))
    with browsing(site) as browser:
        for token in (old, "x", "..%2f..", "%00"):
            assert browser.http.get(f"/invitation/{token}").status_code == 404


def test_a_session_that_was_planted_is_not_taken_over(site: Stage) -> None:
    """Fixation: whoever knows the cookie from before the login must know nothing after it."""
    with browsing(site, "bob") as bob:
        planted = bob.http.cookies["session"]
        with browsing(site) as victim:
            victim.http.cookies.set("session", planted, domain="127.0.0.1")
            victim.http.get("/logout")
            token = re.search(r'name="form-token" content="(\w+)"', victim.http.get("/account").text)
            assert token
            fields = {"form_token": token[1], "name": "ada", "password": PASSWORD}
            given = victim.http.post("/login", data=fields, follow_redirects=False).headers["set-cookie"]
            assert planted not in given
        assert session_of(site.store, planted) is None


def test_every_login_is_a_new_session_and_logging_out_ends_it(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        first = browser.http.cookies["session"]
        browser.submit("/logout")
        assert session_of(site.store, first) is None
        browser.submit("/login", name="ada", password=PASSWORD)
        assert browser.http.cookies["session"] != first
        assert len(first) >= 40


def test_a_new_password_ends_every_session_but_this_one(site: Stage) -> None:
    with browsing(site, "ada") as here, browsing(site, "ada") as there:
        fields = {"password": PASSWORD + "!", "repeat": PASSWORD + "!"}
        assert "present password is not right" in here.submit("/account/password", old="wrong", **fields).text
        assert "two passwords differ" in here.submit("/account/password", old=PASSWORD, password="a" * 12, repeat="b" * 12).text
        before = here.http.cookies["session"]
        assert here.submit("/account/password", old=PASSWORD, **fields).status_code == 303
        assert here.http.get("/account").status_code == 200
        assert here.http.cookies["session"] != before
        assert there.http.get("/account", follow_redirects=False).status_code == 303


def test_whoever_finds_a_browser_open_cannot_guess_the_password_without_end(site: Stage) -> None:
    fields = {"password": PASSWORD + "!", "repeat": PASSWORD + "!"}
    with browsing(site, "ada") as here:
        for _ in range(6):  # too short a new one is no guess
            assert here.submit("/account/password", old=PASSWORD, password="short", repeat="short").status_code == 400
        statuses = [here.submit("/account/password", old=f"guess {number}", **fields).status_code for number in range(6)]
        assert statuses == [400] * 5 + [429]
        refused = here.submit("/account/password", old=PASSWORD, **fields)
        assert (refused.status_code, int(refused.headers["retry-after"]) > 200) == (429, True)


def test_ending_a_session_and_revoking_a_key_take_effect_at_once(site: Stage) -> None:
    with browsing(site, "ada") as here, browsing(site, "ada") as there:
        other = session_of(site.store, there.http.cookies["session"])
        assert other is not None
        here.submit(f"/account/sessions/{other.id}/end")
        assert there.http.get("/account", follow_redirects=False).status_code == 303

        here.submit("/account/keys", name="notebook", store="true")
        page = here.http.get("/account").text
        key = re.search(r"<code>(il-[\w-]+)</code>", page)
        assert key
        assert key[1] not in here.http.get("/account").text, "shown once"
        bearer = {"Authorization": f"Bearer {key[1]}"}
        assert here.http.get("/v1/models", headers=bearer).status_code == 200
        id_ = re.search(r"/account/keys/(\w+)/revoke", page)
        assert id_
        here.submit(f"/account/keys/{id_[1]}/revoke")
        assert here.http.get("/v1/models", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "",
        "/\r/x",
    ],
)
def test_logging_in_leads_to_this_site_only(site: Stage, target: str) -> None:
    with browsing(site) as browser:
        assert browser.submit("/login", name="ada", password=PASSWORD, to=target).headers["location"] == "/"
        assert browser.http.get("/login", params={"to": target}, follow_redirects=False).headers["location"] == "/"
        assert browser.submit("/theme", theme="dark", to=target).headers["location"] == "/"


def test_logging_in_leads_back_to_where_one_was(site: Stage) -> None:
    with browsing(site) as browser:
        away = browser.http.get("/data?before=2026-01-01T00:00:00Z", follow_redirects=False).headers["location"]
        assert away == "/login?to=%2Fdata%3Fbefore%3D2026-01-01T00%3A00%3A00Z"
        assert 'value="/data?before=2026-01-01T00:00:00Z"' in browser.http.get(away).text
        assert browser.submit("/login", name="ada", password=PASSWORD, to="/data?x=1").headers["location"] == "/data?x=1"


def test_names_are_not_told_apart_and_guessing_is_slowed(site: Stage) -> None:
    with browsing(site) as browser:
        wrong = browser.submit("/login", name="ada", password="wrong")
        unknown = browser.submit("/login", name="nobody", password="wrong")
        assert wrong.status_code == unknown.status_code == 401
        assert wrong.text.replace("ada", "") == unknown.text.replace("nobody", "")
        statuses = [browser.submit("/login", name="Ada ", password="wrong").status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 401, 429]
        refused = browser.submit("/login", name="ada", password=PASSWORD)
        assert refused.status_code == 429
        assert 290 <= int(refused.headers["retry-after"]) <= 301
        assert browser.submit("/login", name="bob", password=PASSWORD).status_code == 303


def test_right_passwords_are_never_too_many(site: Stage) -> None:
    """An office behind one address logs in every morning."""
    with browsing(site) as browser:
        for _ in range(30):
            assert browser.submit("/login", name="ada", password=PASSWORD).status_code == 303
            browser.submit("/logout")


def test_a_window_slides_and_names_do_not_pile_up() -> None:
    now = [0.0]
    limit = RateLimit(3, 10, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.take("a") == 10
    now[0] = 4
    assert limit.take("a") == 6
    now[0] = 10
    assert limit.take("a", 3) == 0
    assert limit.take("b", 4) > 0, "more than is ever allowed"
    for name in range(MAX_NAMES + 10):
        limit.take(str(name))
    assert len(limit._events) == MAX_NAMES


def test_the_theme_is_remembered(site: Stage) -> None:
    with browsing(site) as browser:
        assert '<html lang="en">' in browser.http.get("/login").text
        browser.submit("/theme", theme="dark")
        assert '<html lang="en" data-theme="dark">' in browser.http.get("/login").text
        browser.submit("/theme", theme='"><script>')
        assert '<html lang="en">' in browser.http.get("/login").text
        browser.http.cookies.set("theme", '"><script>alert(1)</script>', domain="127.0.0.1")
        assert "alert(1)" not in browser.http.get("/login").text


def test_a_page_that_tells_of_a_mistake_keeps_its_tabs(site: Stage) -> None:
    with browsing(site, "ada") as browser:
        page = browser.http.get("/nothing")
        assert page.status_code == 404
        assert "Nothing is here" in page.text
        assert "Logged in as ada" in page.text


def test_a_database_that_is_away_is_told_as_such(site: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OperationalError("select 1", {}, Exception("database is locked"))

    with browsing(site, "ada") as browser:
        monkeypatch.setattr("instructloop.web.visits.session_of", away)
        monkeypatch.setattr("instructloop.web.api.keys.key_of", away)
        page = browser.http.get("/account")
        assert (page.status_code, page.headers["retry-after"]) == (503, "2")
        assert "The database does not answer" in page.text
        api = browser.http.get("/v1/models", headers={"Authorization": "Bearer il-x"})
        assert (api.status_code, api.json()["error"]["code"], api.headers["retry-after"]) == (503, "unavailable", "2")


def test_whoever_is_turned_away_for_the_crowd_at_their_address_has_not_failed(site: Stage) -> None:
    limits = site.app.state.site
    assert limits.failures_by_address.take("127.0.0.1", limits.failures_by_address.limit) == 0
    with browsing(site) as browser:
        for _ in range(limits.failures.limit + 1):
            assert browser.submit("/login", name="ada", password=PASSWORD).status_code == 429
    assert limits.failures.take("127.0.0.1 ada", limits.failures.limit) == 0


def test_everybody_begins_where_their_work_is(site: Stage) -> None:
    for name, start in (("labeler", "/labeling"), ("ada", "/playground"), ("lead", "/playground")):
        with browsing(site, name) as browser:
            assert browser.http.get("/", follow_redirects=False).headers["location"] == start

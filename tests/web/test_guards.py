"""The guards before every route. Each test fails if its guard is taken away."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from instructloop.web.settings import SiteSettings
from web.people import HERE, browsing
from web.scripted import PASSWORD, Stage, served, stage

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def visitor(site: Stage, *, base: str = "http://127.0.0.1", client: str = "127.0.0.1") -> TestClient:
    return TestClient(site.app, base_url=base, client=(client, 5000), headers=HERE)


@pytest.mark.parametrize("path", ["/login", "/nothing", "/v1/models", "/static/page.css", "/openapi.json", "/health", "/static/../app.py"])
def test_every_response_has_the_headers(site: Stage, path: str) -> None:
    response = visitor(site).get(path)
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] in ("no-store", "no-cache")


def test_a_mistake_of_ours_has_them_too_and_tells_nothing(site: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("instructloop.web.pages.entrance.local_path", lambda _: 1 / 0)
    response = visitor(site).get("/login")
    assert response.status_code == 500
    assert response.headers["content-security-policy"] == POLICY
    assert "ZeroDivision" not in response.text
    assert "ZeroDivision" in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1].evil"])
def test_hosts_of_others_are_refused(site: Stage, host: str) -> None:
    assert visitor(site).get("/health", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:8000"])
def test_this_machine_has_several_names(site: Stage, host: str) -> None:
    assert visitor(site).get("/login", headers={"Host": host}).status_code == 200


def test_plain_http_is_for_this_machine_alone(tmp_path: Path) -> None:
    site = stage(tmp_path, settings=SiteSettings(public_url="https://loop.example"))
    assert visitor(site, client="10.0.0.7").get("/login").status_code == 403
    assert visitor(site, base="http://loop.example").get("/login").status_code == 403
    assert visitor(site, base="http://10.0.0.9", client="10.0.0.7").get("/v1/models").json()["error"]["code"] == "needs_https"
    assert visitor(site, client="10.0.0.7").get("/health").status_code == 200
    assert visitor(site, base="https://loop.example", client="10.0.0.7").get("/login").status_code == 200


def test_where_it_is_allowed_a_banner_says_so(tmp_path: Path) -> None:
    site = stage(tmp_path, settings=SiteSettings(insecure_http=True))
    page = visitor(site, base="http://10.0.0.9", client="10.0.0.7").get("/login")
    assert page.status_code == 200
    assert "can be read on the way" in page.text
    assert "can be read on the way" not in visitor(site, base="https://10.0.0.9").get("/login").text


def test_cookies_over_https_belong_to_this_host(tmp_path: Path) -> None:
    site = stage(tmp_path, settings=SiteSettings(public_url="https://loop.example"))
    browser = visitor(site, base="https://loop.example", client="10.0.0.7")
    cookie = browser.get("/login").headers["set-cookie"]
    assert cookie.startswith("__Host-visitor=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= {part.strip() for part in cookie.split(";")}
    assert "max-age=31536000" in browser.get("/login").headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"}, False),
        ({"Origin": "http://127.0.0.1"}, True),
        ({"Origin": "https://127.0.0.1"}, False),
        ({"Origin": "http://127.0.0.1:81"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
def test_forms_of_other_sites_are_refused(site: Stage, headers: dict[str, str], allowed: bool) -> None:
    """The form token is right in every case: it is the origin alone that is tested."""
    with browsing(site, "ada") as browser:
        token = browser.token()
        del browser.http.headers["Sec-Fetch-Site"]
        response = browser.http.post("/logout", data={"form_token": token}, headers=headers, follow_redirects=False)
    assert response.status_code == (303 if allowed else 403)


def test_forms_without_their_token_are_refused(site: Stage) -> None:
    with browsing(site, "ada") as ada, browsing(site, "bob") as bob:
        for token in ("", "0" * 64, bob.token(), "\ud800".encode("utf-8", "replace").decode()):
            assert ada.http.post("/logout", data={"form_token": token}, follow_redirects=False).status_code == 403
            assert ada.http.post("/playground/thumbs", json={}, headers={"X-Form-Token": token}).status_code == 403
        assert ada.http.post("/logout", follow_redirects=False).status_code == 403
        assert ada.http.post("/logout", files={"form_token": b"x"}, follow_redirects=False).status_code == 403
        assert ada.http.get("/account").status_code == 200


def test_a_token_dies_with_its_session(site: Stage) -> None:
    with browsing(site) as browser:
        before = browser.token()
        browser.submit("/login", name="ada", password=PASSWORD)
        assert browser.token() != before
        assert browser.http.post("/logout", data={"form_token": before}, follow_redirects=False).status_code == 403


@pytest.fixture
def small(tmp_path: Path) -> Iterator[str]:
    """A site that takes 10,000 bytes within half a second."""
    site = stage(tmp_path, settings=SiteSettings(max_body=10_000, body_seconds=0.5))
    with served(site.app) as address:
        yield address
    site.store.close()


def test_large_bodies_are_refused_before_they_are_read(small: str) -> None:
    host, port = small.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10001\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_large_bodies_of_unknown_length_are_cut_off(small: str) -> None:
    response = httpx.post(f"{small}/v1/completions", content=(b"x" * 1000 for _ in range(50)))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "too_large"


def test_slow_bodies_are_dropped(small: str) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x"
            time.sleep(0.1)

    began = time.monotonic()
    with contextlib.suppress(httpx.WriteError):  # where the server has hung up already
        assert httpx.post(f"{small}/login", content=slowly()).status_code == 408
    assert time.monotonic() - began < 2


def test_slow_bodies_do_not_hold_up_others(small: str) -> None:
    host, port = small.removeprefix("http://").split(":")
    connections = [socket.create_connection((host, int(port))) for _ in range(50)]
    for connection in connections:
        connection.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nx")
    assert httpx.get(f"{small}/health", timeout=2).status_code == 200
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("length", ["-1", "1e3", "ten", "1,2"])
def test_lengths_that_are_no_lengths(small: str, length: str) -> None:
    host, port = small.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/....//app.py", "/static//etc/passwd", "/static/%00", "/static/"],
)
def test_no_path_leads_out_of_the_static_files(site: Stage, path: str) -> None:
    with served(site.app) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:  # a client library would tidy the path
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split()[1] in (b"404", b"400", b"405")
    assert b"make_app" not in answer
    assert b"root:" not in answer


def test_no_header_is_injected(site: Stage) -> None:
    with browsing(site) as browser:
        for target in ("/x\r\nSet-Cookie: a=b", "/x%0d%0aSet-Cookie:a=b", "/\nx"):
            response = browser.submit("/login", name="ada", password=PASSWORD, to=target)
            assert response.status_code == 303
            assert not any("a=b" in value for value in response.headers.get_list("set-cookie"))
            assert "\n" not in response.headers["location"]
            browser.submit("/logout")


def test_the_same_attempts_in_parallel_do_not_slip_past_the_limit(site: Stage) -> None:
    statuses: list[int] = []
    with browsing(site) as browser:
        token = browser.token()

        def attempt() -> None:
            statuses.append(browser.http.post("/login", data={"form_token": token, "name": "ada", "password": "wrong"}).status_code)

        threads = [threading.Thread(target=attempt) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [401] * 5 + [429] * 7

"""Browsers of people: logged in, with the form token of their pages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.testclient import TestClient

from web.scripted import PASSWORD, Stage

TOKEN = re.compile(r'name="form-token" content="([0-9a-f]{64})"')
HERE = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


class Browser:
    """A person's browser on this machine."""

    def __init__(self, client: TestClient) -> None:
        self.http = client

    def token(self) -> str:
        """The form token of this browser, as any page has it."""
        found = TOKEN.search(self.http.get("/login", follow_redirects=True).text)
        assert found, "a page with a form token"
        return found[1]

    def submit(self, path: str, **fields: str):
        """Send a form as the page would."""
        return self.http.post(path, data={"form_token": self.token(), **fields}, follow_redirects=False)

    def send(self, path: str, body: object, **headers: str):
        """Send JSON as a page's script would; headers with underscores for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, json=body, headers={"X-Form-Token": self.token(), "Accept": "application/json", **given})


@contextmanager
def browsing(site: Stage, name: str | None = None) -> Iterator[Browser]:
    """A browser; logged in if there is a name."""
    with TestClient(site.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000), headers=HERE) as client:
        browser = Browser(client)
        if name is not None:
            assert browser.submit("/login", name=name, password=PASSWORD).status_code == 303
        yield browser

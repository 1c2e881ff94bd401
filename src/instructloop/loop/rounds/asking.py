"""Users who ask a site: with an API key as any program would, and with name and password as the page's own script does."""

import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from instructloop.errors import DataError, ModelUnavailable
from instructloop.web.consent import notice_version

TOGETHER = 8
"""Prompts of one request."""
TIMEOUT = 120.0
"""Seconds; the first answer of a model waits until it is loaded."""
FORM_TOKEN = re.compile(r'name="form-token" content="([0-9a-f]{64})"')
BUSY = 429


def ask_by_api(address: str, key: str, model: str, prompts: Sequence[str], *, max_tokens: int, seed: int = 0) -> Iterator[str]:
    """The answers, in order. Waits where the site says that it is busy; raises `ModelUnavailable` for any other refusal."""
    for start in range(0, len(prompts), TOGETHER):
        body = {"model": model, "prompt": list(prompts[start : start + TOGETHER]), "max_tokens": max_tokens, "seed": seed}
        answered = json.loads(_post(address, "/v1/completions", body, {"Authorization": f"Bearer {key}"}))
        yield from (choice["text"] for choice in sorted(answered["choices"], key=lambda choice: choice["index"]))


@dataclass
class PageUser:
    """A browser with a session, as far as the playground needs one."""

    address: str
    _cookies: dict[str, str] = field(default_factory=dict[str, str])

    def log_in(self, name: str, password: str) -> None:
        """Fill in the form; raises `DataError` if the site does not let them in."""
        status, _ = self._send("POST", "/login", urlencode({"form_token": self._form_token("/login"), "name": name, "password": password}), _FORM)
        if status != 303:
            raise DataError(f"the site answered {status} to {name}", expected="to be logged in", remedy="check name and password")

    def ask(self, model: str, prompt: str, *, max_tokens: int, train: bool = True) -> str:
        """Tick the boxes, ask, and read the answer as it comes; raises `ModelUnavailable` if it breaks off."""
        body = {"prompt": prompt, "models": [model], "temperature": 1.0, "top_p": 1.0, "max_tokens": max_tokens}
        body |= {"store": True, "train": train, "notice": notice_version()}
        headers = {"Content-Type": "application/json", "X-Form-Token": self._form_token("/playground")}
        while True:
            status, page = self._send("POST", "/playground/answers", json.dumps(body), headers)
            if status != BUSY:
                break
            time.sleep(1)
        events = [json.loads(line.removeprefix("data: ")) for line in page.splitlines() if line.startswith("data: ")]
        if status != 200 or not events or events[-1]["type"] != "done":
            raise ModelUnavailable(f"the site answered {status}, and the answer did not come to its end")
        return "".join(event["text"] for event in events if event["type"] == "piece")

    def _form_token(self, path: str) -> str:
        _, page = self._send("GET", path, "", {})
        found = FORM_TOKEN.search(page)
        if found is None:
            raise DataError(f"{path} holds no form token", expected="a page of the site", remedy="log in first, and check the address")
        return found[1]

    def _send(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> tuple[int, str]:
        sent = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html", **headers}
        if self._cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        response, text = _exchange(self.address, method, path, body, sent)
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return response.status, text


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _post(address: str, path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> str:
    while True:
        response, text = _exchange(address, "POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        if response.status == 200:
            return text
        if response.status != BUSY:
            raise ModelUnavailable(f"the site answered {response.status}: {text:.500}")
        time.sleep(float(response.headers.get("Retry-After") or 1))


def _exchange(address: str, method: str, path: str, body: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, str]:
    there = urlsplit(address)
    connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body.encode(), dict(headers))
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()

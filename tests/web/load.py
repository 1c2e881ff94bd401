"""Simulated labelers and playground users over HTTP: what they were told was kept, how long it took, what failed.

They ask what the pages ask, with the session, the form token and the headers of a browser.
"""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

TOKEN = re.compile(r'name="form-token" content="([0-9a-f]{64})"')
IDLE = 3.0
"""Seconds after which a connection is made anew, as browsers do: the server hangs up after five."""
PATIENCE = 60.0
"""Seconds after which somebody whose server does not come back gives up."""


class Gone(Exception):
    """The server hung up or is not there."""


@dataclass
class Tally:
    """What happened, over all people."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Kind of request -> how long each took that got a reply."""
    failures: list[str] = field(default_factory=list[str])
    """Replies that nobody should get."""
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    """Submission that the server said was kept -> lease."""
    hung_up: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def took(self, kind: str, seconds: float) -> None:
        with self.lock:
            self.seconds.setdefault(kind, []).append(seconds)

    def failed(self, what: str) -> None:
        with self.lock:
            self.failures.append(what)

    def kept(self, submission: str, lease: str) -> None:
        with self.lock:
            self.acknowledged[submission] = lease


class Person:
    """A person's browser: one connection, a session, the form token of their pages."""

    def __init__(self, port: int, name: str, password: str, tally: Tally) -> None:
        self.port, self.name, self.password, self.tally = port, name, password, tally
        self.connection: HTTPConnection | None = None
        self.cookies: dict[str, str] = {}
        self.token = ""
        self.used_at = 0.0

    def enter(self) -> None:
        """Log in."""
        self.patiently(self._enter)

    def ask(self, kind: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Send JSON as a page does; the status, and the JSON of the reply. Raises `Gone`."""
        given = {"Content-Type": "application/json", "X-Form-Token": self.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        began = time.perf_counter()
        status, text = self._request("POST", path, json.dumps(body), given)
        self.tally.took(kind, time.perf_counter() - began)
        return status, _json(text)

    def patiently(self, act: Callable[[], Any]) -> Any:
        """Try until the server is there again, as the page does."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return act()
            except Gone:
                self.tally.hung_up += 1
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _enter(self) -> None:
        found = TOKEN.search(self._request("GET", "/login", None, {})[1])
        assert found, "a login page"
        fields = {"name": self.name, "password": self.password, "form_token": found[1], "to": "/session"}
        while (status := self._request("POST", "/login", urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})[0]) == 429:
            time.sleep(0.5)  # so many at once from one address have to wait, whatever their passwords
        assert status == 303, status
        self.token = _json(self._request("GET", "/session", None, {})[1])["form_token"]

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, str]:
        if time.monotonic() - self.used_at > IDLE:
            self.close()
        self.used_at = time.monotonic()
        try:
            self.connection = self.connection or HTTPConnection("127.0.0.1", self.port, timeout=30)
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            self.connection.request(method, path, body, {"Sec-Fetch-Site": "same-origin", "Cookie": cookie, **headers})
            reply = self.connection.getresponse()
            text = reply.read().decode()
        except (OSError, HTTPException) as error:
            self.close()
            raise Gone from error
        for line in reply.headers.get_all("Set-Cookie", []):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return reply.status, text


def label(person: Person, queue: str, *, until: float, thinking: float = 0.0, seed: int = 0) -> None:
    """Rank answers as the page would: lease, two drafts, submission, again; to the moment `until`, or as long as there are tasks."""
    rng, given = random.Random(seed), True
    if not person.token:
        person.enter()
    while given and time.monotonic() < until:
        given = _one_task(person, queue, rng, thinking)
    person.close()


def chat(person: Person, model: str, *, until: float, pause: float, seed: int = 0) -> None:
    """Ask a model again and again, with storing allowed, and give a thumb for each answer."""
    rng = random.Random(seed)
    if not person.token:
        person.enter()
    ask = {"models": [model], "temperature": 1, "top_p": 1, "max_tokens": 32, "store": True, "train": False, "notice": "1"}
    while time.monotonic() < until:
        headers = {"Content-Type": "application/json", "X-Form-Token": person.token, "Accept": "text/event-stream"}
        began = time.perf_counter()
        status, text = person._request("POST", "/playground/answers", json.dumps({**ask, "prompt": f"Prompt {rng.random()}"}), headers)
        person.tally.took("answer", time.perf_counter() - began)
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        if status != 200 or not events or events[-1]["type"] != "done":
            person.tally.failed(f"answer {status} {text[-200:]}")
        else:
            thumb = {"prompt": events[0]["prompt"], "answer": events[-1]["answers"][0], "up": rng.random() < 0.5}
            status, reply = person.ask("thumb", "/playground/thumbs", thumb)
            if status != 200:
                person.tally.failed(f"thumb {status} {reply}")
        time.sleep(rng.uniform(0.5, 1.5) * pause)
    person.close()


def _one_task(person: Person, queue: str, rng: random.Random, thinking: float) -> bool:
    """True if there was a task to work on."""
    status, reply = person.patiently(lambda: person.ask("next", f"/labeling/queues/{queue}/next", {"beside": []}))
    if status != 200:
        person.tally.failed(f"next {status} {reply}")
        return False
    if reply["task"] is not None:
        _work(person, reply["task"], rng, thinking)
    return reply["task"] is not None


def _work(person: Person, task: dict[str, Any], rng: random.Random, thinking: float) -> None:
    names = [answer["name"] for answer in task["answers"]]
    version = task["draft"]["version"] if task["draft"] else 0
    for step in (1, 2):
        time.sleep(rng.uniform(0.5, 1.5) * thinking / 3)
        draft = {"answer": {"ranks": {name: rng.randint(1, len(names)) for name in names[: step * 2]}}}
        path, match = f"/labeling/leases/{task['lease']}/draft", f'"{version}"'
        status, reply = person.patiently(lambda path=path, draft=draft, match=match: person.ask("draft", path, {"body": draft}, If_Match=match))
        if status != 200:
            person.tally.failed(f"draft {status} {reply}")
            return
        version = reply["version"]
    time.sleep(rng.uniform(0.5, 1.5) * thinking / 3)
    body = {
        "ratings": {name: {"likert": rng.randint(1, 7), "flags": [], "note": ""} for name in names},
        "groups": _groups(names, rng),
        "better": None,
    }
    sent = {"body": body, "work": {"seconds": 1.0, "pasted": 0.0}}
    path = f"/labeling/leases/{task['lease']}/submission"
    status, reply = person.patiently(lambda: person.ask("submission", path, sent, Idempotency_Key=path))
    if status == 200:
        person.tally.kept(reply["submission"], task["lease"])
    else:
        person.tally.failed(f"submission {status} {reply}")


def _groups(names: list[str], rng: random.Random) -> list[list[str]]:
    ranks = {name: rng.randint(1, len(names)) for name in names}
    return [group for rank in range(1, len(names) + 1) if (group := [name for name in names if ranks[name] == rank])]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text[:200]}


def percentiles(seconds: list[float]) -> Iterator[tuple[int, float]]:
    """(50, …), (95, …), (99, …), in milliseconds."""
    ordered = sorted(seconds)
    for share in (50, 95, 99):
        yield share, 1000 * ordered[min(len(ordered) - 1, len(ordered) * share // 100)]

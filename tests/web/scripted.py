"""Completers that say what they are told to, and a site around them: in this process, or behind a real socket."""

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from instructloop.errors import Busy, ContextExceeded, ModelUnavailable
from instructloop.protocols import Completer, CompletionChunk, CompletionRequest
from instructloop.records import conversation_text
from instructloop.store.database import schema
from instructloop.store.database.accounts import account_by_id, create_account, list_accounts
from instructloop.store.database.api_keys import create_key
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.prompts import Consent
from instructloop.store.database.roles import Account, Role
from instructloop.web.app import make_app
from instructloop.web.settings import SiteSettings

PASSWORD = "seven plain words that nobody knows"
LOGPROB = -0.25
PEOPLE: tuple[tuple[str, Role], ...] = (
    ("ada", "playground"), ("bob", "playground"), ("administrator", "administrator"), ("lead", "lead"),
    ("labeler", "labeler"), ("researcher", "researcher"),
)  # fmt: skip


@dataclass
class Script:
    """A completer that answers "<answer> word word …", one token at a time, and remembers who asked and who hung up."""

    pace: float = 0.0
    """Seconds between tokens."""
    words: int | None = None
    """Words of every answer; as many as the request allows if not set, without end."""
    asked: list[CompletionRequest] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def complete(self, request: CompletionRequest) -> Iterator[CompletionChunk]:
        self.asked.append(request)
        prompt = request.prompt or conversation_text(request.messages)
        if "busy!" in prompt:
            raise Busy("32 requests wait already", retry_after=7)
        if "long!" in prompt:
            raise ContextExceeded("the prompt has 5,000 tokens", expected="at most 1,024", remedy="shorten it")
        if "away!" in prompt:
            raise ModelUnavailable("the server is away")
        if "bug!" in prompt:
            raise ZeroDivisionError
        return _Chunks(self, request, prompt)


class _Chunks:
    """The iterator of one answer; `close` works from any thread, as the protocol asks."""

    def __init__(self, script: Script, request: CompletionRequest, prompt: str) -> None:
        self.script, self.request, self.prompt = script, request, prompt
        self.place, self.over = 0, False
        self.most = request.sampling.max_new_tokens
        self.count = min(self.most, script.words or self.most)

    def __iter__(self) -> "_Chunks":
        return self

    def __next__(self) -> CompletionChunk:
        if self.over:
            raise StopIteration
        time.sleep(self.script.pace)
        if "break!" in self.prompt and self.place == 2:
            raise ModelUnavailable("the answer broke off")
        word = (
            f"{self.prompt[:200]}:"
            if self.place == 0 and "<" in self.prompt
            else ("Seed" if self.place == 0 else f" {self.request.seed + self.place}")
        )
        self.place += 1
        stopped = any(stop in word for stop in self.request.stop)
        last = stopped or self.place == self.count
        self.over = last
        asked = self.request.top_logprobs
        return CompletionChunk(
            text="" if stopped else word,
            logprobs=() if asked is None else (LOGPROB,),
            tokens=() if asked is None else ("" if stopped else word,),
            top_logprobs=((("A", -0.25), ("B", -1.5))[:asked],) if asked else (),
            finish_reason=("stop" if stopped or self.count < self.most else "length") if last else None,
            prompt_tokens=len(self.prompt.split()),
            completion_tokens=self.place,
        )

    def close(self) -> None:
        if not self.over:
            self.script.closed.set()
        self.over = True


@dataclass
class Stage:
    """A store with people, models, and the site."""

    store: Store
    app: FastAPI
    models: Mapping[str, Script]
    people: dict[str, Account] = field(default_factory=dict)

    def key(self, name: str = "ada", *, store: bool = False, train: bool = False) -> str:
        """A new API key of a person."""
        consent = Consent(store=store, train=train, version="1") if store else None
        return create_key(self.store, self.people[name], name="test", scopes=("generate",), consent=consent)[0]


def stage(folder: Path, *, models: Mapping[str, Script] | None = None, settings: SiteSettings | None = None) -> Stage:
    """A site on a new store in `folder`, with two playground users, and one person of every other role named after it."""
    shutil.copy(_populated(), folder / "feedback.db")
    store = open_store(folder / "feedback.db")
    given = {"first": Script(), "second": Script()} if models is None else models
    completers: dict[str, Completer] = dict(given)
    made = Stage(store, make_app(store, completers, settings or SiteSettings()), given)
    administrator = account_by_id(store, _ids()["administrator"])
    made.people = {account.name: account for account in list_accounts(store, administrator)}
    return made


@cache
def _populated() -> Path:
    """A store with people, made once and copied: migrations take longer than most tests."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    store = open_store(folder / "feedback.db")
    for name, role in PEOPLE:
        create_account(store, None, name=name, role=role, password=PASSWORD)
    store.close()
    return folder / "feedback.db"


@cache
def _ids() -> Mapping[str, str]:
    store = open_store(_populated())
    with store.reading() as connection:
        rows = connection.execute(sa.select(schema.accounts.c.name, schema.accounts.c.id)).all()
    store.close()
    return {row.name: row.id for row in rows}


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind a real socket; its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)

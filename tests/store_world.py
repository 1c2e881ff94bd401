"""A small store to test with: a clock that tests move, people of every role, prompts, queues. Import the fixtures you need."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.records import AnswerSet, Completion, Prompt
from instructloop.store.database.accounts import create_account
from instructloop.store.database.migration import VERSION_TABLE, revisions
from instructloop.store.database.opening import Store, make_engine, open_store
from instructloop.store.database.prompts import Consent, NewPrompt, submit_prompt
from instructloop.store.database.queues import Queue, QueueSettings, create_queue
from instructloop.store.database.roles import Account, Role
from instructloop.store.database.schema import METADATA
from instructloop.store.database.tasks import add_answer_sets
from postgres_server import PostgresServer, running_postgres

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
CONSENT = Consent(store=True, train=True, version="notice-1")


@dataclass
class MovableClock:
    """Stands still until it is moved."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at

    def move(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class World:
    """An open store and shorthands for filling it."""

    store: Store
    clock: MovableClock
    place: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _people: dict[str, Account] = field(default_factory=dict[str, Account])

    def person(self, role: Role, name: str | None = None, **more: Any) -> Account:
        """The person of that name, made if need be; without a name always the same one of that role."""
        name = name or f"the {role}"
        if name not in self._people:
            self._people[name] = create_account(self.store, None, name=name, role=role, **more)
        return self._people[name]

    @property
    def lead(self) -> Account:
        return self.person("lead")

    @property
    def labeler(self) -> Account:
        return self.person("labeler")

    def prompt(self, text: str = "Name a fruit.", author: Account | None = None, consent: Consent = CONSENT) -> str:
        return submit_prompt(self.store, author or self.person("playground"), NewPrompt(text=text, consent=consent)).id

    def queue(self, kind: Any = "ranking", mode: Any = "training", **settings: Any) -> Queue:
        return create_queue(self.store, self.lead, name=f"queue {next(self._numbers)}", kind=kind, mode=mode, settings=QueueSettings(**settings))

    def rankings(self, queue: Queue, count: int = 1, num_answers: int = 4) -> list[str]:
        """Ranking tasks about imported prompts."""
        return add_answer_sets(self.store, self.lead, queue.id, [answer_set(next(self._numbers), num_answers) for _ in range(count)], licence="CC0")


def answer_set(number: int, num_answers: int = 4) -> AnswerSet:
    prompt = Prompt(id=f"p{number}", text=f"Prompt number {number}", user_id=f"user{number % 3}")
    models = ("sft", "ppo")
    answers = [Completion(id=f"a{i}", prompt_id=prompt.id, text=f"Answer {i} to {number}", model_id=models[i % 2]) for i in range(num_answers)]
    return AnswerSet(prompt=prompt, completions=tuple(answers))


def ranking_body(answers: Any, *, better: str | None = None, groups: list[list[str]] | None = None) -> dict[str, Any]:
    """Every answer in a group of its own, unless told."""
    ratings = {answer: {"likert": 7 - place % 7, "flags": [], "note": ""} for place, answer in enumerate(answers)}
    return {"ratings": ratings, "groups": groups or [[answer] for answer in answers], "better": better}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    open_store(path).close()
    return path


class PostgresStores:
    """Empty stores on the server; emptying one is quicker than making another."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._free = server, list[str]()

    def take(self) -> str:
        if self._free:
            return self._free.pop()
        url = self._server.new_database()
        open_store(url).close()
        return url

    def give_back(self, url: str) -> None:
        engine = make_engine(url)
        with engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(sa.delete(table))
            connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '{revisions()[-1]}'"))
        engine.dispose()
        self._free.append(url)


@pytest.fixture(scope="session")
def postgres_stores(postgres: PostgresServer) -> PostgresStores:
    return PostgresStores(postgres)


PlaceMaker = Callable[[], str]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PlaceMaker]:
    """Makes addresses of empty stores, on both databases in turn."""
    numbers = itertools.count()
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("empty_sqlite")
        yield lambda: shutil.copy(template, tmp_path / f"store{next(numbers)}.db")
        return
    databases: PostgresStores = request.getfixturevalue("postgres_stores")
    taken: list[str] = []

    def take() -> str:
        taken.append(databases.take())
        return taken[-1]

    yield take
    for url in taken:
        databases.give_back(url)


@pytest.fixture
def place(new_place: PlaceMaker) -> str:
    """The address of an empty store."""
    return str(new_place())


@pytest.fixture
def world(place: str) -> Iterator[World]:
    clock = MovableClock()
    store = open_store(place, clock=clock)
    yield World(store, clock, place)
    store.close()

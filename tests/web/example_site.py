"""The example behind a real socket, and the addresses of every page of the site in it. Import the fixtures you need."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.loop.example.completer import NAME, ExampleCompleter
from instructloop.loop.example.filling import fill
from instructloop.store.database import schema
from instructloop.store.database.invitations import invite
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.queues import QueueSettings, change_queue
from instructloop.store.database.roles import Account, account_of
from instructloop.store.database.sessions import start_session
from instructloop.web.app import make_app
from instructloop.web.settings import SiteSettings
from web.scripted import served


@dataclass(frozen=True, kw_only=True)
class Address:
    """A page as somebody sees it."""

    who: str | None
    """None for a visitor."""
    path: str
    template: str
    """The route behind it; empty for a page of a mistake."""
    what: str = ""


@dataclass
class ExampleSite:
    """The site on a copy of the example."""

    store: Store
    url: str
    password: str

    @cached_property
    def people(self) -> dict[str, Account]:
        """Everybody by name."""
        with self.store.reading() as connection:
            return {row["name"]: account_of(row) for row in connection.execute(sa.select(schema.accounts)).mappings()}

    def ids(self, table: str, *conditions: sa.ColumnElement[bool]) -> Sequence[str]:
        """Ids of rows, in their order."""
        rows = getattr(schema, table)
        with self.store.reading() as connection:
            return connection.execute(sa.select(rows.c.id).where(*conditions).order_by(rows.c.id)).scalars().all()

    def log_in(self, context: Any, name: str) -> None:
        """Give a browser a session of that person."""
        token, _ = start_session(self.store, self.people[name], client="a browser")
        context.add_cookies([{"name": "session", "value": token, "url": self.url}])

    def addresses(self) -> list[Address]:
        """Every page, and those that look different from person to person, more than once."""
        return [*self._for_everybody(), *self._for_labelers(), *self._for_leads()]

    def _for_everybody(self) -> Iterator[Address]:
        token, _ = invite(self.store, self.people["Ada"], "labeler")
        yield Address(who=None, path="/login", template="/login")
        yield Address(who=None, path=f"/invitation/{token}", template="/invitation/{token}")
        yield Address(who=None, path="/nothing", template="", what="not found")
        for who in ("Pat", "Ben"):
            yield from (Address(who=who, path=path, template=path) for path in ("/playground", "/data", "/account"))
        yield Address(who="Pat", path="/admin", template="", what="no access")

    def _for_labelers(self) -> Iterator[Address]:
        ben = self.people["Ben"].id
        yield from (Address(who=who, path="/labeling", template="/labeling") for who in ("Ben", "Lena"))
        yield from (Address(who=who, path="/labeling/own", template="/labeling/own") for who in ("Ben", "Lena"))
        yield from (Address(who=who, path="/self-assessment", template="/self-assessment") for who in ("Ben", "Lena"))
        work = "/labeling/queues/{id}"
        with self.store.reading() as connection:
            queues = connection.execute(sa.select(schema.queues).order_by(schema.queues.c.created_at)).mappings().all()
        for queue in queues:
            yield Address(who="Ben", path=f"/labeling/queues/{queue['id']}", template=work, what=queue["name"])
            if queue["name"] == "Screening: write":
                change_queue(self.store, self.people["Lena"], queue["id"], QueueSettings(open=False))
                yield Address(who="Ben", path=f"/labeling/queues/{queue['id']}", template=work, what="closed")
            if queue["guide_id"]:
                yield Address(who="Lena", path=f"/labeling/queues/{queue['id']}", template=work, what="guide of " + queue["name"])
        mine = self.ids("submissions", schema.submissions.c.account_id == ben)
        yield Address(who="Ben", path=f"/labeling/submissions/{mine[0]}", template="/labeling/submissions/{id}")

    def _for_leads(self) -> Iterator[Address]:
        plain = (
            "", "/agreement", "/queues", "/review", "/leases", "/spot-checks", "/screening", "/guides", "/people", "/exports", "/models",
            "/jobs", "/audit",
        )  # fmt: skip
        for name in plain:
            yield Address(who="Ada", path=f"/admin{name}", template=f"/admin{name}")
        for name in ("", "/queues", "/screening", "/guides"):
            yield Address(who="Rosa", path=f"/admin{name}", template=f"/admin{name}")
        queues = {name: self.ids("queues", schema.queues.c.name == name)[0] for name in ("Rank answers", "Compare the new model", "New prompts")}
        for name, queue in queues.items():
            yield Address(who="Ada", path=f"/admin/queues/{queue}", template="/admin/queues/{id}", what=name)
            yield Address(
                who="Ada", path=f"/admin/tasks/{self.ids('tasks', schema.tasks.c.queue_id == queue)[0]}", template="/admin/tasks/{id}", what=name
            )
        gold = self.ids("tasks", schema.tasks.c.is_gold)[0]
        yield from (Address(who=who, path=f"/admin/tasks/{gold}", template="/admin/tasks/{id}", what="gold") for who in ("Ada", "Rosa"))
        yield Address(who="Ada", path=f"/admin/guides/{self.ids('guides')[0]}", template="/admin/guides/{id}")
        yield Address(who="Ada", path="/admin/guides?begin=training", template="/admin/guides", what="beginning")
        yield Address(who="Ada", path=f"/admin/people/{self.people['Dana'].id}", template="/admin/people/{account}")
        yield Address(who="Ada", path="/admin/models/example-ppo", template="/admin/models/{name:path}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with the example, made once, and its password."""
    path = tmp_path_factory.mktemp("example") / "feedback.db"
    store = open_store(path)
    made = fill(store)
    store.close()
    return path, made.password


@pytest.fixture
def example(filled: tuple[Path, str], tmp_path: Path) -> Iterator[ExampleSite]:
    """A copy of it, served."""
    shutil.copy(filled[0], tmp_path / "example.db")
    store = open_store(tmp_path / "example.db")
    with served(make_app(store, {NAME: ExampleCompleter()}, SiteSettings())) as url:
        yield ExampleSite(store, url, filled[1])
    store.close()

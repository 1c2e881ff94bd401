"""Queues: which tasks are given to whom, how often, under which guide."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from instructloop.errors import AccessDenied, ConfigError, Conflict, NotFound
from instructloop.store.database import schema
from instructloop.store.database.accounts import find_account
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.kinds import KINDS, Kind
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LABELING, LEADING, Account, require
from instructloop.store.database.texts import checked, checked_name
from instructloop.store.database.turns import one_at_a_time

Mode = Literal["training", "evaluation"]
"""Training labels put helpfulness first; evaluations put truthfulness and harmlessness first."""
MODES: tuple[Mode, ...] = get_args(Mode)

LIMITS: Mapping[str, tuple[int, int]] = {
    "overlap": (1, 1000), "skips_to_review": (1, 1000), "lease_seconds": (10, 30 * 86_400), "revise_seconds": (0, 3650 * 86_400),
}  # fmt: skip
"""Setting of a queue -> the least and the most that it can be."""

_BY_ID = sa.select(schema.queues).where(schema.queues.c.id == sa.bindparam("this_queue"))


class GuideUnread(Conflict):
    """The queue's guide has a version that this person has not acknowledged."""

    def __init__(self, guide: "Guide") -> None:
        super().__init__(
            f"the guide {guide.name!r} has the new version {guide.version}", expected="that you have read it", remedy="read it, and say so"
        )
        self.guide = guide


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A version of the instructions for labelers. Versions are added, never changed."""

    id: str
    name: str
    version: int
    mode: Mode
    text: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """What can be set of a queue at any time."""

    overlap: int = 1
    """People who each give a label to a task; new tasks get this number."""
    gold_rate: float = 0.0
    """Share of what a person is given that has a known answer."""
    repeat_rate: float = 0.0
    """Share of what a person is given that they have answered before."""
    skips_to_review: int = 3
    """Skips after which nobody is given the task until a lead has looked at it."""
    lease_seconds: int = 1800
    """How long a task is held without a sign of life."""
    revise_seconds: int = 86_400
    """How long people may revise what they submitted."""
    needs_qualification: bool = False
    """Only people who were qualified for this queue are given its tasks."""
    guide_id: str | None = None
    """The guide that must be acknowledged, and that each submission names."""
    open: bool = True
    """Closed queues give out nothing; what is held can be submitted."""

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name):,}", expected=f"{least} to {most:,}", remedy="correct it")
        if not (min(self.gold_rate, self.repeat_rate) >= 0 and self.gold_rate + self.repeat_rate <= 1):
            raise ConfigError(
                f"gold_rate {self.gold_rate} and repeat_rate {self.repeat_rate}", expected="0 or more each, 1 or less together", remedy="correct them"
            )


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue as the store keeps it."""

    id: str
    name: str
    kind: Kind
    mode: Mode
    settings: QueueSettings
    created_at: datetime


def create_queue(store: Store, actor: Actor, *, name: str, kind: Kind, mode: Mode = "training", settings: QueueSettings | None = None) -> Queue:
    """A new queue. For administrators, leads and the command line; raises `Conflict` if its name is taken."""
    if actor is not None:
        require(actor, LEADING, "make queues")
    if kind not in KINDS or mode not in MODES:
        raise ConfigError(f"a queue of kind {kind!r} and mode {mode!r}", expected=f"{', '.join(KINDS)}; {', '.join(MODES)}", remedy="correct it")
    name, settings, queue_id = checked_name(name, "the queue's name"), settings or QueueSettings(), new_id()
    with store.writing() as connection:
        one_at_a_time(connection, "queue", name)
        if connection.execute(sa.select(schema.queues.c.id).where(schema.queues.c.name == name)).first():
            raise Conflict(f"there is a queue {name!r}", expected="a name that is free", remedy="choose another")
        _check_guide(connection, settings)
        now = store.now()
        connection.execute(sa.insert(schema.queues).values(id=queue_id, name=name, kind=kind, mode=mode, created_at=now, **asdict(settings)))
        write_audit(connection, now, actor, "create queue", ("queue", queue_id), {"name": name, "kind": kind, **asdict(settings)})
        return find_queue(connection, queue_id)


def change_queue(store: Store, actor: Account, queue_id: str, settings: QueueSettings) -> Queue:
    """Give a queue other settings; what is leased already keeps its time. For administrators and leads."""
    require(actor, LEADING, "change queues")
    with store.writing() as connection:
        before = find_queue(connection, queue_id)
        _check_guide(connection, settings)
        connection.execute(sa.update(schema.queues).where(schema.queues.c.id == queue_id).values(**asdict(settings)))
        write_audit(connection, store.now(), actor, "change queue", ("queue", queue_id), _changes(asdict(before.settings), asdict(settings)))
        return find_queue(connection, queue_id)


def list_queues(store: Store, actor: Actor) -> list[Queue]:
    """The queues that a person may be given tasks of; all of them for administrators, leads and the command line."""
    if actor is not None:
        require(actor, LABELING, "see queues")
    queues, qualified = schema.queues, schema.qualifications
    query = sa.select(queues).order_by(queues.c.created_at, queues.c.id)
    if actor is not None and actor.role not in LEADING:
        mine = sa.select(qualified.c.queue_id).where(qualified.c.account_id == actor.id)
        query = query.where(queues.c.open, sa.or_(~queues.c.needs_qualification, queues.c.id.in_(mine)))
    with store.reading() as connection:
        return [queue_of(row) for row in connection.execute(query).mappings()]


def queue_named(store: Store, name: str) -> Queue | None:
    """The queue of that name; None if there is none."""
    with store.reading() as connection:
        row = connection.execute(sa.select(schema.queues).where(schema.queues.c.name == name)).mappings().first()
    return queue_of(row) if row else None


def find_queue(connection: sa.Connection, queue_id: str) -> Queue:
    """The queue, read on a connection that is open; raises `NotFound`."""
    row = connection.execute(_BY_ID, {"this_queue": queue_id}).mappings().first()
    if row is None:
        raise NotFound(f"there is no queue {queue_id!r}", expected="the id of a queue", remedy="look at the list of queues")
    return queue_of(row)


def qualify(store: Store, actor: Account, queue_id: str, account_id: str, *, qualified: bool = True) -> None:
    """Say that somebody may be given the tasks of a queue, or no longer. For administrators and leads."""
    require(actor, LEADING, "qualify people")
    table = schema.qualifications
    this = table.c.queue_id == queue_id, table.c.account_id == account_id
    with store.writing() as connection:
        find_queue(connection, queue_id)
        find_account(connection, account_id)
        one_at_a_time(connection, "qualification", queue_id, account_id)
        connection.execute(sa.delete(table).where(*this))
        if qualified:
            connection.execute(sa.insert(table).values(queue_id=queue_id, account_id=account_id, at=store.now()))
        write_audit(connection, store.now(), actor, "qualify" if qualified else "disqualify", ("account", account_id), {"queue": queue_id})


def publish_guide(store: Store, actor: Account, *, name: str, mode: Mode, text: str) -> Guide:
    """The next version of a guide; name it in the settings of the queues that it is for. For administrators and leads."""
    require(actor, LEADING, "publish guides")
    guides = schema.guides
    name = checked_name(name, "the guide's name")
    with store.writing() as connection:
        one_at_a_time(connection, "guide", name)
        latest = connection.execute(sa.select(sa.func.max(guides.c.version)).where(guides.c.name == name)).scalar()
        guide = Guide(id=new_id(), name=name, version=(latest or 0) + 1, mode=mode, text=checked(text, "the guide"), created_at=store.now())
        connection.execute(sa.insert(guides).values(**asdict(guide)))
        write_audit(connection, guide.created_at, actor, "publish guide", ("guide", guide.id), {"name": name, "version": guide.version})
    return guide


def read_guide(store: Store, guide_id: str) -> Guide:
    """The version of a guide; raises `NotFound`."""
    with store.reading() as connection:
        return _find_guide(connection, guide_id)


def acknowledge_guide(store: Store, actor: Account, guide_id: str) -> None:
    """Note that a person says to have read a version of a guide."""
    table = schema.acknowledgements
    with store.writing() as connection:
        _find_guide(connection, guide_id)
        one_at_a_time(connection, "acknowledgement", guide_id, actor.id)
        if not _acknowledged(connection, actor, guide_id):
            connection.execute(sa.insert(table).values(guide_id=guide_id, account_id=actor.id, at=store.now()))


def require_admission(connection: sa.Connection, actor: Account, queue: Queue) -> None:
    """Raise unless the person may be given tasks of the queue now: `AccessDenied`, `Conflict` if it is closed, `GuideUnread`."""
    require(actor, LABELING, "be given tasks")
    settings = queue.settings
    if not settings.open:
        raise Conflict(f"the queue {queue.name!r} is closed", expected="an open queue", remedy="choose another")
    if settings.needs_qualification and not _is_qualified(connection, actor, queue):
        raise AccessDenied(f"{actor.name!r} is not qualified for {queue.name!r}", expected="a qualification", remedy="ask a lead")
    if (guide := unread_guide(connection, actor, queue)) is not None:
        raise GuideUnread(guide)


def unread_guide(connection: sa.Connection, actor: Account, queue: Queue) -> Guide | None:
    """The version of the queue's guide if this person has not acknowledged it, else None."""
    guide_id = queue.settings.guide_id
    return None if guide_id is None or _acknowledged(connection, actor, guide_id) else _find_guide(connection, guide_id)


def read_queue(store: Store, actor: Account, queue_id: str) -> Queue:
    """A queue that a person may be given tasks of, open or not; raises `NotFound` for one that is not for them."""
    require(actor, LABELING, "see queues")
    with store.reading() as connection:
        queue = find_queue(connection, queue_id)
        if queue.settings.needs_qualification and actor.role not in LEADING and not _is_qualified(connection, actor, queue):
            raise NotFound(f"there is no queue {queue_id!r}", expected="the id of a queue of yours", remedy="look at the list of queues")
    return queue


def _is_qualified(connection: sa.Connection, actor: Account, queue: Queue) -> bool:
    qualified = schema.qualifications
    mine = sa.select(qualified.c.at).where(qualified.c.queue_id == queue.id, qualified.c.account_id == actor.id)
    return connection.execute(mine).first() is not None


def _acknowledged(connection: sa.Connection, actor: Account, guide_id: str) -> bool:
    table = schema.acknowledgements
    mine = sa.select(table.c.at).where(table.c.guide_id == guide_id, table.c.account_id == actor.id)
    return connection.execute(mine).first() is not None


def _check_guide(connection: sa.Connection, settings: QueueSettings) -> None:
    if settings.guide_id is not None:
        _find_guide(connection, settings.guide_id)


def _find_guide(connection: sa.Connection, guide_id: str) -> Guide:
    row = connection.execute(sa.select(schema.guides).where(schema.guides.c.id == guide_id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no guide {guide_id!r}", expected="the id of a version of a guide", remedy="publish it first")
    return Guide(**row)


def queue_of(row: sa.RowMapping) -> Queue:
    """The queue in a row of the table."""
    settings = QueueSettings(**{name: row[name] for name in QueueSettings.__dataclass_fields__})
    return Queue(id=row["id"], name=row["name"], kind=row["kind"], mode=row["mode"], settings=settings, created_at=row["created_at"])


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [before[name], value] for name, value in after.items() if before[name] != value}

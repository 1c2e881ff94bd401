"""Whatever people do, in whatever order: the counters tell the truth, nobody is over-assigned, nobody answers twice."""

import itertools
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructloop.errors import Conflict
from instructloop.store.database import schema
from instructloop.store.database.drafts import read_draft, save_draft
from instructloop.store.database.leases import Lease, expire_leases, free, lease_next, release, renew, skip
from instructloop.store.database.opening import open_store
from instructloop.store.database.submissions import revise, submit
from instructloop.store.database.tasks import add_answer_sets
from store_world import MovableClock, World, answer_set, ranking_body

ACTS = ("lease", "beside", "renew", "draft", "stale draft", "submit", "submit again", "revise", "skip", "release", "free", "wait")
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2), st.integers(0, 3)), min_size=10, max_size=40)
TASKS, OVERLAP = 3, 2
copies = itertools.count()


class Play:
    """Three labelers, three tasks."""

    def __init__(self, world: World) -> None:
        self.world, self.store = world, world.store
        self.queue = world.queue(overlap=OVERLAP, lease_seconds=60, skips_to_review=2)
        add_answer_sets(self.store, world.lead, self.queue.id, [answer_set(number, 2) for number in range(TASKS)], licence="CC0")
        self.people = [world.person("labeler", f"labeler {number}") for number in range(3)]
        self.leases: list[list[Lease]] = [[], [], []]

    def act(self, act: str, who: int, which: int) -> None:
        person, known = self.people[who], self.leases[who]
        if act == "wait":
            self.world.clock.move(seconds=25)
        elif act in ("lease", "beside"):
            lease = lease_next(self.store, person, self.queue.id, beside=[lease.id for lease in known] if act == "beside" else ())
            if lease is not None and lease.id not in {one.id for one in known}:
                known.append(lease)
        elif known:
            self._act_on(act, who, known[which % len(known)])

    def _act_on(self, act: str, who: int, lease: Lease) -> None:
        person, body = self.people[who], ranking_body(lease.shown)
        draft = read_draft(self.store, person, lease.id)
        acts = {
            "renew": lambda: renew(self.store, person, lease.id),
            "draft": lambda: save_draft(self.store, person, lease.id, {"at": str(self.world.clock.at)}, version=draft.version if draft else 0),
            "stale draft": lambda: save_draft(self.store, person, lease.id, {"other": 1}, version=7),
            "submit": lambda: submit(self.store, person, lease.id, body, key=lease.id),
            "submit again": lambda: submit(self.store, person, lease.id, body, key=f"again {lease.id}"),
            "revise": lambda: [revise(self.store, person, one, body, key=f"revision of {one}") for one in self._latest(lease)],
            "skip": lambda: skip(self.store, person, lease.id, "no"),
            "release": lambda: release(self.store, person, lease.id),
            "free": lambda: free(self.store, self.world.lead, lease.id),
        }
        acts[act]()

    def _latest(self, lease: Lease) -> list[str]:
        submissions = schema.submissions
        with self.store.reading() as connection:
            return list(
                connection.execute(sa.select(submissions.c.id).where(submissions.c.lease_id == lease.id, submissions.c.revises.is_(None))).scalars()
            )

    def check(self) -> None:
        expire_leases(self.store)
        leases, submissions = schema.leases, schema.submissions
        with self.store.reading() as connection:
            tasks = connection.execute(sa.select(schema.tasks).where(schema.tasks.c.queue_id == self.queue.id)).mappings().all()
            states = connection.execute(sa.select(leases.c.task_id, leases.c.account_id, leases.c.state)).all()
            first = connection.execute(sa.select(submissions.c.task_id, submissions.c.account_id).where(submissions.c.revises.is_(None))).all()
        for task in tasks:
            on_it = [row for row in states if row.task_id == task["id"] and row.state in ("active", "submitted")]
            assert len(on_it) == task["assigned"] <= OVERLAP
            assert len({row.account_id for row in on_it}) == len(on_it)
            assert sum(row.task_id == task["id"] for row in first) == task["submitted"]
            assert sum(row.task_id == task["id"] and row.state == "skipped" for row in states) == task["skipped"]
            assert (task["state"] == "done") == (task["submitted"] == OVERLAP and task["skipped"] < 2)
        assert len({tuple(row) for row in first}) == len(first)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_counters_tell_the_truth_whatever_happens(steps: list[tuple[str, int, int]], empty_sqlite: Path, tmp_path: Path) -> None:
    place = shutil.copy(empty_sqlite, tmp_path / f"store{next(copies)}.db")
    clock = MovableClock()
    store = open_store(place, clock=clock)
    try:
        play = Play(World(store, clock, str(place)))
        for act, who, which in steps:
            with suppress(Conflict):  # a lease that is over, a stale draft, a second submission: refused, and nothing may have changed
                play.act(act, who, which)
            play.check()
    finally:
        store.close()


def test_every_act_of_the_play_can_succeed(world: World) -> None:
    """The play above would prove nothing if its acts were always refused."""
    for act in ACTS:
        play = Play(world)
        play.act("lease", 0, 0)
        if act in ("submit again", "revise"):
            play.act("submit", 0, 0)
        if act in ("submit again", "stale draft"):
            with pytest.raises(Conflict):
                play.act(act, 0, 0)
        else:
            play.act(act, 0, 0)
        play.check()

"""Two who do the same thing at the same moment: it is done once, and whoever comes second gets what is there or one clear error.

Both are made to meet between looking whether a row is there and adding it, which is where PostgreSQL would let both add it.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from instructloop.errors import Conflict
from instructloop.store.database import accounts, freezing, importing, invitations, jobs, models, queues, schema, screening, spot_checks, submissions
from instructloop.store.database.leases import lease_next
from instructloop.store.database.prompts import NewPrompt, submit_prompt
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks
from instructloop.store.jsonl import write_jsonl
from store.database.filled import take
from store_world import CONSENT, World, answer_set, ranking_body

MEETING_SECONDS = 0.2
"""How long the first waits for the second, who may have been made to wait for the first."""

Act = Callable[[], Any]


class Meeting:
    """The first insertion into a table in one thread waits for that in another."""

    def __init__(self, table: str) -> None:
        self._beginning, self._barrier, self._came = f"INSERT INTO {table} ", threading.Barrier(2), set[int]()

    def __call__(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(self._beginning) and threading.get_ident() not in self._came:
            self._came.add(threading.get_ident())
            with suppress(threading.BrokenBarrierError):
                self._barrier.wait(MEETING_SECONDS)


def at_once(world: World, table: str, act: Act) -> list[Any]:
    """What came of doing it twice at once: results, and errors that are meant for people."""

    def told() -> Any:
        try:
            return act()
        except Conflict as error:
            return error

    meeting = Meeting(table)
    event.listen(world.store.engine, "before_cursor_execute", meeting)
    try:
        with ThreadPoolExecutor(2) as threads:
            return [future.result() for future in [threads.submit(told) for _ in range(2)]]
    finally:
        event.remove(world.store.engine, "before_cursor_execute", meeting)


def count(world: World, table: str) -> int:
    with world.store.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.METADATA.tables[table])).scalar_one()


def _rating(world: World, *, researcher: bool) -> Act:
    demonstrating = world.queue("demonstration")
    add_tasks(world.store, world.lead, demonstrating.id, [NewTask(prompt_id=world.prompt())])
    done = submissions.submit(world.store, world.labeler, take(world, world.labeler, demonstrating).id, {"text": "An apple."}, key="k")
    if researcher:
        return lambda: screening.rate_demonstration(world.store, world.person("researcher"), done.id, 5)
    return lambda: spot_checks.check_submission(world.store, world.lead, done.id, fine=True)


def _screening(world: World) -> Act:
    queue = world.queue("ranking", mode="evaluation").id
    return lambda: screening.create_screening(world.store, world.lead, name="s", speech=None, ranking=queue, writing=None)


REFUSED: Mapping[str, tuple[str, Callable[[World, Path], Act]]] = {
    "taken": ("accounts", lambda w, _: lambda: accounts.create_account(w.store, None, name="Ann", role="labeler")),
    "the id 'x' is taken": (
        "accounts",
        lambda w, _: lambda: accounts.create_account(w.store, None, name=str(threading.get_ident()), role="labeler", id="x"),
    ),
    "there is a queue": ("queues", lambda w, _: lambda: queues.create_queue(w.store, None, name="q", kind="ranking")),
    "there is a model": ("models", lambda w, _: lambda: models.register_model(w.store, None, models.NewModel(name="m", place="p"))),
    "there is a screening": ("screenings", lambda w, _: _screening(w)),
    "you have rated": ("demonstration_ratings", lambda w, _: _rating(w, researcher=True)),
    "somebody has checked": ("spot_checks", lambda w, _: _rating(w, researcher=False)),
}
"""What the second is told -> the table, and what is done."""


@pytest.mark.parametrize("said", REFUSED)
def test_the_second_is_told_that_somebody_was_first(world: World, tmp_path: Path, said: str) -> None:
    table, made = REFUSED[said]
    act = made(world, tmp_path)
    for person in ("lead", "researcher"):
        world.person(person)
    before = count(world, table)
    results = at_once(world, table, act)
    assert [said in str(result) for result in results if isinstance(result, Conflict)] == [True]
    assert count(world, table) == before + 1


def _import(world: World, folder: Path, kind: Any) -> Act:
    file = folder / f"{kind}.jsonl"
    answered = {"prompts": {}, "demonstrations": {"response": "An apple."}}[kind]
    write_jsonl(file, ({"id": f"q{i}", "prompt": f"Question {i}", "user": "u", "annotator": "a", **answered} for i in range(3)))
    return lambda: importing.import_files(world.store, None, [file], kind, licence="CC0")


def _snapshot(world: World, folder: Path) -> Act:
    world.prompt()
    freezing.freeze_from_store(world.store, None, "prompts", folder / "s", split_of=freezing.by_user({"train": 1.0}), query="q")
    with world.store.writing() as connection:
        connection.execute(sa.delete(schema.snapshot_rows))
        connection.execute(sa.delete(schema.snapshots))
    return lambda: freezing.register_snapshot(world.store, None, folder / "s").id


def _acknowledgement(world: World) -> Act:
    guide = queues.publish_guide(world.store, world.lead, name="g", mode="training", text="Be kind.")
    return lambda: queues.acknowledge_guide(world.store, world.labeler, guide.id)


def _qualification(world: World) -> Act:
    queue, person = world.queue().id, world.labeler.id
    return lambda: queues.qualify(world.store, world.lead, queue, person)


def _answers(world: World) -> Act:
    queue = world.queue().id
    return lambda: add_answer_sets(world.store, world.lead, queue, [answer_set(number) for number in (1, 2)], licence="CC0")


def _tasks(world: World) -> Act:
    queue, prompt = world.queue("demonstration").id, world.prompt()
    return lambda: add_tasks(world.store, world.lead, queue, [NewTask(prompt_id=prompt)])


def _submission(world: World) -> Act:
    queue = world.queue()
    world.rankings(queue)
    lease = take(world, world.labeler, queue)
    return lambda: submissions.submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k").id


def _revision(world: World) -> Act:
    queue = world.queue()
    world.rankings(queue)
    lease = take(world, world.labeler, queue)
    first = submissions.submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k")
    body = ranking_body(lease.shown, groups=[list(lease.shown)])
    return lambda: submissions.revise(world.store, world.labeler, first.id, body, key="l").id


SAME: Mapping[str, tuple[str, int, Callable[[World, Path], Act]]] = {
    "a prompt with its id": ("prompts", 1, lambda w, _: lambda: submit_prompt(w.store, w.labeler, NewPrompt(text="t", consent=CONSENT, id="p"))),
    "a job": ("jobs", 1, lambda w, _: lambda: jobs.enqueue(w.store, None, "import", {}, key="k").id),
    "an import of prompts": ("prompts", 3, lambda w, folder: _import(w, folder, "prompts")),
    "an import of demonstrations": ("labels", 3, lambda w, folder: _import(w, folder, "demonstrations")),
    "a snapshot": ("snapshots", 1, _snapshot),
    "a guide that is acknowledged": ("acknowledgements", 1, lambda w, _: _acknowledgement(w)),
    "a qualification": ("qualifications", 1, lambda w, _: _qualification(w)),
    "answers to rank": ("tasks", 2, lambda w, _: _answers(w)),
    "a task": ("tasks", 1, lambda w, _: _tasks(w)),
    "a submission": ("submissions", 1, lambda w, _: _submission(w)),
    "a revision": ("submissions", 1, lambda w, _: _revision(w)),
}
"""What is done twice -> the table, how many rows are to be new, and how it is done."""


@pytest.mark.parametrize("what", SAME)
def test_the_same_thing_twice_is_there_once(world: World, tmp_path: Path, what: str) -> None:
    table, new, made = SAME[what]
    act = made(world, tmp_path)
    for person in ("lead", "labeler"):
        world.person(person)
    before = count(world, table)
    results = at_once(world, table, act)
    assert not any(isinstance(result, Conflict) for result in results), results
    assert count(world, table) == before + new
    if "import" not in what:
        assert results[0] == results[1]


def test_two_versions_of_a_guide_get_two_numbers(world: World) -> None:
    lead = world.lead
    results = at_once(world, "guides", lambda: queues.publish_guide(world.store, lead, name="g", mode="training", text="Be kind.").version)
    assert sorted(results) == [1, 2]


def test_one_link_makes_the_first_administrator(world: World) -> None:
    links = at_once(world, "invitations", lambda: invitations.first_administrator_link(world.store))
    good = 0
    for link in links:
        with suppress(Exception):
            invitations.open_invitation(world.store, link)
            good += 1
    assert good == 1


def test_names_that_differ_in_case_alone_are_one_name(world: World) -> None:
    names = iter(("Ann", "ann"))
    results = at_once(world, "accounts", lambda: accounts.create_account(world.store, None, name=next(names), role="labeler"))
    assert sum(isinstance(result, Conflict) for result in results) == 1


def test_one_model_is_chosen(world: World) -> None:
    for name in ("a", "b"):
        models.register_model(world.store, None, models.NewModel(name=name, place="p"))
    names = iter(("a", "b"))
    at_once(world, "audit", lambda: models.choose_model(world.store, None, next(names)))
    assert sum(model.chosen for model in models.list_models(world.store)) == 1


def test_one_key_for_two_answers_is_a_conflict(world: World) -> None:
    queue = world.queue()
    world.rankings(queue, 2)
    first = take(world, world.labeler, queue)
    second = lease_next(world.store, world.labeler, queue.id, beside=[first.id])
    assert second is not None
    leases = iter((first, second))

    def act() -> Any:
        lease = next(leases)
        return submissions.submit(world.store, world.labeler, lease.id, ranking_body(lease.shown), key="k")

    results = at_once(world, "submissions", act)
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert count(world, "submissions") == 1


def test_any_other_row_that_is_there_already_is_a_conflict_too_and_a_mistake_of_ours_is_none(world: World) -> None:
    name = world.labeler.name
    row = {"id": "x", "name": name, "role": "labeler", "held_out": False, "created_at": world.clock()}
    with pytest.raises(Conflict, match="just written the same"), world.store.writing() as connection:
        connection.execute(sa.insert(schema.accounts).values(**row))
    with pytest.raises(sa.exc.IntegrityError), world.store.writing() as connection:
        connection.execute(sa.insert(schema.accounts).values(**row | {"name": None}))

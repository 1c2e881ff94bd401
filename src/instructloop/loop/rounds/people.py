"""Scripted people of the small world, at work in a store that is in real use: three labelers, three users, and a lead.

Each act finds what an earlier call has done already, and goes on from there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from instructloop.errors import DataError, NotFound
from instructloop.lab.chance import stream
from instructloop.lab.demonstrators import DEMONSTRATORS, answer_as
from instructloop.lab.labelers import TRAINING_LABELERS, labelers
from instructloop.lab.prompts import training_prompts
from instructloop.loop.simulated_people import answer_next, ranking_of
from instructloop.records import Prompt
from instructloop.store.database.accounts import account_by_id, create_account
from instructloop.store.database.api_keys import create_key
from instructloop.store.database.kinds import Body, Kind
from instructloop.store.database.labels import training_demonstrations
from instructloop.store.database.labels import training_prompts as stored_prompts
from instructloop.store.database.opening import Store
from instructloop.store.database.prompts import Consent
from instructloop.store.database.queues import Queue, QueueSettings, create_queue, queue_named
from instructloop.store.database.roles import Account, Role
from instructloop.store.database.tasks import NewTask, add_tasks, count_tasks
from instructloop.store.database.views import TaskView
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.store.splits import unit_hash
from instructloop.web.consent import notice_version

LABELERS: tuple[str, ...] = ("labeler-1", "labeler-2", "labeler-3")
USERS: Mapping[str, int] = {"ada": 40, "bob": 60, "max": 250}
"""User -> prompts that they submit; the last one floods the site. With the split of `SHARES` and seed 0, bob and the second labeler
are those who are held out."""
SHARES = "train=0.7,valid=0.3"
LEAD = "lead"
PASSWORD = "a password of the scripted users"
WRITING, DEMONSTRATING = "prompts", "demonstrations"
"""Names of the queues beside those of the rankings."""


@dataclass(frozen=True)
class User:
    """Somebody who asks."""

    name: str
    key: str
    """Of the API; what comes with it may be stored and trained on."""
    prompts: tuple[str, ...]


def join(store: Store, seed: int, users: Mapping[str, int] = USERS) -> list[User]:
    """Accounts for everybody; of the users their API keys, made anew at each call, and what they will ask."""
    for name in LABELERS:
        person(store, name, "labeler")
    texts = iter([prompt.text for prompt in training_prompts(seed, sum(users.values()))])
    consent = Consent(store=True, train=True, version=notice_version())
    made: list[User] = []
    for name, number in users.items():
        account = person(store, name, "playground", password=PASSWORD)
        key, _ = create_key(store, account, name="scripted", scopes=("generate",), consent=consent)
        made.append(User(name, key, tuple(next(texts) for _ in range(number))))
    return made


def bootstrap(store: Store, seed: int, count: int) -> int:
    """Labelers write prompts, and answer those of one another: the first demonstrations, before there is anything to ask."""
    queue = _queue(store, WRITING, "write_prompt")
    texts = [prompt.text for prompt in training_prompts(seed + 1_000_000, count)]
    written = sum(count_tasks(store, _lead(store), queue.id).values())
    add_tasks(store, None, queue.id, [NewTask() for _ in range(count - written)])
    unused = iter([text for text in texts if text not in {one.record.text for one in stored_prompts(store, None)}])
    _take_turns(store, queue, lambda _, __: {"prompt": next(unused), "use_case": None})
    return demonstrate(store, seed, [one.record for one in stored_prompts(store, None) if one.record.source == "labeler"])


def demonstrate(store: Store, seed: int, prompts: Sequence[Prompt]) -> int:
    """Labelers answer these prompts, each by one who has not written it; returns how many demonstrations there are in all."""
    queue = _queue(store, DEMONSTRATING, "demonstration")
    add_tasks(store, None, queue.id, [NewTask(prompt_id=prompt.id) for prompt in prompts])

    def reply(labeler: Account, view: TaskView) -> Body:
        prompt = view.prompt or ""
        style = DEMONSTRATORS[LABELERS.index(labeler.id)]
        return {"text": answer_as(style, prompt, stream(seed, "demonstration", style, prompt))}

    _take_turns(store, queue, reply)
    return sum(1 for _ in training_demonstrations(store, None))


def rank(store: Store, seed: int, queue_name: str) -> int:
    """Every labeler ranks what the queue has for them; returns the tasks that are done."""
    queue = queue_named(store, queue_name)
    if queue is None:
        raise NotFound(f"there is no queue {queue_name!r}", expected="a queue with answers to rank", remedy="let a worker sample for it first")
    judges = dict(zip(LABELERS, labelers(TRAINING_LABELERS[: len(LABELERS)], seed), strict=True))
    _take_turns(store, queue, lambda labeler, view: ranking_of(judges[labeler.id], view))
    return count_tasks(store, _lead(store), queue.id).get("done", 0)


def some_prompts(snapshot: Path, start: int, count: int) -> dict[str, list[Prompt]]:
    """Split -> prompts of users, `count` in all and a quarter of them held out, from the place `start` of an order that tells nothing.

    Raises `DataError` if there are not so many.
    """
    chosen: dict[str, list[Prompt]] = {}
    for split, share in (("train", 0.75), ("valid", 0.25)):
        asked = [prompt for prompt in read_split(snapshot, split, Prompt) if prompt.source == "playground"]
        first, end = round(start * share), round((start + count) * share)
        if len(asked) < end:
            raise DataError(f"{snapshot} holds {len(asked)} prompts of users in {split}", expected=f"{end} or more", remedy="let them ask more")
        chosen[split] = sorted(asked, key=lambda prompt: unit_hash(prompt.id))[first:end]
    return chosen


def all_prompts(snapshot: Path) -> list[Prompt]:
    """The prompts of every split."""
    return [prompt for split in open_snapshot(snapshot).counts for prompt in read_split(snapshot, split, Prompt)]


def person(store: Store, name: str, role: Role, *, password: str | None = None) -> Account:
    """The account of that name, made if there is none; its id is its name, so that the same people fall into the same splits."""
    try:
        return account_by_id(store, name)
    except NotFound:
        return create_account(store, None, id=name, name=name, role=role, password=password)


def _lead(store: Store) -> Account:
    return person(store, LEAD, "lead")


def _queue(store: Store, name: str, kind: Kind) -> Queue:
    return queue_named(store, name) or create_queue(store, None, name=name, kind=kind, settings=QueueSettings())


def _take_turns(store: Store, queue: Queue, reply: Callable[[Account, TaskView], Body]) -> None:
    """The labelers take a task each in turn, until there is none left for any of them."""
    waiting = {name: person(store, name, "labeler") for name in LABELERS}
    for name in cycle(LABELERS):
        if not waiting:
            return
        labeler = waiting.get(name)
        if labeler is not None and not answer_next(store, labeler, queue, lambda view, labeler=labeler: reply(labeler, view)):
            del waiting[name]

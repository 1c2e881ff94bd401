"""The example: people, guides, queues, prompts with candidates, three weeks of labels by scripted labelers, and data sets frozen of them.

The labelers are scripts with a taste and a hand that shakes; they lease, draft and submit through the same functions as people do,
by a clock that runs through the past three weeks. What they say shows what the pages look like, and nothing about any model.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa

from instructloop.errors import StoreError
from instructloop.loop.example.data_sets import MODELS, folder_beside, freeze_example
from instructloop.loop.example.texts import Answer, Asked, asked, guide
from instructloop.records import AnswerSet, Completion, Prompt
from instructloop.store.database import schema
from instructloop.store.database.accounts import create_account
from instructloop.store.database.leases import Lease, lease_next, release, skip
from instructloop.store.database.opening import Store, repeatable_ids
from instructloop.store.database.prompts import Consent, NewPrompt, submit_prompt
from instructloop.store.database.queues import Queue, QueueSettings, acknowledge_guide, create_queue, publish_guide
from instructloop.store.database.roles import Account, Role
from instructloop.store.database.screening import TOPICS, assess_oneself, create_screening, demonstration_to_rate, rate_demonstration
from instructloop.store.database.submissions import Work, submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks
from instructloop.store.database.texts import text_hash
from instructloop.store.database.views import TaskView, view_task

DAYS = 21
LICENCE = "example"
PEOPLE: tuple[tuple[str, Role], ...] = (
    ("Ada", "administrator"), ("Lena", "lead"), ("Ben", "labeler"), ("Chidi", "labeler"), ("Dana", "labeler"), ("Emil", "labeler"),
    ("Rosa", "researcher"), ("Pat", "playground"),
)  # fmt: skip
HELD_OUT = "Emil"
SHAKES = {"Ben": 0.7, "Chidi": 0.9, "Dana": 1.4, "Emil": 1.1, "Rosa": 0.5}
"""Spread of what each labeler sees around the true quality."""
GAP = 0.8
"""Answers that seem closer than this are tied."""
SKIPPED = 4
"""The prompt that is skipped until it waits for review."""
FRESH = 3
"""Prompts that nobody has labeled yet, whoever comes: the last ones."""
BLINK = timedelta(milliseconds=1)
GOLD = (0, 6)
"""Prompts of which three answers have a known order."""
FROM_PAT = (
    ("What can I cook from leeks and potatoes?", True), ("Plan a rainy Sunday with two toddlers.", True), ("How do I thank my neighbour?", False),
)  # fmt: skip
"""What a playground user has asked, and whether it may train."""
SOUP = "Slice the leeks, soften them in butter, add diced potatoes and stock, and simmer for twenty minutes."
REASONS = ("unclear: it depends on the bath", "knowledge")


@dataclass(frozen=True, kw_only=True)
class Example:
    """What was made."""

    people: tuple[tuple[str, Role], ...]
    password: str
    """One for all of them, made for this store."""


@dataclass
class _Clock:
    """Goes through the past, as labels came; each look moves it on a little, so that whatever is written keeps its order."""

    at: datetime

    def __call__(self) -> datetime:
        self.at += BLINK
        return self.at


def fill(store: Store, *, seed: int = 0) -> Example:
    """Fill a fresh store with the example, and a folder beside it with what is frozen of it. Raises `StoreError` if anybody is in the store
    already, as examples and people's data never mix, or if the folder exists.

    The same seed at the same moment by the clock of the store gives the same rows, but for passwords.
    """
    with store.reading() as connection:
        if connection.execute(sa.select(schema.accounts.c.id).limit(1)).first() is not None:
            raise StoreError(
                "the store is in use", expected="a new store for the example", remedy="name a file that is not there, or leave out --example"
            )
    folder = folder_beside(store)
    clock = _Clock(store.now() - timedelta(days=DAYS))
    past, password = replace(store, clock=clock), secrets.token_urlsafe(9)
    with repeatable_ids(seed):
        people = {name: create_account(past, None, name=name, role=role, password=password, held_out=name == HELD_OUT) for name, role in PEOPLE}
        queues = _queues(past, people["Lena"])
        _tasks(past, people, queues)
        _Days(past, clock, people, queues, Random(seed)).live_through()
        freeze_example(past, people["Lena"], folder)
    return Example(people=PEOPLE, password=password)


def _queues(store: Store, lead: Account) -> dict[str, Queue]:
    training = publish_guide(store, lead, name="How to rank", mode="training", text=guide("training")).id
    evaluation = publish_guide(store, lead, name="How to compare", mode="evaluation", text=guide("evaluation")).id
    ranked = QueueSettings(overlap=4, gold_rate=0.2, repeat_rate=0.2, skips_to_review=2, guide_id=training)
    compared = QueueSettings(overlap=2, guide_id=evaluation)
    return {
        "rank": create_queue(store, lead, name="Rank answers", kind="ranking", settings=ranked),
        "compare": create_queue(store, lead, name="Compare the new model", kind="evaluation", mode="evaluation", settings=compared),
        "answer": create_queue(store, lead, name="Demonstrations", kind="demonstration", settings=QueueSettings(guide_id=training)),
        "write": create_queue(store, lead, name="New prompts", kind="write_prompt", settings=QueueSettings()),
        "test-rank": create_queue(store, lead, name="Screening: rank", kind="ranking", mode="evaluation", settings=QueueSettings(overlap=8)),
        "test-write": create_queue(store, lead, name="Screening: write", kind="demonstration", mode="evaluation", settings=QueueSettings(overlap=8)),
        "describe": create_queue(store, lead, name="What prompts ask for", kind="prompt_metadata", settings=QueueSettings(overlap=2)),
    }


def _tasks(store: Store, people: dict[str, Account], queues: dict[str, Queue]) -> None:
    lead, count = people["Lena"], len(asked()) - FRESH
    _questions(store, lead, queues, range(count))
    gold = [NewTask(prompt_id=_prompt_id(place), answers=_ids(place)[1:4], gold=_known(place), position=-1) for place in GOLD]
    add_tasks(store, lead, queues["rank"].id, gold)
    stored = [
        submit_prompt(store, people["Pat"], NewPrompt(text=text, consent=Consent(store=True, train=train, version="1"))) for text, train in FROM_PAT
    ]
    add_tasks(store, lead, queues["answer"].id, [NewTask(prompt_id=one.id) for one in stored if one.may_train])
    tests = [NewTask(prompt_id=_prompt_id(place), answers=_ids(place)) for place in (1, 4, 6, 8)]
    add_tasks(store, lead, queues["test-rank"].id, tests)
    add_tasks(store, lead, queues["test-write"].id, [NewTask(prompt_id=_prompt_id(place)) for place in (4, 8)])
    test = queues["test-rank"].id
    create_screening(store, lead, name="First screening", speech=test, ranking=test, writing=queues["test-write"].id)
    few_shot, about = NewTask(prompt_kind="few_shot"), NewTask(prompt_kind="user_based", about="Helping people to write letters")
    add_tasks(store, lead, queues["write"].id, [NewTask(), few_shot, about, NewTask(), NewTask()])


def _questions(store: Store, lead: Account, queues: dict[str, Queue], places: Sequence[int]) -> None:
    """Each prompt to rank, twice: all of its answers, then all but the second; to compare, to describe, and every third to answer."""
    add_answer_sets(store, lead, queues["rank"].id, [_answers(place) for place in places], licence=LICENCE)
    fewer = [NewTask(prompt_id=_prompt_id(place), answers=(_ids(place)[0], *_ids(place)[2:])) for place in places if place != SKIPPED]
    add_tasks(store, lead, queues["rank"].id, fewer)
    pairs = [NewTask(prompt_id=_prompt_id(place), answers=(_ids(place)[2], _ids(place)[0])) for place in places]
    add_tasks(store, lead, queues["compare"].id, pairs)
    for name, some in (("describe", places), ("answer", places[::3])):
        add_tasks(store, lead, queues[name].id, [NewTask(prompt_id=_prompt_id(place)) for place in some])


@dataclass
class _Days:
    """Three weeks of work."""

    store: Store
    clock: _Clock
    people: dict[str, Account]
    queues: dict[str, Queue]
    random: Random

    def live_through(self) -> None:
        """Every day some of the labelers take some tasks; in the end three of them hold one."""
        workers = [self.people[name] for name in SHAKES]
        for person in workers:
            for queue in self.queues.values():
                if queue.settings.guide_id is not None:
                    acknowledge_guide(self.store, person, queue.settings.guide_id)
        begun = self.clock.at
        self._screen()
        for day in range(DAYS):
            self.clock.at = max(self.clock.at, begun + timedelta(days=day))
            for person in self.random.sample(workers, 3 if day % 7 < 5 else 1):
                self._work(person, self.random.choice(("rank", "rank", "rank", "rank", "compare", "describe", "answer", "write")))
        self.clock.at = begun + timedelta(days=DAYS, minutes=-12)
        _questions(self.store, self.people["Lena"], self.queues, range(len(asked()) - FRESH, len(asked())))
        for person in workers[:3]:
            lease_next(self.store, person, self.queues["rank" if person.name == "Ben" else "compare"].id)

    def _screen(self) -> None:
        """Everybody takes the tests, the researcher too, who then rates what was written."""
        queues = [self.queues[name] for name in ("test-rank", "test-write")]
        for person in [self.people[name] for name in SHAKES]:
            for queue in queues:
                while (lease := lease_next(self.store, person, queue.id)) is not None:
                    self.clock.at += timedelta(minutes=3)
                    self._answer(person, lease, 150.0)
            assess_oneself(self.store, person, self.random.sample(TOPICS, 5), "")
        rosa = self.people["Rosa"]
        while (written := demonstration_to_rate(self.store, rosa, queues[1].id)) is not None:
            rate_demonstration(self.store, rosa, written.submission_id, self.random.choice((5, 6, 6, 7)))

    def _work(self, person: Account, name: str) -> None:
        for _ in range(self.random.randint(1, 4)):
            if (lease := lease_next(self.store, person, self.queues[name].id)) is None:
                return
            seconds = self.random.lognormvariate(4.6 if name in ("rank", "answer") else 3.6, 0.5)
            self.clock.at += timedelta(seconds=seconds + 20)
            self._answer(person, lease, seconds)

    def _answer(self, person: Account, lease: Lease, seconds: float) -> None:
        task = view_task(self.store, person, lease.id)
        place = _place(task)
        if task.mode == "training" and place == SKIPPED and task.kind == "ranking":
            skip(self.store, person, lease.id, self.random.choice(REASONS))
            return
        if task.kind == "write_prompt" and task.prompt_kind == "few_shot":
            release(self.store, person, lease.id)  # left for whoever tries the site
            return
        body = self._body(person, task, place)
        submit(self.store, person, lease.id, body, key=lease.id, work=Work(seconds=round(seconds, 1), pasted=round(self.random.random() * 0.1, 2)))

    def _body(self, person: Account, task: TaskView, place: int | None) -> dict[str, Any]:
        if task.kind == "write_prompt":
            who = self.random.choice(("a gardener", "a baker", "a sailor"))
            return {"prompt": f"Name three things that {who} does before sunrise.", "use_case": "brainstorming"}
        if place is None:
            return {"text": SOUP}
        one = asked()[place]
        if task.kind == "demonstration":
            return {"text": one.answers[0].text}
        if task.kind == "prompt_metadata":
            return {"use_case": one.use_case, "marks": ["requests_advice"] if one.use_case == "chat" else []}
        return self._judged(person, task, one)

    def _judged(self, person: Account, task: TaskView, one: Asked) -> dict[str, Any]:
        seen = {id_: one.answers[_number(id_)].quality + self.random.gauss(0, SHAKES[person.name]) for id_, _ in task.answers}
        ratings = {id_: self._rating(one.answers[_number(id_)], value) for id_, value in seen.items()}
        groups = list(_groups(seen))
        if task.kind == "evaluation":
            return {"ratings": ratings, "preferred": None if len(groups) == 1 else groups[0][0]}
        return {"ratings": ratings, "groups": groups, "better": None}

    def _rating(self, answer: Answer, value: float) -> dict[str, Any]:
        flags = sorted(flag for flag in answer.flags if self.random.random() < 0.85)
        return {"likert": min(7, max(1, round(value))), "flags": flags, "note": ""}


def _groups(seen: dict[str, float]) -> Iterator[list[str]]:
    """From best to worst; those that seem equal to the best of a group stand with it."""
    group: list[str] = []
    for answer in sorted(seen, key=lambda one: -seen[one]):
        if group and seen[group[0]] - seen[answer] > GAP:
            yield group
            group = []
        group.append(answer)
    yield group


def _answers(place: int) -> AnswerSet:
    one = asked()[place]
    prompt = Prompt(id=_prompt_id(place), text=one.text, user_id=f"example-user-{place % 4}", use_case=one.use_case)
    answers = [
        Completion(id=id_, prompt_id=prompt.id, text=answer.text, model_id=MODELS[number % 2])
        for number, (id_, answer) in enumerate(zip(_ids(place), one.answers, strict=True))
    ]
    return AnswerSet(prompt=prompt, completions=tuple(answers))


def _known(place: int) -> dict[str, Any]:
    """The order in which careful readers put three of the answers."""
    seen = {id_: asked()[place].answers[_number(id_)].quality for id_ in _ids(place)[1:4]}
    ratings = {answer: {"likert": round(value), "flags": [], "note": ""} for answer, value in seen.items()}
    return {"ratings": ratings, "groups": list(_groups(seen)), "better": None}


def _prompt_id(place: int) -> str:
    return f"example-{place}"


def _ids(place: int) -> tuple[str, ...]:
    """Ids of the answers, the best first; nothing in them tells how good one is."""
    return tuple(f"answer-{place}-{text_hash(answer.text)[:8]}" for answer in asked()[place].answers)


def _number(answer: str) -> int:
    """How many answers to the prompt are better."""
    return _ids(int(answer.split("-")[1])).index(answer)


def _place(task: TaskView) -> int | None:
    return next((place for place, one in enumerate(asked()) if one.text == task.prompt), None)

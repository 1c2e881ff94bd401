"""Queues with tasks on a site, and one labeler's work in them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instructloop.records import AnswerSet, Completion, Prompt
from instructloop.store.database.leases import Lease, lease_next
from instructloop.store.database.queues import Queue, QueueSettings, acknowledge_guide, create_queue, publish_guide
from instructloop.store.database.roles import Account
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks
from store_world import ranking_body
from web.scripted import Stage

NUMBERS = itertools.count(1)
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@dataclass(frozen=True)
class Work:
    """What one labeler has: a queue under a guide, a task in hand, an answer submitted."""

    queue: str
    guide: str
    lease: str
    submission: str
    task: str


def queue_of(site: Stage, kind: Any, name: str | None = None, mode: Any = "training", **settings: Any) -> Queue:
    """A new queue, by the lead."""
    return create_queue(
        site.store, site.people["lead"], name=name or f"queue {next(NUMBERS)}", kind=kind, mode=mode, settings=QueueSettings(**settings)
    )


def judged(site: Stage, queue: Queue, count: int = 1, *, num_answers: int = 4, texts: Sequence[str] = (), prompt: str | None = None) -> list[str]:
    """Tasks about imported prompts with answers; the texts are taken in turn."""
    sets = []
    for number in itertools.islice(NUMBERS, count):
        asked = Prompt(id=f"p{number}", text=prompt or f"Prompt number {number}", user_id=f"user{number}")
        said = [texts[i % len(texts)] if texts else f"Answer {i} to {number}" for i in range(num_answers)]
        answers = tuple(Completion(id=f"ppo-{i}", prompt_id=asked.id, text=text, model_id="secret-model") for i, text in enumerate(said))
        sets.append(AnswerSet(prompt=asked, completions=answers))
    return add_answer_sets(site.store, site.people["lead"], queue.id, sets, licence="CC0")


def about_prompts(site: Stage, queue: Queue, count: int = 1, *, text: str | None = None) -> list[str]:
    """Tasks about imported prompts without answers: to answer or to describe."""
    stock = queue_of(site, "ranking", open=False)
    judged(site, stock, count, num_answers=2, prompt=text)
    first = next(NUMBERS) - count
    return add_tasks(site.store, site.people["lead"], queue.id, [NewTask(prompt_id=f"p{first + i}") for i in range(count)])


def taken(site: Stage, person: Account, queue: Queue) -> Lease:
    """The next lease, which there must be."""
    lease = lease_next(site.store, person, queue.id)
    assert lease is not None
    return lease


def work_of(site: Stage, name: str) -> Work:
    """A queue of a person's own, with one task submitted and the next in hand."""
    person = site.people[name]
    guide = publish_guide(site.store, site.people["lead"], name=f"guide {next(NUMBERS)}", mode="training", text="# Guide\n\nBe kind.")
    queue = queue_of(site, "ranking", guide_id=guide.id, overlap=3)
    for one in site.people.values():
        acknowledge_guide(site.store, one, guide.id)
    judged(site, queue, 2)
    first = taken(site, person, queue)
    submission = submit(site.store, person, first.id, ranking_body(first.shown), key=f"of {first.id}")
    return Work(queue.id, guide.id, taken(site, person, queue).id, submission.id, first.task_id)

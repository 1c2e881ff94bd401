"""A store with a crowd in it: labelers, playground users, one queue of rankings; and the check of what became of the queue."""

from collections.abc import Sequence

import sqlalchemy as sa

from instructloop.records import AnswerSet, Completion, Prompt
from instructloop.store.database import schema
from instructloop.store.database.accounts import create_account
from instructloop.store.database.opening import Store
from instructloop.store.database.queues import Queue, QueueSettings, create_queue
from instructloop.store.database.tasks import add_answer_sets

PASSWORD = "seven plain words that nobody knows"


def gather(
    store: Store, *, labelers: int, users: int, tasks: int, overlap: int, num_answers: int = 4, characters: int = 640
) -> tuple[Queue, list[str], list[str]]:
    """The queue, the labelers' names and the users'; `characters` is the length of an answer."""
    lead = create_account(store, None, name="lead of the crowd", role="lead", password=PASSWORD)
    queue = create_queue(store, lead, name="crowd", kind="ranking", settings=QueueSettings(overlap=overlap))
    add_answer_sets(store, lead, queue.id, (_set(number, num_answers, characters) for number in range(tasks)), licence="CC0")
    names = [f"labeler {number}" for number in range(labelers)], [f"user {number}" for number in range(users)]
    for group, role in zip(names, ("labeler", "playground"), strict=True):
        for name in group:
            create_account(store, None, name=name, role=role, password=PASSWORD)
    return queue, *names


def lost_and_doubled(store: Store, acknowledged: Sequence[str]) -> tuple[int, int, int]:
    """(acknowledged submissions that are not there, tasks that somebody answered twice, tasks with more people than asked)."""
    submissions, tasks = schema.submissions, schema.tasks
    with store.reading() as connection:
        rows = connection.execute(sa.select(submissions.c.id, submissions.c.task_id, submissions.c.account_id)).all()
        given = connection.execute(sa.select(tasks.c.id, tasks.c.overlap, tasks.c.assigned)).all()
    there, by_task = {row.id for row in rows}, {task.id: 0 for task in given}
    for row in rows:
        by_task[row.task_id] += 1
    doubled = len(rows) - len({(row.task_id, row.account_id) for row in rows})
    over = sum(by_task[task.id] > task.overlap or task.assigned > task.overlap or task.assigned < by_task[task.id] for task in given)
    return len(set(acknowledged) - there), doubled, over


def _set(number: int, num_answers: int, characters: int) -> AnswerSet:
    prompt = Prompt(id=f"crowd{number}", text=f"Prompt number {number}", user_id=f"user{number % 7}")
    texts = [(f"Answer {i} to {number}. " * characters)[:characters] for i in range(num_answers)]
    answers = [Completion(id=f"a{i}", prompt_id=prompt.id, text=text, model_id="m") for i, text in enumerate(texts)]
    return AnswerSet(prompt=prompt, completions=tuple(answers))

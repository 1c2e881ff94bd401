"""What a person sees of a task in their hands: the question, and nothing that could sway them.

Not who asked, not which model gave which answer, not what others said, not whether the task is gold or a repeat.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from instructloop.errors import NotFound
from instructloop.records import PromptKind
from instructloop.store.database import schema
from instructloop.store.database.drafts import Draft, find_draft
from instructloop.store.database.kinds import Kind
from instructloop.store.database.labeling import task_of
from instructloop.store.database.leases import Lease, find_lease
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import LEADING, Account
from instructloop.store.database.submissions import Submission

_SHOWN_PROMPT = sa.select(sa.func.coalesce(schema.prompts.c.curated_text, schema.prompts.c.text)).where(
    schema.prompts.c.id == sa.bindparam("this_prompt")
)
_SHOWN_ANSWERS = sa.select(schema.answers.c.id, schema.answers.c.text).where(
    schema.answers.c.prompt_id == sa.bindparam("this_prompt"), schema.answers.c.id.in_(sa.bindparam("shown", expanding=True))
)


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task as a labeler sees it."""

    lease_id: str
    queue_id: str
    kind: Kind
    mode: str
    prompt: str | None
    """The text to answer or judge by; None where a prompt is to be written."""
    answers: tuple[tuple[str, str], ...]
    """(id, text) in the order of this lease."""
    prompt_kind: PromptKind
    about: str | None
    guide_id: str | None
    draft: Draft | None
    expires_at: datetime


def view_task(store: Store, actor: Account, lease_id: str) -> TaskView:
    """The task of one's own lease. Raises `NotFound` for somebody else's, and for a prompt that its author has erased."""
    with store.reading() as connection:
        return _viewed(connection, find_lease(connection, actor, lease_id, lock=False))


def view_submitted(store: Store, actor: Account, submission: Submission) -> TaskView:
    """The task of a submission as its author saw it: for the author and for leads, who may revise it. Raises as `view_task` does."""
    with store.reading() as connection:
        return _viewed(connection, find_lease(connection, None if actor.role in LEADING else actor, submission.lease_id, lock=False))


def _viewed(connection: sa.Connection, lease: Lease) -> TaskView:
    task = task_of(connection, lease.task_id, lease.purpose)
    if task.erased:
        raise NotFound("the author of this prompt has erased it", expected="a prompt that is there", remedy="take the next task")
    return TaskView(
        lease_id=lease.id, queue_id=task.queue_id, kind=task.kind, mode=task.mode, prompt=_prompt(connection, task.prompt_id),
        prompt_kind=task.prompt_kind, answers=_answers(connection, task.prompt_id, lease), about=task.about, guide_id=lease.guide_id,
        draft=find_draft(connection, lease.id), expires_at=lease.expires_at,
    )  # fmt: skip


def _prompt(connection: sa.Connection, prompt_id: str | None) -> str | None:
    return connection.execute(_SHOWN_PROMPT, {"this_prompt": prompt_id}).scalar_one_or_none()


def _answers(connection: sa.Connection, prompt_id: str | None, lease: Lease) -> tuple[tuple[str, str], ...]:
    if not lease.shown:
        return ()
    query, this = _SHOWN_ANSWERS, {"this_prompt": prompt_id, "shown": lease.shown}
    texts = dict(connection.execute(query, this).all())
    return tuple((id_, texts[id_] or "") for id_ in lease.shown)

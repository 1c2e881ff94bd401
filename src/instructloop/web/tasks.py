"""A task as the page of a labeler gets it, and what is done when the store says no."""

from typing import Any

from fastapi.responses import JSONResponse, Response

from instructloop.store.database.drafts import Draft
from instructloop.store.database.kinds import questions_of
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import Account
from instructloop.store.database.views import TaskView, view_task
from instructloop.web.blind import letters
from instructloop.web.refusals import Refusal

Json = dict[str, Any]


def task_json(store: Store, me: Account, lease_id: str) -> Json:
    """The task of a lease with its questions and its draft. Raises `NotFound` as `view_task` does."""
    return shown_task(view_task(store, me, lease_id))


def shown_task(task: TaskView) -> Json:
    """A task as a page gets it: letters for answers, nothing of where anything comes from."""
    names = letters([id_ for id_, _ in task.answers])
    return {
        "lease": task.lease_id,
        "queue": task.queue_id,
        "kind": task.kind,
        "prompt_kind": task.prompt_kind,
        "about": task.about,
        "prompt": task.prompt,
        "answers": [{"name": name, "text": text} for name, (_, text) in zip(names, task.answers, strict=True)],
        "questions": [vars(question) | {"choices": list(question.choices)} for question in questions_of(task.kind, task.prompt_kind)],
        "draft": draft_json(task.draft),
    }


def draft_json(draft: Draft | None) -> Json | None:
    """A draft as a page gets it; None if there is none."""
    return None if draft is None else {"version": draft.version, "body": draft.body, "saved_at": draft.saved_at.isoformat()}


def refused(refusal: Refusal, **more: Any) -> Response:
    """A refusal with what the page needs to go on."""
    return JSONResponse({**refusal.to_json(), **more}, refusal.status)

"""The labeler's pages: queues and what is left of them, the guide to acknowledge, the work itself, one's own work."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from instructloop.errors import Conflict
from instructloop.store.database.accounts import account_by_id
from instructloop.store.database.kinds import SKIP_REASONS
from instructloop.store.database.leases import lease_next
from instructloop.store.database.own_work import own_queues, own_work
from instructloop.store.database.queues import Guide, GuideUnread, Queue, acknowledge_guide, read_guide, read_queue
from instructloop.store.database.screening import self_assessment
from instructloop.store.database.submissions import read_submission
from instructloop.store.database.views import view_submitted
from instructloop.web.blind import to_letters
from instructloop.web.guide_text import blocks
from instructloop.web.rendering import page
from instructloop.web.site import site_of
from instructloop.web.tasks import shown_task, task_json
from instructloop.web.visits import Person, see_other

router = APIRouter(prefix="/labeling")
PER_PAGE = 20


@router.get("")
def home(request: Request, me: Person) -> Response:
    """The queues that are open to this person, with what is left, and their latest work."""
    store = site_of(request).store
    return page(
        request, "labeling_home.html",
        queues=own_queues(store, me), recent=own_work(store, me, limit=5), themselves=self_assessment(store, me), now=store.now(),
    )  # fmt: skip


@router.get("/own")
def own_page(request: Request, me: Person, before: Annotated[AwareDatetime | None, Query()] = None) -> Response:
    """What one has submitted, the newest first."""
    store = site_of(request).store
    found = own_work(store, me, before=before, limit=PER_PAGE + 1)
    older = found[PER_PAGE - 1].at.isoformat() if len(found) > PER_PAGE else None
    return page(request, "labeling_own.html", work=found[:PER_PAGE], older=older, newest=before is None, now=store.now())


@router.get("/queues/{id}")
def work_page(request: Request, id: str, me: Person) -> Response:
    """The place to work, with the first task in it; before it the guide, if there is a version that was not acknowledged."""
    store = site_of(request).store
    queue = read_queue(store, me, id)
    if not queue.settings.open:
        return page(request, "labeling_closed.html", queue=queue)
    try:
        lease = lease_next(store, me, id)
    except GuideUnread as error:
        return page(request, "labeling_guide.html", queue=queue, guide=error.guide, blocks=blocks(error.guide.text))
    return _work(request, queue, None if lease is None else task_json(store, me, lease.id))


@router.post("/queues/{id}/guide/{guide}")
def acknowledge(request: Request, id: str, guide: str, me: Person) -> Response:
    """Note that the guide was read, and go on to the work."""
    store = site_of(request).store
    if read_queue(store, me, id).settings.guide_id != guide:
        raise Conflict("there is a newer version of this guide", expected="that you read the newest", remedy="open the queue again")
    acknowledge_guide(store, me, guide)
    return see_other(f"/labeling/queues/{id}")


@router.get("/submissions/{id}")
def revise_page(request: Request, id: str, me: Person) -> Response:
    """One's own answer, to be looked at and revised; for leads anybody's."""
    store = site_of(request).store
    submission = read_submission(store, me, id)
    task = view_submitted(store, me, submission)
    own = submission.account_id == me.id
    revising = {
        "id": id, "body": to_letters(dict(submission.body), [answer for answer, _ in task.answers]),
        "back": "/labeling/own" if own else f"/admin/tasks/{submission.task_id}",
    }  # fmt: skip
    author = None if own else account_by_id(store, submission.account_id).name
    return _work(request, read_queue(store, me, task.queue_id), shown_task(task), revising=revising, author=author)


def _work(
    request: Request, queue: Queue, task: dict[str, Any] | None, *, revising: dict[str, Any] | None = None, author: str | None = None
) -> Response:
    guide = _guide(request, queue)
    return page(
        request,
        "labeling_work.html",
        queue=queue,
        first=json.dumps({"task": task, "revising": revising}),
        author=author,
        skip_reasons=SKIP_REASONS,
        guide=guide,
        blocks=blocks(guide.text) if guide else [],
    )


def _guide(request: Request, queue: Queue) -> Guide | None:
    guide_id = queue.settings.guide_id
    return read_guide(site_of(request).store, guide_id) if guide_id else None

"""What the page of a labeler asks of the server while somebody works: JSON in, JSON out, under the guards of every page."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from instructloop.store.database import leases
from instructloop.store.database.drafts import Draft, StaleDraft, save_draft
from instructloop.store.database.kinds import skip_reason
from instructloop.store.database.queues import GuideUnread
from instructloop.store.database.submissions import Submission, Work, read_submission, revise, save_revision_draft, submit
from instructloop.store.database.views import view_submitted, view_task
from instructloop.web.blind import to_ids
from instructloop.web.refusals import Refusal
from instructloop.web.site import Site, site_of
from instructloop.web.tasks import draft_json, refused, task_json
from instructloop.web.visits import Person

router = APIRouter(prefix="/labeling")

Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
"""Made by the page, once for each answer: the same key gives the same record."""


class Sent(BaseModel):
    """Nothing undeclared, nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Next(Sent):
    """Leases that the page holds already, so that it can fetch a task beside them."""

    beside: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=10)] = []


class Measured(Sent):
    """How the answer came about, measured by the page, with notice."""

    seconds: Annotated[float, Field(ge=0, lt=10**7)] = 0.0
    pasted: Annotated[float, Field(ge=0, le=1)] = 0.0


class Drafted(Sent):
    """What was typed so far, as the page likes to keep it."""

    body: Any


class Submitted(Sent):
    """The answer to a task, with letters for its answers."""

    body: Any
    work: Measured = Measured()


class Skipped(Sent):
    """Why somebody will not do a task."""

    reason: str
    words: Annotated[str, Field(max_length=2000)] = ""


@router.post("/queues/{id}/next")
def next_task(request: Request, id: str, given: Next, me: Person) -> Response:
    """The next task of a queue, `null` if there is none; 409 with the guide if a new version must be read first."""
    store = site_of(request).store
    try:
        lease = leases.lease_next(store, me, id, beside=given.beside)
    except GuideUnread as error:
        return refused(Refusal(409, "guide_unread"), guide=error.guide.id)
    return JSONResponse({"task": None if lease is None else task_json(store, me, lease.id)})


@router.get("/leases/{id}")
def read_task(request: Request, id: str, me: Person) -> Response:
    """The task of one's own lease, with the draft as the store has it."""
    return JSONResponse({"task": task_json(site_of(request).store, me, id)})


@router.post("/leases/{id}/renew")
def renew_lease(request: Request, id: str, me: Person) -> Response:
    """A sign of life from somebody who reads."""
    return JSONResponse({"until": leases.renew(site_of(request).store, me, id).expires_at.isoformat()})


@router.post("/leases/{id}/draft")
def keep_draft(request: Request, id: str, given: Drafted, me: Person, if_match: Annotated[str, Header()]) -> Response:
    """Keep what was typed. `If-Match` is the version it began from, "0" for none; 412 with the stored draft if that is another."""
    return _drafted(if_match, lambda version: save_draft(site_of(request).store, me, id, given.body, version=version))


@router.post("/leases/{id}/submission")
def submit_answer(request: Request, id: str, given: Submitted, me: Person, key: Key) -> Response:
    """The answer to a task, for good."""
    site = site_of(request)
    shown = [answer for answer, _ in view_task(site.store, me, id).answers]
    return _kept(submit(site.store, me, id, to_ids(given.body, shown), key=key, work=_work(given)))


@router.post("/leases/{id}/skip")
def skip_task(request: Request, id: str, given: Skipped, me: Person) -> Response:
    """Refuse a task: it is never offered to this person again."""
    leases.skip(site_of(request).store, me, id, skip_reason(given.reason, given.words))
    return JSONResponse({"skipped": True})


@router.post("/leases/{id}/release")
def release_task(request: Request, id: str, me: Person) -> Response:
    """Give a task back, with what was drafted."""
    leases.release(site_of(request).store, me, id)
    return JSONResponse({"released": True})


@router.post("/submissions/{id}/draft")
def keep_revision_draft(request: Request, id: str, given: Drafted, me: Person, if_match: Annotated[str, Header()]) -> Response:
    """Keep what was typed of a revision, in the same way."""
    return _drafted(if_match, lambda version: save_revision_draft(site_of(request).store, me, id, given.body, version=version))


@router.post("/submissions/{id}/revision")
def revise_answer(request: Request, id: str, given: Submitted, me: Person, key: Key) -> Response:
    """Another answer in place of one's own, or, for leads, of anybody's; the old one is kept."""
    site = site_of(request)
    return _kept(revise(site.store, me, id, to_ids(given.body, shown_in(site, me, id)), key=key, work=_work(given)))


def shown_in(site: Site, me: Person, submission_id: str) -> list[str]:
    """The answers in the order in which a submission's author saw them; `NotFound` for whoever may not revise it."""
    return [answer for answer, _ in view_submitted(site.store, me, read_submission(site.store, me, submission_id)).answers]


def _drafted(if_match: str, save: Callable[[int], Draft]) -> Response:
    version = if_match.strip().strip('"')
    if not version.isdecimal() or len(version) > 9:
        raise Refusal(400, "bad_request")
    try:
        draft = save(int(version))
    except StaleDraft as error:
        return refused(Refusal(412, "stale_draft"), draft=draft_json(error.stored))
    return JSONResponse({"version": draft.version, "saved_at": draft.saved_at.isoformat()}, headers={"ETag": f'"{draft.version}"'})


def _work(given: Submitted) -> Work:
    return Work(seconds=given.work.seconds, pasted=given.work.pasted)


def _kept(submission: Submission) -> Response:
    return JSONResponse({"submission": submission.id, "at": submission.at.isoformat()})

"""Queues: making them, setting them, who is qualified, their tasks, and sampling candidates for them."""

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from instructloop.errors import DataError
from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.bulk import change_tasks
from instructloop.store.database.families import list_snapshots
from instructloop.store.database.jobs import enqueue
from instructloop.store.database.kinds import KINDS, PROMPT_KINDS
from instructloop.store.database.models import list_models
from instructloop.store.database.opening import Store
from instructloop.store.database.oversight import GOLD, list_guides, qualified_people, queue_overview, queue_overviews, task_rows
from instructloop.store.database.prompt_tasks import add_tasks_about_snapshot, add_tasks_about_written, add_tasks_to_write
from instructloop.store.database.queues import MODES, QueueSettings, change_queue, create_queue, qualify, read_queue
from instructloop.store.database.roles import LABELING, LEADING, Account, require
from instructloop.store.database.tasks import JUDGED, count_tasks
from instructloop.web.office import office
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin/queues")
PER_PAGE = 50
STATES = ("open", "done", "review", "retired", GOLD)
WRITTEN = "written"
"""What a form calls the prompts that labelers have written, where else the id of a data set of prompts stands."""
SAMPLE = "sample"
"""The kind of job that makes candidates: see `instructloop worker`."""


async def _sent(request: Request) -> dict[str, str]:
    """The words of a form, whatever its fields are called."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Sent = Annotated[dict[str, str], Depends(_sent)]


@router.get("")
def queues_page(request: Request, me: Person) -> Response:
    """Every queue, and a form for another."""
    store = site_of(request).store
    return office(
        request, me, "admin_queues.html",
        queues=queue_overviews(store, me), kinds=KINDS, modes=MODES, guides=list_guides(store, me), settings=QueueSettings(),
    )  # fmt: skip


@router.post("")
def new_queue(request: Request, here: Here, form: Sent) -> Response:
    """A queue with all its settings."""
    kind, mode = _one_of(form, "kind", KINDS), _one_of(form, "mode", MODES)
    queue = create_queue(site_of(request).store, here.account, name=form.get("name", ""), kind=kind, mode=mode, settings=_settings(form))
    site_of(request).notes.leave(here.id, good=text("admin.queue_made", name=queue.name))
    return see_other(f"/admin/queues/{queue.id}")


@router.get("/{id}")
def queue_page(request: Request, id: str, me: Person, state: Annotated[str | None, Query()] = None, after: Annotated[str, Query()] = "") -> Response:
    """One queue: how far it is, its settings, its people, its tasks."""
    if state is not None and state not in STATES:
        raise Refusal(404, "not_found")
    store = site_of(request).store
    overview = queue_overview(store, me, id)
    rows = task_rows(store, me, id, state=state, limit=PER_PAGE + 1, after=after)
    qualified = qualified_people(store, me, id)
    others = [one for one in list_accounts(store, me) if one.role in LABELING and one.disabled_at is None and one not in qualified]
    return office(
        request, me, "admin_queue.html",
        overview=overview, queue=overview.queue, settings=overview.queue.settings, guides=list_guides(store, me),
        rows=rows[:PER_PAGE], older=rows[PER_PAGE - 1].task.id if len(rows) > PER_PAGE else None, after=after, state=state, states=STATES,
        counts=count_tasks(store, me, id) | {GOLD: overview.gold}, judged=JUDGED,
        qualified=qualified, others=others, models=list_models(store), prompt_kinds=PROMPT_KINDS, written=WRITTEN,
        prompt_sets=[one for one in list_snapshots(store, me) if one.record == "Prompt"],
    )  # fmt: skip


@router.post("/{id}")
def set_queue(request: Request, id: str, here: Here, form: Sent) -> Response:
    """Other settings; what is leased already keeps its time."""
    change_queue(site_of(request).store, here.account, id, _settings(form))
    site_of(request).notes.leave(here.id, good=text("admin.queue_set"))
    return see_other(f"/admin/queues/{id}")


@router.post("/{id}/tasks")
def act_on_tasks(
    request: Request,
    id: str,
    here: Here,
    task: Annotated[list[str] | None, Form()] = None,
    act: Annotated[str, Form()] = "",
    overlap: Annotated[str, Form()] = "",
) -> Response:
    """Offer the ticked tasks again, or to nobody any more."""
    done = act_in_bulk(request, here, task or [], act, overlap)
    site_of(request).notes.leave(here.id, good=done)
    return see_other(f"/admin/queues/{id}#tasks")


@router.post("/{id}/new-tasks")
def new_tasks(request: Request, id: str, here: Here, form: Sent) -> Response:
    """More tasks: prompts to be written, or prompts to answer or describe. Answers to judge are sampled."""
    added = _add_tasks(site_of(request).store, here.account, id, form)
    site_of(request).notes.leave(here.id, good=text("admin.tasks_added", count=added))
    return see_other(f"/admin/queues/{id}#tasks")


@router.post("/{id}/people")
def qualify_person(
    request: Request, id: str, here: Here, account: Annotated[str, Form()] = "", qualified: Annotated[bool, Form()] = False
) -> Response:
    """Say that somebody may be given the tasks of the queue, or no longer."""
    qualify(site_of(request).store, here.account, id, account, qualified=qualified)
    site_of(request).notes.leave(here.id, good=text("admin.qualified" if qualified else "admin.disqualified"))
    return see_other(f"/admin/queues/{id}#people")


@router.post("/{id}/candidates")
def sample_candidates(
    request: Request,
    id: str,
    here: Here,
    model: Annotated[list[str] | None, Form()] = None,
    prompts: Annotated[str, Form()] = "",
    num_answers: Annotated[str, Form()] = "4..9",
    max_new_tokens: Annotated[str, Form()] = "256",
) -> Response:
    """Ask the worker for answers of the ticked models to the prompts of a snapshot, as tasks of this queue."""
    require(here.account, LEADING, "start jobs")
    store, models = site_of(request).store, sorted(set(model or []))
    snapshot = next((one for one in list_snapshots(store, here.account) if one.id == prompts and one.record == "Prompt"), None)
    if not models or snapshot is None:
        raise DataError("no model or no prompts are chosen", expected="one model or more, and a set of prompts", remedy="choose them")
    length = _whole("max_new_tokens", max_new_tokens)
    payload = {"queue_id": id, "prompts": snapshot.folder, "models": {name: 1 / len(models) for name in models}}
    payload |= {"num_answers": num_answers, "max_new_tokens": length}
    told = "\0".join([id, snapshot.id, num_answers, str(length), *models])
    job = enqueue(store, here.account, SAMPLE, payload, key=f"{SAMPLE} {hashlib.sha256(told.encode()).hexdigest()[:24]}")
    site_of(request).notes.leave(here.id, good=text("admin.sampling", job=job.id[:8]))
    return see_other("/admin/jobs")


def act_in_bulk(request: Request, here: Here, tasks: list[str], act: str, overlap: str) -> str:
    """Do it, and say what was done. Raises `DataError` for an act that is none."""
    store = site_of(request).store
    if act == "retire":
        return text("admin.retired", count=change_tasks(store, here.account, tasks, "retire"))
    if act == "requeue":
        people = round(_number("overlap", overlap)) if overlap else None
        return text("admin.requeued", count=change_tasks(store, here.account, tasks, "requeue", overlap=people))
    raise DataError(f"the act {act!r}", expected="requeue or retire", remedy="choose one")


def _add_tasks(store: Store, me: Account, queue_id: str, form: Mapping[str, str]) -> int:
    """What the form of the queue's kind asks for; returns how many tasks there are more."""
    require(me, LEADING, "add tasks")
    queue, count = read_queue(store, me, queue_id), _whole("the number of tasks", form.get("count", ""))
    if queue.kind == "write_prompt":
        return add_tasks_to_write(store, me, queue.id, _one_of(form, "prompt_kind", PROMPT_KINDS), form.get("about", "").strip() or None, count=count)
    if queue.kind in JUDGED:
        raise DataError(f"a queue of kind {queue.kind!r}", expected="answers to judge with each prompt", remedy="sample candidates for it")
    source = form.get("source", "")
    if source == WRITTEN:
        return add_tasks_about_written(store, me, queue.id, most=count)
    return add_tasks_about_snapshot(store, me, queue.id, source, most=count)


def _settings(form: Mapping[str, str]) -> QueueSettings:
    """The settings of a form: boxes that are not ticked are not sent; shares are written in per cent."""
    values: dict[str, Any] = {}
    for field in fields(QueueSettings):
        given = form.get(field.name, "").strip()
        if isinstance(field.default, bool):
            values[field.name] = given == "true"
        elif field.name == "guide_id":
            values[field.name] = given or None
        elif given:
            number = _number(field.name, given)
            values[field.name] = number / 100 if isinstance(field.default, float) else round(number) * UNITS.get(field.name, 1)
    return QueueSettings(**values)


UNITS: Mapping[str, int] = {"lease_seconds": 60, "revise_seconds": 3600}
"""Forms ask for minutes and hours."""


def _number(name: str, given: str) -> Any:
    with suppress(ValueError, OverflowError):
        if math.isfinite(number := float(given) if "." in given else int(given)):
            return number
    raise DataError(f"{name} is {given!r:.40}", expected="a number", remedy="correct it")


def _whole(name: str, given: str) -> int:
    number = _number(name, given.strip())
    if not isinstance(number, int):
        raise DataError(f"{name} is {given!r:.40}", expected="a whole number", remedy="correct it")
    return number


def _one_of(form: Mapping[str, str], name: str, known: tuple[Any, ...]) -> Any:
    if (given := form.get(name)) not in known:
        raise DataError(f"the {name} is {given!r:.40}", expected=f"one of {', '.join(known)}", remedy="choose one")
    return given

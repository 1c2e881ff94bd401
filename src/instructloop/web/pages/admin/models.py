"""Models: which the playground offers, and where each comes from; jobs of the worker; the audit."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime

from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.audit import read_audit
from instructloop.store.database.families import contributors, model_family
from instructloop.store.database.jobs import cancel_job, list_jobs
from instructloop.store.database.models import choose_model, list_models, retire_model, show_model
from instructloop.store.database.oversight import list_guides, queue_overviews
from instructloop.store.database.roles import READING, require
from instructloop.store.database.screening import list_screenings
from instructloop.web.office import office
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin")
PER_PAGE = 100
MOST_PEOPLE = 200
"""Of a model's family, by name; `instructloop lineage --everybody` names all."""
ACTS: Mapping[str, Callable[..., Any]] = {
    "choose": choose_model,
    "show": lambda store, me, name: show_model(store, me, name, visible=True),
    "hide": lambda store, me, name: show_model(store, me, name, visible=False),
    "retire": retire_model,
}


@router.get("/models")
def models_page(request: Request, me: Person) -> Response:
    """Registered models, and which of them are served now."""
    require(me, READING, "see where models come from")
    site = site_of(request)
    return office(request, me, "admin_models.html", models=list_models(site.store), served=sorted(site.completers))


@router.get("/models/{name:path}")
def model_page(request: Request, name: str, me: Person) -> Response:
    """One model's family: snapshots, people, the models before it."""
    store = site_of(request).store
    family = model_family(store, me, name)
    people = contributors(store, me, family)
    return office(request, me, "admin_model.html", family=family, people=people[:MOST_PEOPLE], number=len(people))


@router.post("/models/{act}/{name:path}")
def act_on_model(request: Request, act: str, name: str, here: Here) -> Response:
    """Choose, show, hide or retire a model."""
    if act not in ACTS:
        raise Refusal(404, "not_found")
    ACTS[act](site_of(request).store, here.account, name)
    site_of(request).notes.leave(here.id, good=text("admin.model_changed", name=name))
    return see_other("/admin/models")


@router.get("/jobs")
def jobs_page(request: Request, me: Person) -> Response:
    """What the worker does, did and will do."""
    return office(request, me, "admin_jobs.html", jobs=list_jobs(site_of(request).store, me, limit=PER_PAGE))


@router.post("/jobs/{id}/cancel")
def cancel(request: Request, id: str, here: Here) -> Response:
    """Let nobody do the job any more."""
    cancel_job(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("admin.job_stopped"))
    return see_other("/admin/jobs")


@router.get("/audit")
def audit_page(request: Request, me: Person, before: Annotated[AwareDatetime | None, Query()] = None) -> Response:
    """Who did what, the newest first."""
    store = site_of(request).store
    rows = read_audit(store, me, before=before, limit=PER_PAGE + 1)
    names = {account.id: account.name for account in list_accounts(store, me)}
    named = names | {one.queue.id: one.queue.name for one in queue_overviews(store, me)} | {one.id: one.name for one in list_screenings(store, me)}
    named |= {one.id: text("admin.guide_version", name=one.name, version=one.version) for one in list_guides(store, me)}
    older = rows[PER_PAGE - 1].at.isoformat() if len(rows) > PER_PAGE else None
    return office(request, me, "admin_audit.html", rows=rows[:PER_PAGE], names=names, named=named, older=older, newest=before is None)

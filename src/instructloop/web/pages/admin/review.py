"""The review list: tasks that people have skipped too often, with their reasons; and tasks in people's hands."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from instructloop.errors import DataError
from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.bulk import free_leases, reassign
from instructloop.store.database.oversight import lease_rows, queue_overviews, task_rows
from instructloop.store.database.roles import LABELING
from instructloop.web.office import office
from instructloop.web.pages.admin.queues import act_in_bulk
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin")
MOST = 200


@router.get("/review")
def review_page(request: Request, me: Person) -> Response:
    """Every task that waits for a lead, of all queues."""
    store = site_of(request).store
    names = {one.queue.id: one.queue.name for one in queue_overviews(store, me)}
    return office(request, me, "admin_review.html", rows=task_rows(store, me, None, state="review", limit=MOST), names=names)


@router.post("/review")
def decide(
    request: Request,
    here: Here,
    task: Annotated[list[str] | None, Form()] = None,
    act: Annotated[str, Form()] = "",
    overlap: Annotated[str, Form()] = "",
) -> Response:
    """Offer the ticked tasks again, or retire them."""
    done = act_in_bulk(request, here, task or [], act, overlap)
    site_of(request).notes.leave(here.id, good=done)
    return see_other("/admin/review")


@router.get("/leases")
def leases_page(request: Request, me: Person) -> Response:
    """Who holds what."""
    store = site_of(request).store
    rows = lease_rows(store, me, limit=MOST)
    people = [one for one in list_accounts(store, me) if one.role in LABELING and one.disabled_at is None]
    return office(request, me, "admin_leases.html", rows=rows, people=people, now=store.now())


@router.post("/leases")
def act_on_leases(
    request: Request,
    here: Here,
    lease: Annotated[list[str] | None, Form()] = None,
    act: Annotated[str, Form()] = "",
    account: Annotated[str, Form()] = "",
) -> Response:
    """Free the ticked tasks, or put them into somebody else's hands."""
    store, chosen = site_of(request).store, lease or []
    if act == "free":
        done = text("admin.freed", count=free_leases(store, here.account, chosen))
    elif act == "reassign":
        done = text("admin.reassigned", count=reassign(store, here.account, chosen, account))
    else:
        raise DataError(f"the act {act!r}", expected="free or reassign", remedy="choose one")
    site_of(request).notes.leave(here.id, good=done)
    return see_other("/admin/leases")

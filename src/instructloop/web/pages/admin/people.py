"""People: who there is, inviting more, and what each may do."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from instructloop.store.database.accounts import account_by_id, change_role, disable_account, list_accounts, set_held_out
from instructloop.store.database.api_keys import list_keys, revoke_key
from instructloop.store.database.invitations import BY_LEADS, LIFETIME, invite, list_invitations, revoke_invitation
from instructloop.store.database.oversight import qualified_queues, queue_overviews
from instructloop.store.database.roles import LEADING, ROLES, known_role, require
from instructloop.store.database.screening import self_assessments
from instructloop.web.office import office
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin/people")


@router.get("")
def people_page(request: Request, me: Person) -> Response:
    """Accounts and open invitations; the store refuses those who may not see them."""
    store = site_of(request).store
    roles = [role for role in reversed(ROLES) if me.role == "administrator" or role in BY_LEADS]
    return office(request, me, "admin_people.html", accounts=list_accounts(store, me), invitations=list_invitations(store, me), roles=roles)


@router.post("/invitations")
def new_invitation(request: Request, here: Here, role: Annotated[str, Form()] = "", held_out: Annotated[bool, Form()] = False) -> Response:
    """A link that becomes one account; the next page shows it, once."""
    site, chosen = site_of(request), known_role(role)
    token, _ = invite(site.store, here.account, chosen, held_out=held_out and chosen == "labeler")
    site.notes.leave(here.id, link=f"{_address(request)}/invitation/{token}", days=LIFETIME.days)
    return see_other("/admin/people")


@router.post("/invitations/{id}/withdraw")
def withdraw_invitation(request: Request, id: str, here: Here) -> Response:
    """A link that was made in error, or for somebody who will not come."""
    revoke_invitation(site_of(request).store, here.account, id)
    return _done(request, here, text("people.withdrawn"), "/admin/people")


@router.get("/{account}")
def person_page(request: Request, account: str, me: Person) -> Response:
    """One person: role, pool, qualifications, and for administrators their keys."""
    require(me, LEADING, "look after people")
    store = site_of(request).store
    one = account_by_id(store, account)
    keys = list_keys(store, me, one.id) if me.role == "administrator" else []
    return office(
        request, me, "admin_person.html",
        person=one, roles=ROLES, keys=keys, queues=queue_overviews(store, me), qualified=qualified_queues(store, me, one.id),
        themselves=self_assessments(store, me).get(one.id),
    )  # fmt: skip


@router.post("/{account}/role")
def give_role(request: Request, account: str, here: Here, role: Annotated[str, Form()] = "") -> Response:
    """Another role."""
    changed = change_role(site_of(request).store, here.account, account, known_role(role))
    return _done(request, here, text("admin.role_changed", name=changed.name, role=text(f"roles.{changed.role}")), f"/admin/people/{account}")


@router.post("/{account}/held-out")
def hold_out(request: Request, account: str, here: Here, held_out: Annotated[bool, Form()] = False) -> Response:
    """Into or out of the pool whose labels never train."""
    set_held_out(site_of(request).store, here.account, account, held_out=held_out)
    return _done(request, here, text("admin.held_out_on" if held_out else "admin.held_out_off"), f"/admin/people/{account}")


@router.post("/{account}/disable")
def disable(request: Request, account: str, here: Here) -> Response:
    """Out, with every session and key, at once."""
    disable_account(site_of(request).store, here.account, account)
    return _done(request, here, text("admin.disabled"), f"/admin/people/{account}")


@router.post("/{account}/keys/{id}/revoke")
def end_key(request: Request, account: str, id: str, here: Here) -> Response:
    """Revoke a key of theirs."""
    require(here.account, ("administrator",), "revoke other people's keys")
    revoke_key(site_of(request).store, here.account, id)
    return _done(request, here, text("keys.revoked"), f"/admin/people/{account}")


def _done(request: Request, here: Here, words: str, path: str) -> Response:
    site_of(request).notes.leave(here.id, good=words)
    return see_other(path)


def _address(request: Request) -> str:
    """The address under which the administrator sees this very site; the Host header was checked before."""
    return f"{request.url.scheme}://{request.headers['host']}"

"""Who there is, and inviting more: the first page of the administration."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.invitations import BY_LEADS, LIFETIME, invite, list_invitations, revoke_invitation
from instructloop.store.database.roles import ROLES, known_role
from instructloop.web.rendering import page
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/people")


@router.get("")
def people_page(request: Request, me: Person) -> Response:
    """Accounts and open invitations; the store refuses those who may not see them."""
    store = site_of(request).store
    roles = [role for role in reversed(ROLES) if me.role == "administrator" or role in BY_LEADS]
    return page(request, "people.html", accounts=list_accounts(store, me), invitations=list_invitations(store, me), roles=roles)


@router.post("/invitations")
def new_invitation(request: Request, here: Here, role: Annotated[str, Form()] = "", held_out: Annotated[bool, Form()] = False) -> Response:
    """A link that becomes one account; the next page shows it, once."""
    site, chosen = site_of(request), known_role(role)
    token, _ = invite(site.store, here.account, chosen, held_out=held_out and chosen == "labeler")
    site.notes.leave(here.id, link=f"{_address(request)}/invitation/{token}", days=LIFETIME.days)
    return see_other("/people")


@router.post("/invitations/{id}/withdraw")
def withdraw_invitation(request: Request, id: str, here: Here) -> Response:
    """A link that was made in error, or for somebody who will not come."""
    revoke_invitation(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("people.withdrawn"))
    return see_other("/people")


def _address(request: Request) -> str:
    """The address under which the administrator sees this very site; the Host header was checked before."""
    return f"{request.url.scheme}://{request.headers['host']}"

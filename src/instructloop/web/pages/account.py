"""One's own account: password, sessions, API keys."""

import math
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from instructloop.errors import NotSignedIn, UserError
from instructloop.store.database.accounts import change_password
from instructloop.store.database.api_keys import create_key, list_keys, revoke_key
from instructloop.store.database.sessions import list_sessions, revoke_session, start_session
from instructloop.web.browsers import browser_name
from instructloop.web.consent import consent_given
from instructloop.web.refusals import Refusal
from instructloop.web.rendering import page
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, see_other, set_session

router = APIRouter(prefix="/account")


@router.get("")
def account_page(request: Request, here: Here) -> Response:
    """Everything about one's account."""
    return _page(request, here)


@router.post("/password")
def new_password(
    request: Request, here: Here, old: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "", repeat: Annotated[str, Form()] = ""
) -> Response:
    """Change the password; every session ends, and this browser gets a new one. Guesses at the old one are limited as at the door."""
    store, failures, me = site_of(request).store, site_of(request).failures, f"account {here.account.id}"
    if password != repeat:
        return _page(request, here, problem=text("fields.password_mismatch"))
    if wait := failures.take(me):
        raise Refusal(429, "wait", retry_after=wait, seconds=math.ceil(wait))
    try:
        change_password(store, here.account, old=old, new=password)
    except NotSignedIn:
        return _page(request, here, problem=text("account.password_wrong"))
    except UserError:  # what is wrong with the new one is no guess at the old
        failures.give_back(me)
        raise
    failures.give_back(me)
    token, session = start_session(store, here.account, client=here.client)
    site_of(request).notes.leave(session.id, good=text("account.password_changed"))
    response = see_other("/account")
    set_session(request, response, token)
    return response


@router.post("/sessions/{id}/end")
def end_session(request: Request, id: str, here: Here) -> Response:
    """End one of one's sessions; that of this browser is logging out."""
    revoke_session(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("account.session_ended"))
    return see_other("/account#sessions")


@router.post("/keys")
def new_key(
    request: Request, here: Here, name: Annotated[str, Form()] = "", store: Annotated[bool, Form()] = False, train: Annotated[bool, Form()] = False
) -> Response:
    """A key to ask models with, whose prompts are stored as its owner says here; the next page shows it, once."""
    key, _ = create_key(site_of(request).store, here.account, name=name, scopes=("generate",), consent=consent_given(store=store, train=train))
    site_of(request).notes.leave(here.id, key=key)
    return see_other("/account#keys")


@router.post("/keys/{id}/revoke")
def end_key(request: Request, id: str, here: Here) -> Response:
    """Revoke one of one's keys."""
    revoke_key(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("keys.revoked"))
    return see_other("/account#keys")


def _page(request: Request, here: Here, *, problem: str | None = None) -> Response:
    site, me = site_of(request), here.account
    return page(
        request,
        "account.html",
        status=400 if problem else 200,
        address=site.settings.address,
        browser_name=browser_name,
        keys=list_keys(site.store, me, me.id),
        problem=problem,
        session=here,
        sessions=list_sessions(site.store, me, me.id),
    )

"""Coming in and going out: the start page, logging in and out, accepting an invitation, the colours."""

import math
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, Response

from instructloop.errors import Conflict, DataError, NotSignedIn
from instructloop.store.database.invitations import Invitation, accept_invitation, open_invitation
from instructloop.store.database.roles import Account
from instructloop.store.database.sessions import sign_in, sign_out, start_session
from instructloop.store.database.texts import name_key
from instructloop.web.refusals import Refusal
from instructloop.web.rendering import THEMES, page
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import clear_session, local_path, see_other, session_token, set_session, set_visitor, visit_of

router = APIRouter()
YEAR = 365 * 86_400


@router.get("/")
def start(request: Request) -> Response:
    """Labelers begin with their queues, others who are logged in with the playground; visitors log in."""
    session = visit_of(request).session
    if session is None:
        return see_other("/login")
    return see_other("/labeling" if session.account.role == "labeler" else "/playground")


@router.get("/session")
def who_is_here(request: Request) -> Response:
    """For scripts of a page that was left open: who is logged in in this browser, and what its forms must carry now."""
    visit = visit_of(request)
    response = JSONResponse({"name": visit.session.account.name if visit.session else None, "form_token": visit.form_token})
    if visit.session is None:
        set_visitor(request, response, visit)
    return response


@router.get("/login")
def login_page(request: Request, to: str = "/") -> Response:
    """The form; people who are logged in already go on."""
    if visit_of(request).session:
        return see_other(local_path(to))
    return page(request, "login.html", target=local_path(to), name="", problem=None)


@router.post("/login")
def log_in(request: Request, name: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "", to: Annotated[str, Form()] = "/") -> Response:
    """A new session. Wrong passwords are counted for the name and for the address, whichever is tried too often."""
    site, target = site_of(request), local_path(to)
    attempt = _Attempt(request, name)
    attempt.count()
    try:
        token, _ = sign_in(site.store, name, password, client=_client(request))
    except (NotSignedIn, DataError):
        return page(request, "login.html", status=401, target=target, name=name, problem=text("login.failed"))
    attempt.succeeded()
    return _start(request, token, target)


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End the session, here and in the store."""
    if token := session_token(request):
        sign_out(site_of(request).store, token)
    response = see_other("/login")
    clear_session(request, response)
    return response


@router.get("/invitation/{token}")
def invitation_page(request: Request, token: str) -> Response:
    """The form of an invitation that can still be accepted."""
    return _invitation(request, token, _opened(request, token))


@router.post("/invitation/{token}")
def accept(
    request: Request,
    token: str,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    repeat: Annotated[str, Form()] = "",
) -> Response:
    """The account, and its first session."""
    store, invitation = site_of(request).store, _opened(request, token)
    if password != repeat:
        return _invitation(request, token, invitation, name=name, problem=text("fields.password_mismatch"))
    try:
        account: Account = accept_invitation(store, token, name=name, password=password)
    except (Conflict, DataError) as error:
        return _invitation(request, token, invitation, name=name, problem=f"{error.came[:1].upper()}{error.came[1:]}. Expected: {error.expected}.")
    session_token, _ = start_session(store, account, client=_client(request))
    return _start(request, session_token, "/")


@router.post("/theme")
def choose_theme(request: Request, theme: Annotated[str, Form()] = "auto", to: Annotated[str, Form()] = "/") -> Response:
    """Remember the colours in a cookie of this browser."""
    response = see_other(local_path(to))
    response.set_cookie(
        "theme", theme if theme in THEMES else "auto", max_age=YEAR, secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )
    return response


class _Attempt:
    """One try at a password, counted as a failure before it is looked at, so that many at once cannot slip through together."""

    def __init__(self, request: Request, name: str) -> None:
        site, name, address = site_of(request), name_key(name)[:200], request.client.host if request.client else ""
        self._limits = ((site.failures, f"{address} {name}"), (site.failures_by_address, address), (site.failures_by_name, name))

    def count(self) -> None:
        """`Refusal` 429 where one of the limits is reached; no password was looked at then, so none of them counts it."""
        for place, (limit, counted) in enumerate(self._limits):
            if wait := limit.take(counted):
                for earlier, name in self._limits[:place]:
                    earlier.give_back(name)
                raise Refusal(429, "wait", retry_after=wait, seconds=math.ceil(wait))

    def succeeded(self) -> None:
        """It was no failure after all."""
        for limit, counted in self._limits:
            limit.give_back(counted)


def _start(request: Request, token: str, target: str) -> Response:
    """Log in for good: the session that the browser had before ends, so that no token outlives a change of person."""
    if old := session_token(request):
        sign_out(site_of(request).store, old)
    response = see_other(target)
    set_session(request, response, token)
    return response


def _opened(request: Request, token: str) -> Invitation:
    try:
        return open_invitation(site_of(request).store, token)
    except NotSignedIn as error:
        raise Refusal(404, "no_link") from error


def _invitation(request: Request, token: str, invitation: Invitation, *, name: str = "", problem: str | None = None) -> Response:
    status = 400 if problem else 200
    return page(request, "invitation.html", status=status, token=token, invitation=invitation, name=name, problem=problem)


def _client(request: Request) -> str:
    return request.headers.get("user-agent", "")

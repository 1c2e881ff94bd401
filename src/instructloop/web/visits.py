"""Who is at the other end: the session cookie, the token that every form carries, and where to go after logging in.

Over HTTPS cookies are `__Host-`: bound to this host and sent over HTTPS only. Over plain HTTP (this machine, or
`--insecure-http`) browsers refuse that prefix, so the names have none.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from instructloop.store.database.roles import Account
from instructloop.store.database.sessions import LIFETIME, Session, session_of
from instructloop.web.guards import SAFE
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of

DAY = 86_400
FORM = "application/x-www-form-urlencoded"
"""How forms of this site are sent; it takes no files."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What the cookies of a request say."""

    session: Session | None
    secret: str
    """The token of the session, or else the visitor's: what form tokens are made from."""
    is_new: bool
    """The visitor's cookie is not yet set."""

    @property
    def form_token(self) -> str:
        """Proof that a form was made by this site for this browser."""
        return hmac.new(self.secret.encode(), b"form", hashlib.sha256).hexdigest()


def visit_of(request: Request) -> Visit:
    """The visit behind a request, looked up once."""
    known: Visit | None = getattr(request.state, "visit", None)
    if known is None:
        known = request.state.visit = _look_up(request)
    return known


async def checked_visit(request: Request) -> None:
    """Look up the visit, and refuse an unsafe request whose header or form does not carry its form token."""
    visit = await run_in_threadpool(visit_of, request)
    if request.method in SAFE:
        return
    given: object = request.headers.get("x-form-token")
    if given is None and request.headers.get("content-type", "").startswith(FORM):
        given = (await request.form()).get("form_token")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(errors="replace"), visit.form_token.encode()):
        raise Refusal(403, "bad_token")


def logged_in(request: Request) -> Account:
    """The account of the session; `Refusal` 401 if there is none, which sends a person who reads to the login page."""
    session = visit_of(request).session
    if session is None:
        raise Refusal(401, "needs_login")
    return session.account


def here(request: Request) -> Session:
    """The session itself; `Refusal` 401 if there is none."""
    logged_in(request)
    session = visit_of(request).session
    assert session is not None
    return session


Person = Annotated[Account, Depends(logged_in)]
Here = Annotated[Session, Depends(here)]


def set_session(request: Request, response: Response, token: str) -> None:
    """Give the browser its session. Whatever token it brought is worth nothing any more, nor is any form loaded before."""
    _set(request, response, "session", token, round(LIFETIME.total_seconds()))
    response.delete_cookie(_cookie(request, "visitor"), path="/", secure=_secure(request), httponly=True, samesite="lax")


def clear_session(request: Request, response: Response) -> None:
    """Take the session's cookie away."""
    response.delete_cookie(_cookie(request, "session"), path="/", secure=_secure(request), httponly=True, samesite="lax")


def set_visitor(request: Request, response: Response, visit: Visit) -> None:
    """Give a browser without a session the cookie that its forms are bound to."""
    if visit.is_new:
        _set(request, response, "visitor", visit.secret, DAY)


def session_token(request: Request) -> str | None:
    """The token in the session's cookie, whether it counts or not."""
    return request.cookies.get(_cookie(request, "session"))


def local_path(target: str | None) -> str:
    """A path on this site to go to next; "/" for anything that could lead elsewhere."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target or not target.isprintable():
        return "/"
    return target


def to_login(request: Request) -> Response:
    """Off to the login page, and from there back here."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other("/login" if target == "/" else f"/login?to={quote(target, safe='')}")


def see_other(path: str) -> Response:
    """After a form was taken: the page to look at."""
    return RedirectResponse(path, status_code=303)


def _look_up(request: Request) -> Visit:
    token = session_token(request)
    session = session_of(site_of(request).store, token) if token else None
    if token and session:
        return Visit(session=session, secret=token, is_new=False)
    visitor = request.cookies.get(_cookie(request, "visitor"))
    return Visit(session=None, secret=visitor or secrets.token_urlsafe(32), is_new=not visitor)


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(_cookie(request, name), value, max_age=seconds, path="/", secure=_secure(request), httponly=True, samesite="lax")


def _cookie(request: Request, name: str) -> str:
    return f"__Host-{name}" if _secure(request) else name


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"

"""The site as one ASGI application.

app = make_app(open_store("feedback.db"), {"my-model": completer}, SiteSettings())
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import exc
from starlette.exceptions import HTTPException

import instructloop
from instructloop.errors import AccessDenied, Busy, Conflict, DataError, ModelUnavailable, NotFound, NotSignedIn, UserError
from instructloop.protocols import Completer
from instructloop.store.database.leases import LeaseLost
from instructloop.store.database.opening import Store
from instructloop.web.api import routes as api
from instructloop.web.api.problems import refusal_of_validation
from instructloop.web.asking import refusal_of, told
from instructloop.web.guards import Mistakes, SameOrigin, SecurityHeaders, Transport, WholeBody
from instructloop.web.pages import account, entrance, health, labeling, labeling_calls, own_data, playground
from instructloop.web.pages.admin.routes import ROUTERS as ADMINISTRATION
from instructloop.web.refusals import Refusal, refuse, wants_page
from instructloop.web.settings import SiteSettings
from instructloop.web.site import new_site
from instructloop.web.visits import checked_visit, to_login, visit_of

LOG = logging.getLogger(__name__)
PAGES = (entrance.router, playground.router, labeling.router, labeling_calls.router, own_data.router, account.router, *ADMINISTRATION)
"""Routers of pages: each request to them is checked for its form token, and is no part of the API's description."""
STATUSES: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed", 401: "needs_login", 403: "no_access"}
STORE_SECONDS = 2.0
"""What a client is told to wait for a database that does not answer."""


def make_app(store: Store, completers: Mapping[str, Completer], settings: SiteSettings) -> FastAPI:
    """The application; whoever made the store and the completers closes them after it has stopped."""
    app = FastAPI(
        title="instructloop",
        version=instructloop.__version__,
        description="Ask the models of this site, as with OpenAI's API.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.site = new_site(store, completers, settings)
    app.include_router(api.router)
    app.include_router(health.router, include_in_schema=False)
    for router in PAGES:
        app.include_router(router, include_in_schema=False, dependencies=[Depends(checked_visit)])
    app.mount("/static", _Static(directory=str(files("instructloop.web").joinpath("static"))), name="static")
    for kind in (
        Refusal,
        HTTPException,
        RequestValidationError,
        UserError,
        Busy,
        ModelUnavailable,
        UnicodeEncodeError,
        exc.DataError,
        exc.OperationalError,
        exc.TimeoutError,
    ):
        app.add_exception_handler(kind, _handle)
    # Added last is outermost.
    app.add_middleware(SameOrigin)
    app.add_middleware(WholeBody, settings=settings)
    app.add_middleware(Transport, settings=settings)
    app.add_middleware(Mistakes)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """At the end every answer is cancelled, and what was said is stored."""
    yield
    app.state.site.answers.cancel_all()
    await app.state.site.keeping.finish()
    await run_in_threadpool(app.state.site.exports.close)


def _handle(request: Request, error: Exception) -> Response:
    """Every exception that is an answer."""
    refusal = _refusal(request, error)
    if refusal.name == "needs_login" and wants_page(request) and request.method == "GET":
        return to_login(request)
    if wants_page(request):
        with suppress(exc.SQLAlchemyError):  # who is logged in is still so on a page that tells of a mistake
            visit_of(request)
    response = refuse(request, refusal)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


def _refusal(request: Request, error: Exception) -> Refusal:
    if isinstance(error, RequestValidationError):
        return refusal_of_validation(request, error)
    if isinstance(error, exc.OperationalError | exc.TimeoutError):
        LOG.error("the database does not answer", exc_info=error)
        return Refusal(503, "unavailable", retry_after=STORE_SECONDS)
    if isinstance(error, exc.DataError | UnicodeEncodeError):  # what no row can hold: a NUL in an address, half of a surrogate pair in JSON
        return Refusal(400, "bad_request")
    if isinstance(error, NotFound | NotSignedIn):
        return Refusal(404, "not_found")
    if isinstance(error, AccessDenied):
        return Refusal(403, "no_access")
    if isinstance(error, LeaseLost):
        return Refusal(409, "lease_lost", problem=told(error))
    if isinstance(error, Conflict):
        return Refusal(409, "conflict", problem=told(error))
    if isinstance(error, DataError):
        return Refusal(400, "invalid", problem=told(error))
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, STATUSES.get(error.status_code, "bad_request"))
    return refusal_of(error) or Refusal(500, "internal")


class _Static(StaticFiles):
    """Style sheets and scripts, asked for again whenever a page is: they belong to the release that made the page."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response

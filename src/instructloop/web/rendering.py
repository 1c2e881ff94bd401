"""Pages from templates. Everything that is put into one is text and is escaped, whatever it holds."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

import instructloop
from instructloop.web import texts
from instructloop.web.navigation import tabs_of
from instructloop.web.site import site_of
from instructloop.web.tables import FILTERS
from instructloop.web.visits import Visit, set_visitor

THEMES = ("auto", "light", "dark")


def page(request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any) -> HTMLResponse:
    """The page of a template with `values`, for whoever is at the other end."""
    visit: Visit | None = getattr(request.state, "visit", None)
    account = visit.session.account if visit and visit.session else None
    theme = request.cookies.get("theme", "auto")
    html = environment().get_template(template).render(
        account=account,
        form_token=visit.form_token if visit else None,
        here=request.url.path,
        insecure=request.url.scheme == "http" and site_of(request).settings.insecure_http,
        note=site_of(request).notes.take(visit.session.id) if visit and visit.session else {},
        tabs=tabs_of(account),
        theme=theme if theme in THEMES else "auto",
        **values,
    )  # fmt: skip
    response = HTMLResponse(html, status, dict(headers or {}))
    if visit and not visit.session:
        set_visitor(request, response, visit)
    return response


@cache
def environment() -> jinja2.Environment:
    """Templates, with the catalogue as `t`; a name that is not there is an error, not a gap."""
    loader = jinja2.PackageLoader("instructloop.web", "templates")
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals |= {"t": texts.text, "texts": texts.section, "version": instructloop.__version__, "themes": THEMES}
    made.filters |= {"day": day, "minute": minute, **FILTERS}
    return made


def day(moment: datetime) -> str:
    """A moment as a date, in UTC."""
    return f"{moment.day} {moment:%B %Y}"


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC; a script turns it into the reader's time."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"

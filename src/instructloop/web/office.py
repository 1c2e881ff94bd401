"""The administration's frame: its sections, who is shown which, and the page around each of them."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from instructloop.store.database.roles import LEADING, READING, Account
from instructloop.web.navigation import Tab
from instructloop.web.rendering import page

SECTIONS = (
    Tab("overview", "/admin", READING),
    Tab("agreement", "/admin/agreement", READING),
    Tab("queues", "/admin/queues", READING),
    Tab("review", "/admin/review", READING),
    Tab("leases", "/admin/leases", LEADING),
    Tab("spot_checks", "/admin/spot-checks", LEADING),
    Tab("screening", "/admin/screening", READING),
    Tab("guides", "/admin/guides", READING),
    Tab("people", "/admin/people", LEADING),
    Tab("exports", "/admin/exports", READING),
    Tab("models", "/admin/models", READING),
    Tab("jobs", "/admin/jobs", LEADING),
    Tab("audit", "/admin/audit", READING),
)
"""What a role may do is decided by the store, not by this list."""


def office(request: Request, me: Account, template: str, *, status: int = 200, under: str | None = None, **values: Any) -> Response:
    """A page of the administration, with the sections of this person; `leading` says whether to show what only leads may do.

    `under` is the path of the section that it belongs to, where its own does not say so.
    """
    sections = [section for section in SECTIONS if me.role in section.roles]
    path = under or request.url.path
    current = max((section.path for section in sections if path == section.path or path.startswith(f"{section.path}/")), key=len, default="")
    return page(request, template, status=status, sections=sections, current_section=current, leading=me.role in LEADING, **values)

"""For whoever watches the server: is it alive, can it work. No secrets, no login."""

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from instructloop.web.site import site_of

router = APIRouter()


@router.get("/health")
def alive() -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/health/ready")
def ready(request: Request) -> Response:
    """The database answers too; 503 if it does not."""
    with site_of(request).store.reading() as connection:
        connection.execute(sa.select(1))
    return JSONResponse({"status": "ok", "models": len(site_of(request).completers), "answers_running": site_of(request).answers.num_running})

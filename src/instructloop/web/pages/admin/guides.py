"""Guides: every version of the instructions for labelers, and publishing the next."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from instructloop.errors import DataError
from instructloop.store.database.oversight import guide_readers, list_guides, queue_overviews
from instructloop.store.database.queues import MODES, Guide, Mode, publish_guide, read_guide
from instructloop.store.database.roles import READING, require
from instructloop.web.guide_text import blocks, shipped_guide
from instructloop.web.office import office
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin/guides")


@router.get("")
def guides_page(request: Request, me: Person, begin: Annotated[Mode | None, Query()] = None) -> Response:
    """Every version of every guide, and a form for the next, which may begin with the package's own text for a mode."""
    return _page(request, me, None, begin=begin)


@router.get("/{id}")
def guide_page(request: Request, id: str, me: Person) -> Response:
    """One version, to read, and to begin the next from."""
    require(me, READING, "read every guide")
    return _page(request, me, read_guide(site_of(request).store, id))


@router.post("")
def new_guide(
    request: Request, here: Here, name: Annotated[str, Form()] = "", mode: Annotated[str, Form()] = "", words: Annotated[str, Form()] = ""
) -> Response:
    """Publish a version; whoever labels in a queue that names it must acknowledge it."""
    known: Mode | None = next((one for one in MODES if one == mode), None)
    if known is None:
        raise DataError(f"the mode {mode!r}", expected=f"one of {', '.join(MODES)}", remedy="choose one")
    guide = publish_guide(site_of(request).store, here.account, name=name, mode=known, text=words)
    site_of(request).notes.leave(here.id, good=text("admin.guide_published", name=guide.name, version=guide.version))
    return see_other("/admin/guides")


def _page(request: Request, me: Person, guide: Guide | None, *, begin: Mode | None = None) -> Response:
    store, used = site_of(request).store, dict[str | None, list[str]]()
    for one in queue_overviews(store, me):
        used.setdefault(one.queue.settings.guide_id, []).append(one.queue.name)
    draft = {"name": "", "mode": begin, "text": shipped_guide(begin) if begin else ""} if guide is None else vars(guide)
    return office(
        request, me, "admin_guides.html",
        guides=list_guides(store, me), readers=guide_readers(store, me), used=used, modes=MODES, opened=guide, draft=draft,
        blocks=blocks(guide.text) if guide else [],
    )  # fmt: skip

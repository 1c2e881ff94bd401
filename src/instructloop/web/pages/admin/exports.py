"""Data out: data sets and everything, as files to fetch."""

from typing import Annotated, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, Response

from instructloop.errors import DataError
from instructloop.store.database.audit import write_audit
from instructloop.store.database.data_export import EXPORTS, WHAT
from instructloop.store.database.roles import READING, require
from instructloop.web import exporting
from instructloop.web.office import office
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin/exports")
EVERYTHING = "everything record"
CHOICES = (*(f"{what} {layout}" for what, layout in EXPORTS), EVERYTHING)
"""Data set and layout in one word pair, so that no form can ask for what there is not."""


@router.get("")
def exports_page(request: Request, me: Person) -> Response:
    """What lies ready, and a form for more."""
    require(me, READING, "export data")
    site = site_of(request)
    grouped = {what: [choice for choice in CHOICES if choice.startswith(f"{what} ")] for what in (*WHAT, "everything")}
    return office(request, me, "admin_exports.html", exports=site.exports.listed(site.store.now()), grouped=grouped, forms=get_args(exporting.Form))


@router.post("")
def start_export(request: Request, here: Here, choice: Annotated[str, Form()] = "", form: Annotated[str, Form()] = "jsonl") -> Response:
    """Begin to write a file."""
    site, (what, _, layout) = site_of(request), choice.partition(" ")
    chosen: exporting.Form | None = next((known for known in get_args(exporting.Form) if known == form), None)
    if choice not in CHOICES or chosen is None:
        raise DataError(f"the export {choice!r:.60} as {form!r:.20}", expected=f"one of {', '.join(CHOICES)}", remedy="choose one")
    if choice == EVERYTHING:
        site.exports.start_everything(site.store, here.account, chosen)
    else:
        known = next(key for key in EXPORTS if key == (what, layout))
        site.exports.start(site.store, here.account, *known, chosen)
    site.notes.leave(here.id, good=text("admin.export_started"))
    return see_other("/admin/exports")


@router.get("/{id}")
def fetch(request: Request, id: str, me: Person) -> Response:
    """The file; every time it is fetched stands in the audit."""
    require(me, READING, "export data")
    site = site_of(request)
    export = site.exports.ready(id)
    if export is None:
        raise Refusal(404, "not_found")
    with site.store.writing() as connection:
        write_audit(connection, site.store.now(), me, "fetch export", (export.what, export.id), {"layout": export.layout, "rows": export.rows})
    return FileResponse(export.path, filename=export.path.name, media_type="application/octet-stream")

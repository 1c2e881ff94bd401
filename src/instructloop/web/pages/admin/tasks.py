"""One task: what is asked, what people said, and the known answer that makes it gold."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from instructloop.errors import DataError
from instructloop.records import FLAGS
from instructloop.store.database.kinds import SCALE
from instructloop.store.database.leases import skip_reasons
from instructloop.store.database.roles import LEADING
from instructloop.store.database.task_sheet import TaskSheet, task_sheet
from instructloop.store.database.tasks import JUDGED, set_known_answer
from instructloop.web.blind import letters, to_ids, to_letters
from instructloop.web.office import office
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/admin/tasks")
TIE = "equal"
"""What a form says where neither of two answers is better."""


async def _sent(request: Request) -> FormData:
    """The fields of a form, which are named after the letters of the answers."""
    return await request.form()


Sent = Annotated[FormData, Depends(_sent)]


@router.get("/{id}")
def task_page(request: Request, id: str, me: Person, begin: Annotated[str | None, Query()] = None) -> Response:
    """A task in full; the form for its known answer begins with what is known, or with what the submission `begin` says."""
    store = site_of(request).store
    sheet = task_sheet(store, me, id)
    shown = [answer for answer, _ in sheet.answers]
    chosen = next((one.body for one in sheet.said if one.submission_id == begin), sheet.known)
    return office(
        request, me, "admin_task.html", under="/admin/queues",
        sheet=sheet, answers=dict(zip(letters(shown), (words for _, words in sheet.answers), strict=True)),
        said=[(one, to_letters(dict(one.body), shown)) for one in sheet.said],
        known=None if sheet.known is None else to_letters(dict(sheet.known), shown), draft=to_letters(dict(chosen or {}), shown),
        reasons=skip_reasons(store, me, id) if me.role in LEADING else [],
        judged=sheet.queue.kind in JUDGED and all(words for _, words in sheet.answers), flags=FLAGS, scale=range(SCALE[0], SCALE[1] + 1), tie=TIE,
    )  # fmt: skip


@router.post("/{id}/known")
def know(request: Request, id: str, here: Here, form: Sent) -> Response:
    """Make the task gold, or give it another known answer."""
    store = site_of(request).store
    sheet = task_sheet(store, here.account, id)
    shown = [answer for answer, _ in sheet.answers]
    set_known_answer(store, here.account, id, to_ids(_answer(sheet, form), shown))
    site_of(request).notes.leave(here.id, good=text("admin.known_set"))
    return see_other(f"/admin/tasks/{id}")


def _answer(sheet: TaskSheet, form: FormData) -> dict[str, Any]:
    """What the form says, as a submission of the queue's kind would: letters for answers. What is missing the store refuses."""
    names = letters([answer for answer, _ in sheet.answers])
    ratings = {
        name: {"likert": _number(form, f"likert_{name}"), "flags": [str(flag) for flag in form.getlist(f"flags_{name}")], "note": ""}
        for name in names
    }
    if sheet.queue.kind == "evaluation":
        preferred = form.get("preferred")
        return {"ratings": ratings} | ({} if preferred is None else {"preferred": None if preferred == TIE else preferred})
    return {"ratings": ratings, "groups": _groups({name: _number(form, f"rank_{name}") for name in names}), "better": None}


def _groups(ranks: Mapping[str, int | None]) -> list[list[str]]:
    """From best to worst; equal ranks stand together, and answers without one are left out."""
    given = sorted({rank for rank in ranks.values() if rank is not None})
    return [[name for name, rank in ranks.items() if rank == one] for one in given]


def _number(form: FormData, name: str) -> int | None:
    given = form.get(name)
    if not given:
        return None
    try:
        return int(str(given))
    except ValueError as error:
        raise DataError(f"{name} is {given!r:.40}", expected="a whole number", remedy="correct it") from error

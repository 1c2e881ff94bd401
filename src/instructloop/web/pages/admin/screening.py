"""Screening: the tests of candidates and their results, rating their demonstrations, spot checks; and assessing oneself."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.oversight import queue_overviews
from instructloop.store.database.roles import LABELING, require
from instructloop.store.database.screening import (
    FITTING,
    TOPICS,
    Screening,
    assess_oneself,
    create_screening,
    demonstration_to_rate,
    list_screenings,
    rate_demonstration,
    self_assessment,
)
from instructloop.store.database.spot_checks import Checked, check_submission, draw_submission, list_checks
from instructloop.web import candidates
from instructloop.web.office import office
from instructloop.web.refusals import Refusal
from instructloop.web.rendering import page
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter()


@router.get("/admin/screening")
def screening_page(request: Request, me: Person, screening: Annotated[str | None, Query()] = None) -> Response:
    """The results of a screening, the newest unless one is named, and a form for another."""
    store = site_of(request).store
    screenings = list_screenings(store, me)
    chosen = _chosen(screenings, screening)
    fitting = {
        column: [one.queue for one in queue_overviews(store, me) if one.queue.kind in kinds and one.queue.mode == "evaluation"]
        for column, kinds in FITTING.items()
    }
    to_rate = None if chosen is None or chosen.writing_queue is None else demonstration_to_rate(store, me, chosen.writing_queue)
    return office(
        request, me, "admin_screening.html",
        screenings=screenings, chosen=chosen, fitting=fitting, to_rate=to_rate,
        sheets=[] if chosen is None else candidates.sheets(store, me, chosen),
        cuts={"speech": candidates.SPEECH_CUT, "ranking": candidates.RANKING_CUT, "writing": candidates.WRITING_CUT},
    )  # fmt: skip


@router.post("/admin/screening")
def new_screening(
    request: Request,
    here: Here,
    name: Annotated[str, Form()] = "",
    speech_queue: Annotated[str, Form()] = "",
    ranking_queue: Annotated[str, Form()] = "",
    writing_queue: Annotated[str, Form()] = "",
) -> Response:
    """Name the queues of the tests."""
    store = site_of(request).store
    made = create_screening(
        store, here.account, name=name, speech=speech_queue or None, ranking=ranking_queue or None, writing=writing_queue or None
    )  # fmt: skip
    site_of(request).notes.leave(here.id, good=text("admin.screening_made", name=made.name))
    return see_other(f"/admin/screening?screening={made.id}")


@router.post("/admin/screening/ratings")
def rate(request: Request, here: Here, submission: Annotated[str, Form()] = "", likert: Annotated[int, Form()] = 0) -> Response:
    """What a researcher thinks of a demonstration."""
    rate_demonstration(site_of(request).store, here.account, submission, likert)
    site_of(request).notes.leave(here.id, good=text("admin.rated"))
    return see_other("/admin/screening#rate")


@router.get("/admin/spot-checks")
def spot_checks_page(request: Request, me: Person) -> Response:
    """A submission by chance to look at, and what was found so far."""
    from instructloop.agreement.estimates import wilson

    store = site_of(request).store
    drawn, checks = draw_submission(store, me), list_checks(store, me)
    names = {one.queue.id: one.queue.name for one in queue_overviews(store, me)}
    by_queue: dict[str, list[Checked]] = {}
    for one in checks:
        by_queue.setdefault(one.queue_id, []).append(one)
    shares = {queue_id: wilson(sum(one.fine for one in some), len(some)) for queue_id, some in by_queue.items()}
    people = {account.id: account.name for account in list_accounts(store, me)}
    return office(
        request, me, "admin_spot_checks.html",
        drawn=drawn, shares=shares, names=names, people=people, doubtful=[one for one in checks if not one.fine],
        letters={} if drawn is None else {id_: chr(ord("A") + place) for place, (id_, _) in enumerate(drawn.answers)},
    )  # fmt: skip


@router.post("/admin/spot-checks")
def check(
    request: Request, here: Here, submission: Annotated[str, Form()] = "", fine: Annotated[bool, Form()] = False, note: Annotated[str, Form()] = ""
) -> Response:
    """In order, or doubtful."""
    check_submission(site_of(request).store, here.account, submission, fine=fine, note=note)
    return see_other("/admin/spot-checks")


@router.get("/self-assessment")
def self_assessment_page(request: Request, me: Person) -> Response:
    """On which topics one is at ease to recognise sensitive speech."""
    require(me, LABELING, "assess themselves")
    return page(request, "self_assessment.html", topics=TOPICS, said=self_assessment(site_of(request).store, me))


@router.post("/self-assessment")
def assess(request: Request, here: Here, topic: Annotated[list[str] | None, Form()] = None, note: Annotated[str, Form()] = "") -> Response:
    """What one says of oneself; the latest counts."""
    assess_oneself(site_of(request).store, here.account, topic or [], note)
    site_of(request).notes.leave(here.id, good=text("themselves.saved"))
    return see_other("/self-assessment")


def _chosen(screenings: list[Screening], id_: str | None) -> Screening | None:
    if id_ is None:
        return screenings[0] if screenings else None
    found = next((one for one in screenings if one.id == id_), None)
    if found is None:
        raise Refusal(404, "not_found")
    return found

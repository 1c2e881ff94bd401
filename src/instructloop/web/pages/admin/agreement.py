"""How far people agree in one queue: the headline, the coefficients, every pair, week by week, with known answers, with themselves."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.oversight import QueueOverview, queue_overviews
from instructloop.store.database.tasks import JUDGED
from instructloop.web import charts, shown
from instructloop.web.office import office
from instructloop.web.refusals import Refusal
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.trust import Trust, trust_in
from instructloop.web.visits import Person

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate

router = APIRouter(prefix="/admin/agreement")


@router.get("")
def agreement_page(request: Request, me: Person, queue: Annotated[str | None, Query()] = None) -> Response:
    """The figures of a queue; of the one with most labels if none is named."""
    store = site_of(request).store
    queues = [one for one in queue_overviews(store, me) if one.queue.kind in JUDGED]
    chosen = _chosen(queues, queue)
    trust = None if chosen is None else trust_in(store, me, chosen.queue.id)
    names = {account.id: account.name for account in list_accounts(store, me)}
    return office(
        request, me, "admin_agreement.html",
        queues=queues, chosen=chosen, trust=trust, names=names, charts={} if trust is None else _charts(trust, names), paper=shown.PAPER_AGREEMENT,
    )  # fmt: skip


def _chosen(queues: list[QueueOverview], queue_id: str | None) -> QueueOverview | None:
    if queue_id is None:
        return max(queues, key=lambda one: one.given, default=None)
    found = next((one for one in queues if one.queue.id == queue_id), None)
    if found is None:
        raise Refusal(404, "not_found")
    return found


def _charts(trust: Trust, names: dict[str, str]) -> dict[str, str]:
    scale = charts.round_scale(1.0)
    pairs = [_row(f"{names[pair.first]} · {names[pair.second]}", pair.agreement) for pair in trust.pairs[:20]]
    known = [_row(names[person], one) for person, one in trust.with_known.items()]
    weeks = [(one.value, one.low, one.high) for _, one in trust.weeks]
    return {
        "pairs": charts.interval_rows(pairs, scale, title=text("admin.pairs"), mark=trust.headline.value),
        "known": charts.interval_rows(known, scale, title=text("admin.with_known")),
        "weeks": charts.line(weeks, [week for week, _ in trust.weeks], scale, title=text("admin.drift")),
    }


def _row(name: str, one: "Estimate") -> charts.Row:
    return charts.Row(name=name, value=one.value, low=one.low, high=one.high, shown=shown.share(one))

"""The work at a glance: how much there is, how fast it goes, how far people agree, where prompts get stuck."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from instructloop.store.database.activity import Throughput, funnel, lease_ages, skip_counts, task_times, throughput
from instructloop.store.database.families import KnownSnapshot, list_snapshots
from instructloop.store.database.judgements import labels_by_source
from instructloop.store.database.oversight import queue_overviews
from instructloop.store.database.tasks import JUDGED
from instructloop.web import charts, shown
from instructloop.web.office import office
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.trust import headlines
from instructloop.web.visits import Person

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate

router = APIRouter(prefix="/admin")
DAYS = 30
HOURS = (1.0, 8.0, 24.0)


@router.get("")
def overview_page(request: Request, me: Person) -> Response:
    """Every dashboard that is about all queues."""
    store = site_of(request).store
    queues = queue_overviews(store, me)
    names = {one.queue.id: one.queue.name for one in queues}
    daily, stages = throughput(store, me, days=DAYS), funnel(store, me)
    agreement = headlines(store, me, [one.queue.id for one in queues if one.queue.kind in JUDGED])
    ages = list(zip(_age_names(), lease_ages(store, me, HOURS), strict=True))
    skips = [(shown.reason(name), count) for name, count in skip_counts(store, me).items()]
    return office(
        request, me, "admin_overview.html",
        queues=queues, names=names, daily=daily, days=DAYS, times=task_times(store, me, days=DAYS), agreement=agreement,
        ages=ages, skips=skips, stages=stages, live=_live(list(labels_by_source(store, me))), frozen=_newest(list_snapshots(store, me)),
        charts={
            "daily": _daily_chart(names, daily),
            "agreement": _agreement_chart(names, agreement),
            "ages": charts.bar_rows([_count_row(*one) for one in ages], title=text("admin.ages")),
            "skips": charts.bar_rows([_count_row(*one) for one in skips], title=text("admin.skips")),
            "funnel": charts.funnel_rows([_count_row(text(f"admin.funnel_{one.name}"), one.prompts) for one in stages], title=text("admin.funnel")),
        },
    )  # fmt: skip


def _daily_chart(names: Mapping[str, str], daily: Throughput) -> str:
    series = {names[id_]: counts for id_, counts in daily.by_queue.items()}
    return charts.day_bars([f"{day.day} {day:%b}" for day in daily.days], series, title=text("admin.daily"))


def _count_row(name: str, count: int) -> charts.Row:
    return charts.Row(name=name, value=float(count), shown=f"{count:,}")


def _age_names() -> list[str]:
    return [*(text("admin.age_up_to", hours=f"{hours:g}") for hours in HOURS), text("admin.age_longer", hours=f"{HOURS[-1]:g}")]


def _agreement_chart(names: Mapping[str, str], agreement: Mapping[str, "Estimate"]) -> str:
    rows = [
        charts.Row(name=names[id_], value=one.value, low=one.low, high=one.high, shown=shown.share(one), colour=0)
        for id_, one in agreement.items()
        if one.n
    ]
    return charts.interval_rows(rows, charts.round_scale(1.0, steps=4), title=text("admin.agreement_by_queue"), mark=shown.PAPER_AGREEMENT)


def _live(rows: Sequence[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    """Source -> kind of data set -> prompts, of what may train now."""
    found: dict[str, dict[str, int]] = {}
    for kind, source, number in rows:
        found.setdefault(source, {})[kind] = number
    return dict(sorted(found.items()))


def _newest(snapshots: Sequence[KnownSnapshot]) -> dict[str, KnownSnapshot]:
    """Record -> the newest snapshot of it, for the three of the paper's Table 6."""
    newest: dict[str, KnownSnapshot] = {}
    for snapshot in snapshots:
        newest.setdefault(snapshot.record, snapshot)
    return {record: newest[record] for record in ("Demonstration", "Ranking", "Prompt") if record in newest}

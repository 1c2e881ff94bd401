"""The numbers under each chart, as rows of words: what templates call as filters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from instructloop.store.database.activity import Stage, Throughput
from instructloop.store.database.families import KnownSnapshot
from instructloop.store.database.screening import SelfAssessment
from instructloop.web import shown
from instructloop.web.texts import text

if TYPE_CHECKING:
    from instructloop.agreement.estimates import Estimate
    from instructloop.web.trust import Pair

Words = list[str]
COLUMNS = {"Demonstration": "sft", "Ranking": "rm", "Prompt": "ppo"}
"""Record of a snapshot -> column of the paper's Table 6."""
SPLITS = ("train", "valid", "test")
SOURCES = {
    "customer": "admin.source_playground",
    "playground": "admin.source_playground",
    "labeler": "admin.source_labeler",
    "import": "admin.source_import",
}
"""What counts of snapshots call a source -> what pages call it; curation keeps the store's word, the store says the paper's."""


def day_rows(daily: Throughput) -> list[Words]:
    """Days on which something was labeled, the newest first, with a count for each queue."""
    counts = list(daily.by_queue.values())
    rows = [[f"{day:%Y-%m-%d}", *(f"{column[place]:,}" for column in counts)] for place, day in enumerate(daily.days)]
    return [row for row in reversed(rows) if any(cell != "0" for cell in row[1:])]


def estimate_rows(estimates: "Mapping[str, Estimate] | Sequence[tuple[str, Estimate]]", names: Mapping[str, str] | None = None) -> list[Words]:
    """Name, value, interval, cases, prompts."""
    pairs = estimates.items() if isinstance(estimates, Mapping) else estimates
    return [[(names or {}).get(name, name), *_estimate(one)] for name, one in pairs]


def pair_rows(pairs: "Iterable[Pair]", names: Mapping[str, str]) -> list[Words]:
    """Two names, agreement, κ, τ-b, each with its n, prompts."""
    return [
        [
            f"{names[pair.first]} · {names[pair.second]}",
            shown.share(pair.agreement), shown.coefficient_of(pair.kappa), shown.coefficient_of(pair.tau), f"{pair.agreement.prompts:,}",
        ]
        for pair in pairs
    ]  # fmt: skip


def stage_rows(stages: Iterable[Stage]) -> list[Words]:
    """Stage, prompts."""
    return [[text(f"admin.funnel_{stage.name}"), f"{stage.prompts:,}"] for stage in stages]


def table_six(newest: Mapping[str, KnownSnapshot]) -> list[dict[str, Any]]:
    """Split and source -> records of the newest snapshot of each kind; None where there is none. Training comes before validation."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for record, snapshot in newest.items():
        for split, sources in snapshot.counts.items():
            for name, count in sources.items():
                source = text(SOURCES[name]) if name in SOURCES else name
                row = cells.setdefault((split, source), {"split": split, "source": source, "sft": None, "rm": None, "ppo": None})
                row[COLUMNS[record]] = (row[COLUMNS[record]] or 0) + count
    return [cells[key] for key in sorted(cells, key=lambda key: (SPLITS.index(key[0]) if key[0] in SPLITS else len(SPLITS), key))]


def name_in(id_: str, names: Mapping[str, str]) -> str:
    """The name behind an id."""
    return names[id_]


def as_percent(value: float) -> str:
    """A share in whole per cent."""
    return f"{100 * value:.0f} %"


def topics(said: SelfAssessment) -> str:
    """The topics of a self-assessment in words, after one another."""
    return ", ".join(text(f"themselves.topic_{topic}").lower() for topic in said.topics)


def _estimate(one: "Estimate") -> Words:
    value = shown.undefined(one) if one.value is None else _share(one.value)
    return [value, _share(one.low), _share(one.high), f"{one.n:,}", f"{one.prompts:,}"]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "coefficient": shown.coefficient, "day_rows": day_rows, "detail": shown.detail, "estimate_rows": estimate_rows, "name_in": name_in,
    "pair_rows": pair_rows, "percent": as_percent, "reason_words": shown.reason, "seconds": shown.seconds, "share": shown.share,
    "share_only": shown.share_only, "stage_rows": stage_rows, "table_six": table_six, "topics": topics, "undefined": shown.undefined,
}  # fmt: skip

"""What `instructloop curate` prints: each stage when it is done, the funnel, the sizes of the data sets."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from instructloop.curate.funnel import StageReport
from instructloop.curate.sizes import DATA_SETS, SizeRow
from instructloop.evals.report.curation_page import NAME_OF_STAGE, CurationSummary

SHOWN_REASONS = 6
"""So many reasons of a stage are listed, the others in one line; all of them are in funnel.json."""


def print_stage(report: StageReport) -> None:
    """One line, when a stage is done."""
    print(f"{NAME_OF_STAGE[report.stage]}: {report.kept:,} of {report.came:,} after {report.seconds:.1f} s", flush=True)


def print_summary(summary: CurationSummary, out: Path) -> None:
    """The funnel and the sizes as tables, and where everything is."""
    console = Console()
    console.print(funnel_table(summary))
    console.print(sizes_table(summary.sizes))
    if summary.empty_splits:
        console.print(
            f"No user fell into the split {' and '.join(summary.empty_splits)}: more users, another --seed or other shares would change that."
        )
    console.print(f"{sum(summary.prompts.values()):,} prompts in {out / 'prompts'}, the others in {out / 'removed.jsonl'}", soft_wrap=True)
    console.print(f"The report: {out / 'report.html'}", soft_wrap=True)


def funnel_table(summary: CurationSummary) -> Table:
    """A line for each stage: what came, what went, what stayed, the users who lost prompts, seconds; below it why, and what else was done."""
    table = Table(title="Curation", title_justify="left", box=box.SIMPLE)
    table.add_column("stage")
    for name in ("came", "removed", "kept", "users hit", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in summary.stages:
        counts = (report.came, report.removed, report.kept, report.users)
        table.add_row(NAME_OF_STAGE[report.stage], *(f"{count:,}" for count in counts), f"{report.seconds:.2f}")
        for reason, count in _longest(report.reasons):
            table.add_row(f"  {reason}", "", f"{count:,}", style="dim")
        for what, count in report.changes.items():
            table.add_row(f"  {what}", "", "", f"{count:,}", style="dim")
    return table


def sizes_table(rows: list[SizeRow]) -> Table:
    """The paper's Table 6: prompts of each split and source in each data set."""
    table = Table(title="Prompts in each data set, as in the paper's Table 6", title_justify="left", box=box.SIMPLE)
    table.add_column("split")
    table.add_column("source")
    for name in DATA_SETS:
        table.add_column(name, justify="right")
    for row in rows:
        sizes = (row.sizes[name] for name in DATA_SETS)
        table.add_row(row.split, row.source, *("–" if size is None else f"{size:,}" for size in sizes), end_section=row.source == "total")
    return table


def _longest(reasons: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    yield from islice(reasons.items(), SHOWN_REASONS)
    if rest := list(reasons.values())[SHOWN_REASONS:]:
        yield f"{len(rest)} other reasons", sum(rest)

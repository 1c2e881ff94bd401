"""`instructloop export WHAT`: data sets, or everything, out of a feedback store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from instructloop.cli.parsing import parse
from instructloop.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a data set of a feedback store into one file, or all its tables into a folder with checksums, which `instructloop import
    --kind store` puts back. Data sets hold what may train; everything holds all but what lets people in."""

    what: Annotated[
        Literal["prompts", "demonstrations", "rankings", "ratings", "pairs", "evaluations", "everything"],
        tyro.conf.Positional,
        tyro.conf.arg(help_behavior_hint=""),
    ]
    """pairs are the comparisons in rankings, ties marked."""
    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""
    out: Path
    """New file (.jsonl, .jsonl.gz, .jsonl.zst, .parquet), or new folder for everything."""
    layout: Literal["record", "trl"] = "record"
    """record: this package's own, for `snapshot`, `curate` and `sample`; trl: `prompt`, `chosen`, `rejected`, or `messages`."""
    format: Literal["jsonl", "parquet"] = "jsonl"
    """Files of everything."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("export", Export, argv)
    if asked.what == "everything" and asked.layout != "record":
        raise ConfigError("everything in another layout", expected="a data set", remedy="leave out --layout, or name one data set")
    if asked.what != "everything" and asked.format != "jsonl":
        raise ConfigError(f"--format {asked.format} for one file", expected="a suffix that says it", remedy="name the file .parquet")
    from instructloop.cli.stores import opened
    from instructloop.store.database.data_export import export_data
    from instructloop.store.database.raw_export import export_store

    with opened(asked.store) as store:
        if asked.what == "everything":
            for table, rows in export_store(store, None, asked.out, kind=asked.format).items():
                print(f"{table:20}{rows:>10,} rows")
        else:
            print(f"{export_data(store, None, asked.what, asked.out, layout=asked.layout):,} rows in {asked.out}")

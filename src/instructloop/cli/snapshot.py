"""`instructloop snapshot FILE...`: freeze data files for training."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from instructloop.cli.parsing import parse
from instructloop.errors import DataError
from instructloop.loop.freezing import Kind, SplitRule, freeze_files, parse_fractions


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Read data files of any layout known, split them, and freeze them into a folder that training reads and nothing alters."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """JSON lines (.jsonl, .gz, .zst), Parquet or, for documents, plain text."""
    out: Path
    """New folder for the snapshot."""
    kind: Kind
    """What the lines hold."""
    split: str = "train=0.9,valid=0.1"
    """Names of the splits and their shares."""
    by: Literal["user", "item"] = "item"
    """What never lies in two splits: a user (as in the paper), or a prompt or document."""
    layout: str | None = None
    """Layout of the files; recognised from their keys if not given."""
    seed: int = 0
    """Another seed is another split."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("snapshot", Snapshot, argv)
    if not asked.files:
        raise DataError("no file is given", expected="the files to freeze, before the flags", remedy="see `instructloop snapshot --help`")
    rule = SplitRule(fractions=parse_fractions(asked.split), by=asked.by, seed=asked.seed)
    command = shlex.join(["instructloop", "snapshot", *argv])
    snapshot = freeze_files(asked.files, asked.out, kind=asked.kind, rule=rule, layout=asked.layout, query=command)
    for split, sources in snapshot.counts.items():
        print(f"{split:12}{sum(sources.values()):>10,}  " + ", ".join(f"{source} {count:,}" for source, count in sources.items()))
    print(f"snapshot {snapshot.id} in {asked.out}")

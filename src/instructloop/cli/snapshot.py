"""`instructloop snapshot FILE...`: freeze data for training; `instructloop snapshot redact`: take erased prompts out of old snapshots."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from instructloop.cli.parsing import parse
from instructloop.errors import ConfigError, DataError
from instructloop.loop.freezing import Kind, SplitRule, freeze_files, parse_fractions

REDACT = "redact"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Read data files of any layout known, or what a feedback store holds, split it, and freeze it into a folder that training reads
    and nothing alters. `instructloop snapshot redact --help` tells how erased prompts are taken out of old snapshots."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
    """JSON lines (.jsonl, .gz, .zst), Parquet or, for documents, plain text."""
    out: Path
    """New folder for the snapshot."""
    kind: Kind
    """What the lines hold."""
    store: str | None = None
    """Feedback store to freeze from, in place of files: a path, or postgresql+psycopg://... Only what may train is taken."""
    split: str = "train=0.9,valid=0.1"
    """Names of the splits and their shares."""
    by: Literal["user", "item"] = "item"
    """What never lies in two splits: a user (as in the paper), or a prompt or document."""
    layout: str | None = None
    """Layout of the files; recognised from their keys if not given."""
    seed: int = 0
    """Another seed is another split."""


@dataclass(frozen=True, kw_only=True)
class Redact:
    """Write old snapshots anew, under new ids, without the rows of prompts that their authors have erased. The old files stay where
    they are; they, the checkpoints trained on them and the models made of these are listed. Without torch only the makings of models that the
    store knows are followed."""

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""
    look: tuple[Path, ...] = (Path(),)
    """Folders in which to look for snapshots and checkpoints, beside those that the store remembers."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    if argv[:1] == [REDACT]:
        _redact(parse(f"snapshot {REDACT}", Redact, argv[1:]))
    else:
        _freeze(parse("snapshot", Snapshot, argv), shlex.join(["instructloop", "snapshot", *argv]))


def _freeze(asked: Snapshot, command: str) -> None:
    if bool(asked.files) == (asked.store is not None):
        came = "files and a store are given" if asked.files else "no file is given"
        raise DataError(came, expected="the files to freeze, before the flags, or --store", remedy="see `instructloop snapshot --help`")
    rule = SplitRule(fractions=parse_fractions(asked.split), by=asked.by, seed=asked.seed)
    if asked.store is None:
        snapshot = freeze_files(asked.files, asked.out, kind=asked.kind, rule=rule, layout=asked.layout, query=command)
    elif asked.kind == "documents":
        raise ConfigError("documents from a feedback store", expected="demonstrations, rankings or prompts", remedy="name another --kind")
    else:
        from instructloop.cli.stores import opened
        from instructloop.store.database.freezing import freeze_from_store

        with opened(asked.store) as store:
            snapshot = freeze_from_store(store, None, asked.kind, asked.out, split_of=rule.split_of, query=command)
    for split, sources in snapshot.counts.items():
        print(f"{split:12}{sum(sources.values()):>10,}  " + ", ".join(f"{source} {count:,}" for source, count in sources.items()))
    print(f"snapshot {snapshot.id} in {asked.out}")


def _redact(asked: Redact) -> None:
    from instructloop.cli.stores import identify, opened
    from instructloop.store.database.lineage import Places
    from instructloop.store.database.redaction import redact_snapshots

    with opened(asked.store) as store:
        redactions = redact_snapshots(store, None, Places(store, asked.look, identify()))
    for one in redactions:
        print(
            f"snapshot {one.old_id}: {one.rows_removed:,} rows taken out; " + (f"now {one.new_id} in {one.new_folder}" if one.new_id else "none left")
        )
        print("  to be deleted, here and in every copy:", *one.old_files, sep="\n    ")
        if one.checkpoints:
            print("  trained on it, or made of models that were; what they learned cannot be taken out:", *one.checkpoints, sep="\n    ")
        if one.quoting:
            print("  may quote what was erased; to be deleted too:", *one.quoting, sep="\n    ")
    if not redactions:
        print("no snapshot holds a prompt that was erased")

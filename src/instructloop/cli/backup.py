"""`instructloop backup`: a copy of a feedback store while it is in use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class Backup:
    """Copy a feedback store, as it is at one moment, into one file; people go on working. The file holds everybody's texts and the
    hashes of passwords, and only its owner can read it. `instructloop restore` makes a store of it again, on either database."""

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""
    out: Path
    """New file."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("backup", Backup, argv)
    from instructloop.cli.stores import opened
    from instructloop.store.database.backup import backup

    with opened(asked.store) as store:
        file = backup(store, asked.out)
    print(f"{file}: {file.stat().st_size:,} bytes")

"""`instructloop restore`: a feedback store from a backup."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from instructloop.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class Restore:
    """Make a feedback store from a backup. Whatever the backup was made of, the store may be a file or a PostgreSQL database; an older
    version is brought up to date. Nothing is overwritten."""

    backup: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
    """What `instructloop backup` has made."""
    store: str
    """The new store: a path where there is nothing, or the postgresql+psycopg://... of an empty database."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("restore", Restore, argv)
    from instructloop.store.database.backup import restore

    restore(asked.backup, asked.store)
    print("restored")

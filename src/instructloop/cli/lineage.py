"""`instructloop lineage CHECKPOINT`: the people whose data is inside a model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from instructloop.cli.parsing import parse

if TYPE_CHECKING:
    from instructloop.store.database.lineage import Lineage as Traced
    from instructloop.store.database.lineage import SnapshotLineage

MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Print what a model was made of: the runs before it, the snapshots they read, and the users whose prompts are in these."""

    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT", help_behavior_hint="")]
    """Folder of a checkpoint, or of the run that made it."""
    store: str | None = None
    """Feedback store that remembers snapshots and models, and knows what was erased since."""
    look: tuple[Path, ...] = (Path(),)
    """Folders in which to look for snapshots and earlier models."""
    everybody: bool = False
    """Name all users, not the first of them."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("lineage", Lineage, argv)
    from instructloop.cli.stores import identify, opened
    from instructloop.store.database.lineage import Places, trace

    with opened(asked.store) if asked.store else nullcontext() as store:
        lineage = trace(asked.checkpoint, Places(store, asked.look, identify()))
    most = None if asked.everybody else MOST_SHOWN
    print("\n".join(_tree(lineage, "", most)))
    print(f"\n{_counted(len(lineage.users), 'user', 'users')} in all: {_named(sorted(lineage.users), most)}")


def _tree(lineage: "Traced", indent: str, most: int | None) -> Iterator[str]:
    yield f"{indent}{lineage.folder}  ({lineage.step}, run {lineage.run_id})"
    for snapshot in lineage.snapshots:
        yield from (f"{indent}  {line}" for line in _of_snapshot(snapshot, most))
    for role, parent in lineage.parents.items():
        if isinstance(parent, str):
            yield f"{indent}  from {role}: {parent}, found nowhere below --look"
        else:
            yield f"{indent}  from {role}:"
            yield from _tree(parent, f"{indent}    ", most)


def _of_snapshot(snapshot: "SnapshotLineage", most: int | None) -> Iterator[str]:
    if snapshot.folder is None:
        yield f"{snapshot.role}: snapshot {snapshot.id}, found nowhere below --look"
        return
    yield f"{snapshot.role}: snapshot {snapshot.id} in {snapshot.folder}, {snapshot.records:,} {snapshot.record} records"
    if snapshot.users:
        yield f"  prompts of {_counted(len(snapshot.users), 'user', 'users')}: {_named(_with_numbers(snapshot.users), most)}"
    if snapshot.labelers:
        yield f"  labels of {_counted(len(snapshot.labelers), 'person', 'people')}: {_named(_with_numbers(snapshot.labelers), most)}"
    if snapshot.erased:
        yield f"  erased since: {_named(snapshot.erased, most)}; `instructloop snapshot redact` takes them out"


def _with_numbers(people: Mapping[str, int]) -> list[str]:
    return [f"{name} ({number:,})" for name, number in people.items()]


def _counted(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def _named(names: Sequence[str], most: int | None) -> str:
    shown = names[:most]
    more = len(names) - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more else "")

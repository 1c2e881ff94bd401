"""Old snapshots without the rows of erased prompts: written anew under new ids. What cannot be undone is listed.

The old files are not deleted here, as a copy may be all that proves what a model was trained on: whoever runs the site decides.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from instructloop.errors import DataError
from instructloop.records import RECORDS, Record, RunManifest
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.freezing import people_in, register_snapshot, source_of
from instructloop.store.database.lineage import NO_MODEL, Places, is_checkpoint, is_of, read_run_manifest
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import require
from instructloop.store.snapshots import freeze, open_snapshot, read_split

REDACTED = "redacted"
SAMPLES = "samples.jsonl"
"""What a run folder has of prompts and of what the model said to them as it learned."""


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What became of one old snapshot."""

    old_id: str
    old_files: tuple[Path, ...]
    """Still there, with the erased texts inside: to be deleted by hand, and in every copy."""
    new_id: str | None
    """None if nothing was left of it."""
    new_folder: Path | None
    rows_removed: int
    checkpoints: tuple[Path, ...]
    """Trained on the old snapshot or on one that it was redacted from, and models made of these: the texts cannot be taken out of their
    weights."""
    quoting: tuple[Path, ...]
    """Samples of these runs, where erased prompts may stand: to be deleted by hand too."""


def redact_snapshots(store: Store, actor: Actor, places: Places) -> list[Redaction]:
    """Write every snapshot known to `places` that holds erased prompts anew beside itself, and say what stays to be done.

    The new one stands in a folder of the same name with "-redacted" behind, is known to the store, and remembers which it
    replaces. For administrators and the command line. A snapshot redacted before is passed over.
    """
    if actor is not None:
        require(actor, ("administrator",), "redact snapshots")
    with store.reading() as connection:
        gone = frozenset(connection.execute(sa.select(schema.prompts.c.id).where(schema.prompts.c.erased_at.is_not(None))).scalars())
        done = frozenset(connection.execute(sa.select(schema.snapshots.c.redacts).where(schema.snapshots.c.redacts.is_not(None))).scalars())
    redactions: list[Redaction] = []
    for snapshot_id, folder in sorted(places.snapshots.items()):
        if snapshot_id not in done and (redaction := _redact(store, actor, folder, gone, places)) is not None:
            redactions.append(redaction)
    return redactions


def _redact(store: Store, actor: Actor, folder: Path, gone: frozenset[str], places: Places) -> Redaction | None:
    old = open_snapshot(folder)
    removed = sum(1 for split in old.counts for record in _records(folder, split, old.record) if _holds(record, gone))
    if not removed:
        return None
    kept = {split: [record for record in _records(folder, split, old.record) if not _holds(record, gone)] for split in old.counts}
    left = {split: records for split, records in kept.items() if records}
    new_folder = _beside(folder)
    new = freeze(new_folder, left, query=f"redaction of {old.id}: {old.query}", source_of=source_of) if left else None
    if new is not None:
        register_snapshot(store, actor, new_folder, redacts=old.id)
    with store.writing() as connection:
        write_audit(connection, store.now(), actor, "redact snapshot", ("snapshot", old.id), {"new": new.id if new else None, "rows": removed})
    files = tuple(folder / name for name in old.files)
    trained = tuple(_made_with(_with_earlier(store, old.id), places))
    return Redaction(
        old_id=old.id,
        old_files=files,
        new_id=new.id if new else None,
        new_folder=new_folder if new else None,
        rows_removed=removed,
        checkpoints=trained,
        quoting=_quoting(trained),
    )


def _records(folder: Path, split: str, record: str) -> Iterator[Record]:
    return read_split(folder, split, RECORDS[record])


def _holds(record: Record, gone: frozenset[str]) -> bool:
    return any(is_of(prompt_id, gone) for prompt_id, _ in people_in(record))


def _beside(folder: Path) -> Path:
    candidates: Iterable[Path] = (folder.with_name(f"{folder.name}-{REDACTED}{number}") for number in ("", *range(2, 1000)))
    for candidate in candidates:
        if not candidate.exists():
            return candidate
    raise DataError(f"{folder} was redacted a thousand times", expected="fewer", remedy="remove old ones")


def _with_earlier(store: Store, snapshot_id: str) -> frozenset[str]:
    """The snapshot, and those that it is a redaction of: who was erased today was in all of them."""
    snapshots = schema.snapshots
    with store.reading() as connection:
        redacted_from = dict(connection.execute(sa.select(snapshots.c.id, snapshots.c.redacts).where(snapshots.c.redacts.is_not(None))).all())
    ids = [snapshot_id]
    while (earlier := redacted_from.get(ids[-1])) is not None:
        ids.append(earlier)
    return frozenset(ids)


def _made_with(snapshot_ids: frozenset[str], places: Places) -> Sequence[Path]:
    """Checkpoints that have read one of the snapshots, and those made of such checkpoints, in the folders or registered with the store."""
    candidates = {*places.checkpoints, *(folder for folder in places.models.values() if is_checkpoint(folder))}
    manifests = {folder.absolute(): read_run_manifest(folder) for folder in candidates}
    made = {folder for folder, manifest in manifests.items() if snapshot_ids & set(manifest.snapshots.values())}
    parents = {folder: _parents(manifest, places) for folder, manifest in manifests.items()} if made else {}
    while more := {folder for folder, of in parents.items() if folder not in made and of & made}:
        made |= more
    return sorted(made)


def _quoting(checkpoints: Sequence[Path]) -> tuple[Path, ...]:
    """A checkpoint is in the folder of its run, or in a folder there."""
    runs = {folder for checkpoint in checkpoints for folder in list(checkpoint.parents)[:2]}
    return tuple(sorted(folder / SAMPLES for folder in runs if (folder / SAMPLES).is_file()))


def _parents(manifest: RunManifest, places: Places) -> set[Path]:
    found = (places.model(identity) for role, identity in manifest.parents.items() if role != NO_MODEL)
    return {folder.absolute() for folder in found if folder is not None}

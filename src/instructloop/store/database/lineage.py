"""From a checkpoint to the people whose data is inside: manifest -> snapshots -> labels -> prompts -> users, and the models before it.

Only reads. Snapshots and parent models are found by what the store remembers, and by looking through folders.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from instructloop.errors import CheckpointError, DataError, first_line
from instructloop.records import RECORDS, RunManifest
from instructloop.store.database import schema
from instructloop.store.database.freezing import people_in
from instructloop.store.database.intake import PART
from instructloop.store.database.opening import Store
from instructloop.store.snapshots import DESCRIPTION, open_snapshot, read_description, read_split

MANIFEST, CONFIG = "manifest.json", "config.json"
NO_MODEL = "tokenizer"
"""A parent of every run that is no model."""

Identify = Callable[[Path], str]
"""The hash of a checkpoint's weights, as manifests name it."""


@dataclass(frozen=True, kw_only=True)
class SnapshotLineage:
    """The people in one snapshot that a run has read."""

    role: str
    """What the run read it as: demonstrations, rankings, prompts, …"""
    id: str
    folder: Path | None
    """None if it was found nowhere."""
    record: str | None
    records: int
    users: Mapping[str, int]
    """Who asked -> number of prompts."""
    labelers: Mapping[str, int]
    """Who judged or answered -> number of labels."""
    erased: tuple[str, ...]
    """Prompts inside that their authors have erased since: `instructloop snapshot redact` takes them out."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """A model, what it has read, and the models it began from."""

    folder: Path
    step: str
    run_id: str
    snapshots: tuple[SnapshotLineage, ...]
    parents: Mapping[str, "Lineage | str"]
    """Role -> the lineage of the parent, or its identity where it was found nowhere."""

    @cached_property
    def users(self) -> frozenset[str]:
        """Everybody whose prompts are inside, through all generations."""
        own = {user for snapshot in self.snapshots for user in snapshot.users}
        return frozenset(own.union(*(parent.users for parent in self.parents.values() if isinstance(parent, Lineage))))


@dataclass(frozen=True)
class Places:
    """Where snapshots and models may be found."""

    store: Store | None
    folders: Sequence[Path] = ()
    """Searched, with everything below them."""
    identify: Identify | None = None
    """Says which checkpoint is which; without it only models that the store knows are found."""
    _identities: dict[Path, str | None] = field(default_factory=dict[Path, str | None])

    @cached_property
    def snapshots(self) -> Mapping[str, Path]:
        """Snapshot id -> its folder."""
        found = {snapshot_id: Path(folder) for snapshot_id, folder in self._remembered(schema.snapshots.c.id, schema.snapshots.c.folder)}
        for description in self._below(DESCRIPTION):
            try:
                found[read_description(description.parent).id] = description.parent
            except DataError:
                continue
        return {snapshot_id: folder for snapshot_id, folder in found.items() if (folder / DESCRIPTION).is_file()}

    @cached_property
    def models(self) -> Mapping[str, Path]:
        """Identity of a registered model -> its folder."""
        return {identity: Path(place) for identity, place in self._remembered(schema.models.c.identity, schema.models.c.place) if identity}

    @cached_property
    def checkpoints(self) -> Sequence[Path]:
        """Folders of checkpoints that say what they were made of; models made elsewhere do not."""
        return [manifest.parent for manifest in self._below(MANIFEST) if is_checkpoint(manifest.parent)]

    def model(self, identity: str) -> Path | None:
        """The folder of the checkpoint with these weights."""
        registered = self.models.get(identity)
        if registered is not None and is_checkpoint(registered):
            return registered
        return next((folder for folder in self.checkpoints if self._identity(folder) == identity), None)

    def erased(self, prompt_ids: Iterable[str]) -> tuple[str, ...]:
        """Those of the prompts that were erased."""
        gone = {
            prompt_id for prompt_id, _ in self._remembered(schema.prompts.c.id, schema.prompts.c.erased_at, schema.prompts.c.erased_at.is_not(None))
        }
        return tuple(sorted(gone.intersection(prompt_ids)))

    def _identity(self, folder: Path) -> str | None:
        if self.identify is not None and folder not in self._identities:
            try:
                self._identities[folder] = self.identify(folder)
            except CheckpointError:
                self._identities[folder] = None
        return self._identities.get(folder)

    def _below(self, name: str) -> Iterator[Path]:
        for folder in self.folders:
            yield from sorted(folder.rglob(name))

    def _remembered(self, key: sa.Column[str], value: sa.Column[str], which: sa.ColumnElement[bool] | None = None) -> list[tuple[str, str]]:
        if self.store is None:
            return []
        with self.store.reading() as connection:
            return list(connection.execute(sa.select(key, value).where(sa.true() if which is None else which)).all())


def trace(checkpoint: Path, places: Places) -> Lineage:
    """The family tree of a checkpoint. Raises `CheckpointError` if it has no manifest, `DataError` if a snapshot was altered."""
    return _trace(checkpoint, places, frozenset())


def read_run_manifest(checkpoint: Path) -> RunManifest:
    """What a checkpoint says it was made of; raises `CheckpointError` if it says nothing."""
    path = checkpoint / MANIFEST
    try:
        return RunManifest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, DataError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {first_line(error)}",
            expected="the manifest of a checkpoint that this package has made",
            remedy="give the folder of the checkpoint; models made elsewhere have no manifest",
        ) from error


def is_checkpoint(folder: Path) -> bool:
    """True if there is a model in the folder that says what it was made of."""
    try:
        read_run_manifest(folder)
    except CheckpointError:
        return False
    return (folder / CONFIG).is_file()


def is_of(prompt_id: str, prompt_ids: Collection[str]) -> bool:
    """True if the prompt is one of these, or a part that curation has made of one of them."""
    return prompt_id in prompt_ids or prompt_id.rpartition(PART)[0] in prompt_ids


def _trace(checkpoint: Path, places: Places, below: frozenset[Path]) -> Lineage:
    manifest = read_run_manifest(checkpoint)
    parents: dict[str, Lineage | str] = {}
    for role, identity in manifest.parents.items():
        if role != NO_MODEL:
            folder = places.model(identity)
            known = folder is not None and folder not in below
            parents[role] = _trace(folder, places, below | {checkpoint}) if known and folder is not None else identity
    snapshots = tuple(_snapshot(role, snapshot_id, places) for role, snapshot_id in manifest.snapshots.items())
    return Lineage(folder=checkpoint, step=manifest.step, run_id=manifest.run_id, snapshots=snapshots, parents=parents)


def _snapshot(role: str, snapshot_id: str, places: Places) -> SnapshotLineage:
    folder = places.snapshots.get(snapshot_id)
    if folder is None:
        return SnapshotLineage(role=role, id=snapshot_id, folder=None, record=None, records=0, users={}, labelers={}, erased=())
    snapshot = open_snapshot(folder)
    user_of: dict[str, str] = {}
    labelers: Counter[str] = Counter()
    for split in snapshot.counts:
        for record in read_split(folder, split, RECORDS[snapshot.record]):
            user_of.update(people_in(record))
            if labeler := getattr(record, "labeler_id", None):
                labelers[labeler] += 1
    users = Counter(user for user in user_of.values() if user)
    return SnapshotLineage(
        role=role, id=snapshot_id, folder=folder, record=snapshot.record, records=sum(sum(sources.values()) for sources in snapshot.counts.values()),
        users=dict(sorted(users.items())), labelers=dict(sorted(labelers.items())), erased=places.erased(user_of),
    )  # fmt: skip

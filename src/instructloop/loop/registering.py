"""From a run to the store's list of models: what was trained is offered in the playground, and its origin is known."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from instructloop.errors import CheckpointError, Conflict, NotFound
from instructloop.model.checkpoint import MANIFEST, load_manifest
from instructloop.steps.provenance import model_identity
from instructloop.store.database.audit import Actor
from instructloop.store.database.freezing import register_snapshot
from instructloop.store.database.lineage import NO_MODEL
from instructloop.store.database.models import NewModel, RegisteredModel, read_model, register_model
from instructloop.store.database.opening import Store

MODEL, CONFIG = "model", "config.json"
NOT_OFFERED = ("reward",)
"""Steps whose models answer nothing."""


def register_place(store: Store, actor: Actor, place: str, *, name: str | None = None, visible: bool = True) -> RegisteredModel:
    """Register a model: a run folder or a checkpoint of ours with its lineage, another checkpoint's folder, a hub id or a URL.

    Without a name it is called after its run, or after its place. Reward models are registered and never offered. Registering the
    same model under the same name again changes nothing; raises `Conflict` if the name stands for another, `CheckpointError` for
    a folder without a model.
    """
    new = _described(place, name, visible=visible)
    try:
        there = read_model(store, new.name)
    except NotFound:
        return register_model(store, actor, new)
    if there.retired_at is not None or (there.place, there.identity) != (new.place, new.identity):
        raise Conflict(
            f"the name {new.name!r} stands for {there.place}" + (", which is retired" if there.retired_at else ""),
            expected="every name for one model",
            remedy="choose another --name",
        )
    return there


def register_snapshots(store: Store, actor: Actor, folders: Iterable[Path]) -> None:
    """Let the store know snapshots and whose prompts are in them, where it does not know them yet."""
    for folder in folders:
        register_snapshot(store, actor, folder)


def _described(place: str, name: str | None, *, visible: bool) -> NewModel:
    folder = Path(place)
    if "://" in place or not folder.exists():
        return NewModel(name=name or place, place=place, visible=visible)
    checkpoint = folder / MODEL if (folder / MODEL / CONFIG).is_file() else folder
    if not (checkpoint / CONFIG).is_file():
        raise CheckpointError(f"{place} holds no model", expected="a checkpoint, or the folder of a finished run", remedy="correct the path")
    run = checkpoint.parent if checkpoint.name == MODEL else checkpoint
    new = NewModel(name=name or run.resolve().name, place=str(checkpoint.absolute()), identity=model_identity(checkpoint), visible=visible)
    if not (checkpoint / MANIFEST).exists():
        return new
    manifest = load_manifest(checkpoint)
    parents = {role: identity for role, identity in manifest.parents.items() if role != NO_MODEL}
    return replace(new, parents=parents, snapshots=dict(manifest.snapshots), visible=visible and manifest.step not in NOT_OFFERED)

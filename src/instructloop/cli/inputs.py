"""What a training verb reads, looked at before anything heavy is imported and before anything is written (law E4)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instructloop.errors import CheckpointError, DataError
from instructloop.store.snapshots import DESCRIPTION, read_description

RECORD_OF = {"demonstrations": "Demonstration", "rankings": "Ranking", "prompts": "Prompt", "documents": "Document"}
"""Kind of data, as `instructloop snapshot --kind` names it -> the record of its lines."""

REWARD_CLASS = "ForSequenceClassification"
"""How transformers' classes of reward models end."""
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class Data:
    """What a snapshot must hold to be read by a step."""

    kind: str
    """As `instructloop snapshot --kind` names it."""
    splits: tuple[str, ...] = ("train", "valid")

    def __str__(self) -> str:
        return f"a snapshot of {self.kind}, split into {' and '.join(self.splits)}"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Which fields of a verb's arguments are snapshots and models; a field that is None is not asked for."""

    snapshots: Mapping[str, Data] = field(default_factory=dict[str, Data])
    models: tuple[str, ...] = ()
    """Fields that name a language model: a checkpoint folder or a hub id."""
    rewards: tuple[str, ...] = ()
    """Fields that name a reward model."""

    def require(self, asked: object) -> None:
        """Raise `DataError` or `CheckpointError` for the first that cannot be used, with the command that makes it."""
        for name, data in self.snapshots.items():
            if (folder := getattr(asked, name)) is not None:
                require_snapshot(folder, data)
        for name in (*self.models, *self.rewards):
            if (source := getattr(asked, name)) is not None:
                require_model(source, is_reward=name in self.rewards)


def require_snapshot(folder: Path, data: Data) -> None:
    """Raise `DataError` unless `folder` is a snapshot of this kind with these splits; its files are not read."""
    if not (folder / DESCRIPTION).is_file():
        raise _no_snapshot(folder, data)
    snapshot = read_description(folder)
    if snapshot.record != RECORD_OF[data.kind]:
        raise DataError(f"{folder} holds {snapshot.record} records", expected=str(data), remedy="give the snapshot of that kind")
    if missing := [split for split in data.splits if split not in snapshot.counts]:
        raise DataError(
            f"{folder} has no split {missing[0]!r}, only {', '.join(snapshot.counts)}",
            expected=str(data),
            remedy=f"freeze the data anew: {_command('FILES', data, 'NEW_FOLDER')}",
        )


def _no_snapshot(folder: Path, data: Data) -> DataError:
    if folder.is_file():
        return DataError(f"{folder} is a file", expected=str(data), remedy=_command(str(folder), data, f"snapshots/{data.kind}"))
    if folder.is_dir():
        return DataError(f"{folder} holds no {DESCRIPTION}", expected=str(data), remedy=_command("FILES", data, "NEW_FOLDER"))
    return DataError(f"there is no {folder}", expected=str(data), remedy=f"correct the path, or make it: {_command('FILES', data, str(folder))}")


def _command(files: str, data: Data, out: str) -> str:
    return f"instructloop snapshot {files} --kind {data.kind} --out {out}"


def require_model(source: str, *, is_reward: bool = False) -> None:
    """Raise `CheckpointError` for a path that is no checkpoint of a language or reward model; hub ids are left to the hub."""
    folder, expected = Path(source), "a checkpoint folder (config.json, model.safetensors, tokenizer files) or a hub id"
    if (folder / "config.json").is_file():
        _require_role(folder, is_reward=is_reward)
    elif (folder / "model" / "config.json").is_file():
        raise CheckpointError(f"{source} is a run folder", expected=expected, remedy=f"its model is in {folder / 'model'}")
    elif folder.exists():
        raise CheckpointError(f"{source} holds no config.json", expected=expected, remedy="give the folder of the checkpoint itself")
    elif not HUB_ID.fullmatch(source) or (len(folder.parts) > 1 and folder.parent.is_dir()):
        raise CheckpointError(f"there is no folder {source}", expected=expected, remedy="correct the path, or run the step that makes it")


def _require_role(folder: Path, *, is_reward: bool) -> None:
    """What config.json calls the model is a reward model, or is none; a file that does not say so is judged when it is loaded."""
    try:
        names: list[str] = json.loads((folder / "config.json").read_text()).get("architectures") or []
    except ValueError:
        return
    if names and any(name.endswith(REWARD_CLASS) for name in names) != is_reward:
        asked, other = ("a reward model", "a language model") if is_reward else ("a language model", "a reward model")
        raise CheckpointError(f"{folder} is {other} ({names[0]})", expected=asked, remedy=f"give {asked} here: have two paths changed places?")

"""What a run is made of, written down before its first update."""

import dataclasses
import datetime
import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers

import instructloop
from instructloop.config import Config, Text
from instructloop.errors import ConfigError
from instructloop.model.checkpoint import MANIFEST, checkpoint_hash, load_manifest
from instructloop.records import Provenance, RunManifest, Snapshot
from instructloop.text.tokenizer import Tokenizer

STEP_SECTIONS = {
    "pretrain": ("text", "run", "pretrain"),
    "sft": ("text", "run", "sft"),
    "sft_ptx_init": ("text", "run", "sft_ptx_init"),
    "reward": ("text", "run", "reward"),
    "ppo": ("text", "run", "ppo"),
}
"""The parts of the config a step reads; only these must be equal to resume it."""


def describe_run(
    step: str,
    config: Config,
    *,
    run_id: str,
    snapshots: Mapping[str, Snapshot | None],
    models: Mapping[str, Path | str | None],
    tokenizer: Tokenizer,
    command: str | None = None,
) -> RunManifest:
    """The manifest of a run of `step`: resolved config, command, code and library versions, data ids, parent weights."""
    parents = {role: model_identity(model) for role, model in models.items() if model is not None}
    return RunManifest(
        provenance=Provenance(when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")),
        run_id=run_id,
        step=step,
        config=json.loads(json.dumps({name: dataclasses.asdict(getattr(config, name)) for name in STEP_SECTIONS[step]})),
        command=command or shlex.join(["instructloop", *sys.argv[1:]]),
        code_version=code_version(),
        seed=config.run.seed,
        snapshots={role: snapshot.id for role, snapshot in snapshots.items() if snapshot is not None},
        parents={**parents, "tokenizer": tokenizer.fingerprint},
        environment=environment(),
    )


def model_identity(model: Path | str) -> str:
    """The hash of the checkpoint in a folder, or the hub id that a model is loaded by: what manifests and records name it with."""
    return checkpoint_hash(Path(model)) if Path(model).exists() else f"hub:{model}"


def environment() -> dict[str, str]:
    """What bit-equality depends on beside config, code and data."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": str(torch.get_num_threads()),
        "device": device,
    }


@cache
def code_version() -> str:
    """The package version and a hash of its source files: a checkpoint from edited code is told apart."""
    root = Path(instructloop.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{instructloop.__version__}+{digest.hexdigest()[:12]}"


def model_card(step: str, manifest: RunManifest, figures: Mapping[str, Any], *, note: str = "") -> str:
    """The README.md of a checkpoint: what it is, what it was made of, how it measured, how to load it."""
    rows = "\n".join(f"| {name} | {value:.6g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in figures.items())
    data = "\n".join(f"- {role}: snapshot `{id_}`" for role, id_ in manifest.snapshots.items())
    return (
        f"# {step} · {manifest.run_id}\n\nMade by instructloop {manifest.code_version}, step `{step}`, seed {manifest.seed}.\n\n"
        f"```\n{manifest.command}\n```\n\n{note}\n\n## Data\n\n{data}\n\n## Figures\n\n| figure | value |\n|---|---|\n{rows}\n"
    )


def require_same_rendering(text: Text, models: Mapping[str, str | None]) -> None:
    """Raise `ConfigError` unless each model that we fine-tuned was trained with the template and the separator of `text`.

    Role -> directory or hub id. A base reads running text, and models made elsewhere do not say: both go with any rendering.
    """
    for role, source in models.items():
        if source is None or not (Path(source) / MANIFEST).exists() or (manifest := load_manifest(source)).step == "pretrain":
            continue
        trained: Mapping[str, Any] = manifest.config.get("text") or {}
        for name in ("template", "separator"):
            if name in trained and trained[name] != getattr(text, name):
                raise ConfigError(
                    f"text.{name} is {getattr(text, name)!r}, and the {role} {source} was trained with {trained[name]!r}",
                    expected="prompts that look as they did in training",
                    remedy=f"give the recipe that it was trained with, or set text.{name}",
                )

"""What a run carries with it: settings in its manifest, closing figures."""

import json
from pathlib import Path
from typing import Any, TypeVar

from instructloop.config import Text
from instructloop.errors import CheckpointError, first_line
from instructloop.model.checkpoint import MANIFEST, load_manifest
from instructloop.records import RunManifest
from instructloop.steps.running import FINISHED

Section = TypeVar("Section")


def recorded(section: type[Section], name: str, manifest: RunManifest) -> Section:
    """The section `name` of the config a run was made with, e.g. `recorded(Text, "text", manifest)`."""
    settings: Any = manifest.config.get(name)
    try:
        return section(**settings)
    except TypeError as error:
        raise CheckpointError(
            f"the manifest of {manifest.run_id!r}, made by version {manifest.code_version!r}, has other {name} settings: {error}",
            expected="the settings of this version",
            remedy="use the version that made the run, or make the run again",
        ) from error


def trained_text(model: str) -> Text | None:
    """How a model of ours reads prompts: as it was trained to, by the manifest in its folder or the one above. None for others."""
    folder = Path(model)
    made_here = [place for place in (folder, folder.parent) if (place / MANIFEST).exists()]
    return recorded(Text, "text", load_manifest(made_here[0])) if made_here else None


def closing_figures(run: Path) -> dict[str, Any]:
    """The closing figures of a finished run, none for one that is not; raises `CheckpointError` if they cannot be read."""
    path = run / FINISHED
    try:
        figures = json.loads(path.read_text()) if path.exists() else {}
        if not isinstance(figures, dict):
            raise TypeError(f"a JSON {type(figures).__name__}")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {first_line(error)}",
            expected="the closing figures of a run, a JSON object",
            remedy="restore it from a copy, or make the run again",
        ) from error
    return figures

"""Settings that a checkpoint or a run carries in its manifest."""

from typing import Any, TypeVar

from instructloop.errors import CheckpointError
from instructloop.records import RunManifest

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

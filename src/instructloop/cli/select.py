"""`instructloop select RUN_DIR`: which epoch of an SFT run to keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from instructloop.cli.inputs import Data, Inputs
from instructloop.cli.parsing import parse
from instructloop.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Select:
    """Choose the epoch of an SFT run whose answers to validation prompts the reward model scores highest; it is copied to `RUN_DIR/selected`."""

    run: tyro.conf.Positional[Path]
    """Run folder of a finished SFT."""
    reward: str
    """Directory or hub id of the reward model."""
    prompts: Path
    """Snapshot of prompts."""
    split: str = "valid"
    """Split of the snapshot to answer."""
    max_prompts: int = 512
    """Prompts answered by each epoch: the first ones that fit."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("select", Select, argv)
    Inputs(snapshots={"prompts": Data("prompts", splits=(asked.split,))}, rewards=("reward",)).require(asked)
    if not (asked.run / "epochs").is_dir():
        raise DataError(
            f"{asked.run} is no finished SFT run", expected="the folder given to `sft --out`, with epochs/ in it", remedy="correct the path"
        )
    from instructloop.loop.selection import SelectionInputs, select_epoch

    inputs = SelectionInputs(run=asked.run, reward=asked.reward, prompts=asked.prompts, split=asked.split, max_prompts=asked.max_prompts)
    print(select_epoch(inputs))

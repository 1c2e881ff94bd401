"""`instructloop sweep RECIPE --step STEP --over FIELD=a,b,c -- flags of the step's verb`."""

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from instructloop.cli.parsing import TrainingVerb, parse_recipe
from instructloop.loop.axes import combinations, parse_axis, planned_runs


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Run a step for every combination of some settings and compare the closing figures. What the step's own verb needs stands behind `--`."""

    step: Literal["pretrain", "sft", "reward", "ppo"]
    """The step to run."""
    over: tyro.conf.UseAppendAction[tuple[str, ...]]
    """FIELD=a,b,c: a setting by its dotted name and the values it takes, e.g. ppo.kl.coef=0.01,0.02. Several are crossed."""
    out: Path
    """Folder for the runs; those that are finished are skipped, an unfinished one goes on."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    own, of_step = _split(argv)
    asked, _ = parse_recipe("sweep", Sweep, own, sections=())
    verb: TrainingVerb[Any] = importlib.import_module(f"instructloop.cli.{asked.step}").VERB
    arguments, config = verb.parse([own[0], *of_step, "--out", str(asked.out)])
    axes = [parse_axis(text, config, sections=verb.sections_read(of_step)) for text in asked.over]
    runs = planned_runs(config, combinations(axes))
    verb.inputs.require(arguments)
    from instructloop.loop.sweep import run_sweep

    print(run_sweep(asked.step, axes, runs, asked.out, lambda config, folder: verb.train(dataclasses.replace(arguments, out=folder), config)))


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    cut = argv.index("--") if "--" in argv else len(argv)
    return list(argv[:cut]), list(argv[cut + 1 :])

"""`instructloop lab base|gate`: make the base of the demo, and measure what must hold before the demo is worth running."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructloop.cli.parsing import parse_recipe
from instructloop.cli.refusals import mistyped
from instructloop.errors import ConfigError

PARTS = {"base": "make the base of the demo from the lab's text, half an hour", "gate": "measure one gate of the lab; exit code 1 below its level"}


@dataclass(frozen=True, kw_only=True)
class LabPretraining:
    """Train the base of the demo on the lab's text and put it into the package."""

    out: Path = Path("out/base")
    """Folder for text and run; an unfinished run goes on."""


@dataclass(frozen=True, kw_only=True)
class LabGate:
    """Measure one gate of the lab on development prompts; what it needs is trained first, and found again later."""

    name: Literal["copying", "spread", "reward", "trivial", "judge", "policy"]
    """In order: the base copies; SFT answers well and badly; the reward model tells; PPO learns a word; from the judge; from the reward model."""
    seed: int = 0
    """Reaches everything but the base."""
    base: Path | None = None
    """Another base than the package's."""
    out: Path = Path("out/lab")
    """Folder for what is trained; a folder of the seed inside."""


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    part, rest = (argv[0], list(argv[1:])) if argv else ("--help", [])
    if part in ("-h", "--help"):
        print("usage: instructloop lab PART [...]\n\n" + "\n".join(f"  {name:8}{does}" for name, does in PARTS.items()))
        raise SystemExit(0)
    if part not in PARTS:
        raise mistyped("part of the lab", part, PARTS, see="instructloop lab --help")
    return _make_base(rest) if part == "base" else _gate(rest)


def _make_base(argv: Sequence[str]) -> int:
    asked, config = parse_recipe("lab base", LabPretraining, ["demo", *argv], sections=("run", "pretrain"))
    from instructloop.loop.lab_pretraining import make_base

    print(make_base(config, asked.out))
    return 0


def _gate(argv: Sequence[str]) -> int:
    if not argv or argv[0].startswith("-"):
        raise ConfigError("no gate is named", expected="instructloop lab gate NAME", remedy="see `instructloop lab gate copying --help`")
    asked, config = parse_recipe("lab gate", LabGate, ["demo", "--name", *argv], sections=("run", "sft_ptx_init", "reward", "ppo"))
    from dataclasses import replace

    from instructloop.loop.lab_gates import run_gate
    from instructloop.loop.lab_pretraining import shipped_base
    from instructloop.loop.small_world import SmallWorld

    config = replace(config, run=replace(config.run, seed=asked.seed))
    folder = asked.out / f"seed-{asked.seed}"
    gate = run_gate(asked.name, SmallWorld(config=config, base=asked.base or shipped_base(), folder=folder, seed=asked.seed), folder / "gates.txt")
    print(gate)
    return 0 if gate.passed else 1

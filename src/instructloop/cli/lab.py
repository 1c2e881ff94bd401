"""`instructloop lab base|gate|sweep|overoptimize`: make the base of the demo, measure what must hold before it, and study its world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from instructloop.cli.inputs import require_model
from instructloop.cli.parsing import parse_recipe
from instructloop.cli.refusals import mistyped
from instructloop.config import Config
from instructloop.errors import ConfigError

if TYPE_CHECKING:
    from instructloop.loop.small_world import SmallWorld

SECTIONS = ("run", "sft_ptx_init", "reward", "ppo")
"""Settings that a world is made with."""


@dataclass(frozen=True, kw_only=True)
class LabPretraining:
    """Train the base of the demo on the lab's text and put it into the package."""

    out: Path = Path("out/base")
    """Folder for text and run; an unfinished run goes on."""


@dataclass(frozen=True, kw_only=True)
class LabWorld:
    """Which small world, and where it is kept."""

    seed: int = 0
    """Reaches everything but the base."""
    base: Path | None = None
    """Another base than the package's."""
    out: Path = Path("out/lab")
    """Folder for what is trained and found; a folder of the seed inside."""


@dataclass(frozen=True, kw_only=True)
class LabGate(LabWorld):
    """Measure one gate of the lab on development prompts; what it needs is trained first, and found again later."""

    name: Literal["copying", "spread", "reward", "trivial", "judge", "policy"]
    """In order: the base copies; SFT answers well and badly; the reward model tells; PPO learns a word; from the judge; from the reward model."""


@dataclass(frozen=True, kw_only=True)
class LabSweep(LabWorld):
    """PPO with several weights of the pretraining text (γ_ptx) and several prices of distance (β): a table of figures and a picture."""


@dataclass(frozen=True, kw_only=True)
class LabOveroptimize(LabWorld):
    """How long gold follows the reward model: best of n answers of SFT, and PPO without a KL penalty. Figures and a picture."""


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    part, rest = (argv[0], list(argv[1:])) if argv else ("--help", [])
    if part in ("-h", "--help"):
        print("usage: instructloop lab PART [...]\n\n" + "\n".join(f"  {name:14}{does}" for name, (does, _) in PARTS.items()))
        raise SystemExit(0)
    if part not in PARTS:
        raise mistyped("part of the lab", part, PARTS, see="instructloop lab --help")
    return PARTS[part][1](rest)


def _make_base(argv: Sequence[str]) -> int:
    asked, config = parse_recipe("lab base", LabPretraining, ["demo", *argv], sections=("run", "pretrain"))
    from instructloop.loop.lab_pretraining import make_base

    print(make_base(config, asked.out))
    return 0


def _gate(argv: Sequence[str]) -> int:
    if not argv or argv[0].startswith("-"):
        raise ConfigError("no gate is named", expected="instructloop lab gate NAME", remedy="see `instructloop lab gate copying --help`")
    asked, config = parse_recipe("lab gate", LabGate, ["demo", "--name", *argv], sections=SECTIONS)
    from instructloop.loop.lab_gates import run_gate

    world = _world(asked, config)
    gate = run_gate(asked.name, world, world.folder / "gates.txt")
    print(gate)
    return 0 if gate.passed else 1


def _sweep(argv: Sequence[str]) -> int:
    asked, config = parse_recipe("lab sweep", LabSweep, ["demo", *argv], sections=SECTIONS)
    from instructloop.loop.lab_studies import sweep

    print(sweep(_world(asked, config)))
    return 0


def _overoptimize(argv: Sequence[str]) -> int:
    asked, config = parse_recipe("lab overoptimize", LabOveroptimize, ["demo", *argv], sections=SECTIONS)
    from instructloop.loop.lab_studies import overoptimize

    print(overoptimize(_world(asked, config)))
    return 0


def _world(asked: LabWorld, config: Config) -> "SmallWorld":
    if asked.base is not None:
        require_model(str(asked.base))
    from instructloop.loop.lab_pretraining import shipped_base
    from instructloop.loop.small_world import SmallWorld
    from instructloop.steps.device import on_this_machine

    config = on_this_machine(replace(config, run=replace(config.run, seed=asked.seed)))
    return SmallWorld(config=config, base=asked.base or shipped_base(), folder=asked.out / f"seed-{asked.seed}", seed=asked.seed)


PARTS: Mapping[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "base": ("make the base of the demo from the lab's text, half an hour", _make_base),
    "gate": ("measure one gate of the lab; exit code 1 below its level", _gate),
    "sweep": ("PPO over γ_ptx and over β, half an hour", _sweep),
    "overoptimize": ("gold against the reward model, the further one goes", _overoptimize),
}
"""Part -> what it does, and how it is run."""

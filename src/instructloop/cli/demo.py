"""`instructloop demo`: the whole loop in miniature."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Pretrain, SFT, reward model, PPO-ptx and sampling on a toy model, to see every part of the loop turn; the model learns little."""

    out: Path = Path("out/demo")
    """Folder for everything it makes."""
    seed: int = 0
    """Reaches every random stream."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    demo = parse("demo", Demo, argv)
    from instructloop.loop.demo import run_demo

    run_demo(demo.out, demo.seed)

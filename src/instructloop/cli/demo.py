"""`instructloop demo`: the whole loop in the small world of the lab, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from instructloop.cli.inputs import require_model
from instructloop.cli.parsing import parse
from instructloop.lab.prompts import PRACTICE_POOL


@dataclass(frozen=True, kw_only=True)
class Demo:
    """SFT, reward model, PPO and PPO-ptx in a small world with known truth, judged by simulated people: a table, plain words, a report."""

    out: Path = Path("out/demo")
    """Folder for everything it makes; what an earlier call has made there is found again."""
    seed: int = 0
    """Reaches everything but the base and the test prompts."""
    pool: int = PRACTICE_POOL
    """Evaluation pool of the test prompts, 0 to 23. The default has been looked at; figures to report need one that never was."""
    base: Path | None = None
    """Another base than the package's."""
    open: bool = False
    """When it is over, serve its models and open the site in this machine's browser."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("demo", Demo, argv)
    if asked.base is not None:
        require_model(str(asked.base))
    from instructloop.loop.demo import run_demo, serving_arguments
    from instructloop.loop.lab_pretraining import shipped_base
    from instructloop.loop.small_world import Sizes
    from instructloop.recipes import RECIPES

    base = asked.base or shipped_base()
    run_demo(asked.out, asked.seed, pool=asked.pool, base=base, config=RECIPES["demo"](), sizes=Sizes())
    if asked.open:
        from instructloop.cli import serve

        serve.main([*serving_arguments(asked.out)[1:], "--open"])

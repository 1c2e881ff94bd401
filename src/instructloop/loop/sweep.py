"""One step, run for every combination of some settings: every learning rate in the paper came from such a sweep (App. C).

out/
  ppo.kl.coef=0.01/   ppo.kl.coef=0.02/   …   normal run folders
  sweep.json          settings and closing figures of each, and which was best
  sweep.svg           the main figure over the setting, where it is one number and matplotlib is installed
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from instructloop.config import Config
from instructloop.errors import LawBroken, MissingExtra, RunFinished
from instructloop.evals.plots import Labels, curves_svg
from instructloop.loop.axes import Axis, Runs, Setting
from instructloop.loop.recorded import closing_figures
from instructloop.steps.running import write_json


@dataclass(frozen=True)
class MainFigure:
    """The closing figure that decides which run of a step is best."""

    name: str
    higher_is_better: bool


MAIN_FIGURES: Mapping[str, tuple[MainFigure, ...]] = {
    "pretrain": (MainFigure("valid_loss", higher_is_better=False),),
    "sft": (MainFigure("valid_loss", higher_is_better=False),),
    "reward": (MainFigure("held_out_accuracy", higher_is_better=True), MainFigure("valid_accuracy", higher_is_better=True)),
    "ppo": (MainFigure("valid_heldout_score", higher_is_better=True), MainFigure("valid_end_score", higher_is_better=True)),
}
"""Step -> figures, the first that its runs have: what was held out says more than what was trained on."""


@dataclass(frozen=True)
class Outcome:
    """One run of a sweep."""

    setting: Setting
    folder: Path
    figures: Mapping[str, float]
    """Closing figures; none where a law was broken."""
    broken: str | None = None
    """The law that stopped the run."""


def run_sweep(step: str, axes: Sequence[Axis], runs: Runs, out: Path, train: Callable[[Config, Path], object]) -> Path:
    """Train every run, finished ones excepted; returns `sweep.json`.

    A run that breaks a law, as one with too high a learning rate may, is noted, and the sweep goes on.
    """
    out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for number, (name, (setting, config)) in enumerate(runs.items(), start=1):
        print(f"{number}/{len(runs)}  {name}")
        outcomes.append(_run(setting, config, out / name, train))
    main = _main_figure(step, outcomes)
    best = _best(outcomes, main)
    write_json(out / "sweep.json", _described(step, outcomes, main, best))
    _draw(axes, outcomes, main, out)
    _print_outcomes(axes, outcomes, main, best)
    return out / "sweep.json"


def _run(setting: Setting, config: Config, folder: Path, train: Callable[[Config, Path], object]) -> Outcome:
    try:
        with suppress(RunFinished):
            train(config, folder)
    except LawBroken as error:
        return Outcome(setting, folder, {}, broken=f"law {error.law} is broken")
    closing = closing_figures(folder)
    return Outcome(setting, folder, {name: value for name, value in closing.items() if isinstance(value, int | float)})


def _main_figure(step: str, outcomes: Sequence[Outcome]) -> MainFigure:
    present = {name for outcome in outcomes for name in outcome.figures}
    candidates = MAIN_FIGURES[step]
    return next((figure for figure in candidates if figure.name in present), candidates[-1])


def _best(outcomes: Sequence[Outcome], main: MainFigure) -> Outcome | None:
    measured = [outcome for outcome in outcomes if main.name in outcome.figures]
    sign = 1 if main.higher_is_better else -1
    return max(measured, key=lambda outcome: sign * outcome.figures[main.name], default=None)


def _described(step: str, outcomes: Sequence[Outcome], main: MainFigure, best: Outcome | None) -> dict[str, Any]:
    rows = [{"run": one.folder.name, "setting": dict(one.setting), "figures": dict(one.figures), "broken": one.broken} for one in outcomes]
    return {"step": step, "main_figure": main.name, "best": best.folder.name if best else None, "runs": rows}


def _draw(axes: Sequence[Axis], outcomes: Sequence[Outcome], main: MainFigure, out: Path) -> None:
    if len(axes) != 1 or not axes[0].is_numeric:
        return
    points = sorted((float(one.setting[axes[0].field]), one.figures[main.name]) for one in outcomes if main.name in one.figures)
    labels = Labels(title=main.name, x=axes[0].field, y=main.name)
    with suppress(MissingExtra):
        (out / "sweep.svg").write_text(curves_svg({main.name: [([x for x, _ in points], [y for _, y in points])]}, labels))


def _print_outcomes(axes: Sequence[Axis], outcomes: Sequence[Outcome], main: MainFigure, best: Outcome | None) -> None:
    figures = list(dict.fromkeys([main.name, *(name for outcome in outcomes for name in outcome.figures)]))
    table = Table(title=f"Best: {main.name} of {best.folder.name}" if best else "No run came to its end")
    for column in (*(axis.field for axis in axes), *figures, ""):
        table.add_column(column, justify="right")
    for outcome in outcomes:
        measured = [f"{outcome.figures[name]:.6g}" if name in outcome.figures else "–" for name in figures]
        note = outcome.broken or ("best" if outcome is best else "")
        table.add_row(*(str(outcome.setting[axis.field]) for axis in axes), *measured, note, style="bold" if outcome is best else None)
    Console().print(table)

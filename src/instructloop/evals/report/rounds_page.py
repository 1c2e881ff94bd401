"""The report of a loop that has turned more than once: what people gave in each round, and what was made of it.

One HTML file without script that needs no network and no other file. Words are in `rounds.html.jinja`, looks in `page.css` and
`curation.css`. It shows counts and figures only: no text of a person, no name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from instructloop.curate.funnel import StageReport
from instructloop.evals.plain_words import fixed
from instructloop.evals.report.charts import Line, line_chart
from instructloop.evals.report.curation_page import NAME_OF_STAGE
from instructloop.evals.report.funnel_picture import stage_row

_ROOM = "instructloop.evals.report"
"""The package in which template and style sheets lie."""
STYLES = ("c-ppo", "c-ppo-ptx", "c-sft")
"""Colours of the rounds, in turn."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A mean of `n` things; None where there is nothing to take it of."""

    mean: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class RoundFigures:
    """One round: what came in since the round before, and what was trained on all that there was."""

    number: int
    users: int
    """People whose prompts are inside the model, through all that it was made of."""
    new_rankings: int
    rankings: int
    """That the reward model was made from, with those of earlier rounds."""
    ranked_prompts: int
    """Of the new rankings."""
    answers: Mapping[str, int]
    """Model -> its answers among those newly ranked."""
    likert: Mapping[str, Rate]
    """Model -> what labelers gave its newly ranked answers, from 1 to 7, without knowing whose they were."""
    agreement: Rate
    """Of pairs of new answers that two labelers both put in an order, how many they put in the same one."""
    reward_accuracy: Rate
    """Of held-out pairs of answers, how many the reward model puts in the labelers' order."""
    score: Sequence[float]
    """Mean score of each iteration of PPO, by this round's reward model."""
    kl: Sequence[float]
    """Distance from the start in each iteration, nats per answer."""
    valid_score: float
    """Of the final policy on held-out prompts."""
    valid_kl: float


@dataclass(frozen=True, kw_only=True)
class RoundsReport:
    """A whole loop."""

    written: int
    """Prompts that labelers wrote before there was a model to ask."""
    asked: Mapping[str, int]
    """What users asked -> number of prompts, user by user, without names."""
    demonstrations: int
    funnel: Sequence[StageReport]
    rounds: Sequence[RoundFigures]


def rounds_html(report: RoundsReport) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader(_ROOM, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    widest = max(stage.came for stage in report.funnel)
    page = environment.get_template("rounds.html.jinja").render(
        css="\n".join(files(_ROOM).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "curation.css")),
        report=report,
        rows=[(NAME_OF_STAGE[stage.stage], stage, stage_row(stage.came, stage.kept, widest)) for stage in report.funnel if stage.stage != "split"],
        models=sorted({model for one in report.rounds for model in one.answers}),
        charts={name: _chart(name, [getattr(one, name) for one in report.rounds]) for name in ("score", "kl")},
        styles=STYLES,
        fixed=fixed,
        shown=_shown,
    )
    return page.lstrip()


def write_rounds_report(report: RoundsReport, path: Path) -> None:
    """Save the page."""
    path.write_text(rounds_html(report), encoding="utf-8")


def _chart(name: str, rounds: Sequence[Sequence[float]]) -> str:
    lines = [
        Line(name=f"round {number + 1}", style=STYLES[number % len(STYLES)], x=list(range(1, len(values) + 1)), y=list(values))
        for number, values in enumerate(rounds)
    ]
    return line_chart(lines, title=f"{name} by iteration", dots=True)


def _shown(rate: Rate, *, percent: bool = False) -> str:
    if rate.mean is None:
        return "–"
    return f"{rate.mean:.0%} of {rate.n:,}" if percent else f"{rate.mean:.2f} ({rate.n:,})"

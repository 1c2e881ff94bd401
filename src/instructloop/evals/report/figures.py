"""The figures of the report: each is a chart, its key, and its numbers as a table for those who do not see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from instructloop.evals.plain_words import fixed
from instructloop.evals.report.charts import Bar, Dot, Line, Mark, Scale, bar_chart, calibration_chart, line_chart, round_scale, scale_of
from instructloop.evals.report.inputs import POLICIES, Curve, PolicyCurves, ReportInputs
from instructloop.evals.results import MODEL_NAMES, Difference, Results
from instructloop.evals.statistics import Interval

LINE_STYLES = {name: f"c-{name.replace('_', '-')}" for name in MODEL_NAMES}
TABLE_ROWS = 12
"""A curve's table shows so many of its points, evenly spread, the first and the last among them."""
PANEL_PX = 110
REWARDS = {"length_only": "length only", "bag_of_words": "bag of words", "reward_model": "reward model"}
METRICS = {
    "score": ("Score", "Mean score of sampled answers by the reward model."),
    "kl": ("Distance from the start of PPO", "Nats per answer."),
    "entropy": ("Entropy", "Nats per token: how undecided the policy still is."),
}
POLICY_KEY = tuple((MODEL_NAMES[name], LINE_STYLES[name]) for name in POLICIES)
T = TypeVar("T")
QUARTERS = Scale(low=0.0, high=1.0, ticks=(0.0, 0.25, 0.5, 0.75, 1.0))
HALVES = Scale(low=0.0, high=1.0, ticks=(0.0, 0.5, 1.0))
SFT = Mark(at=0.5, name="SFT")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Rows of numbers behind a chart."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One drawing; a figure of small multiples has several, each with its title."""

    svg: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What the page sets as one figure."""

    title: str
    note: str
    panels: tuple[Panel, ...]
    figures: Figures
    x_label: str = ""
    key: tuple[tuple[str, str], ...] = ()
    """(name, class of its colour)."""


def win_rate_figure(results: Results) -> Figure:
    """Bars of each model's win rate against SFT, and SFT's line at one half."""
    rates = {name: model.win_rate_vs_sft for name, model in results.models if model.win_rate_vs_sft}
    bars = [_interval_bar(MODEL_NAMES[name], LINE_STYLES[name], rate) for name, rate in rates.items()]
    prompts = next(iter(rates.values())).n
    table = _interval_table("model", {MODEL_NAMES[name]: rate for name, rate in rates.items()})
    return Figure(
        title="Win rate against SFT",
        note=f"Share of comparisons won on {prompts:,} test prompts, a tie counting one half. Whiskers are 95 % intervals, by prompt.",
        panels=(Panel(svg=bar_chart(bars, title="Win rate of each model against SFT, with 95 % intervals", scale=QUARTERS, mark=SFT)),),
        x_label="win rate",
        figures=table,
    )


def use_case_win_rates(inputs: ReportInputs) -> Figure:
    """Win rates again, for each use-case by itself."""
    panels: list[Panel] = []
    rows: list[tuple[str, ...]] = []
    for use_case, rates in inputs.win_rates.items():
        bars = [replace(_interval_bar(MODEL_NAMES[name], LINE_STYLES[name], rate), shown=f"{rate.mean:.2f}") for name, rate in rates.items()]
        title = f"Win rates against SFT on prompts of {spoken(use_case)}"
        panels.append(Panel(title=spoken(use_case), svg=bar_chart(bars, title=title, scale=HALVES, mark=SFT)))
        rows += [(spoken(use_case), MODEL_NAMES[name], *_ends(rate), str(rate.n)) for name, rate in rates.items()]
    return Figure(
        title="Win rate against SFT by use-case",
        note="Fewer prompts each, so wider intervals.",
        panels=tuple(panels),
        figures=Figures(header=("use-case", "model", "mean", "low", "high", "prompts"), rows=tuple(rows)),
    )


def accuracy_figure(results: Results, inputs: ReportInputs) -> Figure:
    """The reward model between what reads no prompt and what people agree on."""
    rows = {
        "length only": ("c-base", inputs.reward.length_only),
        "bag of words": ("c-base", inputs.reward.bag_of_words),
        "reward model": ("c-ppo", results.reward_model.interval),
        "two simulated labelers": ("c-sft", inputs.reward.labeler_agreement),
    }
    bars = [_interval_bar(name, style, interval) for name, (style, interval) in rows.items()]
    scale = round_scale(min(0.5, *(interval.low for _, interval in rows.values())), 1.0, steps=5)
    return Figure(
        title="Pairs ordered as a held-out simulated labeler ordered them",
        note=f"{results.reward_model.n:,} pairs that neither of two labelers tied. The last bar is how often the second agrees with the first.",
        panels=(Panel(svg=bar_chart(bars, title="Pairwise accuracy with 95 % intervals", scale=scale, mark=Mark(at=0.5, name="a coin"))),),
        x_label="accuracy",
        figures=_interval_table("reward", {name: interval for name, (_, interval) in rows.items()}),
    )


def calibration_figure(inputs: ReportInputs) -> Figure:
    """Does a predicted 80 % come true four times out of five?"""
    bins = {REWARDS[name]: calibration.bins for name, calibration in inputs.reward.calibration.items()}
    own = bins[REWARDS["reward_model"]]
    others = [
        Line(name=REWARDS[name], style=style, x=[row.predicted for row in bins[REWARDS[name]]], y=[row.observed for row in bins[REWARDS[name]]])
        for name, style in (("length_only", "c-base"), ("bag_of_words", "c-base-prompted"))
        if REWARDS[name] in bins
    ]
    dots = [Dot(x=row.predicted, y=row.observed, weight=row.pairs, title=f"{row.pairs} pairs") for row in own]
    rows = [(name, f"{row.predicted:.3f}", f"{row.observed:.3f}", f"{row.pairs:,}") for name, of_one in bins.items() for row in of_one]
    error = inputs.reward.calibration["reward_model"].expected_error
    return Figure(
        title="Calibration",
        note=f"How often the answer it prefers was preferred, over how sure it was. On the diagonal it is as sure as it should be; "
        f"the reward model is off by {error:.3f} on average. A dot’s area is its number of pairs.",
        panels=(Panel(svg=calibration_chart(dots, title="Observed over predicted frequency of the reward model", others=others)),),
        x_label="predicted probability",
        figures=Figures(header=("reward", "predicted", "observed", "pairs"), rows=tuple(rows)),
        key=(("reward model", "c-ppo"), *((line.name, line.style) for line in others)),
    )


def learning_figures(inputs: ReportInputs) -> list[Figure]:
    """Loss of SFT and accuracy of the reward model while they learned."""
    curves = inputs.curves
    sft = [_line("training", "c-base", curves.sft_loss), _line("held out", "c-ppo", curves.sft_valid_loss)]
    reward = [_line("before learning", "c-ppo", curves.reward_accuracy)]
    return [
        _curves(
            "SFT: loss on demonstrations",
            "Nats per token: of the answers where held out, of answers and the pretraining text among them in training.",
            sft,
            "update",
        ),
        _curves(
            "Reward model: accuracy",
            "Share of pairs ordered as the simulated labeler did: of each batch before it is learned from; the last point, of rankings held out.",
            reward,
            "update",
        ),
    ]


def policy_figures(inputs: ReportInputs) -> list[Figure]:
    """Score, distance and entropy of both policies, iteration by iteration."""
    return [_curves(title, note, _policy_lines(inputs.curves.policies, metric), "iteration") for metric, (title, note) in METRICS.items()]


def distance_figures(inputs: ReportInputs) -> list[Figure]:
    """What was gained for how far the policy went: by the reward it was trained on, and by the one it never saw."""

    def lines(metric: str) -> list[Line]:
        return [
            Line(name=MODEL_NAMES[name], style=LINE_STYLES[name], x=[at.kl for at in path], y=[getattr(at, metric) for at in path])
            for name, path in inputs.distances.items()
        ]

    x = "nats per answer from the start of PPO"
    return [
        _curves("Score over distance", "By the reward model that PPO is trained on.", lines("score"), x, dots=True),
        _curves("Gold over distance", "By the noise-free judge that nobody trains on.", lines("gold"), x, dots=True),
    ]


def use_case_curves(inputs: ReportInputs) -> list[Figure]:
    """One panel for each use-case, all on one scale: an average hides a use-case that collapsed."""
    figures: list[Figure] = []
    for metric, (title, note) in METRICS.items():
        lines = {use_case: _policy_lines(policies, metric) for use_case, policies in inputs.curves.by_use_case.items()}
        y = scale_of([line for both in lines.values() for line in both], steps=3)
        panels = [
            Panel(title=spoken(name), svg=line_chart(both, title=f"{title}, prompts of {spoken(name)}", y=y, height=PANEL_PX))
            for name, both in lines.items()
        ]
        rows = [
            (spoken(name), line.name, *(fixed(y, 3) for y in (line.y[0], min(line.y), max(line.y), line.y[-1])))
            for name, both in lines.items()
            for line in both
        ]
        header = ("use-case", "policy", "first", "lowest", "highest", "last")
        figures.append(
            Figure(
                title=title, note=note, panels=tuple(panels), x_label="iteration", figures=Figures(header=header, rows=tuple(rows)), key=POLICY_KEY
            )
        )
    return figures


def tax_figures(results: Results, inputs: ReportInputs) -> list[Figure]:
    """The loss on pretraining text: of each model, its paired differences, and on the way."""
    losses = {name: model.pretraining_loss for name, model in results.models if name != "base_prompted"}
    bars = [Bar(name=MODEL_NAMES[name], style=LINE_STYLES[name], mean=loss, shown=f"{loss:.3f}") for name, loss in losses.items()]
    scale = round_scale(0.0, max(losses.values()))
    loss = Figure(
        title="Loss on pretraining text",
        note="Nats per token of held-out documents, less is better.",
        panels=(Panel(svg=bar_chart(bars, title="Loss on pretraining text of each model", scale=scale)),),
        figures=Figures(header=("model", "loss"), rows=tuple((MODEL_NAMES[name], f"{loss:.3f}") for name, loss in losses.items())),
    )
    curves = inputs.curves.pretraining_loss
    lines = [_line(MODEL_NAMES[name], LINE_STYLES[name], curve) for name, curve in curves.items()]
    return [loss, _differences(results), _curves("The same while PPO learns", "Nats per token, held-out documents.", lines, "iteration")]


def _differences(results: Results) -> Figure:
    paired = results.paired
    rows = {"PPO − its start": paired.loss_ppo_minus_init, "PPO − PPO-ptx": paired.loss_ppo_minus_ppo_ptx}
    ends = [end for difference in rows.values() for end in (difference.low, difference.high)]
    styles = ("c-ppo", "c-ppo-ptx")
    bars = [_interval_bar(name, style, difference) for (name, difference), style in zip(rows.items(), styles, strict=True)]
    return Figure(
        title="Differences, document by document",
        note="With 95 % intervals. Above zero, the first is an alignment tax, the second what PPO-ptx saves of it.",
        panels=(
            Panel(
                svg=bar_chart(bars, title="Paired differences of the loss", scale=round_scale(min(0.0, *ends), max(0.0, *ends)), mark=Mark(at=0.0))
            ),
        ),
        x_label="nats per token",
        figures=_interval_table("difference", rows),
    )


def spoken(name: str) -> str:
    """A use-case or a stage as people write it."""
    return ({"open_qa": "open QA", "closed_qa": "closed QA"} | MODEL_NAMES).get(name, name.replace("_", " "))


def _curves(title: str, note: str, lines: Sequence[Line], x_label: str, *, dots: bool = False) -> Figure:
    xs = sorted({x for line in lines for x in line.x})
    values = [dict(zip(line.x, line.y, strict=True)) for line in lines]
    if dots:
        header = ("policy", x_label, title)
        rows = [(line.name, fixed(x, 2), fixed(y, 3)) for line in lines for x, y in _spread(list(zip(line.x, line.y, strict=True)))]
    else:
        header = (x_label, *(line.name for line in lines))
        rows = [(f"{x:g}", *(fixed(of[x], 3) if x in of else "–" for of in values)) for x in _spread(xs)]
    return Figure(
        title=title,
        note=note,
        panels=(Panel(svg=line_chart(lines, title=f"{title}: {' and '.join(line.name for line in lines)}", dots=dots)),),
        x_label=x_label,
        figures=Figures(header=header, rows=tuple(rows)),
        key=tuple((line.name, line.style) for line in lines) if len(lines) > 1 else (),
    )


def _spread(items: Sequence[T]) -> list[T]:
    """At most TABLE_ROWS of the items, evenly spread, the first and the last among them."""
    if len(items) <= TABLE_ROWS:
        return list(items)
    return [items[round(i * (len(items) - 1) / (TABLE_ROWS - 1))] for i in range(TABLE_ROWS)]


def _policy_lines(policies: Mapping[str, PolicyCurves], metric: str) -> list[Line]:
    return [_line(MODEL_NAMES[name], LINE_STYLES[name], getattr(curves, metric)) for name, curves in policies.items()]


def _line(name: str, style: str, curve: Curve) -> Line:
    return Line(name=name, style=style, x=curve.x, y=curve.y)


def _interval_bar(name: str, style: str, interval: Interval | Difference) -> Bar:
    return Bar(
        name=name,
        style=style,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        shown="{} [{}, {}]".format(*_ends(interval)),
    )


def _interval_table(first: str, intervals: Mapping[str, Interval] | Mapping[str, Difference]) -> Figures:
    return Figures(header=(first, "mean", "low", "high"), rows=tuple((name, *_ends(interval)) for name, interval in intervals.items()))


def _ends(interval: Interval | Difference) -> tuple[str, str, str]:
    return fixed(interval.mean, 3), fixed(interval.low, 3), fixed(interval.high, 3)

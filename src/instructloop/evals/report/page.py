"""The report of one run of the demo: one HTML file that needs no network, no script and no other file.

The page's words are in `page.html.jinja` and its looks in `page.css`; everything that comes from a run passes through Jinja's
escaping, and a content policy in the page forbids scripts and requests besides.
"""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from instructloop.errors import DataError
from instructloop.evals.plain_words import findings, fixed, headline, reward_against_gold
from instructloop.evals.report import figures
from instructloop.evals.report.inputs import ReportInputs
from instructloop.evals.report.loop_picture import loop_picture
from instructloop.evals.results import MODEL_NAMES, Results

REFERENCE_GFLOPS = 700.0
"""Speed of the machine that the demo's time is promised for."""

SHOWN_EXAMPLES = 3
"""So many prompts lie open, the others under one fold."""

_ROOM = "instructloop.evals.report"
"""The package in which template and style sheet lie."""
_MEASURED_TWICE = ("length_only", "bag_of_words", "labeler_agreement")
_SAME = 1e-6


def report_html(results: Results, inputs: ReportInputs) -> str:
    """The page; raises `DataError` where the two records contradict each other."""
    _check_agreement(results, inputs)
    environment = Environment(loader=PackageLoader(_ROOM, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    total = sum(results.seconds.values())
    page = environment.get_template("page.html.jinja").render(
        css=files(_ROOM).joinpath("page.css").read_text(encoding="utf-8"),
        results=results,
        inputs=inputs,
        names=MODEL_NAMES,
        styles=figures.LINE_STYLES,
        headline=headline(results),
        findings=findings(results),
        shown_examples=SHOWN_EXAMPLES,
        reward_against_gold=reward_against_gold(results),
        minutes=total / 60,
        reference_gflops=REFERENCE_GFLOPS,
        reference_minutes=total / 60 * results.gflops_bf16 / REFERENCE_GFLOPS,
        loops=(loop_picture(inputs.counts, "wide"), loop_picture(inputs.counts, "tall")),
        figures=figures,
        fixed=fixed,
        spoken=figures.spoken,
    )
    return page.lstrip()


def write_report(results: Results, inputs: ReportInputs, path: Path) -> None:
    """Save the page; half an emoji, as a tokenizer may leave it, becomes a question mark."""
    path.write_bytes(report_html(results, inputs).encode("utf-8", "replace"))


def _check_agreement(results: Results, inputs: ReportInputs) -> None:
    pairs = {f"reward.{name}": (getattr(inputs.reward, name).mean, getattr(results.reward_model, name)) for name in _MEASURED_TWICE}
    for name, model in results.models:
        if model.win_rate_vs_sft is not None:
            pairs[f"counts.test_prompts for the win rate of {name}"] = (inputs.counts.test_prompts, model.win_rate_vs_sft.n)
    for where, (given, printed) in pairs.items():
        if abs(given - printed) > _SAME:
            raise DataError(
                f"inputs.{where} is {given}, and results.json has {printed}",
                expected="the same measurement",
                remedy="take both from one evaluation",
            )

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

_SAME = 1e-6


def report_html(results: Results, inputs: ReportInputs) -> str:
    """The page; raises `DataError` where the two records contradict each other."""
    _check_agreement(results, inputs)
    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    total = sum(results.seconds.values())
    return environment.get_template("page.html.jinja").render(
        css=files(__package__).joinpath("page.css").read_text(encoding="utf-8"),
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


def write_report(results: Results, inputs: ReportInputs, path: Path) -> None:
    """Save the page; half an emoji, as a tokenizer may leave it, becomes a question mark."""
    path.write_bytes(report_html(results, inputs).encode("utf-8", "replace"))


def _check_agreement(results: Results, inputs: ReportInputs) -> None:
    reward = results.reward_model
    for name in ("length_only", "bag_of_words", "labeler_agreement"):
        shown, printed = getattr(inputs.reward, name).mean, getattr(reward, name)
        if abs(shown - printed) > _SAME:
            raise DataError(
                f"inputs.reward.{name} has the mean {shown} and results.reward_model.{name} is {printed}",
                expected="the same measurement",
                remedy="take both from one evaluation",
            )

"""The report of one curation: the funnel drawn, what went and why, the splits, the sizes of the data sets, the time.

One HTML file without script that needs no network and no other file. Words are in `curation.html.jinja`, looks in `page.css`
and `curation.css`. It shows counts only: no text of a prompt, no id of a user.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from instructloop.curate.funnel import UNSPLIT, StageReport
from instructloop.curate.settings import Curation, StageName
from instructloop.curate.sizes import DATA_SETS, SizeRow
from instructloop.evals.report.funnel_picture import foot_row, stage_row

_ROOM = "instructloop.evals.report"
"""The package in which template and style sheets lie."""

NAME_OF_STAGE: Mapping[StageName, str] = {
    "consent": "Consent",
    "language": "Language",
    "pii": "Personal data",
    "exact": "Repeats",
    "prefix": "Long common prefixes",
    "cap": "Cap per user",
    "length": "Length",
    "split": "Split by user",
    "few_shot": "Few-shot expansion",
}


@dataclass(frozen=True, kw_only=True)
class CurationSummary:
    """What a curation did, in numbers."""

    stages: Sequence[StageReport]
    prompts: Mapping[str, int]
    """Split -> prompts in the result."""
    users: Mapping[str, int]
    """Split -> users whose prompts they are."""
    demonstrations: Mapping[str, int]
    """Split -> demonstrations taken from few-shot prompts."""
    sizes: list[SizeRow]
    settings: Curation
    command: str = ""

    @property
    def came(self) -> int:
        """Prompts before the first stage."""
        return self.stages[0].came

    @property
    def kept(self) -> int:
        """Prompts of those that came which are still there: few-shot prompts count once."""
        return self.came - sum(report.removed for report in self.stages)

    @property
    def empty_splits(self) -> list[str]:
        """Splits into which no user fell."""
        return [] if UNSPLIT in self.prompts else [split for split in self.settings.fractions if split not in self.prompts]


def curation_html(summary: CurationSummary) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader(_ROOM, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    widest = max(max(report.came, report.kept) for report in summary.stages)
    rows = [(report, stage_row(report.came, report.kept, widest)) for report in summary.stages if report.stage != "split"]
    page = environment.get_template("curation.html.jinja").render(
        css="\n".join(files(_ROOM).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "curation.css")),
        summary=summary,
        rows=rows,
        foot=foot_row(summary.prompts, widest) if UNSPLIT not in summary.prompts else None,
        names=NAME_OF_STAGE,
        explained=explanations(summary.settings),
        data_sets=DATA_SETS,
        share=_share,
        longest=max(report.seconds for report in summary.stages) or 1.0,
        settings={name: _shown(value) for name, value in dataclasses.asdict(summary.settings).items()},
    )
    return page.lstrip()


def write_curation_report(summary: CurationSummary, path: Path) -> None:
    """Save the page."""
    path.write_text(curation_html(summary), encoding="utf-8")


def explanations(settings: Curation) -> dict[StageName, str]:
    """What each stage lets through, in a line."""
    share = f" and for {settings.prefix_share:.0%} of the shorter one" if settings.prefix_share else ""
    return {
        "consent": "given under a consent or a licence",
        "language": f"in {' or '.join(settings.languages)}, as far as can be told",
        "pii": "without what would tell who somebody is",
        "exact": "said for the first time, by whomever",
        "prefix": f"not beginning like an earlier one for {settings.prefix_characters} characters or more{share}",
        "cap": f"at most {settings.per_user:,} of one user",
        "length": f"at most {settings.max_tokens:,} tokens",
        "split": "a user is in one split alone",
        "few_shot": "one prompt for each worked example",
    }


def _share(count: int, came: int) -> str:
    share = count / max(came, 1)
    return "< 0.01%" if 0 < share < 0.0001 else f"{share:.2%}"


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)

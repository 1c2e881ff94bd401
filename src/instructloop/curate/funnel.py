"""The funnel: stage after stage over the prompts, each one's verdicts counted and timed; then the split, then few-shot expansion."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from instructloop.curate.cap import capped
from instructloop.curate.consent import with_consent
from instructloop.curate.duplicates import without_long_prefixes, without_repeats
from instructloop.curate.few_shot import expand
from instructloop.curate.language import in_languages
from instructloop.curate.length import Lengths, short_enough
from instructloop.curate.personal_data import detector_of, without_personal_data
from instructloop.curate.settings import STAGES, Curation, StageName
from instructloop.curate.verdicts import Changed, Removed, Stage, TextMap
from instructloop.curate.workers import in_this_process
from instructloop.errors import ConfigError
from instructloop.records import Demonstration, Prompt

UNSPLIT = "all"
"""The only split where nothing is split."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the stages are handed from outside: other rooms' functions, and what a person decided."""

    split_of: Callable[[str], str]
    """User id -> split: a stable hash, the same for demonstrations and rankings."""
    lengths: Lengths | None = None
    """The tokens of each text; needed by the stage `length`."""
    apply: TextMap = in_this_process
    """How functions of texts are applied; see `workers.text_map`."""
    released: frozenset[str] = frozenset()
    """Ids of prompts in which a person found no personal data, or none that matters."""


@dataclass(frozen=True)
class Removal:
    """Why one prompt is not in the result. It holds nothing of the prompt's text."""

    id: str
    stage: StageName
    reason: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """A line of removed.jsonl."""
        return {"id": self.id, "stage": self.stage, "reason": self.reason, "detail": self.detail}


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What one stage did."""

    stage: StageName
    came: int
    kept: int
    """Prompts after the stage; more than came where few-shot prompts were expanded."""
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    """Reason -> prompts removed for it, the most frequent first."""
    changes: Mapping[str, int] = field(default_factory=dict[str, int])
    """What was done -> prompts that stayed with another text, or how many went where."""
    users: int = 0
    """Users who lost a prompt or more."""
    seconds: float

    @property
    def removed(self) -> int:
        """Prompts that went."""
        return sum(self.reasons.values())


@dataclass(frozen=True, kw_only=True)
class Curated:
    """The result: prompts by split, the demonstrations that few-shot prompts hold, and what became of all others."""

    prompts: Mapping[str, list[Prompt]]
    """Split -> prompts in file order; no user is in two splits."""
    demonstrations: Mapping[str, list[Demonstration]]
    """Split -> answers left out of few-shot prompts; their prompts are among `prompts`."""
    removals: tuple[Removal, ...]
    stages: tuple[StageReport, ...]


def run_funnel(
    prompts: Iterable[Prompt],
    settings: Curation,
    tools: Tools,
    *,
    stages: Collection[StageName] = STAGES,
    told: Callable[[StageReport], None] = lambda _: None,
) -> Curated:
    """Apply the named stages in the order of `STAGES`; `told` hears of each when it is done.

    The result depends on the prompts, their order, the settings and the tools' functions, never on how many processes work.
    Raises `ConfigError` for the stage `length` without a tokenizer, `MissingExtra` for Presidio where it is not installed.
    """
    filters = _filters(settings, tools, stages)
    kept = list(prompts)
    removals: list[Removal] = []
    reports: list[StageReport] = []

    def tell(report: StageReport) -> None:
        reports.append(report)
        told(report)

    for name, stage in filters.items():
        kept, report = _run(name, stage, kept, removals)
        tell(report)
    splits = {UNSPLIT: kept}
    if "split" in stages:
        splits, report = _split(kept, tools.split_of)
        tell(report)
    demonstrations: dict[str, list[Demonstration]] = {}
    if "few_shot" in stages:
        splits, demonstrations, report = _expand(splits)
        tell(report)
    return Curated(prompts=splits, demonstrations=demonstrations, removals=tuple(removals), stages=tuple(reports))


def _filters(settings: Curation, tools: Tools, chosen: Collection[StageName]) -> dict[StageName, Stage]:
    """The stages that let prompts through or not, those chosen, in order."""
    makers: dict[StageName, Callable[[], Stage]] = {
        "consent": lambda: with_consent,
        "language": lambda: _language(settings, tools),
        "pii": lambda: _pii(settings, tools),
        "exact": lambda: without_repeats,
        "prefix": lambda: lambda prompts: without_long_prefixes(prompts, characters=settings.prefix_characters, share=settings.prefix_share),
        "cap": lambda: lambda prompts: capped(prompts, settings.per_user),
        "length": lambda: _length(settings, tools),
    }
    return {name: make() for name, make in makers.items() if name in chosen}


def _language(settings: Curation, tools: Tools) -> Stage:
    sure, read = settings.language_confidence, settings.language_characters
    return lambda prompts: in_languages(prompts, settings.languages, confidence=sure, characters=read, apply=tools.apply)


def _pii(settings: Curation, tools: Tools) -> Stage:
    detector = detector_of(settings)
    return lambda prompts: without_personal_data(prompts, settings, detector=detector, apply=tools.apply, released=tools.released)


def _length(settings: Curation, tools: Tools) -> Stage:
    lengths = tools.lengths
    if lengths is None:
        raise ConfigError(
            "the stage `length` without a tokenizer", expected="a tokenizer that counts tokens", remedy="give --tokenizer DIR, or --omit length"
        )
    return lambda prompts: short_enough(prompts, settings.max_tokens, lengths=lengths)


def _run(name: StageName, stage: Stage, prompts: list[Prompt], removals: list[Removal]) -> tuple[list[Prompt], StageReport]:
    start = time.perf_counter()
    kept: list[Prompt] = []
    reasons, changes = Counter[str](), Counter[str]()
    users: set[str] = set()
    for verdict in stage(prompts):
        if isinstance(verdict, Removed):
            reasons[verdict.reason] += 1
            users.add(verdict.prompt.user_id)
            removals.append(Removal(verdict.prompt.id, name, verdict.reason, verdict.detail))
        elif isinstance(verdict, Changed):
            changes[verdict.what] += 1
            kept.append(verdict.prompt)
        else:
            kept.append(verdict)
    counts = {"came": len(prompts), "kept": len(kept), "users": len(users)}
    report = StageReport(
        stage=name, **counts, reasons=dict(reasons.most_common()), changes=dict(changes.most_common()), seconds=time.perf_counter() - start
    )
    return kept, report


def _split(prompts: list[Prompt], split_of: Callable[[str], str]) -> tuple[dict[str, list[Prompt]], StageReport]:
    start = time.perf_counter()
    split_of_user = {user: split_of(user) for user in {prompt.user_id for prompt in prompts}}
    splits: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        splits.setdefault(split_of_user[prompt.user_id], []).append(prompt)
    users = Counter(split_of_user.values())
    went = {f"{split}, {users[split]:,} users": len(members) for split, members in splits.items()}
    return splits, StageReport(stage="split", came=len(prompts), kept=len(prompts), changes=went, seconds=time.perf_counter() - start)


def _expand(splits: Mapping[str, list[Prompt]]) -> tuple[dict[str, list[Prompt]], dict[str, list[Demonstration]], StageReport]:
    start = time.perf_counter()
    expanded: dict[str, list[Prompt]] = {}
    demonstrations: dict[str, list[Demonstration]] = {}
    changes = Counter[str]()
    for split, prompts in splits.items():
        expanded[split] = []
        for prompt, examples in _examples_of(prompts):
            expanded[split] += [example.prompt for example in examples] or [prompt]
            if examples:
                demonstrations.setdefault(split, []).extend(examples)
            if prompt.kind == "few_shot":
                changes["expanded" if examples else "left whole: not of the known form"] += 1
    came, kept = (sum(map(len, side.values())) for side in (splits, expanded))
    report = StageReport(stage="few_shot", came=came, kept=kept, changes=dict(changes.most_common()), seconds=time.perf_counter() - start)
    return expanded, demonstrations, report


def _examples_of(prompts: Iterable[Prompt]) -> Iterator[tuple[Prompt, list[Demonstration]]]:
    return ((prompt, expand(prompt) if prompt.kind == "few_shot" else []) for prompt in prompts)

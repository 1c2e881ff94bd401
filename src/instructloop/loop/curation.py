"""Prompts from files, snapshots or anywhere else -> curated snapshots, what was removed and why, and a report.

A folder of curated prompts holds

    prompts/        snapshot: train, valid and test by user
    few_shot/       snapshot of the demonstrations that few-shot prompts hold; only where there are any
    removed.jsonl   a line for each prompt that went: id, stage, reason, detail; no text
    funnel.json     the stages with counts and seconds, the settings, the command
    report.html     the same for people
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from instructloop.config import Text
from instructloop.curate.few_shot import whole_of
from instructloop.curate.funnel import Curated, StageReport, Tools, run_funnel
from instructloop.curate.length import Lengths
from instructloop.curate.settings import STAGES, Curation, StageName
from instructloop.curate.sizes import DataSet, SizeRow, Splits, size_table
from instructloop.curate.workers import text_map
from instructloop.errors import ConfigError, DataError
from instructloop.evals.report.curation_page import CurationSummary, write_curation_report
from instructloop.loop.freezing import source_of
from instructloop.records import RECORDS, Prompt
from instructloop.store.conversion import IMPORTED
from instructloop.store.database.freezing import SplitOf, by_user, prompt_of, register_snapshot
from instructloop.store.database.labels import Labeled, prompts_to_curate, training_demonstrations, training_prompts, training_rankings
from instructloop.store.database.opening import Store
from instructloop.store.durable import sync
from instructloop.store.jsonl import read_lines, write_jsonl
from instructloop.store.layouts import read_prompts
from instructloop.store.snapshots import DESCRIPTION, freeze, open_snapshot, read_split
from instructloop.store.splits import assign_split


@dataclass(frozen=True, kw_only=True)
class Request:
    """How prompts are to be curated, and where to."""

    out: Path
    """New folder."""
    settings: Curation = Curation()
    stages: tuple[StageName, ...] = STAGES
    lengths: Lengths | None = None
    """The tokens of each text; the stage `length` needs it."""
    released: frozenset[str] = frozenset()
    """Ids of prompts that a person released."""
    workers: int = 1
    """Processes for language and personal data; the result is the same whatever their number."""
    command: str = ""
    data_sets: Mapping[DataSet, Splits] = field(default_factory=dict[DataSet, Splits])
    """Labels that are there already, for the table of sizes."""


def curate_prompts(prompts: Iterable[Prompt], request: Request, *, told: Callable[[StageReport], None] = lambda _: None) -> CurationSummary:
    """Curate prompts, wherever they come from, into `request.out`; `told` hears of each stage when it is done.

    Raises `DataError` if the folder exists, an id comes twice or no prompt is left; nothing is written then.
    """
    if request.out.exists():
        raise DataError(f"{request.out} exists", expected="a new folder: curated data are never overwritten", remedy="choose another name")
    settings = request.settings
    split_of = partial(assign_split, fractions=settings.fractions, seed=settings.seed)
    with text_map(request.workers) as apply:
        tools = Tools(split_of=split_of, lengths=request.lengths, apply=apply, released=request.released)
        curated = run_funnel(_wholes(prompts), settings, tools, stages=request.stages, told=told)
    _require_some(curated)
    summary = CurationSummary(
        stages=curated.stages,
        prompts={split: len(members) for split, members in curated.prompts.items()},
        users={split: len({prompt.user_id for prompt in members}) for split, members in curated.prompts.items()},
        demonstrations={split: len(members) for split, members in curated.demonstrations.items()},
        sizes=_sizes(curated, request.data_sets),
        settings=settings,
        command=request.command,
    )
    _write(curated, summary, request)
    return summary


def curate_store(store: Store, request: Request, *, told: Callable[[StageReport], None] = lambda _: None) -> CurationSummary:
    """Curate the prompts of a feedback database; its labels fill the table of sizes, and the store remembers the snapshots.

    Those that may not train end in the stage `consent`, and are not even read where that is left out. Raises what `curate_prompts` raises.
    """
    split_of = by_user(request.settings.fractions, seed=request.settings.seed)
    labels: dict[DataSet, Splits] = {"SFT": _by_split(training_demonstrations(store, None), split_of)}
    labels["RM"] = _by_split(training_rankings(store, None), split_of)
    read = prompts_to_curate if "consent" in request.stages else training_prompts
    prompts = (labeled.record for labeled in read(store, None))
    summary = curate_prompts(prompts, replace(request, data_sets=labels), told=told)
    for folder in ("prompts", "few_shot"):
        if (request.out / folder).exists():
            register_snapshot(store, None, request.out / folder)
    return summary


def read_sources(sources: Sequence[Path], *, consent: str | None, layout: str | None = None) -> Iterator[Prompt]:
    """The prompts of files and snapshots in the order given.

    An import says nothing about consent unless its rows do; `consent` states the licence of those that do not. Raises `ConfigError`
    for a blank one.
    """
    if consent is not None and not consent.strip():
        raise ConfigError("the consent stated is blank", expected="the name of a licence, or of what people agreed to", remedy="name it")
    files = [source for source in sources if not (source / DESCRIPTION).is_file()]
    for source in sources:
        if source not in files:
            yield from (_with_consent(prompt, consent) for prompt in _read_snapshot(source))
    if files:
        yield from (_with_consent(prompt, consent) for prompt in read_prompts(*files, layout=layout))


def read_released(path: Path) -> frozenset[str]:
    """Ids, one on a line, of the prompts that a person released."""
    try:
        return frozenset(line.decode().strip() for _, line in read_lines(path)) - {""}
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason}", expected="ids, one on a line", remedy="convert the file") from error


def read_data_set(snapshot: Path) -> dict[str, list[Any]]:
    """Split -> records of a snapshot, of whatever type, for the table of sizes."""
    description = open_snapshot(snapshot)
    return {split: list(read_split(snapshot, split, RECORDS[description.record])) for split in description.counts}


def choose_stages(only: Collection[StageName], omit: Collection[StageName]) -> tuple[StageName, ...]:
    """The stages that `only` names, or all but those that `omit` names; raises `ConfigError` if both name some, or none is left."""
    if only and omit:
        raise ConfigError(f"only {', '.join(only)} and omit {', '.join(omit)}", expected="one of the two", remedy="leave one of them out")
    wanted: Collection[StageName] = only or [stage for stage in STAGES if stage not in omit]
    chosen: tuple[StageName, ...] = tuple(stage for stage in STAGES if stage in wanted)
    if not chosen:
        raise ConfigError("every stage is omitted", expected="a stage or more", remedy="omit fewer")
    return chosen


def lengths_by(tokenizer: str, text: Text) -> Lengths:
    """How many tokens prompts have when they are rendered for a model with this tokenizer: a checkpoint folder or a hub id."""
    from instructloop.text.rendering import render_prompt
    from instructloop.text.tokenizer import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    before = len(loaded.begin_ids)

    def plain(texts: Sequence[str]) -> list[int]:
        return [before + len(ids) for ids in loaded.encode_batch([prompt + text.separator for prompt in texts])]

    def chat(texts: Sequence[str]) -> list[int]:
        return [len(render_prompt(loaded, prompt, text)) for prompt in texts]

    return plain if text.template == "plain" else chat


def _by_split(labels: Iterable[Labeled], split_of: SplitOf) -> dict[str, list[Any]]:
    splits: dict[str, list[Any]] = {}
    for labeled in labels:
        if (split := split_of(prompt_of(labeled.record))) is not None:
            splits.setdefault(split, []).append(labeled.record)
    return splits


def _with_consent(prompt: Prompt, consent: str | None) -> Prompt:
    return replace(prompt, consent=consent) if prompt.consent in (None, IMPORTED) else prompt


def _read_snapshot(folder: Path) -> Iterator[Prompt]:
    for split in open_snapshot(folder).counts:
        yield from read_split(folder, split, Prompt)


def _wholes(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each prompt once; parts of a few-shot prompt, of an earlier curation, are left out where the whole is there: they are made anew."""
    by_id: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.id in by_id:
            raise DataError(f"the prompt id {prompt.id!r} comes twice", expected="every id once", remedy="leave one of the two sources out")
        by_id[prompt.id] = prompt
    return [prompt for prompt in by_id.values() if whole_of(prompt.id) not in by_id]


def _require_some(curated: Curated) -> None:
    if any(curated.prompts.values()):
        return
    emptied = next((report for report in curated.stages if report.came and not report.kept), None)
    if emptied is None:
        raise DataError("no prompt came", expected="at least one", remedy="check the files")
    reason = next(iter(emptied.reasons))
    remedy = (
        "state the licence of what was imported with --consent, or ask people for theirs"
        if emptied.stage == "consent"
        else f"look at its settings, or --omit {emptied.stage}"
    )
    raise DataError(f"the stage {emptied.stage} removed the last {emptied.came:,} prompts: {reason}", expected="prompts that stay", remedy=remedy)


def _sizes(curated: Curated, data_sets: Mapping[DataSet, Splits]) -> list[SizeRow]:
    sets: dict[DataSet, Splits] = {"PPO": curated.prompts, **data_sets}
    return size_table(sets)


def _write(curated: Curated, summary: CurationSummary, request: Request) -> None:
    """The folder appears complete or not at all."""
    out = request.out
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    unfinished.mkdir()
    try:
        query = request.command
        freeze(unfinished / "prompts", {split: rows for split, rows in curated.prompts.items() if rows}, query=query, source_of=source_of)
        if curated.demonstrations:
            freeze(unfinished / "few_shot", curated.demonstrations, query=query, source_of=source_of)
        write_jsonl(unfinished / "removed.jsonl", (removal.to_json() for removal in curated.removals))
        (unfinished / "funnel.json").write_text(json.dumps(_funnel_json(summary), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_curation_report(summary, unfinished / "report.html")
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    sync(out.parent)


def _funnel_json(summary: CurationSummary) -> dict[str, Any]:
    stages = [dataclasses.asdict(report) | {"removed": report.removed, "seconds": round(report.seconds, 3)} for report in summary.stages]
    return {
        "command": summary.command,
        "settings": dataclasses.asdict(summary.settings),
        "stages": stages,
        "prompts": summary.prompts,
        "users": summary.users,
        "demonstrations": summary.demonstrations,
        "sizes": [dataclasses.asdict(row) for row in summary.sizes],
    }

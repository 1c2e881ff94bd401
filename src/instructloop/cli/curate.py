"""`instructloop curate SOURCE...`: people's prompts -> those that may be shown to labelers and trained on."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from instructloop.cli.parsing import parse
from instructloop.config import Text
from instructloop.curate.settings import Curation, StageName
from instructloop.curate.sizes import DataSet
from instructloop.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Curate:
    """Filter prompts as the paper did and freeze what stays: consent, language, personal data, near-duplicates, at most 200 of
    each user, length; then split by user, and few-shot prompts become one prompt for each of their examples."""

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE ...", help_behavior_hint="")]
    """Files of prompts in any layout known (.jsonl, .json, .gz, .zst, Parquet), or snapshots of prompts."""
    store: str | None = None
    """Feedback database whose prompts are curated instead: those that may train. Its labels fill the table of sizes."""
    out: Path
    """New folder for the snapshots, removed.jsonl, funnel.json and report.html."""
    consent: str | None = None
    """The licence of imported prompts that state none themselves; without it they carry no consent, and go."""
    tokenizer: str | None = None
    """Whose tokens the stage `length` counts: a checkpoint folder or a hub id."""
    template: Literal["plain", "chat"] = "plain"
    """How prompts are rendered for that model: as written, or in its chat template."""
    separator: str = "\n\n"
    """Plain template: what stands between prompt and answer."""
    only: tuple[StageName, ...] = ()
    """Apply these stages and no others."""
    omit: tuple[StageName, ...] = ()
    """Apply all stages but these."""
    released: Path | None = None
    """File with the ids, one on a line, of prompts that a person looked at: personal data found in them is let be."""
    workers: int = 2
    """Processes for language and personal data; their number changes nothing but the time."""
    layout: str | None = None
    """Layout of the files; recognised from their keys if not given."""
    demonstrations: Path | None = None
    """Snapshot of demonstrations: the column SFT of the table of sizes."""
    rankings: Path | None = None
    """Snapshot of rankings: the column RM of the table of sizes."""
    settings: Annotated[Curation, tyro.conf.arg(name="")] = Curation()
    """The stages' knobs."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("curate", Curate, argv)
    if bool(asked.sources) == bool(asked.store):
        came = "files and a store are given" if asked.store else "no source is given"
        raise DataError(came, expected="files or snapshots of prompts before the flags, or --store", remedy="see `instructloop curate --help`")
    if asked.workers < 1:
        raise ConfigError(f"workers is {asked.workers}", expected="at least 1", remedy="1 does all in one process")
    from instructloop.cli.stores import opened
    from instructloop.loop import curation
    from instructloop.loop.curation_tables import print_stage, print_summary

    stages = curation.choose_stages(asked.only, asked.omit)
    text = Text(template=asked.template, separator=asked.separator)
    labels: dict[DataSet, Path | None] = {"SFT": asked.demonstrations, "RM": asked.rankings}
    request = curation.Request(
        out=asked.out,
        settings=asked.settings,
        stages=stages,
        lengths=curation.lengths_by(asked.tokenizer, text) if asked.tokenizer and "length" in stages else None,
        released=curation.read_released(asked.released) if asked.released else frozenset(),
        workers=asked.workers,
        command=shlex.join(["instructloop", "curate", *argv]),
        data_sets={name: curation.read_data_set(folder) for name, folder in labels.items() if folder},
    )
    if asked.store:
        with opened(asked.store) as store:
            summary = curation.curate_store(store, request, told=print_stage)
    else:
        prompts = curation.read_sources(asked.sources, consent=asked.consent, layout=asked.layout)
        summary = curation.curate_prompts(prompts, request, told=print_stage)
    print_summary(summary, asked.out)

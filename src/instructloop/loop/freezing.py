"""Files that people have -> a snapshot: read, split, frozen."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from instructloop.errors import ConfigError
from instructloop.records import Demonstration, Document, Prompt, Ranking, Snapshot
from instructloop.store import layouts
from instructloop.store.snapshots import freeze
from instructloop.store.splits import assign_split

Kind = Literal["demonstrations", "rankings", "prompts", "documents"]
Row = Demonstration | Ranking | Prompt | Document

READERS: Mapping[str, Callable[..., Any]] = {
    "demonstrations": layouts.read_demonstrations,
    "rankings": layouts.read_rankings,
    "prompts": layouts.read_prompts,
    "documents": layouts.read_documents,
}


def freeze_files(
    files: Sequence[Path],
    out: Path,
    *,
    kind: Kind,
    fractions: Mapping[str, float],
    by: Literal["user", "item"] = "item",
    seed: int = 0,
    layout: str | None = None,
    query: str = "",
) -> Snapshot:
    """Read files of any known layout, put each record into a split and freeze the whole into `out`.

    `by` says what never lies in two splits: one "user" (the paper's rule, §3.2), or one "item" (a prompt, a document).
    Raises `ConfigError` for fractions that do not add up to 1, `DataError` for a file that cannot be read.
    """
    _require_whole(fractions)
    splits: dict[str, list[Row]] = {split: [] for split in fractions}
    for file in files:
        for record in READERS[kind](file, layout=layout):
            splits[assign_split(_key(record, by), fractions=fractions, seed=seed)].append(record)
    return freeze(out, splits, query=query, source_of=source_of)


def source_of(record: Row) -> str:
    """Where a record comes from, for the snapshot's counts: the collection it names, else the way it came in."""
    if isinstance(record, Document):
        return record.provenance.origin or record.source
    prompt = record if isinstance(record, Prompt) else record.prompt
    return record.provenance.origin or prompt.provenance.origin or prompt.source


def parse_fractions(text: str) -> dict[str, float]:
    """ "train=0.9,valid=0.1" -> {"train": 0.9, "valid": 0.1}."""
    try:
        return {split.strip(): float(share) for split, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise ConfigError(f"the split {text!r}", expected="names with shares, as in train=0.9,valid=0.1", remedy="correct --split") from error


def _require_whole(fractions: Mapping[str, float]) -> None:
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ConfigError(f"the shares {dict(fractions)}", expected="each above 0, together 1", remedy="correct --split")


def _key(record: Row, by: Literal["user", "item"]) -> str:
    if isinstance(record, Document):
        if by == "user":
            raise ConfigError("documents split by user", expected="--by item: a document has no user", remedy="use --by item")
        return record.id
    prompt = record if isinstance(record, Prompt) else record.prompt
    return prompt.user_id if by == "user" else prompt.text

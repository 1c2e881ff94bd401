"""Files that people have -> a snapshot: read, split, frozen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from instructloop.errors import ConfigError, DataError
from instructloop.records import Demonstration, Document, Prompt, Ranking, Snapshot
from instructloop.store import layouts
from instructloop.store.snapshots import freeze
from instructloop.store.splits import assign_split, split_key
from instructloop.store.tables import TEXT, format_of

Kind = Literal["demonstrations", "rankings", "prompts", "documents"]
Row = Demonstration | Ranking | Prompt | Document

READERS: Mapping[str, Callable[..., Any]] = {
    "demonstrations": layouts.read_demonstrations,
    "rankings": layouts.read_rankings,
    "prompts": layouts.read_prompts,
    "documents": layouts.read_documents,
}


TEXT_REMEDY = "; or give all text in one .txt file: alone it is cut at its blank lines"


@dataclass(frozen=True, kw_only=True)
class SplitRule:
    """Which split a record belongs to: a hash of what must stay together."""

    fractions: Mapping[str, float]
    """Split -> share; the shares add up to 1."""
    by: Literal["user", "item"] = "item"
    """What never lies in two splits: one user (the paper's rule, §3.2), or one item (a prompt with its whole conversation, a document)."""
    seed: int = 0

    def split_of(self, record: Row) -> str:
        """The split of the record. Raises `ConfigError` for shares that do not add up to 1, and for documents by user."""
        return assign_split(self._key(record), fractions=self.fractions, seed=self.seed)

    def _key(self, record: Row) -> str:
        if isinstance(record, Document):
            if self.by == "user":
                raise ConfigError("documents split by user", expected="a split by item: a document has no user", remedy="use --by item")
            return record.id
        prompt = record if isinstance(record, Prompt) else record.prompt
        return prompt.user_id if self.by == "user" else split_key(prompt)


def freeze_files(files: Sequence[Path], out: Path, *, kind: Kind, rule: SplitRule, layout: str | None = None, query: str = "") -> Snapshot:
    """Read files of any known layout, put each record into its split and freeze the whole into `out`.

    Raises `DataError` for a file that cannot be read or is given twice, an id that stands for two things and a split that
    stays empty, and whatever `SplitRule.split_of` raises.
    """
    splits: dict[str, list[Row]] = {split: [] for split in rule.fractions}
    for record in READERS[kind](*files, layout=layout):
        splits[rule.split_of(record)].append(record)
    texts = [file for file in files if format_of(file) == TEXT]
    if empty := [split for split, records in splits.items() if not records]:
        raise DataError(
            f"none of {sum(map(len, splits.values()))} records fell into the split {empty[0]!r}",
            expected="a record or more in every split",
            remedy="give more records, another --seed or other shares (--split)" + (TEXT_REMEDY if texts else ""),
        )
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

"""The sizes of the three data sets, in prompts, as the paper's Table 6 has them: split and source down, data set across."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from instructloop.records import AnswerSet, Demonstration, Prompt, Ranking, Source

DataSet = Literal["SFT", "RM", "PPO"]
DATA_SETS: tuple[DataSet, ...] = ("SFT", "RM", "PPO")
NAME_OF_SOURCE: Mapping[Source, str] = {"labeler": "labeler", "playground": "customer", "import": "imported"}
"""The paper's words for who wrote a prompt. It imported none."""
EVERYWHERE = ("train", "valid")
"""Splits that the paper's table shows."""

Row = Prompt | Demonstration | Ranking | AnswerSet
Splits = Mapping[str, Iterable[Row]]
Counts = Mapping[tuple[DataSet, str, str], int]
"""(data set, split, source) -> prompts."""


@dataclass(frozen=True)
class SizeRow:
    """One line of the table: distinct prompts of one source in one split of each data set; None where the data set has none."""

    split: str
    source: str
    sizes: Mapping[DataSet, int | None]


def size_table(data_sets: Mapping[DataSet, Splits]) -> list[SizeRow]:
    """Table 6 for these data sets, each a mapping of splits to records; several answers to one prompt count once.

    The splits train and valid and the sources labeler and customer are always there, others where there are prompts of them;
    the last line of each split is its total.
    """
    counts: Counts = {(name, split, source): number for name, splits in data_sets.items() for split, source, number in _count(splits)}
    splits = [*EVERYWHERE, *sorted({split for _, split, _ in counts} - set(EVERYWHERE))]
    return [row for split in splits for row in _rows(split, counts)]


def _rows(split: str, counts: Counts) -> Iterator[SizeRow]:
    always = ("labeler", "customer")
    for source in NAME_OF_SOURCE.values():
        sizes: dict[DataSet, int | None] = {name: counts.get((name, split, source)) for name in DATA_SETS}
        if source in always or any(sizes.values()):
            yield SizeRow(split, source, sizes)
    totals: dict[DataSet, int | None] = {
        name: sum(number for (other, where, _), number in counts.items() if (other, where) == (name, split)) or None for name in DATA_SETS
    }
    yield SizeRow(split, "total", totals)


def _count(splits: Splits) -> Iterator[tuple[str, str, int]]:
    for split, records in splits.items():
        source_of = {prompt.id: NAME_OF_SOURCE[prompt.source] for prompt in map(_prompt_of, records)}
        for source, number in Counter(source_of.values()).items():
            yield split, source, number


def _prompt_of(record: Row) -> Prompt:
    return record if isinstance(record, Prompt) else record.prompt

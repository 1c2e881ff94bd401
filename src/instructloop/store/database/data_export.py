"""What people want of a store: derived data sets in one file, in this package's own layout or in those that other trainers read.

what              record (the default)                                    trl
prompts           Prompt                                                  {"prompt"}
demonstrations    Demonstration                                           {"messages": [user, assistant]}
rankings          Ranking
ratings           Rating
pairs             {"prompt_id", "prompt", "chosen", "rejected", "tie",    {"prompt", "chosen", "rejected"}, ties left out
                   "labeler_id", "label_id"}
evaluations       {"prompt_id", "answers", "models", "preferred", …}
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, cast, get_args

import sqlalchemy as sa

from instructloop.errors import ConfigError, DataError
from instructloop.records import Ranking
from instructloop.store.database import labels, schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.opening import Store
from instructloop.store.database.roles import READING, require
from instructloop.store.jsonl import Row, write_jsonl
from instructloop.store.parquet import write_parquet
from instructloop.store.tables import format_of

What = Literal["prompts", "demonstrations", "rankings", "ratings", "pairs", "evaluations"]
WHAT: tuple[What, ...] = get_args(What)
Layout = Literal["record", "trl"]

TYPES: tuple[tuple[str, type | tuple[type, ...]], ...] = (("bool", bool), ("int64", int), ("double", float), ("json", (dict, list, tuple)))
"""Type of a column -> what stands in it; anything else is text. True and False are whole numbers too, so they come first."""
TURNS = "turns"
"""The type of a column that holds conversations."""

Rows = Callable[[Store, Actor], Iterable[Row]]


def export_data(store: Store, actor: Actor, what: What, file: Path, *, layout: Layout = "record") -> int:
    """Write one data set and return its number of rows; the suffix of the file (.jsonl, .gz, .zst, .parquet) says how.

    For those who read everything, and the command line. Raises `DataError` if the file exists, `ConfigError` for a layout that
    the data set does not have.
    """
    if actor is not None:
        require(actor, READING, f"export {what}")
    rows = EXPORTS.get((what, layout))
    if rows is None:
        known = ", ".join(name for name, known in EXPORTS if known == layout)
        raise ConfigError(f"{what} in the layout {layout!r}", expected=f"{known} in that layout", remedy="choose another layout")
    if file.exists() or not file.absolute().parent.is_dir():
        came = f"{file} exists" if file.exists() else f"there is no folder {file.absolute().parent}"
        raise DataError(came, expected="a new file in a folder that exists", remedy="name another one")
    with store.writing() as connection:
        write_audit(connection, store.now(), actor, "export", (what, ""), {"file": str(file), "layout": layout})
    if format_of(file) == ".parquet":
        return _write_parquet(file, list(rows(store, actor)))
    return write_jsonl(file, rows(store, actor))


def pairs_of(ranking: Ranking) -> Iterator[tuple[int, int, bool]]:
    """(better, worse, tied) positions of every pair of answers; of a tie in the order in which they stand."""
    ranks = ranking.ranks
    for a, b in combinations(range(len(ranks)), 2):
        better, worse = (a, b) if ranks[a] <= ranks[b] else (b, a)
        yield better, worse, ranks[a] == ranks[b]


def _records(read: Callable[[Store, Actor], Iterable[labels.Labeled]]) -> Rows:
    return lambda store, actor: (one.record.to_json() for one in read(store, actor))


def _pairs(store: Store, actor: Actor) -> Iterator[Row]:
    for one in labels.training_rankings(store, actor):
        ranking: Ranking = one.record
        for better, worse, tied in pairs_of(ranking):
            yield {
                "prompt_id": ranking.prompt.id, "prompt": ranking.prompt.text, "chosen": ranking.completions[better].text,
                "rejected": ranking.completions[worse].text, "tie": tied, "labeler_id": ranking.labeler_id, "label_id": one.label_id,
            }  # fmt: skip


def _trl_pairs(store: Store, actor: Actor) -> Iterator[Row]:
    return ({name: row[name] for name in ("prompt", "chosen", "rejected")} for row in _pairs(store, actor) if not row["tie"])


def _trl_prompts(store: Store, actor: Actor) -> Iterator[Row]:
    return ({"prompt": one.record.text} for one in labels.training_prompts(store, actor))


def _trl_demonstrations(store: Store, actor: Actor) -> Iterator[Row]:
    for one in labels.training_demonstrations(store, actor):
        turns = [{"role": "user", "content": one.record.prompt.text}, {"role": "assistant", "content": one.record.text}]
        yield {"messages": turns}


def _evaluations(store: Store, actor: Actor) -> Iterator[Row]:
    """Every comparison of two models, with who gave which answer: the baseline's first."""
    with store.reading() as connection:
        answers = schema.answers
        models = {
            (row.prompt_id, row.id): row.model_id for row in connection.execute(sa.select(answers.c.prompt_id, answers.c.id, answers.c.model_id))
        }
    for label in labels.current_labels(store, actor, "evaluation"):
        compared, prompt_id = label["body"]["answers"], label["prompt_id"]
        said = {"preferred": label["body"]["preferred"], "answers": compared, "models": [models[prompt_id, answer] for answer in compared]}
        yield {"prompt_id": prompt_id, **said, "labeler_id": label["labeler_id"], "purpose": label["purpose"], "at": label["at"].isoformat()}


EXPORTS: Mapping[tuple[What, Layout], Rows] = {
    ("prompts", "record"): _records(labels.training_prompts),
    ("demonstrations", "record"): _records(labels.training_demonstrations),
    ("rankings", "record"): _records(labels.training_rankings),
    ("ratings", "record"): _records(labels.training_ratings),
    ("pairs", "record"): _pairs,
    ("evaluations", "record"): _evaluations,
    ("prompts", "trl"): _trl_prompts,
    ("demonstrations", "trl"): _trl_demonstrations,
    ("pairs", "trl"): _trl_pairs,
}


def _write_parquet(file: Path, rows: list[Row]) -> int:
    """Columns as the rows have them. What is nested becomes JSON, which `read_rows` parses, but for the turns of conversations: trainers
    read those as they are."""
    if not rows:
        raise DataError(f"no rows for {file}", expected="one or more", remedy="write .jsonl, which may be empty, or collect some")
    columns = {name: _type_of(name, rows) for name in rows[0]}
    return write_parquet(file, ({name: row[name] if kind == TURNS else _cell(row[name]) for name, kind in columns.items()} for row in rows), columns)


def _type_of(name: str, rows: list[Row]) -> str:
    if name == "messages":
        return TURNS
    value = next((row[name] for row in rows if row[name] is not None), "")
    for kind, known in TYPES:
        if isinstance(value, known):
            return kind
    return "string"


def _cell(value: Any) -> Any:
    return json.dumps(cast(Any, value), ensure_ascii=False) if isinstance(value, dict | list | tuple) else value

"""Readers for the layouts people have: every row becomes a record, or one `DataError` that names its file and line.

The layout is recognised by the keys of the first row, or given by name. Layouts:

    demonstrations   record, alpaca, messages, response (prompt and response or completion)
    rankings         record, kwise (prompt, responses, ranks), pair (prompt, a, b, label), chosen (chosen, rejected)
    prompts          record, alpaca, messages, prompt
    documents        record, text; every .txt file is one document

Files: .jsonl, .json, each plain, .gz or .zst; .parquet; .txt.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from instructloop.errors import DataError
from instructloop.records import Demonstration, Document, Prompt, Ranking, Record
from instructloop.store import conversion as convert
from instructloop.store.jsonl import Row, locating
from instructloop.store.tables import Place, read_rows

R = TypeVar("R", bound=Record)


class Layout(NamedTuple):
    """How rows with certain keys become records."""

    keys: tuple[frozenset[str], ...]
    """Alternatives: the layout fits a row that has all keys of one of them."""
    record: Callable[[Row, Place], Record]

    def fits(self, row: Row) -> bool:
        return any(keys <= row.keys() for keys in self.keys)


def _layout(record: Callable[[Row, Place], Record], *alternatives: str) -> Layout:
    return Layout(tuple(frozenset(keys.split()) for keys in alternatives), record)


DEMONSTRATIONS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Demonstration), "prompt text labeler_id"),
    "alpaca": _layout(convert.alpaca_demonstration, "instruction output"),
    "messages": _layout(convert.messages_demonstration, "messages"),
    "response": _layout(convert.response_demonstration, "prompt response", "prompt completion"),
}
RANKINGS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Ranking), "prompt completions groups"),
    "kwise": _layout(convert.kwise_ranking, "prompt responses ranks"),
    "pair": _layout(convert.pair_ranking, "prompt a b label"),
    "chosen": _layout(convert.chosen_ranking, "chosen rejected"),
}
PROMPTS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Prompt), "id text user_id"),
    "alpaca": _layout(convert.alpaca_prompt, "instruction"),
    "messages": _layout(convert.messages_prompt, "messages"),
    "prompt": _layout(convert.plain_prompt, "prompt"),
}
DOCUMENTS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Document), "schema id text"),
    "text": _layout(convert.text_document, "text"),
}


def read_demonstrations(path: str | Path, *, layout: str | None = None) -> Iterator[Demonstration]:
    """Prompts with a person's answer; no answer may be empty."""
    return _read(path, DEMONSTRATIONS, layout, lambda record: (record.prompt.id, record.labeler_id))


def read_rankings(path: str | Path, *, layout: str | None = None) -> Iterator[Ranking]:
    """Two to nine answers to a prompt, from best to worst; several people may rank the same answers."""
    return _read(
        path, RANKINGS, layout, lambda record: (record.prompt.id, record.labeler_id, *sorted(completion.id for completion in record.completions))
    )


def read_prompts(path: str | Path, *, layout: str | None = None) -> Iterator[Prompt]:
    """Prompts alone; also those of any file of demonstrations or rankings that names them `prompt` and is no record."""
    return _read(path, PROMPTS, layout, lambda record: record.id)


def read_documents(path: str | Path, *, layout: str | None = None) -> Iterator[Document]:
    """Texts for language modelling."""
    return _read(path, DOCUMENTS, layout, lambda record: record.id)


def _read(path: str | Path, layouts: Mapping[str, Layout], name: str | None, identity: Callable[[R], Hashable]) -> Iterator[R]:
    layout: Layout | None = None
    seen: dict[Hashable, tuple[Place, Record]] = {}
    place = None
    for place, row in read_rows(path):
        layout = layout or _choose(layouts, name, row, place)
        with locating(str(place)):
            record = cast(R, layout.record(row, place))
            repeated = _is_repeated_prompt(record, identity(record), seen)
        if not repeated:
            seen[identity(record)] = place, record
            yield record
    if place is None:
        raise DataError(f"{path} holds no rows", expected="at least one", remedy="check how the file was made")


def _choose(layouts: Mapping[str, Layout], name: str | None, row: Row, place: Place) -> Layout:
    if name is not None and name not in layouts:
        raise DataError(f"the layout {name!r} is not known", expected=f"one of {_shown(layouts)}", remedy="leave it out to recognise it by the keys")
    if name is not None:
        return layouts[name]
    for layout in layouts.values():
        if layout.fits(row):
            return layout
    raise DataError(
        f"{place}: the keys {', '.join(map(repr, row))} fit no layout",
        expected=f"all keys of one of {_shown(layouts)}",
        remedy="rename the columns, or name the layout",
    )


def _shown(layouts: Mapping[str, Layout]) -> str:
    return "; ".join(f"{name} ({' or '.join(' + '.join(sorted(keys)) for keys in layout.keys)})" for name, layout in layouts.items())


def _is_repeated_prompt(record: Record, identity: Hashable, seen: Mapping[Hashable, tuple[Place, Record]]) -> bool:
    """True for a prompt already read: several people judged it. Two other records must not share an identity."""
    if identity not in seen:
        return False
    place, other = seen[identity]
    if isinstance(record, Prompt) and record == other:
        return True
    raise DataError(f"the id {identity!r} stands at {place} already", expected="every id once", remedy="drop one of the two rows, or rename it")

"""Readers for the layouts people have: every row becomes a record, or one `DataError` that names its file and line.

The layout is recognised by the keys of the first row, or given by name. Layouts:

    demonstrations   record, alpaca, messages, response (prompt and response or completion), argilla, label-studio
    rankings         record, kwise (prompt, responses, ranks), pair (prompt, a, b, label), chosen (chosen, rejected), argilla, label-studio
    prompts          record, alpaca, messages, prompt
    documents        record, text, a .txt file

Files: .jsonl, .json, each plain, .gz or .zst; .parquet; .txt.

A text file among several files is one document: whoever has a file for each text has said what belongs together. One that
is given alone is cut at its blank lines into pieces of about `tables.PIECE_CHARACTERS`, each a document, so that it can
be split.

No id stands for two things. Rows without one are named after their file, with as much of its path as tells it from the other
files given, and their line. A repeated prompt is left out of a file of prompts; any other repeat is refused.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from instructloop.errors import DataError
from instructloop.records import Demonstration, Document, Prompt, Ranking, Record
from instructloop.store import conversion as convert
from instructloop.store import foreign
from instructloop.store.conversion import UNKNOWN
from instructloop.store.jsonl import Row, locating
from instructloop.store.tables import Place, format_of, labels_of, read_rows

R = TypeVar("R", bound=Record)


NO_LAYOUTS = (".csv", ".tsv", ".xml")
"""Formats of data collections that no reader takes: which column is what cannot be told."""


class Layout(NamedTuple):
    """How rows with certain keys become records."""

    keys: tuple[frozenset[str], ...]
    """Alternatives: the layout fits a row that has all keys of one of them."""
    record: Callable[[Row, Place], Record]
    spread: Callable[[Row], Iterator[Row]] = lambda row: iter((row,))
    """The rows that stand in one: exports of other tools hold what several people said in one row."""

    def fits(self, row: Row) -> bool:
        return any(keys <= row.keys() for keys in self.keys)


def _spread(record: Callable[[Row, Place], Record], spread: Callable[[Row], Iterator[Row]], keys: str) -> Layout:
    return Layout((frozenset(keys.split()),), record, spread)


def _layout(record: Callable[[Row, Place], Record], *alternatives: str) -> Layout:
    return Layout(tuple(frozenset(keys.split()) for keys in alternatives), record)


ARGILLA, LABEL_STUDIO = "fields responses", "data annotations"
DEMONSTRATIONS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Demonstration), "prompt text labeler_id"),
    "alpaca": _layout(convert.alpaca_demonstration, "instruction output"),
    "messages": _layout(convert.messages_demonstration, "messages"),
    "response": _layout(convert.response_demonstration, "prompt response", "prompt completion"),
    "argilla": _spread(convert.response_demonstration, foreign.argilla_demonstrations, ARGILLA),
    "label-studio": _spread(convert.response_demonstration, foreign.label_studio_demonstrations, LABEL_STUDIO),
}
RANKINGS: Mapping[str, Layout] = {
    "record": _layout(convert.record_of(Ranking), "prompt completions groups"),
    "kwise": _layout(convert.kwise_ranking, "prompt responses ranks"),
    "pair": _layout(convert.pair_ranking, "prompt a b label"),
    "chosen": _layout(convert.chosen_ranking, "chosen rejected"),
    "argilla": _spread(convert.kwise_ranking, foreign.argilla_rankings, ARGILLA),
    "label-studio": _spread(convert.kwise_ranking, foreign.label_studio_rankings, LABEL_STUDIO),
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


def read_demonstrations(*paths: str | Path, layout: str | None = None) -> Iterator[Demonstration]:
    """Prompts with a person's answer; no answer may be empty."""
    return _read(paths, DEMONSTRATIONS, layout, lambda record: (record.prompt.id, _person(record.labeler_id)))


def read_rankings(*paths: str | Path, layout: str | None = None) -> Iterator[Ranking]:
    """Two to nine answers to a prompt, from best to worst; several people may rank the same answers."""
    return _read(
        paths,
        RANKINGS,
        layout,
        lambda record: (record.prompt.id, _person(record.labeler_id), *sorted(completion.id for completion in record.completions)),
    )


def read_prompts(*paths: str | Path, layout: str | None = None) -> Iterator[Prompt]:
    """Prompts alone; also those of any file of demonstrations or rankings that names them `prompt` and is no record."""
    return _read(paths, PROMPTS, layout, lambda record: record.id)


def read_documents(*paths: str | Path, layout: str | None = None) -> Iterator[Document]:
    """Texts for language modelling; a text file that is given alone is cut into pieces."""
    return _read(paths, DOCUMENTS, layout, lambda record: record.id, cut_text=len(paths) == 1)


def _read(
    paths: Sequence[str | Path], layouts: Mapping[str, Layout], name: str | None, identity: Callable[[R], Hashable], *, cut_text: bool = False
) -> Iterator[R]:
    files = [Path(path) for path in paths]
    _refuse_same_file(files)
    seen = _Seen()
    for file, label in zip(files, labels_of(files), strict=True):
        _refuse_format(file, layouts)
        layout: Layout | None = None
        for place, row in read_rows(file, label, cut_text=cut_text):
            layout = layout or _choose(layouts, name, row, place)
            with locating(str(place)):
                records = [cast(R, layout.record(one, place)) for one in layout.spread(row)]
                new = [record for record in records if not seen.has(record, identity(record), place)]
            yield from new
        if layout is None:
            raise DataError(f"{file} holds no rows", expected="at least one", remedy="check how the file was made")


def _refuse_same_file(files: Sequence[Path]) -> None:
    given: dict[Path, Path] = {}
    for file in files:
        if (real := file.resolve()) in given:
            raise DataError(f"{file} is given twice, first as {given[real]}", expected="every file once", remedy="leave one of the two out")
        given[real] = file


def _refuse_format(file: Path, layouts: Mapping[str, Layout]) -> None:
    if (format_ := format_of(file)) in NO_LAYOUTS:
        raise DataError(
            f"{file} is a {format_} file",
            expected=f"JSON lines or Parquet whose rows have all keys of one of {_shown(layouts)}",
            remedy="convert it, or leave it out if it holds something else",
        )


def _person(labeler_id: str) -> str | None:
    """Who answered or judged; people whom no row names cannot be told apart."""
    return None if labeler_id.startswith(UNKNOWN) else labeler_id


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


class _Seen:
    """What was read so far, of all files: which ids stand where, and for what."""

    def __init__(self) -> None:
        self._records: dict[Hashable, tuple[Place, Prompt | None]] = {}
        self._texts: dict[tuple[str, ...], tuple[Place, str]] = {}

    def has(self, record: Record, identity: Hashable, place: Place) -> bool:
        """True for a prompt already read: several people judged it. Raises `DataError` for an id that stands for something else already."""
        if identity in self._records:
            first, other = self._records[identity]
            if other is not None and other == record:
                return True
            raise _repeated(identity, first)
        for key, text in _texts_of(record):
            first, known = self._texts.setdefault(key, (place, text))
            if text != known:
                raise _repeated(key[-1], first, f"with another {'prompt' if len(key) == 1 else 'answer'}")
        self._records[identity] = place, record if isinstance(record, Prompt) else None
        return False


def _texts_of(record: Record) -> Iterator[tuple[tuple[str, ...], str]]:
    """What several people may answer or judge: the prompt under its id, its answers under theirs, which count within the prompt."""
    if isinstance(record, Demonstration | Ranking):
        yield (record.prompt.id,), record.prompt.text
    if isinstance(record, Ranking):
        yield from (((record.prompt.id, answer.id), answer.text) for answer in record.completions)


def _repeated(identity: Hashable, first: Place, what: str = "") -> DataError:
    shown = " ".join(filter(None, (f"the id {identity!r} stands at {first} already", what)))
    return DataError(
        shown,
        expected="every id once; of several people who answered or judged one prompt each under a name (`annotator`, `labeler`)",
        remedy="drop one of the two rows, or rename it",
    )

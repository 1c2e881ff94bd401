"""Several files read as one: no id stands for two things, whatever file it stands in."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from instructloop.errors import DataError
from instructloop.records import Record
from instructloop.store.layouts import read_demonstrations, read_documents, read_prompts, read_rankings

PAIR = {"prompt": "Why?", "a": "So.", "b": "No.", "label": 1}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def writing(name: str, *rows: dict[str, Any]) -> Path:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / name

    return writing


Write = Callable[..., Path]


def test_rows_without_ids_are_told_apart_by_as_much_of_the_path_as_it_takes(write: Write) -> None:
    files = [write(name, {"text": name}, {"text": f"{name} again"}) for name in ("a/p.jsonl", "b/p.jsonl", "b/q.jsonl", "c/r.jsonl", "c/r.json")]
    ids = [document.id for document in read_documents(*files)]
    assert ids[::2] == ["a/p.jsonl-1", "b/p.jsonl-1", "q-1", "r.jsonl-1", "r.json-1"]
    assert len(set(ids)) == 10
    assert [document.id for document in read_documents(files[0])] == ["p-1", "p-2"]
    rankings = list(read_rankings(write("a/k.jsonl", PAIR), write("b/k.jsonl", PAIR)))
    assert len({answer.id for ranking in rankings for answer in ranking.completions}) == 4


def test_text_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a/story.txt", "b/story.txt", "b/poem.txt")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("Once.")
    assert [document.id for document in read_documents(*files)] == ["a/story.txt", "b/story.txt", "poem.txt"]


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        (read_demonstrations, {"prompt": "Why?", "response": "So."}),
        (read_rankings, PAIR),
        (read_prompts, {"prompt": "Why?"}),
        (read_documents, {"text": "Once."}),
    ],
)
def test_an_id_that_comes_twice_is_refused_with_both_places(reader: Callable[..., Iterator[Record]], row: dict[str, Any], write: Write) -> None:
    first, second = write("a/p.jsonl", row | {"id": "x"}), write("b/q.jsonl", row | {"id": "y"}, row | {"id": "x"})
    with pytest.raises(DataError, match=rf"{second}:2: the id .*'x'.* stands at {first}:1 already"):
        list(reader(first, second))


def test_one_id_with_two_prompts_is_refused_whoever_answers(write: Write) -> None:
    rows = [{"id": "x", "prompt": question, "response": "So.", "annotator": name} for question, name in (("Why?", "ann"), ("How?", "bob"))]
    first, second = write("a.jsonl", rows[0]), write("b.jsonl", rows[1])
    with pytest.raises(DataError, match=rf"{second}:1: the id 'x' stands at {first}:1 already with another prompt"):
        list(read_demonstrations(first, second))
    assert len(list(read_demonstrations(first, write("b.jsonl", rows[1] | {"prompt": "Why?"})))) == 2


def test_one_id_with_two_answers_is_refused_whoever_ranks(write: Write) -> None:
    """Rows name their answers after the prompt's id and their place, so ranks of other answers would be ranks of these."""
    row = {"id": "x", "prompt": "Why?", "responses": ["So.", "No."], "ranks": [1, 2], "annotator": "ann"}
    first, second = write("a.jsonl", row), write("b.jsonl", row | {"annotator": "bob", "responses": ["So.", "No.", "Yes."], "ranks": [1, 2, 3]})
    assert len(list(read_rankings(first, second))) == 2
    second = write("b.jsonl", row | {"annotator": "bob", "responses": ["No.", "So."]})
    with pytest.raises(DataError, match=rf"{second}:1: the id 'x/1' stands at {first}:1 already with another answer"):
        list(read_rankings(first, second))


@pytest.mark.parametrize("again", ["p.jsonl", "../{folder}/p.jsonl", "link.jsonl"])
def test_the_same_file_twice_is_refused(again: str, write: Write, tmp_path: Path) -> None:
    file = write("p.jsonl", {"prompt": "Why?"})
    os.symlink(file, tmp_path / "link.jsonl")
    with pytest.raises(DataError, match="is given twice, first as"):
        list(read_prompts(file, tmp_path / again.format(folder=tmp_path.name)))

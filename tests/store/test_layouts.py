"""The layouts people have: what each row becomes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from instructloop.errors import DataError
from instructloop.records import Completion, Demonstration, Document, Prompt, Ranking, Record
from instructloop.store.jsonl import write_jsonl, write_records
from instructloop.store.layouts import read_demonstrations, read_documents, read_prompts, read_rankings

USER = {"role": "user", "content": "What is red?"}
ANSWER = {"role": "assistant", "content": "A colour."}
WORSE = {"role": "assistant", "content": "A number."}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Any]]:
    def reading(reader: Callable[..., Iterator[Record]], *rows: dict[str, Any], layout: str | None = None) -> list[Any]:
        write_jsonl(tmp_path / "rows.jsonl", rows)
        return list(reader(tmp_path / "rows.jsonl", layout=layout))

    return reading


Read = Callable[..., list[Any]]


def test_alpaca(read: Read) -> None:
    rows = {"instruction": "Add.", "input": "1 + 1", "output": "2"}, {"instruction": "Greet.", "input": "", "output": "Hello"}
    first, second = read(read_demonstrations, *rows)
    assert (first.prompt.text, first.text, first.prompt.id) == ("Add.\n\n1 + 1", "2", "rows-1")
    assert (second.prompt.text, second.text, second.prompt.id) == ("Greet.", "Hello", "rows-2")
    assert (first.labeler_id, first.prompt.user_id, first.provenance.origin) == ("unknown-rows.jsonl", "unknown-rows.jsonl", "rows.jsonl")
    assert [prompt.text for prompt in read(read_prompts, *rows)] == ["Add.\n\n1 + 1", "Greet."]


def test_messages(read: Read) -> None:
    system = {"role": "system", "content": "Be short."}
    short = {"messages": [USER, ANSWER]}
    long = {"messages": [system, USER, ANSWER, {"role": "user", "content": "And blue?"}, {"role": "assistant", "content": "Too."}]}
    first, second = read(read_demonstrations, short, long)
    assert (first.prompt.text, first.text) == ("What is red?", "A colour.")
    assert second.prompt.text == "Be short.\n\nUser: What is red?\n\nAssistant: A colour.\n\nUser: And blue?\n\nAssistant:"
    assert second.text == "Too."
    assert [prompt.text for prompt in read(read_prompts, short, {"messages": [system, USER]})] == ["What is red?", "Be short.\n\nWhat is red?"]


def test_prompt_and_response_with_people(read: Read) -> None:
    row = {"id": 7, "prompt": "Why?", "context": "Rain.", "response": "So.", "user": "u1", "source": "book", "category": "creative_writing"}
    (record,) = read(read_demonstrations, row | {"licence": "CC0"})
    assert record.prompt.text == "Why?\n\nRain."
    assert (record.prompt.id, record.prompt.user_id, record.labeler_id) == ("7", "u1", "u1")
    assert (record.prompt.consent, record.prompt.use_case, record.provenance.origin) == ("CC0", "generation", "book")
    (other,) = read(read_demonstrations, {"prompt": "Why?", "completion": "So."})
    assert other.text == "So."


def test_kwise_with_ties_as_in_the_papers_figure(read: Read) -> None:
    row = {"prompt": "Explain.", "responses": ["a", "b", "c", "d"], "ranks": [3, 3, 2, 1], "annotator": "l1", "systems": ["x", "y", "x", "z"]}
    (ranking,) = read(read_rankings, row)
    assert ranking.groups == (("rows-1/4",), ("rows-1/3",), ("rows-1/1", "rows-1/2"))
    assert (ranking.labeler_id, len(ranking.pairs)) == ("l1", 5)
    assert [completion.model_id for completion in ranking.completions] == ["x", "y", "x", "z"]


@pytest.mark.parametrize(("label", "pairs"), [(1, ((0, 1),)), (2, ((1, 0),)), (0, ())])
def test_pair(read: Read, label: int, pairs: tuple[tuple[int, int], ...]) -> None:
    (ranking,) = read(read_rankings, {"prompt": "Why?", "a": "So.", "b": "", "label": label})
    assert ranking.pairs == pairs
    assert [completion.text for completion in ranking.completions] == ["So.", ""]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "What is red?", "chosen": "A colour.", "rejected": "A number."},
        {"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]},
        {"prompt": "What is red?", "chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
        {"prompt": "What is red?", "chosen": [ANSWER], "rejected": [WORSE]},
        {"prompt": [USER], "chosen": "A colour.", "rejected": "A number."},
        {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
    ],
)
def test_chosen_and_rejected(read: Read, row: dict[str, Any]) -> None:
    (ranking,) = read(read_rankings, row)
    assert ranking.prompt.text == "What is red?"
    assert [completion.text for completion in ranking.completions] == ["A colour.", "A number."]
    assert ranking.pairs == ((0, 1),)


def test_prompts_keep_their_user(read: Read) -> None:
    rows = {"prompt": "Why?", "user": "u1", "id": "a"}, {"prompt": [USER], "user_id": "u2", "id": "b"}
    assert [(prompt.text, prompt.user_id) for prompt in read(read_prompts, *rows)] == [("Why?", "u1"), ("What is red?", "u2")]


def test_prompts_of_one_conversation_share_their_thread(read: Read) -> None:
    (prompt,) = read(read_prompts, {"prompt": "Why?", "tree": "t", "id": "a"})
    assert prompt.id == "thread/t/a"


def test_own_records(tmp_path: Path) -> None:
    prompt = Prompt(id="p", text="Why?", user_id="u", consent="terms-1")
    completions = tuple(Completion(id=id_, prompt_id="p", text=id_, token_ids=(3, 4)) for id_ in "ab")
    demonstration = Demonstration(prompt=prompt, text="So.", labeler_id="l")
    ranking = Ranking(prompt=prompt, completions=completions, groups=(("b",), ("a",)), labeler_id="l")
    second_opinion = Ranking(prompt=prompt, completions=completions, groups=(("b", "a"),), labeler_id="m")
    document = Document(id="d", text="Once.")
    file = tmp_path / "records.jsonl.zst"
    for records, reader in [
        ([demonstration], read_demonstrations),
        ([ranking, second_opinion], read_rankings),
        ([prompt], read_prompts),
        ([document], read_documents),
    ]:
        write_records(file, records)
        assert list(reader(file)) == records
    write_records(file, [ranking, second_opinion])
    assert list(read_prompts(file)) == [prompt]


def test_documents(tmp_path: Path, read: Read) -> None:
    assert [(d.id, d.source) for d in read(read_documents, {"text": "One."}, {"text": "Two.", "id": "x", "source": "s"})] == [
        ("rows-1", "rows"),
        ("s/x", "s"),
    ]
    (tmp_path / "story.txt").write_bytes("\ufeffOnce\r\nupon".encode())
    assert [(d.id, d.text) for d in read_documents(tmp_path / "story.txt")] == [("story.txt", "Once\r\nupon")]


def test_a_json_array_and_parquet(tmp_path: Path) -> None:
    rows = [{"prompt": "Why?", "responses": ["a", "b"], "ranks": [2, 1]}, {"prompt": "How?", "responses": ["c", "d"], "ranks": [1, 1]}]
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=2))
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    from_array, from_parquet = list(read_rankings(tmp_path / "rows.json")), list(read_rankings(tmp_path / "rows.parquet"))
    assert [ranking.ranks for ranking in from_array] == [ranking.ranks for ranking in from_parquet] == [(2, 1), (1, 1)]
    (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    assert list(read_rankings(tmp_path / "rows.json")) == from_array


def test_a_layout_can_be_forced(read: Read) -> None:
    row = {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "a": "x", "b": "y", "label": 1}
    assert read(read_rankings, row)[0].completions[0].text == "x"
    assert read(read_rankings, row, layout="chosen")[0].completions[0].text == "So."
    with pytest.raises(DataError, match="layout 'chosed' is not known"):
        read(read_rankings, row, layout="chosed")

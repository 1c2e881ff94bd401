"""Law E4 for data: every mistake in a file is one clear error that names file and line, says what was expected and what to do."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructloop.errors import DataError, UserError
from instructloop.records import Record
from instructloop.store.layouts import read_demonstrations, read_documents, read_prompts, read_rankings

Reader = Callable[[Path], Iterator[Record]]
MESSAGES = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
ALPACA = {"instruction": "Add.", "input": "", "output": "2"}
KWISE = {"prompt": "Why?", "responses": ["a", "b", "c"], "ranks": [1, 2, 2]}
PAIR = {"prompt": "Why?", "a": "So.", "b": "No.", "label": 1}
CHOSEN = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
PROMPT = {"prompt": "Why?", "user": "u"}
DOCUMENT = {"id": "d", "text": "Once."}
CONVERSATION = {"prompt": MESSAGES[:1], "chosen": MESSAGES[1:], "rejected": MESSAGES[1:]}

MISTAKES: list[tuple[str, Reader, dict[str, Any], dict[str, Any], str]] = [
    ("missing column", read_demonstrations, ALPACA, {"output": ...}, "'output' is missing"),
    ("missing prompt", read_rankings, KWISE, {"prompt": ...}, "'prompt' is missing"),
    ("missing text", read_documents, DOCUMENT, {"text": ...}, "'text' is missing"),
    ("empty answer", read_demonstrations, ALPACA, {"output": "  \n"}, "'output' is empty"),
    ("empty prompt", read_prompts, PROMPT, {"prompt": ""}, "'prompt' is empty"),
    ("empty instruction", read_demonstrations, ALPACA, {"instruction": ""}, "'instruction' is empty"),
    ("empty document", read_documents, DOCUMENT, {"text": ""}, "'text' is empty"),
    ("a number for a text", read_demonstrations, ALPACA, {"output": 2}, "'output' is 2"),
    ("null for a text", read_rankings, PAIR, {"a": None}, "'a' is None"),
    ("ranks too few", read_rankings, KWISE, {"ranks": [1, 2]}, "2 ranks for 3 responses"),
    ("ranks of another type", read_rankings, KWISE, {"ranks": [1, 2, True]}, "'ranks' is"),
    ("ranks no list", read_rankings, KWISE, {"ranks": "1 2 3"}, "'ranks' is '1 2 3'"),
    ("one answer", read_rankings, KWISE, {"responses": ["a"], "ranks": [1]}, "holds 1 answers"),
    ("no answers", read_rankings, KWISE, {"responses": [], "ranks": []}, "holds 0 answers"),
    ("ten answers", read_rankings, KWISE, {"responses": ["a"] * 10, "ranks": [1] * 10}, "holds 10 answers"),
    ("systems too few", read_rankings, KWISE, {"systems": ["x"]}, "1 systems for 3 responses"),
    ("unknown label", read_rankings, PAIR, {"label": 3}, "'label' is 3"),
    ("label of another type", read_rankings, PAIR, {"label": "a"}, "'label' is 'a'"),
    ("chosen missing", read_rankings, CHOSEN, {"rejected": ...}, "'rejected' is missing"),
    ("chosen without answer", read_rankings, CONVERSATION, {"chosen": MESSAGES[:1]}, "last message of 'chosen' is 'user'"),
    ("two conversations", read_rankings, CONVERSATION, {"chosen": MESSAGES}, "different conversations"),
    ("no messages", read_demonstrations, {"messages": MESSAGES}, {"messages": []}, "last message of 'messages' is missing"),
    ("unknown role", read_demonstrations, {"messages": MESSAGES}, {"messages": [{"role": "tool", "content": ""}]}, "role 'tool'"),
    ("no question", read_demonstrations, {"messages": MESSAGES}, {"messages": MESSAGES[1:]}, "before the answer in 'messages' is missing"),
    ("empty message", read_demonstrations, {"messages": MESSAGES}, {"messages": [*MESSAGES[:1], {"role": "assistant", "content": ""}]}, "is empty"),
    ("message of another type", read_demonstrations, {"messages": MESSAGES}, {"messages": ["Why?"]}, "'messages' is"),
    ("message without content", read_demonstrations, {"messages": MESSAGES}, {"messages": [{"role": "user"}]}, "'content' is missing"),
]


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("reader", "good", "change", "named"), [mistake[1:] for mistake in MISTAKES], ids=[mistake[0] for mistake in MISTAKES])
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, reader: Reader, good: dict[str, Any], change: dict[str, Any], named: str) -> None:
    bad = {key: value for key, value in (good | change).items() if value is not ...}
    file = write(tmp_path / "rows.jsonl", good | {"id": "1"}, bad | {"id": "2"})
    with pytest.raises(DataError) as caught:
        list(reader(file))
    assert f"{file}:2: " in caught.value.came
    assert named in caught.value.came
    assert caught.value.expected
    assert caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        (read_demonstrations, ALPACA),
        (read_rankings, KWISE),
        (read_rankings, PAIR),
        (read_documents, DOCUMENT),
        (read_demonstrations, {"messages": MESSAGES}),
    ],
)
def test_an_id_that_comes_twice_is_named(tmp_path: Path, reader: Reader, row: dict[str, Any]) -> None:
    file = write(tmp_path / "rows.jsonl", row | {"id": "same"}, row | {"id": "other"}, row | {"id": "same"})
    with pytest.raises(DataError, match=r"rows\.jsonl:3: the id .*same.* stands at .*rows\.jsonl:1"):
        list(reader(file))


def test_two_prompts_of_one_id_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", PROMPT | {"id": "same"}, {"prompt": "How?", "user": "u", "id": "same"})
    with pytest.raises(DataError, match=r"rows\.jsonl:2: the id 'same'"):
        list(read_prompts(file))


def test_answers_of_one_id_in_a_ranking_are_refused(tmp_path: Path) -> None:
    answer = {"id": "c", "prompt_id": "p", "text": "So."}
    row = {"prompt": {"id": "p", "text": "Why?", "user_id": "u"}, "completions": [answer, answer], "groups": [["c"], ["c"]], "labeler_id": "l"}
    with pytest.raises(DataError, match=r"rows\.jsonl:1: .* holds the answers \['c', 'c'\]"):
        list(read_rankings(write(tmp_path / "rows.jsonl", row)))


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ALPACA) + "\n" + json.dumps(ALPACA)[:-5] + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2 is not JSON"):
        list(read_demonstrations(file))


def test_unknown_columns_are_shown_beside_the_layouts(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", {"question": "Why?", "reply": "So."})
    with pytest.raises(DataError) as caught:
        list(read_demonstrations(file))
    assert "rows.jsonl:1: the keys 'question', 'reply' fit no layout" in caught.value.came
    assert all(layout in caught.value.expected for layout in ("alpaca (instruction + output)", "messages", "response"))


@pytest.mark.parametrize("reader", [read_demonstrations, read_rankings, read_prompts, read_documents])
def test_a_file_without_rows_is_refused(tmp_path: Path, reader: Reader) -> None:
    (tmp_path / "rows.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no rows"):
        list(reader(tmp_path / "rows.jsonl"))
    with pytest.raises(DataError, match="does not exist"):
        list(reader(tmp_path / "absent.jsonl"))
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError, match="cannot be read"):
        list(reader(tmp_path / "rows.parquet"))


SCALAR = st.none() | st.booleans() | st.integers(-1, 10) | st.sampled_from(["", "Why?", "user", "assistant"])
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "id", "text"]), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "prompt",
    "context",
    "responses",
    "ranks",
    "chosen",
    "rejected",
    "messages",
    "a",
    "b",
    "label",
    "instruction",
    "input",
    "output",
    "response",
    "id",
    "text",
    "user",
    "user_id",
    "source",
    "tree",
    "systems",
    "synthetic",
    "time",
    "category",
    "completions",
    "groups",
    "labeler_id",
    "schema",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(rows=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUE), min_size=1, max_size=3))
def test_any_rows_are_records_or_one_clear_error(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    file = write(tmp_path / "rows.jsonl", *rows)
    for reader in (read_demonstrations, read_rankings, read_prompts, read_documents):
        outcome = records_or_error(reader, file)
        if isinstance(outcome, UserError):
            assert "rows.jsonl" in outcome.came
        else:
            assert 1 <= len(outcome) <= len(rows)


def records_or_error(reader: Reader, file: Path) -> list[Record] | UserError:
    try:
        return list(reader(file))
    except UserError as error:
        return error

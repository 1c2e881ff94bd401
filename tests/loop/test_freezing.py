"""From files to a snapshot: what must stay together does, and mistakes leave nothing behind."""

import json
from pathlib import Path

import pytest

from instructloop.cli.main import main
from instructloop.errors import ConfigError
from instructloop.loop.freezing import SplitRule, freeze_files, parse_fractions
from instructloop.records import Document, Prompt
from instructloop.store.snapshots import open_snapshot, read_split

HALVES = {"train": 0.5, "valid": 0.5}


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """120 prompts of twelve users, in our own layout."""
    file = tmp_path / "prompts.jsonl"
    records = [Prompt(id=f"p{i}", text=f"Question {i}?", user_id=f"u{i % 12}") for i in range(120)]
    file.write_text("".join(json.dumps(record.to_json()) + "\n" for record in records))
    return file


def test_no_user_lies_in_two_splits(prompts: Path, tmp_path: Path) -> None:
    freeze_files([prompts], tmp_path / "frozen", kind="prompts", rule=SplitRule(fractions=HALVES, by="user"))
    train, valid = ({prompt.user_id for prompt in read_split(tmp_path / "frozen", split, Prompt)} for split in HALVES)
    assert train
    assert valid
    assert not train & valid
    assert train | valid == {f"u{i}" for i in range(12)}


def test_the_split_of_a_record_does_not_depend_on_its_companions(prompts: Path) -> None:
    rule = SplitRule(fractions=HALVES)
    records = [Prompt.from_json(json.loads(line)) for line in prompts.read_text().splitlines()]
    assert [rule.split_of(record) for record in reversed(records)] == [rule.split_of(record) for record in records][::-1]
    assert {SplitRule(fractions=HALVES, seed=seed).split_of(records[0]) for seed in range(20)} == set(HALVES)


def test_the_verb_freezes_and_says_what_it_froze(prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["snapshot", str(prompts), "--kind", "prompts", "--out", str(tmp_path / "frozen"), "--split", "train=0.75,valid=0.25", "--by", "item"]
    assert main(command) == 0
    snapshot = open_snapshot(tmp_path / "frozen")
    assert sum(sum(sources.values()) for sources in snapshot.counts.values()) == 120
    assert snapshot.query.startswith(f"instructloop snapshot {prompts}")
    assert snapshot.id in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train=0.9,valid=0.2", "train:0.9", "train=most", ""])
def test_shares_that_are_none_are_refused_and_nothing_is_written(
    split: str, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snapshot", str(prompts), "--kind", "prompts", "--out", str(tmp_path / "frozen"), "--split", split]) == 2
    assert capsys.readouterr().err.startswith("instructloop: ")
    assert list(tmp_path.iterdir()) == [prompts]


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", str(tmp_path / "none.jsonl"), "--kind", "prompts", "--out", str(tmp_path / "frozen")]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_a_file_given_twice_and_an_id_that_stands_in_two_files(prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot of either would hold two records of one id."""
    (tmp_path / "more.jsonl").write_text('{"prompt": "why?", "id": "p7"}\n')
    for files, said in (
        ([prompts, prompts], "prompts.jsonl is given twice"),
        ([prompts, tmp_path / "more.jsonl"], "more.jsonl:1: the id 'p7' stands"),
    ):
        assert main(["snapshot", *map(str, files), "--kind", "prompts", "--out", str(tmp_path / "frozen")]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "frozen").exists()


def test_a_split_without_records_and_a_call_without_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"prompt": "why?"}\n')
    assert main(["snapshot", str(file), "--kind", "prompts", "--out", str(tmp_path / "frozen")]) == 2
    assert "none of 1 records fell into the split" in capsys.readouterr().err
    assert main(["snapshot", "--kind", "prompts", "--out", str(tmp_path / "frozen")]) == 2
    assert "no file is given" in capsys.readouterr().err
    assert not (tmp_path / "frozen").exists()


def test_documents_have_no_user() -> None:
    with pytest.raises(ConfigError, match="documents split by user"):
        SplitRule(fractions=HALVES, by="user").split_of(Document(id="d", text="t"))


def test_shares_are_read_in_order() -> None:
    assert list(parse_fractions("train=0.8, valid=0.1,test=0.1").items()) == [("train", 0.8), ("valid", 0.1), ("test", 0.1)]

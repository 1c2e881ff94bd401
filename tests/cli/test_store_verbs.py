"""The verbs of the feedback store, as typed: files in, data sets out, copies, and one clear error for everything else."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from instructloop.cli.main import main
from instructloop.store.database import schema
from instructloop.store.database.erasure import erase_prompts_of
from instructloop.store.database.opening import open_store
from instructloop.store.jsonl import read_jsonl, write_jsonl, write_records
from store_world import answer_set


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two imported demonstrations of two users."""
    rows = ({"id": f"d{i}", "prompt": f"Question {i}", "response": f"Answer {i}", "user": f"u{i}", "annotator": "ann"} for i in range(2))
    write_jsonl(tmp_path / "demos.jsonl", rows)
    words = ["import", str(tmp_path / "demos.jsonl"), "--store", str(tmp_path / "s.db"), "--kind", "demonstrations", "--consent", "CC0"]
    assert main(words) == 0
    return tmp_path / "s.db"


def test_files_come_in_and_go_out_again(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "demonstrations", "--store", str(store), "--out", str(tmp_path / "out.jsonl"), "--layout", "trl"]) == 0
    assert [row["messages"][1]["content"] for _, row in read_jsonl(tmp_path / "out.jsonl")] == ["Answer 0", "Answer 1"]
    assert f"2 rows in {tmp_path / 'out.jsonl'}" in capsys.readouterr().out


def test_prompts_are_erased_by_user_and_by_id(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["erase", "--store", str(store), "--user", "u0"]) == 0
    assert main(["erase", "--store", str(store), "--prompt", "d1"]) == 0
    assert capsys.readouterr().out.count("erased; `instructloop snapshot redact") == 2
    opened = open_store(store)
    with opened.reading() as connection:
        texts = connection.execute(sa.select(schema.prompts.c.text)).scalars().all()
        said = connection.execute(sa.select(schema.labels.c.body)).scalars().all()
    opened.close()
    assert texts == [None, None]
    assert [body["text"] for body in said] == [None, None]
    for words in (["--user", "nobody"], ["--prompt", "none"], [], ["--user", "u0", "--prompt", "d1"]):
        assert main(["erase", "--store", str(store), *words]) == 2


def test_everything_goes_to_another_store_by_export_or_backup(store: Path, tmp_path: Path) -> None:
    assert main(["export", "everything", "--store", str(store), "--out", str(tmp_path / "all")]) == 0
    assert main(["import", str(tmp_path / "all"), "--store", str(tmp_path / "second.db"), "--kind", "store"]) == 0
    assert main(["backup", "--store", str(store), "--out", str(tmp_path / "backup.db")]) == 0
    assert main(["restore", str(tmp_path / "backup.db"), "--store", str(tmp_path / "third.db")]) == 0
    for number, place in enumerate((store, tmp_path / "second.db", tmp_path / "third.db")):
        file = tmp_path / f"prompts{number}.jsonl"
        assert main(["export", "prompts", "--store", str(place), "--out", str(file)]) == 0
        assert file.read_bytes() == (tmp_path / "prompts0.jsonl").read_bytes()


def test_sampled_answers_become_ranking_tasks_once(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "answers.jsonl", [answer_set(number) for number in range(3)])
    words = ["import", str(tmp_path / "answers.jsonl"), "--store", str(store), "--kind", "answers", "--queue", "round 1", "--consent", "CC0"]
    assert main(words) == main(words) == 0
    assert "3 ranking tasks in the queue 'round 1'" in capsys.readouterr().out
    opened = open_store(store)
    with opened.reading() as connection:
        assert len(connection.execute(sa.select(schema.tasks.c.id)).all()) == 3
    opened.close()


def test_a_snapshot_of_the_store_its_lineage_and_its_redaction(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = ["snapshot", "--store", str(store), "--kind", "demonstrations", "--out", str(tmp_path / "snap"), "--split", "train=1", "--by", "user"]
    assert main(snapshot) == 0
    model = tmp_path / "model"
    model.mkdir()
    id_ = json.loads((tmp_path / "snap" / "snapshot.json").read_text())["id"]
    manifest = {"run_id": "r", "step": "sft", "config": {}, "command": "", "code_version": "", "seed": 0, "snapshots": {"demonstrations": id_}}
    (model / "manifest.json").write_text(json.dumps(manifest))
    (model / "config.json").write_text("{}")
    capsys.readouterr()
    assert main(["lineage", str(model), "--look", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "prompts of 2 users: u0 (1), u1 (1)" in shown
    assert "labels of 1 person: ann (2)" in shown
    opened = open_store(store)
    erase_prompts_of(opened, None, "u0")
    opened.close()
    assert main(["snapshot", "redact", "--store", str(store), "--look", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "1 rows taken out" in shown
    assert str(model) in shown
    assert str(tmp_path / "snap" / "train.jsonl.gz") in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "prompts", "--store", "none.db", "--out", "x.jsonl"], "there is no store none.db"),
        (["backup", "--store", "none.db", "--out", "x.db"], "there is no store none.db"),
        (["restore", "none.db", "--store", "x.db"], "there is no file none.db"),
        (["import", "none.jsonl", "--store", "x.db", "--kind", "prompts"], "none.jsonl does not exist"),
        (["import", "--store", "x.db", "--kind", "prompts"], "no file is given"),
        (["import", "a.jsonl", "--store", "x.db", "--kind", "answers"], "--queue None"),
        (["import", "a", "b", "--store", "x.db", "--kind", "store"], "an export with more beside it"),
        (["lineage", "none"], "none/manifest.json cannot be read"),
        (["snapshot", "--kind", "prompts", "--out", "x"], "no file is given"),
        (["export", "everything", "--store", "none.db", "--out", "x", "--layout", "trl"], "everything in another layout"),
        (["snapshot", "redact", "--store", "none.db"], "there is no store none.db"),
    ],
)
def test_every_mistake_is_one_error_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.jsonl").exists()

"""`instructloop curate` from files to snapshots: what it writes, what it prints, what it refuses, and that it is all or nothing."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from instructloop.cli.main import main
from instructloop.errors import ConfigError, DataError
from instructloop.loop.curation import Request, choose_stages, curate_prompts, read_released, read_sources
from instructloop.records import Demonstration, Prompt
from instructloop.store.database import schema
from instructloop.store.database.labels import training_prompts
from instructloop.store.database.leases import lease_next
from instructloop.store.database.opening import open_store
from instructloop.store.database.prompts import Consent
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_tasks
from instructloop.store.snapshots import freeze, open_snapshot, read_split
from instructloop.store.splits import assign_split
from store_world import MovableClock, World

INSTRUCTION = "Classify the word: say whether it names an animal, a plant, or a thing that people have made for some purpose of theirs."
SHOTS = f"{INSTRUCTION}\n\nQ: cat\nA: animal\n\nQ: oak\nA: plant\n\nQ: cow\nA: animal"


def _rows() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"id": f"q{n}", "prompt": f"Write a story about animal number {n}.", "user": f"u{n % 12}", "licence": "MIT" if n % 3 else None}
        for n in range(60)
    ]
    rows[7]["prompt"] = "Write to anna@example.com about the weather."
    rows[10]["prompt"] = rows[8]["prompt"]
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in _rows()))
    return path


def _read(folder: Path) -> dict[str, list[Prompt]]:
    return {split: list(read_split(folder, split, Prompt)) for split in open_snapshot(folder).counts}


def test_from_a_file_to_snapshots_by_user(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "curated"
    assert main(["curate", str(file), "--out", str(out), "--omit", "length", "--workers", "1", "--valid", "0.3", "--test", "0.3"]) == 0
    splits = _read(out / "prompts")
    for split, members in splits.items():
        assert {assign_split(kept.user_id, fractions={"train": 0.4, "valid": 0.3, "test": 0.3}) for kept in members} == {split}
    removed = [json.loads(line) for line in (out / "removed.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in removed} == {"consent", "exact"}
    assert [row["id"] for row in removed if row["stage"] == "consent"] == [f"q{n}" for n in range(0, 60, 3)]
    stayed = [kept for members in splits.values() for kept in members]
    assert len(stayed) + len(removed) == 60
    assert {kept.consent for kept in stayed} == {"MIT"}
    assert any(kept.text == "Write to [email] about the weather." for kept in stayed)
    assert not (out / "few_shot").exists()
    funnel = json.loads((out / "funnel.json").read_text())
    assert [stage["stage"] for stage in funnel["stages"]] == ["consent", "language", "pii", "exact", "prefix", "cap", "split", "few_shot"]
    assert "instructloop curate" in funnel["command"]
    assert f"{len(stayed)} of 60 prompts may be used" in (out / "report.html").read_text()
    printed = capsys.readouterr().out
    assert "Consent: 40 of 60" in printed
    assert "masked: email" in printed
    assert "customer" in printed


def test_a_stated_licence_is_stored_and_rows_keep_their_own(file: Path) -> None:
    assert {kept.consent for kept in read_sources([file], consent="CC0-1.0")} == {"MIT", "CC0-1.0"}
    assert {kept.consent for kept in read_sources([file], consent=None)} == {"MIT", None}


def test_few_shot_prompts_give_prompts_and_demonstrations(tmp_path: Path) -> None:
    asked = [Prompt(id="s", text=SHOTS, user_id="lena", kind="few_shot", consent="c", source="labeler")]
    curate_prompts(asked, Request(out=tmp_path / "out", stages=("split", "few_shot")))
    (split,) = open_snapshot(tmp_path / "out" / "few_shot").counts
    shown = list(read_split(tmp_path / "out" / "few_shot", split, Demonstration))
    assert [(one.prompt.id, one.text, one.labeler_id) for one in shown] == [
        ("s/shot-1", "animal", "lena"), ("s/shot-2", "plant", "lena"), ("s/shot-3", "animal", "lena"),
    ]  # fmt: skip
    assert [kept for members in _read(tmp_path / "out" / "prompts").values() for kept in members] == [one.prompt for one in shown]


def test_parts_that_come_with_their_whole_are_made_anew_and_alone_they_stay(tmp_path: Path) -> None:
    asked = [Prompt(id="s", text=SHOTS, user_id="lena", kind="few_shot", consent="c")]
    stages = choose_stages((), ("length", "language"))
    curate_prompts(asked, Request(out=tmp_path / "once", stages=stages))
    parts = [kept for members in _read(tmp_path / "once" / "prompts").values() for kept in members]
    summary = curate_prompts([*asked, *parts], Request(out=tmp_path / "again", stages=stages))
    assert summary.came == 1
    assert [kept for members in _read(tmp_path / "again" / "prompts").values() for kept in members] == parts
    curate_prompts(parts, Request(out=tmp_path / "alone", stages=stages))
    assert [kept for members in _read(tmp_path / "alone" / "prompts").values() for kept in members] == parts


def test_snapshots_are_sources_too_and_labels_fill_the_table(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = list(read_sources([file], consent="c"))
    freeze(tmp_path / "before", {"train": prompts[:40], "valid": prompts[40:]}, query="")
    shown = [Demonstration(prompt=prompts[0], text="t", labeler_id="l"), Demonstration(prompt=prompts[1], text="t", labeler_id="l")]
    freeze(tmp_path / "shown", {"train": shown}, query="")
    out = tmp_path / "out"
    assert main(["curate", str(tmp_path / "before"), "--out", str(out), "--only", "exact", "--demonstrations", str(tmp_path / "shown")]) == 0
    assert [kept.id for kept in _read(out / "prompts")["all"]] == [f"q{n}" for n in range(60) if n != 10]
    sizes = {(row["split"], row["source"]): row["sizes"] for row in json.loads((out / "funnel.json").read_text())["sizes"]}
    assert sizes["train", "imported"] == {"SFT": 2, "RM": None, "PPO": None}
    assert sizes["all", "total"] == {"SFT": None, "RM": None, "PPO": 59}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--omit", "length", "--only", "cap"], "one of the two"),
        ([], "give --tokenizer DIR, or --omit length"),
        (["--only", "consent", "--workers", "0"], "workers is 0"),
        (["--only", "cap", "--per-user", "0"], "per_user is 0"),
        (["--only", "cap", "--layout", "nonsense"], "the layout 'nonsense' is not known"),
        (["--only", "pii", "--released", "/nowhere/ids"], "does not exist"),
        (["--only", "cap", "--rankings", "/nowhere"], "is not a snapshot"),
    ],
)
def test_a_mistake_is_one_error_and_nothing_is_written(
    file: Path, tmp_path: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", str(file), "--out", str(tmp_path / "out"), *flags]) == 2
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked.jsonl"]


def test_an_existing_folder_no_source_and_a_repeated_id_are_refused(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "--out", str(tmp_path / "out")]) == 2
    assert main(["curate", str(file), "--out", str(tmp_path), "--only", "cap"]) == 2
    twice = [Prompt(id="a", text="x", user_id="u"), Prompt(id="a", text="y", user_id="u")]
    with pytest.raises(DataError, match="'a' comes twice"):
        curate_prompts(twice, Request(out=tmp_path / "out", stages=("cap",)))
    assert "are never overwritten" in capsys.readouterr().err


def test_where_nothing_is_left_the_stage_is_named(tmp_path: Path) -> None:
    asked = [Prompt(id="a", text="x", user_id="u")]
    with pytest.raises(DataError, match=r"consent removed the last 1 prompts: no consent(.|\n)*--consent"):
        curate_prompts(asked, Request(out=tmp_path / "out", stages=("consent",)))
    with pytest.raises(DataError, match="no prompt came"):
        curate_prompts([], Request(out=tmp_path / "out", stages=("consent",)))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("instructloop.loop.curation.write_curation_report", fail)
    with pytest.raises(OSError, match="full"):
        curate_prompts(read_sources([file], consent="c"), Request(out=tmp_path / "out", stages=("cap",)))
    assert [path.name for path in tmp_path.iterdir()] == ["asked.jsonl"]


def test_released_ids_are_read_one_on_a_line(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\n\n b \n")
    assert read_released(tmp_path / "ids") == {"a", "b"}


def test_stages_are_chosen_in_their_order() -> None:
    assert choose_stages(("cap", "consent"), ()) == ("consent", "cap")
    assert choose_stages((), ("length",))[-2:] == ("split", "few_shot")
    with pytest.raises(ConfigError, match="every stage"):
        choose_stages((), choose_stages((), ()))


def test_a_store_is_curated_and_remembers_what_was_made_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "feedback.db"
    store = open_store(place)
    world = World(store=store, clock=MovableClock(), place=str(place))
    for number in range(5):
        world.prompt(f"Write a poem about month number {number}.", author=world.person("playground", f"user {number}"))
    world.prompt("Write to anna@example.com.")
    world.prompt("Keep this for yourself.", consent=Consent(store=True, train=False, version="notice-1"))
    writing = world.queue("write_prompt")
    add_tasks(store, world.lead, writing.id, [NewTask(prompt_kind="few_shot", about="moods")])
    shots = [{"query": "I passed!", "response": "happy"}, {"query": "It rained.", "response": "sad"}]
    lease = lease_next(store, world.labeler, writing.id)
    assert lease is not None
    submit(store, world.labeler, lease.id, {"instruction": "Name the mood.", "shots": shots}, key="1")
    demonstrating = world.queue("demonstration")
    asked = next(iter(training_prompts(store, None))).record
    add_tasks(store, world.lead, demonstrating.id, [NewTask(prompt_id=asked.id)])
    lease = lease_next(store, world.labeler, demonstrating.id)
    assert lease is not None
    submit(store, world.labeler, lease.id, {"text": "January snow."}, key="2")
    store.close()

    out = tmp_path / "out"
    assert (
        main(["curate", "--store", str(place), "--out", str(out), "--omit", "length", "language", "--workers", "1", "--valid", "0", "--test", "0"])
        == 0
    )
    kept = _read(out / "prompts")["train"]
    assert sorted(one.text for one in kept if one.source == "playground") == sorted(
        [*(f"Write a poem about month number {number}." for number in range(5)), "Write to [email]."]
    )
    assert [one.text for one in read_split(out / "few_shot", "train", Demonstration)] == ["happy", "sad"]
    sizes = {(row["split"], row["source"]): row["sizes"] for row in json.loads((out / "funnel.json").read_text())["sizes"]}
    first = json.loads((out / "funnel.json").read_text())["stages"][0]
    assert (first["stage"], first["came"], first["reasons"]) == ("consent", 8, {"no consent": 1})
    assert sizes["train", "customer"] == {"SFT": 1, "RM": None, "PPO": 6}
    assert sizes["train", "labeler"] == {"SFT": None, "RM": None, "PPO": 2}
    assert main(["curate", "--store", str(place), "--out", str(tmp_path / "capped"), "--only", "cap"]) == 0
    assert [row["came"] for row in json.loads((tmp_path / "capped" / "funnel.json").read_text())["stages"]] == [7]
    capsys.readouterr()
    store = open_store(place)
    with store.reading() as connection:
        known = connection.execute(sa.select(schema.snapshots.c.id)).scalars().all()
    store.close()
    assert set(known) == {open_snapshot(folder).id for folder in (out / "prompts", out / "few_shot", tmp_path / "capped" / "prompts")}


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "--store", str(tmp_path / "none.db"), "--out", str(tmp_path / "out"), "--only", "cap"]) == 2
    assert main(["curate", "x.jsonl", "--store", "y.db", "--out", str(tmp_path / "out"), "--only", "cap"]) == 2
    said = capsys.readouterr().err
    assert "there is no store" in said
    assert "files and a store are given" in said
    assert list(tmp_path.iterdir()) == []

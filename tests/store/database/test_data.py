"""Files in, data sets and snapshots out, and the way back from a checkpoint to the people inside."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pyarrow import parquet

from instructloop.curate.funnel import Tools, run_funnel
from instructloop.curate.settings import Curation
from instructloop.errors import AccessDenied, CheckpointError, ConfigError, DataError
from instructloop.records import Demonstration, Prompt, Ranking, RunManifest
from instructloop.store.database import data_export, lineage, schema
from instructloop.store.database.erasure import erase_prompt, erase_prompts_of
from instructloop.store.database.freezing import by_user, freeze_from_store, register_snapshot
from instructloop.store.database.importing import import_files
from instructloop.store.database.labels import prompts_to_curate, training_demonstrations, training_prompts, training_rankings
from instructloop.store.database.lineage import Lineage, Places, trace
from instructloop.store.database.models import NewModel, register_model
from instructloop.store.database.redaction import redact_snapshots
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks
from instructloop.store.jsonl import read_jsonl, write_jsonl
from instructloop.store.layouts import read_demonstrations, read_rankings
from instructloop.store.snapshots import open_snapshot, read_split
from store.database.filled import take
from store_world import World, answer_set, ranking_body

ONE_SPLIT = by_user({"train": 1.0})


def rows(path: Path, count: int, **more: Any) -> Path:
    write_jsonl(path, ({"id": f"q{i}", "prompt": f"Question {i}", "user": f"u{i % 2}", **more} for i in range(count)))
    return path


def test_imports_carry_no_consent_unless_stated(world: World, tmp_path: Path) -> None:
    silent, stating = rows(tmp_path / "silent.jsonl", 2), tmp_path / "stating.jsonl"
    write_jsonl(stating, [{"id": "s", "prompt": "Mine", "user": "u9", "licence": "MIT"}])
    came = import_files(world.store, None, [silent, stating], "prompts")
    assert (came.records, came.prompts, came.without_consent) == (3, 3, 2)
    assert [(one.record.id, one.record.consent) for one in training_prompts(world.store, None)] == [("s", "MIT")]


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_a_blank_consent_is_none_in_the_store_too(world: World, tmp_path: Path, blank: str) -> None:
    own, foreign = tmp_path / "own.jsonl", tmp_path / "foreign.jsonl"
    write_jsonl(own, [Prompt(id="own", text="Mine", user_id="u").to_json() | {"consent": blank}])
    write_jsonl(
        foreign,
        [{"id": "foreign", "prompt": "Yours", "user": "u", "consent": blank}, {"id": "both", "prompt": "Ours", "consent": blank, "licence": "MIT"}],
    )
    assert import_files(world.store, None, [own, foreign], "prompts").without_consent == 2
    assert [one.record.id for one in training_prompts(world.store, None)] == ["both"]
    curated = run_funnel((one.record for one in prompts_to_curate(world.store, None)), Curation(), Tools(split_of=str), stages=["consent"])
    assert curated.stages[0].reasons == {"no consent": 2}
    assert sorted(removal.id for removal in curated.removals) == ["foreign", "own"]
    with pytest.raises(DataError, match="licence is empty"):
        import_files(world.store, None, [own], "prompts", licence=blank)
    with pytest.raises(DataError, match="licence is empty"):
        add_answer_sets(world.store, None, world.queue().id, [answer_set(1)], licence=blank)


def test_a_licence_is_stored_with_each_prompt_and_a_second_import_adds_nothing(world: World, tmp_path: Path) -> None:
    file = rows(tmp_path / "prompts.jsonl", 3)
    assert import_files(world.store, None, [file], "prompts", licence="CC BY 4.0").prompts == 3
    again = import_files(world.store, None, [file], "prompts", licence="CC BY 4.0")
    assert (again.records, again.prompts) == (3, 0)
    assert {one.record.consent for one in training_prompts(world.store, None)} == {"CC BY 4.0"}


def test_an_id_that_stands_for_another_prompt_is_refused_before_anything_is_written(world: World, tmp_path: Path) -> None:
    import_files(world.store, None, [rows(tmp_path / "a.jsonl", 1)], "prompts", licence="CC0")
    other = tmp_path / "b.jsonl"
    write_jsonl(other, [{"id": "new", "prompt": "New", "user": "u"}, {"id": "q0", "prompt": "Another question", "user": "u"}])
    with pytest.raises(DataError, match="stands for another prompt"):
        import_files(world.store, None, [other], "prompts", licence="CC0")
    assert [one.record.id for one in training_prompts(world.store, None)] == ["q0"]


def test_rankings_and_demonstrations_of_files_become_the_same_records_again(world: World, tmp_path: Path) -> None:
    demonstrations = rows(tmp_path / "demos.jsonl", 3, response="An answer.", annotator="ann", licence="CC0")
    rankings = tmp_path / "ranks.jsonl"
    ranked = {"responses": ["x", "y", "z"], "ranks": [2, 1, 2], "systems": ["m1", "m2", "m1"], "annotator": "bob", "licence": "CC0"}
    write_jsonl(rankings, ({"id": f"r{i}", "prompt": f"Rank {i}", **ranked} for i in range(2)))
    import_files(world.store, None, [demonstrations], "demonstrations")
    import_files(world.store, None, [rankings], "rankings")
    assert import_files(world.store, None, [rankings], "rankings").labels == 0
    ours = sorted((one.record for one in training_demonstrations(world.store, None)), key=lambda record: record.prompt.id)
    assert ours == list(read_demonstrations(demonstrations))
    assert sorted((one.record for one in training_rankings(world.store, None)), key=lambda record: record.prompt.id) == list(read_rankings(rankings))


def test_what_was_erased_stays_out_when_its_file_comes_again(world: World, tmp_path: Path) -> None:
    file = rows(tmp_path / "prompts.jsonl", 4)
    import_files(world.store, None, [file], "prompts", licence="CC0")
    assert erase_prompts_of(world.store, None, "u0") == 2
    again = import_files(world.store, None, [file], "prompts", licence="CC0")
    assert (again.records, again.prompts, again.erased) == (4, 0, 2)
    assert len(list(training_prompts(world.store, None))) == 2


def rank_something(world: World, num_tasks: int = 3) -> None:
    queue = world.queue()
    world.rankings(queue, num_tasks)
    for number in range(num_tasks):
        lease = take(world, world.labeler, queue)
        first, second, *others = lease.shown
        submit(world.store, world.labeler, lease.id, ranking_body(lease.shown, groups=[[first, second], others]), key=str(number))


def test_pairs_say_which_are_tied_and_other_trainers_get_those_that_are_not(world: World, tmp_path: Path) -> None:
    rank_something(world, 1)
    assert data_export.export_data(world.store, None, "pairs", tmp_path / "pairs.jsonl") == 6
    pairs = [row for _, row in read_jsonl(tmp_path / "pairs.jsonl")]
    assert sorted(pair["tie"] for pair in pairs) == [False] * 4 + [True] * 2
    (ranking,) = (one.record for one in training_rankings(world.store, None))
    text = {answer.id: answer.text for answer in ranking.completions}
    better, worse = ({text[answer] for answer in group} for group in ranking.groups)
    assert {(pair["chosen"] in better, pair["rejected"] in worse) for pair in pairs if not pair["tie"]} == {(True, True)}
    assert data_export.export_data(world.store, None, "pairs", tmp_path / "trl.jsonl.gz", layout="trl") == 4
    assert {pair.prompt.text for pair in read_rankings(tmp_path / "trl.jsonl.gz")} == {ranking.prompt.text}


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst", ".parquet"])
def test_data_sets_are_read_back_by_this_package(world: World, tmp_path: Path, suffix: str) -> None:
    rank_something(world)
    file = tmp_path / f"prompts{suffix}"
    count = data_export.export_data(world.store, None, "prompts", file, layout="trl")
    assert count == 3
    rank_file = tmp_path / f"rankings{suffix}"
    data_export.export_data(world.store, None, "rankings", rank_file)
    assert list(read_rankings(rank_file)) == [one.record for one in training_rankings(world.store, None)]
    with pytest.raises(DataError, match="exists"):
        data_export.export_data(world.store, None, "prompts", file)
    with pytest.raises(ConfigError):
        data_export.export_data(world.store, None, "ratings", tmp_path / "x.jsonl", layout="trl")
    with pytest.raises(AccessDenied):
        data_export.export_data(world.store, world.labeler, "prompts", tmp_path / "x.jsonl")


def test_conversations_are_nested_in_parquet_as_trainers_read_them(world: World, tmp_path: Path) -> None:
    queue = world.queue("demonstration")
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=world.prompt("Name a fruit."))])
    submit(world.store, world.labeler, take(world, world.labeler, queue).id, {"text": "A pear."}, key="1")
    file = tmp_path / "demonstrations.parquet"
    data_export.export_data(world.store, None, "demonstrations", file, layout="trl")
    turns = [{"role": "user", "content": "Name a fruit."}, {"role": "assistant", "content": "A pear."}]
    assert parquet.read_table(file).to_pylist() == [{"messages": turns}]
    (one,) = read_demonstrations(file)
    assert (one.prompt.text, one.text) == ("Name a fruit.", "A pear.")


def test_a_snapshot_of_the_store_splits_by_user_and_remembers_what_is_inside(world: World, tmp_path: Path) -> None:
    rank_something(world, 9)
    snapshot = freeze_from_store(world.store, None, "rankings", tmp_path / "s", split_of=by_user({"train": 0.6, "valid": 0.4}), query="test")
    users = {split: {record.prompt.user_id for record in read_split(tmp_path / "s", split, Ranking)} for split in snapshot.counts}
    assert not set.intersection(*users.values()) or len(users) == 1
    assert set().union(*users.values()) == {"user0", "user1", "user2"}
    assert freeze_from_store(world.store, None, "ratings", tmp_path / "r", split_of=ONE_SPLIT, query="test").counts == {"train": {"labeler": 36}}
    with pytest.raises(DataError, match="that may train"):
        freeze_from_store(world.store, None, "demonstrations", tmp_path / "d", split_of=ONE_SPLIT, query="test")
    assert not (tmp_path / "d").exists()


def checkpoint(folder: Path, *, snapshots: dict[str, str], parents: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True)
    manifest = RunManifest(
        run_id=folder.name, step="sft", config={}, command="", code_version="", seed=0, snapshots=snapshots, parents=parents or {"tokenizer": "t"}
    )
    (folder / "manifest.json").write_text(json.dumps(manifest.to_json()))
    (folder / "config.json").write_text("{}")
    return folder


def two_users(world: World, tmp_path: Path) -> tuple[str, str]:
    """Two prompts of two users with demonstrations, frozen as tmp_path/s."""
    queue = world.queue("demonstration")
    prompts = [world.prompt(f"{name} asks", author=world.person("playground", name)) for name in ("ann", "bob")]
    add_tasks(world.store, world.lead, queue.id, [NewTask(prompt_id=prompt) for prompt in prompts])
    for key in ("1", "2"):
        submit(world.store, world.labeler, take(world, world.labeler, queue).id, {"text": f"Answer {key}."}, key=key)
    freeze_from_store(world.store, None, "demonstrations", tmp_path / "s", split_of=ONE_SPLIT, query="test")
    return prompts[0], prompts[1]


@pytest.mark.parametrize("found_by", ["store", "folders"])
def test_lineage_goes_from_a_checkpoint_through_its_parents_down_to_the_users(world: World, tmp_path: Path, found_by: str) -> None:
    two_users(world, tmp_path)
    snapshot = open_snapshot(tmp_path / "s")
    parent = checkpoint(tmp_path / "runs" / "parent", snapshots={"demonstrations": snapshot.id})
    child = checkpoint(
        tmp_path / "runs" / "child", snapshots={"prompts": "nowhere"}, parents={"policy": "hash-of-parent", "base": "hub:x", "tokenizer": "t"}
    )
    if found_by == "store":
        register_model(world.store, None, NewModel(name="parent", place=str(parent), identity="hash-of-parent"))
        places = Places(world.store)
    else:
        places = Places(None, [tmp_path], lambda folder: f"hash-of-{folder.name}")
    traced = trace(child, places)
    ann, bob = (world.person("playground", name).id for name in ("ann", "bob"))
    assert traced.users == {ann, bob}
    assert (traced.snapshots[0].id, traced.snapshots[0].folder) == ("nowhere", None)
    assert traced.parents["base"] == "hub:x"
    policy = traced.parents["policy"]
    assert isinstance(policy, Lineage)
    (read,) = policy.snapshots
    assert (read.users, read.labelers, read.records) == ({ann: 1, bob: 1}, {world.labeler.id: 2}, 2)
    with pytest.raises(CheckpointError):
        trace(tmp_path, places)


def labels_in(world: World, snapshot_id: str | None) -> set[tuple[str, str]]:
    """(prompt, label) of what a snapshot was made of."""
    rows = schema.snapshot_rows
    with world.store.reading() as connection:
        return {(row.prompt_id, row.label_id) for row in connection.execute(sa.select(rows).where(rows.c.snapshot_id == snapshot_id))}


def test_redaction_writes_snapshots_anew_and_lists_what_cannot_be_undone(world: World, tmp_path: Path) -> None:
    gone, kept = two_users(world, tmp_path)
    old = open_snapshot(tmp_path / "s")
    trained = checkpoint(tmp_path / "runs" / "m", snapshots={"demonstrations": old.id})
    (tmp_path / "runs" / "samples.jsonl").write_text("{}\n")
    begun = checkpoint(tmp_path / "runs" / "n", snapshots={}, parents={"policy": "hash-of-m", "tokenizer": "t"})
    checkpoint(tmp_path / "runs" / "other", snapshots={}, parents={"policy": "hash-of-another"})
    register_model(world.store, None, NewModel(name="m", place=str(trained), identity="hash-of-m"))
    assert redact_snapshots(world.store, None, Places(world.store, [tmp_path])) == []
    erase_prompt(world.store, world.person("playground", "ann"), gone)
    assert trace(trained, Places(world.store, [tmp_path])).snapshots[0].erased == (gone,)
    (redaction,) = redact_snapshots(world.store, None, Places(world.store, [tmp_path]))
    assert (redaction.old_id, redaction.rows_removed, redaction.checkpoints) == (old.id, 1, (trained, begun))
    assert redaction.old_files == (tmp_path / "s" / "train.jsonl.gz",)
    assert redaction.quoting == (tmp_path / "runs" / "samples.jsonl",)
    assert redaction.new_folder is not None
    assert redaction.new_id == open_snapshot(redaction.new_folder).id != old.id
    assert [record.prompt.id for record in read_split(redaction.new_folder, "train", Demonstration)] == [kept]
    assert open_snapshot(redaction.new_folder).counts == {"train": {"customer": 1}} != old.counts == {"train": {"customer": 2}}
    assert labels_in(world, redaction.new_id) == {(prompt, label) for prompt, label in labels_in(world, old.id) if prompt == kept}
    assert {prompt for prompt, label in labels_in(world, redaction.new_id) if label} == {kept}, "who labeled is still known"
    assert open_snapshot(tmp_path / "s") == old, "the old one is for people to delete"
    assert redact_snapshots(world.store, None, Places(world.store, [tmp_path])) == []
    erase_prompt(world.store, world.person("playground", "bob"), kept)
    (emptied,) = redact_snapshots(world.store, None, Places(world.store, [tmp_path]))
    assert (emptied.old_id, emptied.new_folder) == (redaction.new_id, None)
    assert emptied.checkpoints == (trained, begun), "the second was in the first snapshot too"
    with pytest.raises(AccessDenied):
        redact_snapshots(world.store, world.lead, Places(world.store, [tmp_path]))


def test_a_snapshot_frozen_elsewhere_is_registered_with_the_people_inside(world: World, tmp_path: Path) -> None:
    two_users(world, tmp_path)
    copied = shutil.copytree(tmp_path / "s", tmp_path / "copied")
    assert register_snapshot(world.store, None, copied).id == open_snapshot(tmp_path / "s").id
    (copied / "train.jsonl.gz").chmod(0o644)
    (copied / "train.jsonl.gz").write_bytes(b"")
    with pytest.raises(DataError, match="altered"):
        register_snapshot(world.store, None, copied)


def test_parts_of_an_erased_prompt_are_erased_too() -> None:
    assert lineage.is_of("p/shot-1", {"p"})
    assert lineage.is_of("p", {"p"})
    assert not lineage.is_of("p2", {"p"})
    assert Prompt(id="p", text="t", user_id="u").consent is None

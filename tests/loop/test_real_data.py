"""The splits of the real run: on a small copy of the collections' layouts, and on the collections themselves when they are there."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import DataError
from instructloop.loop.real_data import Room, connected, normalised, prepare_real_data, split_instructions, split_rankings, verify_files
from instructloop.records import Demonstration, Prompt, Ranking
from instructloop.store.snapshots import read_split
from shared_data import SHARED, needs_shared

ROOM = Room(prompt=160, answer=96)
WIDE = Room(prompt=256, answer=256)


def write(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    with gzip.open(folder / name, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def instruction(i: int, prompt: str, *, context: str = "", response: str = "An answer.", source: str = "dolly") -> dict[str, Any]:
    return {"source": source, "id": f"{source}-{i}", "category": "open_qa", "prompt": prompt, "context": context, "response": response, "user": None}


def pair(i: int, prompt: str, *, a: str = " yes", b: str = " no", label: int = 1, source: str = "hh-harmless-test") -> dict[str, Any]:
    return {"source": source, "id": f"{source}-{i}", "category": None, "prompt": prompt, "a": a, "b": b, "label": label}


def kwise(i: int, prompt: str, responses: list[str], ranks: list[int], **more: Any) -> dict[str, Any]:
    return {"source": "oasst", "id": f"o{i}", "prompt": prompt, "context": "", "responses": responses, "ranks": ranks, "tree": None} | more


def sign(folder: Path) -> None:
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.name}\n" for path in sorted(folder.glob("*.gz"))]
    (folder / "SHA256SUMS").write_text("".join(sums))


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "pretrain_text.jsonl.gz", [{"source": s, "id": str(i), "text": f"{s} text {i}"} for s in ("novels", "tales") for i in range(60)])
    instructions = [instruction(i, f"Question {i}?", context=f"Passage {i // 2}" if i < 40 else "") for i in range(200)]
    repeats = [instruction(1000 + i, f"QUESTION  {i}?", response="Another answer.") for i in range(0, 200, 4)]
    others = [instruction(0, "Why?", response="x" * 600), instruction(0, "What is the plot?", source="squality-train")]
    write(folder, "sft.jsonl.gz", [*instructions, *repeats, *({**row, "id": f"z{i}"} for i, row in enumerate(others))])
    trees = [kwise(i, f"prompter: Tree {i // 2}", ["one", "two", "three"], [2, 1, 3], tree=f"t{i // 2}") for i in range(40)]
    write(folder, "kwise_ranks.jsonl.gz", [*trees, kwise(99, "prompter: Tied", ["a", "b"], [1, 1], tree="tied")])
    dialogues = [pair(i, f"\n\nHuman: Ask {i}" + f"\n\nAssistant: Hm.\n\nHuman: Go on {i}" * (i % 3) + "\n\nAssistant:") for i in range(90)]
    useless = [pair(200, "\n\nHuman: Same\n\nAssistant:", a="x", b=" x"), pair(201, "\n\nHuman: Empty\n\nAssistant:", a=" ")]
    write(folder, "pairs.jsonl.gz", [*dialogues, *useless, pair(202, "Ask 7", source="autoj")])
    sign(folder)
    return folder


def prepare(collections: Path, out: Path, seed: int = 0):
    return prepare_real_data(collections, out, instructions=ROOM, rankings=WIDE, seed=seed)


def test_everything_is_frozen_once_and_repeats_to_the_byte(collections: Path, tmp_path: Path):
    first, second = prepare(collections, tmp_path / "a"), prepare(collections, tmp_path / "b")
    assert {name: snapshot.id for name, snapshot in first.snapshots.items()} == {name: snapshot.id for name, snapshot in second.snapshots.items()}
    (collections / "sft.jsonl.gz").unlink()
    again = prepare(collections, tmp_path / "a")
    assert again.snapshots == first.snapshots
    with pytest.raises(DataError, match=r"sft\.jsonl\.gz"):
        prepare(collections, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(DataError, match="other settings"):
        prepare(collections, tmp_path / "a", seed=1)


def test_another_seed_is_another_split(collections: Path, tmp_path: Path):
    first, second = prepare(collections, tmp_path / "a"), prepare(collections, tmp_path / "b", seed=1)
    assert first.snapshots["demonstrations"].id != second.snapshots["demonstrations"].id


def test_documents_of_every_source_are_in_every_split(collections: Path, tmp_path: Path):
    counts = prepare(collections, tmp_path / "out").snapshots["documents"].counts
    # 2 % of 60 rounds to one document.
    assert counts == {"train": {"novels": 58, "tales": 58}, "valid": {"novels": 1, "tales": 1}, "test": {"novels": 1, "tales": 1}}


def test_no_instruction_and_no_passage_lies_in_two_splits(collections: Path, tmp_path: Path):
    data = prepare(collections, tmp_path / "out")
    owner: dict[str, set[str]] = {}
    for split in ("train", "valid", "test"):
        for demonstration in read_split(data.path("demonstrations"), split, Demonstration):
            note(owner, demonstration.prompt.text, split)
        for prompt in read_split(data.path("prompts"), split, Prompt):
            note(owner, prompt.text, "prompts" if split == "train" else split)
    assert all(len(parts) == 1 for parts in owner.values())
    assert set.union(*owner.values()) == {"train", "prompts", "valid", "test"}


def note(owner: dict[str, set[str]], text: str, part: str) -> None:
    for piece in normalised(text.replace("\n\n", " | ")).split(" | "):
        owner.setdefault(piece, set()).add(part)


def test_long_answers_and_squality_are_left_out_and_prompts_are_kept_once(collections: Path):
    demonstrations, prompts = split_instructions(collections, ROOM, seed=0)
    texts = [normalised(prompt.text) for split in prompts.values() for prompt in split]
    assert len(texts) == len(set(texts))
    everything = [record for split in demonstrations.values() for record in split]
    assert all(len(record.text) <= 480 and record.prompt.text != "What is the plot?" for record in everything)
    assert {record.prompt.consent for record in everything} == {"CC BY-SA 3.0"}


def test_the_halves_share_valid_and_test_and_nothing_else(collections: Path):
    first, second = (split_rankings(collections, WIDE, seed=0, half=half) for half in ("half_a", "half_b"))
    assert (first["valid"], first["test"]) == (second["valid"], second["test"])
    parts = [first["train"], second["train"], first["valid"], first["test"]]
    assert all(parts)
    openings = [{opening(ranking) for ranking in part} for part in parts]
    assert sum(map(len, openings)) == len(set.union(*openings))


def opening(ranking: Ranking) -> str:
    return ranking.prompt.text.removeprefix("User: ").split("\n\n")[0]


def test_rankings_are_conversations_in_one_form(collections: Path):
    parts = [split_rankings(collections, WIDE, seed=0, half=half) for half in ("half_a", "half_b")]
    by_id = {ranking.prompt.id: ranking for part in parts for split in part.values() for ranking in split}
    assert by_id["hh-harmless-test-0"].prompt.text == "Ask 0"
    assert by_id["hh-harmless-test-1"].prompt.text == "User: Ask 1\n\nAssistant: Hm.\n\nUser: Go on 1\n\nAssistant:"
    assert by_id["thread/t3/o6"].prompt.text == "Tree 3"
    assert [answer.text for answer in by_id["hh-harmless-test-0"].completions] == ["yes", "no"]
    assert by_id["thread/t3/o6"].ranks == (2, 1, 3)
    # Tied throughout, the same answer twice, and an empty answer.
    assert not {"thread/tied/o99", "hh-harmless-test-200", "hh-harmless-test-201"} & by_id.keys()


def test_an_altered_or_missing_file_is_refused(collections: Path):
    (collections / "pairs.jsonl.gz").write_bytes(b"other")
    with pytest.raises(DataError, match="SHA-256"):
        verify_files(collections, ["pairs.jsonl.gz"])
    with pytest.raises(DataError, match="does not exist"):
        verify_files(collections, ["absent.jsonl.gz"])
    with pytest.raises(DataError, match="SHA256SUMS"):
        verify_files(collections / "nowhere", [])


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=3), max_size=12), st.randoms())
def test_groups_are_connected_components_in_any_order(rows: list[list[str]], random: Any):
    groups = connected(rows)
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            if set(first) & set(second):
                assert groups[i] == groups[j]
    # A component is named after its smallest key, so the order of rows and keys is of no account.
    for name in set(groups):
        assert name == min(key for keys, group in zip(rows, groups, strict=True) if group == name for key in keys)
    order = list(range(len(rows)))
    random.shuffle(order)
    assert connected([rows[i][::-1] for i in order]) == [groups[i] for i in order]


@needs_shared
def test_the_collections_yield_what_the_recipe_counts_on():
    demonstrations, prompts = split_instructions(SHARED, ROOM, seed=0)
    assert [len(demonstrations[split]) for split in ("train", "valid", "test")] == [3916, 413, 413]
    assert [len(prompts[split]) for split in ("train", "valid", "test")] == [3992, 522, 525]
    taught = {normalised(record.prompt.text) for record in demonstrations["train"]}
    held_out = {normalised(prompt.text) for split in ("valid", "test") for prompt in prompts[split]}
    asked = {normalised(prompt.text) for prompt in prompts["train"]}
    assert not taught & held_out
    assert not taught & asked
    assert not asked & held_out


@needs_shared
def test_no_dialogue_or_tree_of_the_collections_is_torn_apart():
    first, second = (split_rankings(SHARED, WIDE, seed=0, half=half) for half in ("half_a", "half_b"))
    owner: dict[str, set[str]] = {}
    for part, rankings in {"a": first["train"], "b": second["train"], "valid": first["valid"], "test": first["test"]}.items():
        for ranking in rankings:
            for key in (normalised(re.split(r"\n\nAssistant:", ranking.prompt.text.removeprefix("User: "))[0]), tree(ranking)):
                owner.setdefault(key, set()).add(part)
    assert all(len(parts) == 1 for parts in owner.values())
    assert len(first["train"]) > 850
    assert len(second["train"]) > 850


def tree(ranking: Ranking) -> str:
    return ranking.prompt.id.rsplit("/", 1)[0]


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        ("real_data", ["--data", "nowhere", "--out", "out"]),
        ("real_evaluation", ["--root", "nowhere", "--seed", "0"]),
    ],
)
def test_a_mistake_in_a_script_is_one_message(module: str, flags: list[str], tmp_path: Path):
    finished = subprocess.run(
        [sys.executable, "-m", f"instructloop.loop.{module}", *flags], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr.startswith("instructloop: ")
    assert "Traceback" not in finished.stderr

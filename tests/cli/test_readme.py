"""What the README tells a newcomer to type works: every line is understood, and the whole runs on toy data."""

import dataclasses
import importlib
import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from house.sources import ROOT
from instructloop.cli.main import main
from instructloop.cli.parsing import parse
from instructloop.loop.toy_data import freeze_toy_data
from instructloop.records import Demonstration, Document, Prompt, Record
from instructloop.store.snapshots import read_split

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(of: str) -> list[list[str]]:
    """The command lines of the blocks of one kind, without the program's name."""
    lines = [line for kind, block in BLOCKS if kind == of for line in block.replace("\\\n", "").splitlines()]
    return [words[1:] for words in (shlex.split(line, comments=True) for line in lines) if words[:1] == ["instructloop"]]


COMMANDS = commands("")
"""Run below, one after another, on toy data."""
WITH_PEOPLE = commands("sh")
"""They wait for people."""
FILES: dict[str, tuple[str, type[Record]]] = {
    "texts.jsonl": ("documents", Document),
    "demos.jsonl": ("demonstrations", Demonstration),
    "prompts.jsonl": ("prompts", Prompt),
}
"""File of the README -> the toy data of that kind."""


@pytest.mark.parametrize("words", [*COMMANDS, *WITH_PEOPLE], ids=" ".join)
def test_every_line_is_understood(words: list[str]) -> None:
    verb, *argv = words
    module = importlib.import_module(f"instructloop.cli.{verb}")
    if hasattr(module, "VERB"):
        asked: Any = module.VERB.parse(argv)[0]
    elif hasattr(module, "KINDS"):
        asked = parse(f"{verb} {argv[0]}", module.KINDS[argv[0]][0], argv[1:])
    else:
        asked = parse(verb, next(c for c in vars(module).values() if dataclasses.is_dataclass(c) and c.__module__ == module.__name__), argv)
    assert asked is not None


def test_steps_read_what_earlier_lines_made() -> None:
    made: set[str] = set()
    for words in COMMANDS:
        read = [word.removesuffix("/model") for flag, word in itertools.pairwise(words) if word.startswith("out/") and flag != "--out"]
        assert set(read) <= made, words
        made |= {words[words.index("--out") + 1]} if "--out" in words else set()


def rank_the_answers(answers: Path, ranked: Path) -> None:
    """What the README says people add to each line: the order of the answers, and who they are."""
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    for row in rows:
        ids = [answer["id"] for answer in sorted(row["completions"], key=lambda answer: len(answer["text"]))]
        row |= {"groups": [ids[:2], *([id_] for id_ in ids[2:])], "labeler_id": "someone"}
    ranked.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.slow
def test_the_whole_runs_on_toy_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    freeze_toy_data(Path("toy"), 0)
    for file, (name, record) in FILES.items():
        rows = [row for split in ("train", "valid") for row in read_split(Path("toy") / name, split, record)]
        Path(file).write_text("".join(json.dumps(row.to_json()) + "\n" for row in rows))
    for words in COMMANDS:
        if "ranked.jsonl" in words:
            rank_the_answers(Path("out/answers.jsonl"), Path("ranked.jsonl"))
        assert main(words) == 0, words
    exec(next(block for kind, block in BLOCKS if kind == "python"), {})
    assert all(Path("out", made).exists() for made in ("answers.jsonl", "sft/selected", "ppo/model/ema", "brief/model"))

"""From the public collections of people's writing and rankings to the snapshots of the real run.

    documents            novels, science fiction, speeches, children's stories          train, valid, test
    demonstrations       dolly and seed175: instructions with people's answers          train, valid, test
    prompts              dolly and seed175: instructions to sample answers for          train, valid, test
    rankings             hh, autoj, oasst, fgrlhf: half A, for the reward model         train, valid, test
    rankings_held_out    the same: half B, for the held-out reward model                train, valid, test

Nobody's instruction lies in two splits: records that share a key (GROUPS) form a group, and a group goes to one split
whole. Demonstrations and prompts to sample for are two disjoint parts of the same instructions, so that the policy is asked
what it was taught to answer; they share valid and test. Both halves of the rankings share valid and test.

Left out, with the reason:

    squality (demonstrations, rankings)   its answers are judged against a story that fits into no small context
    prompts_by_user                       first lines of small talk, and role plays: unlike the demonstrations

    python -m instructloop.loop.real_data --data ../shared/data --out out/real/data
"""

import argparse
import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from instructloop.errors import DataError
from instructloop.loop.results import markdown_table
from instructloop.loop.scripts import run_script
from instructloop.recipes import RECIPES
from instructloop.records import Demonstration, Document, Prompt, Ranking, Record, Snapshot, Turn
from instructloop.store.conversations import prompt_text
from instructloop.store.jsonl import Row, read_jsonl
from instructloop.store.layouts import read_demonstrations, read_documents, read_rankings
from instructloop.store.snapshots import freeze, open_snapshot, origin_of
from instructloop.store.splits import assign_split, unit_hash

INSTRUCTION_PARTS = {"demonstrations": 0.50, "prompts": 0.40, "valid": 0.05, "test": 0.05}
RANKING_PARTS = {"half_a": 0.40, "half_b": 0.40, "valid": 0.08, "test": 0.12}
HELD_OUT_DOCUMENTS = 0.02
"""Share of each source's documents that goes to valid, and again to test; at least one document each."""

CHARACTERS_PER_TOKEN = 5
"""No text of these collections is packed tighter by a vocabulary of 4,096; the exact lengths are the loaders' business."""

LICENCES = {
    "dolly": "CC BY-SA 3.0", "seed175": "Apache-2.0", "hh-harmless-test": "MIT",
    "autoj": "Apache-2.0", "oasst": "Apache-2.0", "fgrlhf": "Apache-2.0",
}  # fmt: skip

GROUPS = {
    "documents": "document",
    "demonstrations": "instruction and passage",
    "prompts": "instruction and passage",
    "rankings": "dialogue (hh), tree (oasst), prompt (autoj), passage (fgrlhf)",
    "rankings_held_out": "the same; from half A too",
}
"""What never lies in two splits. dolly, hh, autoj and fgrlhf name no people; the people who ranked oasst are not named."""

Judged = TypeVar("Judged", Demonstration, Ranking)

_FILES = ("pretrain_text.jsonl.gz", "sft.jsonl.gz", "kwise_ranks.jsonl.gz", "pairs.jsonl.gz")
_TURN = re.compile(r"(?:\A|\n+)(Human|Assistant|prompter|assistant): ?")
_ROLES = {"Human": "user", "prompter": "user", "Assistant": "assistant", "assistant": "assistant"}


@dataclass(frozen=True, kw_only=True)
class Room:
    """Longest prompt and longest answer, in tokens."""

    prompt: int
    answer: int

    def holds(self, prompt: str, answers: Iterable[str]) -> bool:
        """False if a text is so long in characters that no tokenizer of the run could fit it."""
        return len(prompt) <= CHARACTERS_PER_TOKEN * self.prompt and all(len(answer) <= CHARACTERS_PER_TOKEN * self.answer for answer in answers)


@dataclass(frozen=True, kw_only=True)
class RealData:
    """Where the snapshots lie, and what is in them."""

    folder: Path
    snapshots: Mapping[str, Snapshot]

    def path(self, name: str) -> Path:
        """The folder of one snapshot: "documents", "demonstrations", "prompts", "rankings" or "rankings_held_out"."""
        return self.folder / name

    def table(self) -> str:
        """Records per split and source, and what keeps the splits apart, as Markdown."""
        rows = [
            [name, split, str(sum(counts.values())), ", ".join(f"{source} {n}" for source, n in sorted(counts.items())), GROUPS[name]]
            for name, snapshot in self.snapshots.items()
            for split, counts in snapshot.counts.items()
        ]
        return markdown_table(["data", "split", "records", "sources", "never in two splits; no source names its people"], rows)


RANKING_ROOM = Room(prompt=256, answer=256)
"""Dialogues are longer than instructions; the reward models of the real run read 512 tokens."""


def prepare_real_data(data: Path, folder: Path, *, instructions: Room, rankings: Room, seed: int = 0) -> RealData:
    """Read and freeze what is not frozen yet; the same files and settings give the same snapshots.

    `instructions` is the room of the policy, `rankings` that of the reward models. Raises `DataError` if a file differs
    from what `SHA256SUMS` beside it says.
    """
    makers: dict[str, Callable[[], Mapping[str, Sequence[Record]]]] = {
        "documents": lambda: split_documents(data, seed=seed),
        "demonstrations": lambda: split_instructions(data, instructions, seed=seed)[0],
        "prompts": lambda: split_instructions(data, instructions, seed=seed)[1],
        "rankings": lambda: split_rankings(data, rankings, seed=seed, half="half_a"),
        "rankings_held_out": lambda: split_rankings(data, rankings, seed=seed, half="half_b"),
    }
    missing = [name for name in makers if not (folder / name).exists()]
    if missing:
        verify_files(data, _FILES)
    settings = f"instructions {instructions}, {INSTRUCTION_PARTS}; rankings {rankings}, {RANKING_PARTS}; seed {seed}"
    for name in missing:
        freeze(folder / name, makers[name](), query=f"real data, {name}: {settings}")
    snapshots = {name: open_snapshot(folder / name) for name in makers}
    for name, snapshot in snapshots.items():
        _require_same_settings(folder / name, snapshot, f"real data, {name}: {settings}")
    return RealData(folder=folder, snapshots=snapshots)


def verify_files(data: Path, names: Iterable[str]) -> None:
    """Raise `DataError` unless each file has the SHA-256 that `SHA256SUMS` in its folder gives."""
    sums = data / "SHA256SUMS"
    if not sums.exists():
        raise DataError(f"{sums} does not exist", expected="the folder of the collections", remedy="check the path")
    expected = {name.removeprefix("./"): digest for digest, name in (line.split(maxsplit=1) for line in sums.read_text().splitlines())}
    for name in names:
        if not (data / name).exists():
            raise DataError(f"{data / name} does not exist", expected="a file named in SHA256SUMS", remedy="copy the folder again")
        with open(data / name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != expected.get(name):
            raise DataError(f"{data / name} has the SHA-256 {digest}", expected=f"{expected.get(name)}", remedy="copy the file again")


def _require_same_settings(folder: Path, snapshot: Snapshot, query: str) -> None:
    if snapshot.query != query:
        raise DataError(
            f"{folder} was made with other settings: {snapshot.query}", expected=query, remedy="choose another folder, or remove this one"
        )


def split_documents(data: Path, *, seed: int) -> dict[str, list[Document]]:
    """Of each source the few documents with the smallest hashes are held out, so that every source is in every split."""
    by_source: dict[str, list[Document]] = {}
    for document in read_documents(data / "pretrain_text.jsonl.gz"):
        by_source.setdefault(document.source, []).append(document)
    splits: dict[str, list[Document]] = {"train": [], "valid": [], "test": []}
    for documents in by_source.values():
        documents.sort(key=lambda document: unit_hash(document.id, seed=seed))
        n = max(1, round(HELD_OUT_DOCUMENTS * len(documents)))
        splits["valid"] += documents[:n]
        splits["test"] += documents[n : 2 * n]
        splits["train"] += documents[2 * n :]
    return splits


def split_instructions(data: Path, room: Room, *, seed: int) -> tuple[dict[str, list[Demonstration]], dict[str, list[Prompt]]]:
    """(demonstrations, prompts to sample answers for): disjoint in train, the same instructions in valid and test.

    A demonstration needs room for its answer; a prompt to sample for does not, and is kept once if it repeats.
    """
    rows = [row for _, row in read_jsonl(data / "sft.jsonl.gz")]
    records = [_with_licence(record) for record in read_demonstrations(data / "sft.jsonl.gz")]
    usable = [(row, record) for row, record in zip(rows, records, strict=True) if origin_of(record) in LICENCES]
    part_of_row = _parts([_instruction_keys(row) for row, _ in usable], INSTRUCTION_PARTS, seed)
    demonstrations: dict[str, list[Demonstration]] = {"train": [], "valid": [], "test": []}
    prompts: dict[str, dict[str, Prompt]] = {"train": {}, "valid": {}, "test": {}}
    for (_, record), part in zip(usable, part_of_row, strict=True):
        if part != "prompts" and room.holds(record.prompt.text, [record.text]):
            demonstrations["train" if part == "demonstrations" else part].append(record)
        if part != "demonstrations" and room.holds(record.prompt.text, []):
            prompts["train" if part == "prompts" else part].setdefault(normalised(record.prompt.text), record.prompt)
    return demonstrations, {split: list(unique.values()) for split, unique in prompts.items()}


def split_rankings(data: Path, room: Room, *, seed: int, half: str) -> dict[str, list[Ranking]]:
    """One half of the training rankings, and the valid and test rankings that both halves share.

    Left out: rankings in which everything ties, in which two answers are the same text, or with an empty or too long one.
    """
    usable = [
        (row, _as_conversation(_with_licence(record)))
        for name in ("kwise_ranks.jsonl.gz", "pairs.jsonl.gz")
        for (_, row), record in zip(read_jsonl(data / name), read_rankings(data / name), strict=True)
        if origin_of(record) in LICENCES
    ]
    part_of_row = _parts([_ranking_keys(row) for row, _ in usable], RANKING_PARTS, seed)
    splits: dict[str, list[Ranking]] = {half: [], "valid": [], "test": []}
    for (_, ranking), part in zip(usable, part_of_row, strict=True):
        if part in splits and _tells_answers_apart(ranking) and room.holds(ranking.prompt.text, (answer.text for answer in ranking.completions)):
            splits[part].append(ranking)
    return {"train" if part == half else part: chosen for part, chosen in splits.items()}


def normalised(text: str) -> str:
    """Lower case, and one blank where there was any white space: what makes two instructions the same."""
    return " ".join(text.lower().split())


def connected(keys_of_rows: Sequence[Sequence[str]]) -> list[str]:
    """The name of each row's group: rows that share a key, directly or through other rows, have the same name."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = key = leader[leader[key]]
        return key

    for keys in keys_of_rows:
        for key in keys[1:]:
            first, second = sorted((find(keys[0]), find(key)))
            leader[second] = first
    return [find(keys[0]) for keys in keys_of_rows]


def _parts(keys_of_rows: Sequence[Sequence[str]], fractions: Mapping[str, float], seed: int) -> list[str]:
    return [assign_split(group, fractions=fractions, seed=seed) for group in connected(keys_of_rows)]


def _instruction_keys(row: Row) -> list[str]:
    return [f"prompt/{normalised(row['prompt'])}", *([f"passage/{normalised(row['context'])}"] if row["context"].strip() else [])]


def _ranking_keys(row: Row) -> list[str]:
    """The opening question of a dialogue, and the tree or the passage where there is one."""
    keys = [f"prompt/{normalised(_turns(row['prompt'])[0].content)}"]
    if row.get("tree"):
        keys.append(f"tree/{row['tree']}")
    if row.get("context"):
        keys.append(f"passage/{normalised(row['context'])}")
    return keys


def _as_conversation(ranking: Ranking) -> Ranking:
    """The dialogue in this package's words (a single question stands alone), the answers without the blank before them."""
    turns = _turns(ranking.prompt.text)
    text = prompt_text(turns, "prompt") if len(turns) > 1 else turns[0].content
    answers = tuple(dataclasses.replace(answer, text=answer.text.strip()) for answer in ranking.completions)
    return dataclasses.replace(ranking, prompt=dataclasses.replace(ranking.prompt, text=text), completions=answers)


def _turns(prompt: str) -> list[Turn]:
    """The turns of "Human: … Assistant: …" or "prompter: … assistant: …"; any other text is one turn of the user."""
    opening, *spoken = _TURN.split(prompt)
    if opening.strip() or not spoken:
        return [Turn("user", prompt.strip())]
    turns = [Turn(_ROLES[name], content.strip()) for name, content in zip(spoken[::2], spoken[1::2], strict=True)]
    return turns[:-1] if not turns[-1].content else turns


def _tells_answers_apart(ranking: Ranking) -> bool:
    texts = Counter(answer.text for answer in ranking.completions)
    return bool(ranking.pairs) and max(texts.values()) == 1 and "" not in texts


def _with_licence(record: Judged) -> Judged:
    licence = LICENCES.get(origin_of(record))
    return dataclasses.replace(record, prompt=dataclasses.replace(record.prompt, consent=licence)) if licence else record


def main() -> None:
    """Freeze the snapshots of the real run and print what is in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--out", type=Path, required=True, help="folder for the snapshots")
    asked = parser.parse_args()
    text = RECIPES["real_small"]().text
    room = Room(prompt=text.max_prompt, answer=text.max_response)
    print(prepare_real_data(asked.data, asked.out, instructions=room, rankings=RANKING_ROOM).table())


if __name__ == "__main__":
    run_script(main)

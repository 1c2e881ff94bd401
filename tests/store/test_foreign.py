"""Exports of Argilla and Label Studio, written by their own packages (see exports/make.py), become rankings and demonstrations."""

import json
from pathlib import Path

import pytest

from instructloop.errors import DataError
from instructloop.store.layouts import read_demonstrations, read_rankings

EXPORTS = Path(__file__).parent / "exports"
ANSWERS = ["A pear.", "A plum.", "A chair."]
FIRST, SECOND = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


@pytest.mark.parametrize(
    ("file", "ranks"),
    [
        ("argilla.json", {FIRST: (1, 2, 3), SECOND: (1, 1, 2)}),
        ("label_studio.json", {"label-studio-1": (2, 1, 3), "label-studio-2": (1, 2, 3)}),
    ],
)
def test_everybody_s_ranking_is_one_record(file: str, ranks: dict[str, tuple[int, ...]]) -> None:
    found = list(read_rankings(EXPORTS / file))
    assert {one.labeler_id: one.ranks for one in found} == ranks
    for one in found:
        assert one.prompt.text == "Name a fruit."
        assert [answer.text for answer in one.completions] == ANSWERS
    assert len({tuple(answer.id for answer in one.completions) for one in found}) == 1, "an id stands for one answer, whoever ranks it"


@pytest.mark.parametrize(("file", "who"), [("argilla.json", FIRST), ("label_studio.json", "label-studio-1")])
def test_what_people_wrote_is_a_demonstration(file: str, who: str) -> None:
    (found,) = read_demonstrations(EXPORTS / file)
    assert (found.prompt.text, found.text, found.labeler_id) == ("Name a fruit.", "A ripe pear.", who)


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    argilla = json.loads((EXPORTS / "argilla.json").read_text())
    argilla[0]["fields"] = {"text": "Name a fruit.", "answer-1": "A pear.", "answer-2": "A plum.", "answer-3": "A chair."}
    (tmp_path / "a.json").write_text(json.dumps(argilla))
    with pytest.raises(DataError, match="prompt, instruction, question"):
        list(read_rankings(tmp_path / "a.json"))
    studio = json.loads((EXPORTS / "label_studio.json").read_text())
    studio[0]["annotations"][0]["result"][0]["value"]["ranker"] = {"good": ["answer-1"], "bad": ["answer-2"]}
    (tmp_path / "b.json").write_text(json.dumps(studio))
    with pytest.raises(DataError, match="2 buckets"):
        list(read_rankings(tmp_path / "b.json"))

"""The synthetic corpus is what its script makes, and docs/curation.md states what the detector does on the part held apart."""

import re

import pytest

from curate.pii_corpus import CORPUS, encoded, make_corpus, read_corpus, score
from house.sources import ROOT
from instructloop.curate.pii.builtin import BuiltinDetector
from instructloop.curate.settings import Curation

TABLE = (ROOT / "docs" / "curation.md").read_text(encoding="utf-8")


def test_the_committed_file_is_what_the_script_makes() -> None:
    lines = make_corpus()
    assert len(lines) >= 2_000
    assert [line for part in ("tuning", "held_out") for line in read_corpus(part)] == sorted(lines, key=lambda line: line.part == "held_out")  # type: ignore[arg-type]
    assert encoded(lines)[:2] == CORPUS.read_bytes()[:2] == b"\x1f\x8b"


def test_every_planted_span_is_where_it_is_said_to_be_and_the_parts_share_no_negative() -> None:
    parts = {part: read_corpus(part) for part in ("tuning", "held_out")}  # type: ignore[arg-type]
    for lines in parts.values():
        assert all(0 <= start < end <= len(line.text) for line in lines for _, start, end in line.spans)
        assert sum(line.form.startswith("not ") for line in lines) == 600
    looks = [{line.form for line in lines if line.form.startswith("not ")} for lines in parts.values()]
    assert looks[0].isdisjoint(looks[1])


@pytest.mark.parametrize("part", ["tuning", "held_out"])
def test_the_document_states_what_is_measured(part: str) -> None:
    scores = score(BuiltinDetector(Curation().phone_regions), read_corpus(part))  # type: ignore[arg-type]
    column = {"tuning": 0, "held_out": 2}[part]
    for kind, measured in scores.items():
        row = re.search(rf"^\| {kind} \|(.*)\|$", TABLE, re.MULTILINE)
        assert row, f"docs/curation.md has no row for {kind}"
        stated = [cell.strip() for cell in row[1].split("|")][column : column + 2]
        assert stated == [f"{measured.recall:.2f}", f"{measured.precision:.2f}"], kind

"""docs/laws.md is true: every law is there, its tests exist and speak of it, and those that stop runs say what to do."""

import re
from collections.abc import Iterator

import pytest

from house.sources import ROOT, python_files

LAW = re.compile(r"\b[A-E]\d{1,2}b?\b")
TABLES, CLOSING = (ROOT / "docs/laws.md").read_text().split("## When a run stops")
ROWS = {match[2]: match[0] for match in re.finditer(r"^\| (● )?([A-E]\d+b?) \|.*$", TABLES, re.MULTILINE)}


@pytest.mark.parametrize("law", ROWS)
def test_every_law_has_a_test_that_speaks_of_it(law: str) -> None:
    files = re.findall(r"`(\S+\.py)`", ROWS[law])
    assert files
    for file in files:
        assert law in set(_spoken_of((ROOT / "tests" / file).read_text())), f"{file} does not speak of {law}"


def test_every_law_that_code_or_tests_speak_of_is_there() -> None:
    cited = {law for path in python_files("src") for text in re.findall(r"[Ll]aws? [A-E]\d[^.\n]*", path.read_text()) for law in LAW.findall(text)}
    tested = {law for path in python_files("tests/conformance") for law in _spoken_of(path.read_text())}
    assert sorted((cited | tested) - set(ROWS)) == []


def test_the_laws_that_stop_runs_are_marked_and_say_what_to_do() -> None:
    patterns = r'"([A-E]\d+b?)",\s*expected=|"law ([A-E]\d+b?) is broken'
    raised = {"".join(found) for path in python_files("src") for found in re.findall(patterns, path.read_text())}
    assert {law for law, row in ROWS.items() if row.startswith("| ●")} == raised
    assert set(re.findall(r"^\| ([A-E]\d+b?) \|", CLOSING, re.MULTILINE)) == raised


def test_every_conformance_test_is_named() -> None:
    files = {f"conformance/{path.name}" for path in python_files("tests/conformance") if path.name.startswith("test_")}
    assert sorted(files - set(re.findall(r"`(\S+\.py)`", TABLES))) == []


def _spoken_of(text: str) -> Iterator[str]:
    """Laws in prose (C7), ranges of them (C1-C5), and in the names of tests (test_c7_...)."""
    for name in re.findall(r"def test((?:_[a-e]\d+b?)+)_", text):
        yield from (law[0].upper() + law[1:] for law in name.strip("_").split("_"))
    for room, first, last in re.findall(r"\b([A-E])(\d+)[–-]\1(\d+)\b", text):
        yield from (f"{room}{number}" for number in range(int(first), int(last) + 1))
    yield from LAW.findall(text)

"""Small enough to read: files, functions, classes, nesting, arguments; and names that say something."""

import ast
import re
import statistics

import pytest

from house.sources import ROOT, Function, functions, parse, python_files, span

FILE, FUNCTION, CLASS, NESTING, ARGUMENTS = 350, 60, 200, 4, 7
MEDIAN_FUNCTION = 12
EXEMPT_SHARE = 0.05
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}

FOLDERS = ("src", "tests")
ALL_FUNCTIONS = list(functions(*FOLDERS))


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*FOLDERS)}
    assert {name: length for name, length in lengths.items() if length > FILE} == {}


def test_no_class_is_too_long() -> None:
    classes = [(path, node) for path in python_files(*FOLDERS) for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
    assert [f"{path.relative_to(ROOT)} {node.name}" for path, node in classes if span(node) > CLASS] == []


@pytest.mark.parametrize(("measure", "limit"), [("lines", FUNCTION), ("nesting", NESTING), ("arguments", ARGUMENTS)])
def test_no_function_is_too_large_without_a_reason(measure: str, limit: int) -> None:
    """The reason is a comment `# exempt: ...` on the line of the `def` or right above it."""
    over = {function.name: getattr(function, measure) for function in ALL_FUNCTIONS if not function.exempt}
    assert {name: value for name, value in over.items() if value > limit} == {}


def test_few_functions_are_exempt_and_each_needs_it() -> None:
    exempt = [function for function in ALL_FUNCTIONS if function.exempt]
    assert [function.name for function in exempt if not _too_large(function)] == []
    assert len(exempt) <= EXEMPT_SHARE * len(ALL_FUNCTIONS)


def test_the_typical_function_is_short() -> None:
    assert statistics.median(function.lines for function in functions("src")) <= MEDIAN_FUNCTION


def test_no_name_is_empty_of_meaning() -> None:
    modules = {str(path.relative_to(ROOT)): re.split(r"[_\d]+", path.stem) for path in python_files(*FOLDERS)}
    packages = {str(path.parent.relative_to(ROOT)): path.parent.name.split("_") for path in python_files(*FOLDERS)}
    classes = {
        f"{path.relative_to(ROOT)} {node.name}": re.findall(r"[A-Z][a-z]+", node.name)
        for path in python_files(*FOLDERS)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    }
    assert [name for name, words in {**modules, **packages, **classes}.items() if EMPTY_WORDS & {word.lower() for word in words}] == []


def _too_large(function: Function) -> bool:
    return function.lines > FUNCTION or function.nesting > NESTING or function.arguments > ARGUMENTS

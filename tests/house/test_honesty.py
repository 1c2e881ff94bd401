"""What the project declares is what it does: settings, dependencies, extras, documents, floors without torch."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bare_python import run_without
from house.sources import PACKAGE, ROOT, parse, python_files
from instructloop.cli.main import VERBS
from instructloop.loop.machine import EXTRAS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TORCH_FREE = ("records", "config", "protocols", "store", "recipes", "lab", "cli", "curate", "web")

COMES_WITH_ANOTHER = {"huggingface-hub", "markupsafe", "pydantic", "starlette", "tldextract"}
"""Imported, and never without transformers, jinja2, fastapi or presidio-analyzer, which bring them."""
IMPORTED_AS = {"argon2-cffi": "argon2", "phonenumberslite": "phonenumbers"}
"""Package -> the name that code imports it by."""
NEEDED_BY_ANOTHER = {"python-multipart", "tensorboard", "psycopg"}
"""Declared, and imported by fastapi, torch or SQLAlchemy on our behalf."""


def test_every_setting_is_read_somewhere() -> None:
    """Read as an attribute; the sections of `Config` may also be reached by name, as the verbs do."""
    settings = {
        (node.name, statement.target.id)
        for node in parse(PACKAGE / "config.py").body
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }
    others = [path for path in python_files("src") if path != PACKAGE / "config.py"]
    nodes = [node for path in others for node in ast.walk(parse(path))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    named = {("Config", node.value) for node in nodes if isinstance(node, ast.Constant)}
    assert sorted((owner, name) for owner, name in settings - named if name not in read) == []


def test_every_dependency_is_used_and_every_import_declared() -> None:
    extras = [line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra]]
    packages = [_package(line) for line in [*PROJECT["dependencies"], *extras]]
    declared = {IMPORTED_AS.get(package, package) for package in packages}
    imported = set(_third_party_imports())
    assert imported - declared - COMES_WITH_ANOTHER == set()
    assert declared - imported - NEEDED_BY_ANOTHER - {"instructloop"} == set()


def test_what_is_no_code_is_in_the_wheel_too() -> None:
    """Templates, styles, texts, the shipped base: `package-data` names every file that is no module."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {path for package, globs in named.items() for glob in globs for path in (ROOT / "src" / package.replace(".", "/")).glob(glob)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts}
    assert files - shipped == set()


def test_the_doctor_knows_the_extras() -> None:
    written = {extra: {_package(line) for line in PROJECT["optional-dependencies"][extra]} - {"instructloop"} for extra in EXTRAS}
    assert {extra: {package.replace("_", "-") for package in packages} for extra, packages in EXTRAS.items()} == written


def test_rooms_without_torch_import_without_it() -> None:
    """A labeling server is installed without torch: these rooms must import where any import of it fails."""
    modules = [_module(path) for path in python_files("src") if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in TORCH_FREE]
    finished = run_without(("torch", "transformers", "tokenizers", "numpy"), f"import {', '.join(modules)}")
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("row", [line for line in (ROOT / "docs/paper_map.md").read_text().splitlines() if line.startswith("| §")])
def test_the_paper_map_points_at_code(row: str) -> None:
    places = re.findall(r"`(\S+\.py):([\w.]+)`", row)
    assert places, "a row names at least one `file.py:function`"
    for file, name in places:
        assert name in set(_names(parse(PACKAGE / file).body)), f"{file} has no {name}"


def test_the_readme_names_only_what_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 180
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([\w-]+)", readme)) - targets == set()
    assert set(re.findall(r"^instructloop (\w+)", readme, re.MULTILINE)) - set(VERBS) == set()
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in link}
    assert [link for link in linked if not (ROOT / link).exists()] == []


def _third_party_imports() -> Iterator[str]:
    for path in python_files("src"):
        for node in ast.walk(parse(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for root in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"instructloop"}:
                yield root.replace("_", "-")


def _package(requirement: str) -> str:
    return re.split(r"[\[><=~! ]", requirement, maxsplit=1)[0].lower()


def _module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id

"""The wheel in an environment of its own, without extras: small, complete, and the people's half of the loop works without torch."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from instructloop.cli.main import VERBS
from instructloop.store.database.accounts import create_account
from instructloop.store.database.api_keys import create_key
from instructloop.store.database.opening import open_store
from instructloop.store.database.sessions import sign_in
from instructloop.store.jsonl import write_jsonl
from scripted_server import MODEL, ScriptedServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_BYTES = 220 * 10**6
INSTALLERS = re.compile(r"(pip|setuptools|wheel|_distutils_hack|pkg_resources)\b|distutils-precedence")
"""What stands in a fresh environment before anything is installed."""
PASSWORD = "a long password"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as building leaves files beside the sources."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    out = tmp_path_factory.mktemp("wheel")
    _install_or_skip([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(out), str(copy)])
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's folder of programs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    _install_or_skip([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(wheel)])
    return folder / "bin"


def _install_or_skip(command: list[str]) -> None:
    done = _run(command)
    if done.returncode:
        pytest.skip(f"pip reaches no index here: {(done.stderr.strip() or 'it says nothing').splitlines()[-1]}")


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=bare, **options)


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    package = ROOT / "src" / "instructloop"
    files = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    with ZipFile(wheel) as opened:
        assert files - set(opened.namelist()) == set()


def test_it_is_small_and_without_torch(environment: Path) -> None:
    (packages,) = (environment.parent / "lib").glob("python*/site-packages")
    sizes = {
        path: path.stat().st_size for top in packages.iterdir() if not INSTALLERS.match(top.name) for path in [top, *top.rglob("*")] if path.is_file()
    }
    assert any("instructloop" in path.parts for path in sizes)
    assert sum(sizes.values()) <= MOST_BYTES
    assert not {"torch", "transformers", "tokenizers", "pyarrow", "matplotlib"} & {path.name for path in packages.iterdir()}


def test_every_verb_answers_help(environment: Path, tmp_path: Path) -> None:
    overview = _run([str(environment / "instructloop"), "--help"], cwd=tmp_path)
    assert (overview.returncode, overview.stderr) == (0, "")
    for verb in VERBS:
        assert f"  {verb} " in overview.stdout
        helped = _run([str(environment / "instructloop"), verb, "--help"], cwd=tmp_path)
        assert (helped.returncode, helped.stderr) == (0, ""), verb
    as_module = _run([str(environment / "python"), "-m", "instructloop", "--help"], cwd=tmp_path)
    assert as_module.stdout == overview.stdout


def test_prompts_go_in_and_are_curated(environment: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "prompts.jsonl", ({"id": f"q{n}", "prompt": f"Name {n} fruits.", "user": f"u{n}", "licence": "CC0"} for n in range(20)))
    for words in (
        ["import", "prompts.jsonl", "--kind", "prompts", "--store", "f.db"],
        ["curate", "--store", "f.db", "--omit", "length", "--out", "curated"],
        ["backup", "--store", "f.db", "--out", "copy.db"],
        ["restore", "copy.db", "--store", "again.db"],
        ["export", "everything", "--store", "again.db", "--out", "all"],
    ):
        done = _run([str(environment / "instructloop"), *words], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    funnel = json.loads((tmp_path / "curated" / "funnel.json").read_text())
    assert sum(funnel["prompts"].values()) == 20
    trained = _run([str(environment / "instructloop"), "curate", "--store", "f.db", "--tokenizer", ".", "--out", "more"], cwd=tmp_path)
    assert trained.returncode == 2
    assert "pip install 'instructloop[train]'" in trained.stderr


def test_the_site_serves_pages_files_and_a_model_behind_an_address(environment: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "f.db")
    administrator = create_account(store, None, name="a", role="administrator", password=PASSWORD)
    key, _ = create_key(store, administrator, name="k", scopes=("generate",))
    session, _ = sign_in(store, "a", PASSWORD)
    store.close()
    with ScriptedServer() as server, _serving(environment, tmp_path, "--store", "f.db", "--model", f"mine={server.url}#{MODEL}") as address:
        login = _get(f"{address}/login")
        files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', login))
        assert {file.rpartition(".")[2].partition("?")[0] for file in files} >= {"css", "js"}
        for file in files:
            assert _get(address + file)
        for page in ("/playground", "/data", "/account", "/labeling", "/admin"):
            assert "<h1" in _get(address + page, Cookie=f"session={session}"), page
        body = {"model": "mine", "prompt": "x", "max_tokens": 5}
        answer = json.loads(_get(f"{address}/v1/completions", json.dumps(body).encode(), Authorization=f"Bearer {key}"))
        assert answer["usage"]["completion_tokens"] == 5


def test_a_new_store_is_made_and_the_example_fills_it(environment: Path, tmp_path: Path) -> None:
    with _serving(environment, tmp_path, "--store", "new.db", "--example") as address:
        assert json.loads(_get(f"{address}/health/ready"))["models"] == 1


@contextmanager
def _serving(environment: Path, folder: Path, *words: str) -> Iterator[str]:
    """The address of a site that runs in the environment."""
    command = [str(environment / "instructloop"), "serve", "--port", "0", *words]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(command, cwd=folder, env=bare, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C ends it." not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        address = re.search(r"The site is at (\S+)", said)
        assert address
        yield address[1]
    finally:
        process.terminate()
        process.communicate()


def _get(url: str, body: bytes | None = None, **headers: str) -> str:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read().decode()

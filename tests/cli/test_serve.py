"""`instructloop serve` as people start it: a process of its own, without torch where it is not needed, and an orderly end."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bare_python import REFUSE
from instructloop.cli.main import main
from instructloop.store.database.accounts import create_account
from instructloop.store.database.api_keys import create_key
from instructloop.store.database.opening import open_store
from instructloop.store.database.prompts import Consent, history
from scripted_server import MODEL, ScriptedServer

WITHOUT_TORCH = REFUSE.format(packages={"torch", "transformers", "tokenizers", "numpy"})


@contextmanager
def serving(*words: str, program: str = WITHOUT_TORCH) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, what it said until it was ready, and its address."""
    code = program + f"from instructloop.cli.main import main\nsys.exit(main({['serve', '--port', '0', *words]!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C ends it." not in said:
            line = process.stdout.readline()
            assert line, (said, process.stderr.read() if process.stderr else "")
            said += line
        address = re.search(r"The site is at (\S+)", said)
        assert address
        yield process, said, address[1]
    finally:
        process.kill()
        process.communicate()


def get(url: str, key: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read().decode()


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=15)
    return process.returncode, errors


def test_without_models_and_without_torch(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path / "f.db")) as (process, said, address):
        link = re.search(r"http://127\.0\.0\.1:\d+/invitation/\S+", said)
        assert link
        assert link[0].startswith(address)
        assert "models: none" in said
        assert get(link[0])[0] == 200
        assert json.loads(get(f"{address}/health/ready")[1])["models"] == 0
        assert end(process, signal.SIGTERM) == (0, "")
    with serving("--store", str(tmp_path / "f.db")) as (process, said, _):
        assert link[0].rpartition("/")[2] not in said, "a new start, a new link"
        assert end(process, signal.SIGINT) == (0, "")


def test_a_model_behind_a_url_needs_no_torch(tmp_path: Path) -> None:
    store = open_store(tmp_path / "f.db")
    administrator = create_account(store, None, name="a", role="administrator", password="a long password")
    key, _ = create_key(store, administrator, name="k", scopes=("generate",))
    store.close()
    with ScriptedServer() as server, serving("--store", str(tmp_path / "f.db"), "--model", f"mine={server.url}#{MODEL}") as (process, said, address):
        assert "models: mine" in said
        assert "administrator" not in said
        assert json.loads(get(f"{address}/v1/models", key)[1])["data"][0]["id"] == "mine"
        body = json.dumps({"model": "mine", "prompt": "x", "max_tokens": 5, "seed": 1}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}/v1/completions", body, headers), timeout=10) as response:
            answer = json.loads(response.read())
        assert answer["usage"]["completion_tokens"] == 5
        assert answer["choices"][0]["text"]
        assert end(process, signal.SIGTERM)[0] == 0


def test_a_running_answer_is_ended_and_stored_when_the_site_ends(tmp_path: Path) -> None:
    store = open_store(tmp_path / "f.db")
    owner = create_account(store, None, name="a", role="administrator", password="a long password")
    key, _ = create_key(store, owner, name="k", scopes=("generate",), consent=Consent(store=True, train=False, version="1"))
    with (
        ScriptedServer(words_per_second=20) as server,
        serving("--store", str(tmp_path / "f.db"), "--model", f"m={server.url}#{MODEL}") as (process, _, address),
    ):
        body = json.dumps({"model": "m", "prompt": "x", "max_tokens": 1000, "stream": True}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}/v1/completions", body, headers), timeout=10) as response:
            response.readline()
            began = time.monotonic()
            code, _ = end(process, signal.SIGTERM)
    assert code == 0
    assert time.monotonic() - began < 10
    (prompt,) = history(store, owner, owner.id)
    assert prompt.generations[0].text
    store.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--store", "{tmp}/no/such/f.db"], "there is no folder"),
        (["--store", "{tmp}/f.db", "--port", "70000"], "the port is 70000"),
        (["--store", "{tmp}/f.db", "--host", "10.255.255.1"], "cannot be listened on"),
        (["--store", "{tmp}/f.db", "--url", "loop.example.org"], "the public address is"),
        (["--store", "{tmp}/f.db", "--model", "{tmp}/nothing"], "nothing"),
        (["--store", "{tmp}/f.db", "--modle", "x"], "did you mean --model?"),
    ],
)
def test_mistakes_are_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["serve", *(word.format(tmp=tmp_path) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--store", str(tmp_path / "f.db"), "--port", str(taken.getsockname()[1])]) == 2
    assert "--port 0 takes any free one" in capsys.readouterr().err

"""The loop closes, twice: people write, ask and rank through a store and a real server, and every step between is a verb."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from instructloop.cli.main import main
from instructloop.loop.lab_pretraining import shipped_base
from instructloop.loop.rounds import people
from instructloop.loop.rounds.__main__ import main as perform
from instructloop.loop.rounds.asking import PageUser, ask_by_api
from instructloop.loop.served_models import registered_sources
from instructloop.store.database.labels import training_prompts
from instructloop.store.database.opening import open_store

ROOT = Path(__file__).parents[2]
USERS = {"ada": 16, "bob": 14, "max": 205}
SPLIT = ["--by", "user", "--split", "train=0.7,valid=0.3"]
SMALL = ["--run.micro-batch", "8"]


class Loop:
    """One loop in a folder."""

    def __init__(self, out: Path) -> None:
        self.out, self.store = out, str(out / "feedback.db")

    def verb(self, *words: object) -> None:
        assert main([str(word) for word in words]) == 0

    def act(self, kind: str, *words: object) -> None:
        perform([kind, "--store", self.store, *map(str, words)])

    @contextmanager
    def served(self) -> Iterator[str]:
        """A real server, ended as a person would end it; its address."""
        command = [sys.executable, "-m", "instructloop.cli.main", "serve", "--store", self.store, "--port", "0", "--answers-per-minute", "1000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}) as server:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("The site is at ").strip()
            try:
                yield address
            finally:
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=30)
        assert server.returncode == 0

    def bootstrap(self) -> list[people.User]:
        """Labelers write and answer; a first model comes of that."""
        store = open_store(self.store)
        users = people.join(store, 0, USERS)
        store.close()
        self.act("bootstrap", "--count", 12)
        self.act("texts", "--count", 200, "--out", self.out / "texts.jsonl")
        self.verb("snapshot", self.out / "texts.jsonl", "--kind", "documents", "--out", self.out / "texts")
        self.verb("snapshot", "--store", self.store, "--kind", "demonstrations", *SPLIT, "--out", self.out / "first")
        self.sft(self.out / "first", self.out / "bootstrap")
        self.verb("models", "add", self.out / "bootstrap", "--store", self.store, "--choose")
        return users

    def sft(self, demonstrations: Path, out: Path) -> None:
        more = ["--demonstrations", demonstrations, "--pretraining", self.out / "texts", "--sft-ptx-init.epochs", 1, *SMALL, "--out", out]
        self.verb("sft", "demo", "--stage", "sft_ptx_init", "--model", shipped_base(), *more)

    def curate(self) -> None:
        """Curation, demonstrations for some of what was asked, and SFT."""
        self.verb("curate", "--store", self.store, "--out", self.out / "curation", "--omit", "length", "--valid", 0.3, "--test", 0, "--workers", 1)
        self.act("choose", "--prompts", self.prompts, "--start", 0, "--count", 8, "--out", self.out / "asked")
        self.act("demonstrate", "--prompts", self.out / "asked")
        self.verb("snapshot", "--store", self.store, "--kind", "demonstrations", *SPLIT, "--out", self.out / "demonstrations")
        self.sft(self.out / "demonstrations", self.out / "sft")
        self.verb("models", "add", self.out / "sft", "--store", self.store)

    def turn(self, number: int, *models: str) -> None:
        """One round: candidates, rankings, reward model, PPO-ptx, and the model is chosen."""
        folder, queue = self.out / f"round-{number}", f"ranking {number}"
        self.act("choose", "--prompts", self.prompts, "--start", 8 * number, "--count", 8, "--out", folder / "asked")
        given = [word for model in models for word in ("--model", model)]
        more = ["--num-answers", "4", "--max-new-tokens", 12, *given]
        self.verb("jobs", "sample", "--store", self.store, "--queue", queue, "--overlap", 3, "--prompts", folder / "asked", *more)
        self.verb("worker", "--store", self.store, "--once", "--folder", self.out / "work")
        self.act("rank", "--queue", queue)
        self.verb("snapshot", "--store", self.store, "--kind", "rankings", *SPLIT, "--out", folder / "rankings")
        data = ["--rankings", folder / "rankings", "--demonstrations", self.out / "demonstrations"]
        self.verb("reward", "demo", "--model", self.out / "sft" / "model", *data, *SMALL, "--out", folder / "reward")
        short = ["iterations", 2, "episodes", 8, "minibatches", 1, "value-warmup", 0, "valid-every", 2, "valid-prompts", 8]
        flags = [f"--ppo.{word}" if isinstance(word, str) else word for word in short]
        inputs = ["--policy", self.out / "sft" / "model", "--reward", folder / "reward" / "model", "--prompts", self.prompts]
        self.verb("ppo", "demo", *flags, *SMALL, *inputs, "--pretraining", self.out / "texts", "--out", folder / "ppo")
        self.verb("models", "add", folder / "ppo", "--store", self.store, "--name", f"ppo-{number}", "--choose")

    @property
    def prompts(self) -> Path:
        return self.out / "curation" / "prompts"


def ask_with_openai(address: str, user: people.User) -> None:
    """Somebody who has a program of OpenAI's; the others' program knows the protocol too."""
    openai = pytest.importorskip("openai", reason="no openai client in this environment: pip install 'instructloop[dev]'")
    with openai.OpenAI(base_url=f"{address}/v1", api_key=user.key) as client:
        assert client.models.list().data[0].id == "bootstrap"
        for prompt in user.prompts:
            assert client.completions.create(model="bootstrap", prompt=prompt, max_tokens=2).usage.completion_tokens <= 2


def ask_on_the_page(browser: Any, address: str, prompt: str) -> None:
    """Log in, tick both boxes, ask, and wait for the end of the answer."""
    page = browser.new_page()
    page.goto(f"{address}/login")
    page.fill("input[name=name]", "bob")
    page.fill("input[name=password]", people.PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/playground")
    page.fill("#prompt", prompt)
    page.check("#store")
    page.check("#train")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#answer-0[aria-busy=false]")
    page.wait_for_selector("[data-thumb=up]")
    page.close()


def test_the_loop_closes_twice(tmp_path: Path, subtests: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loop = Loop(tmp_path)
    users = {user.name: user for user in loop.bootstrap()}
    asked_in_browser = 0
    with loop.served() as address:
        ask_with_openai(address, users["ada"])
        assert len(list(ask_by_api(address, users["max"].key, "bootstrap", users["max"].prompts, max_tokens=1))) == USERS["max"]
        page = PageUser(address)
        page.log_in("bob", people.PASSWORD)
        for prompt in users["bob"].prompts:
            assert isinstance(page.ask("bootstrap", prompt, max_tokens=2), str)
        with subtests.test("the page in a real browser"), chromium() as browser:
            ask_on_the_page(browser, address, "Name a fruit that nobody has named yet.")
            asked_in_browser = 1
    store = open_store(loop.store)
    stored = [one.record for one in training_prompts(store, None)]
    store.close()
    assert {name: sum(prompt.user_id == name for prompt in stored) for name in USERS} == {**USERS, "bob": USERS["bob"] + asked_in_browser}
    loop.curate()
    assert Counter(prompt.user_id for prompt in people.all_prompts(loop.prompts))["max"] == 200
    loop.turn(1, "sft")
    loop.turn(2, "sft:0.5", "ppo-1:0.5")
    capsys.readouterr()
    loop.verb("lineage", tmp_path / "round-2" / "ppo" / "model", "--store", loop.store, "--look", tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == "6 users in all: ada, bob, labeler-1, labeler-2, labeler-3, max"
    store = open_store(loop.store)
    there, gone = registered_sources(store)
    store.close()
    assert [source.partition("=")[0] for source in there] == ["ppo-2", "ppo-1", "sft", "bootstrap"]
    assert gone == []
    loop.act("report", "--curation", tmp_path / "curation", "--rounds", tmp_path / "round-1", tmp_path / "round-2", "--out", tmp_path / "report.html")
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", (tmp_path / "report.html").read_text()))
    assert "new rankings 24 24" in told
    assert "rankings in the reward model 24 48" in told
    assert "answers of ppo-1 among them – 16 answers of sft among them 32 16" in told


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_script_turns_the_loop_twice(tmp_path: Path) -> None:
    """As a person would start it, with the programs of this environment."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, start in (("python", ""), ("instructloop", "-m instructloop.cli.main")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {start} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "PROGRAMS": str(programs), "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run([str(ROOT / "runs" / "human_loop.sh")], check=False, env=environment, capture_output=True, text=True, timeout=1500)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "6 users in all: ada, bob, labeler-1, labeler-2, labeler-3, max" in ended.stdout
    assert re.search(r"models: ppo-2, ppo-1, sft, bootstrap", ended.stdout)
    assert "The loop has turned twice" in (tmp_path / "out" / "report.html").read_text()

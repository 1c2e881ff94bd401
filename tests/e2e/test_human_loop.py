"""The loop closes, twice: people write, ask and rank through a store and a real server, and every step between is a verb."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from browser import chromium
from e2e.folder import ROOT, Folder
from instructloop.lab.prompts import training_prompts as training_texts
from instructloop.loop.registered_models import offered_models
from instructloop.loop.rounds import people
from instructloop.loop.rounds.asking import PageUser, ask_by_api
from instructloop.store.database.labels import training_prompts
from instructloop.store.database.opening import open_store

USERS = {"ada": 16, "bob": 14, "max": 205}


class Loop(Folder):
    """One loop, by scripted people."""

    def bootstrap(self) -> list[people.User]:
        """Labelers write and answer; a first model comes of that."""
        store = open_store(self.store)
        users = people.join(store, 0, USERS)
        store.close()
        self.act("bootstrap", "--count", 12)
        self.texts()
        self.freeze("demonstrations", self.out / "first")
        self.sft(self.out / "first", self.out / "bootstrap")
        self.verb("models", "add", self.out / "bootstrap", "--store", self.store, "--choose")
        return users

    def demonstrate(self) -> None:
        """Curation, demonstrations for some of what was asked, and SFT."""
        self.curate()
        self.act("choose", "--prompts", self.prompts, "--start", 0, "--count", 8, "--out", self.out / "asked")
        self.act("demonstrate", "--prompts", self.out / "asked")
        self.freeze("demonstrations", self.out / "demonstrations")
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
        self.freeze("rankings", folder / "rankings")
        self.reward_and_ppo(self.out / "sft", self.out / "demonstrations", folder)
        self.verb("models", "add", folder / "ppo", "--store", self.store, "--name", f"ppo-{number}", "--choose")


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
    with loop.served() as (address, _):
        ask_with_openai(address, users["ada"])
        assert len(list(ask_by_api(address, users["max"].key, "bootstrap", users["max"].prompts, max_tokens=1))) == USERS["max"]
        page = PageUser(address)
        page.log_in("bob", people.PASSWORD)
        for prompt in users["bob"].prompts:
            assert isinstance(page.ask("bootstrap", prompt, max_tokens=2), str)
        with subtests.test("the page in a real browser"), chromium() as browser:
            ask_on_the_page(browser, address, training_texts(0, sum(USERS.values()) + 1)[-1].text)
            asked_in_browser = 1
    store = open_store(loop.store)
    stored = [one.record for one in training_prompts(store, None)]
    store.close()
    assert {name: sum(prompt.user_id == name for prompt in stored) for name in USERS} == {**USERS, "bob": USERS["bob"] + asked_in_browser}
    loop.demonstrate()
    assert Counter(prompt.user_id for prompt in people.all_prompts(loop.prompts))["max"] == 200
    loop.turn(1, "sft")
    loop.turn(2, "sft:0.5", "ppo-1:0.5")
    capsys.readouterr()
    loop.verb("lineage", tmp_path / "round-2" / "ppo" / "model", "--store", loop.store, "--look", tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == "6 users in all: ada, bob, labeler-1, labeler-2, labeler-3, max"
    store = open_store(loop.store)
    there, gone = offered_models(store)
    store.close()
    assert [model.name for model in there] == ["ppo-2", "ppo-1", "sft", "bootstrap"]
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

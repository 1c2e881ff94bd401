"""One loop in a folder: its verbs with settings so small that a step takes seconds, and a real server on its store."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instructloop.cli.main import main
from instructloop.loop.lab_pretraining import shipped_base
from instructloop.loop.rounds.__main__ import main as perform

ROOT = Path(__file__).parents[2]
TRAIN = 0.7
SMALL = ["--run.micro-batch", "8"]
PPO = ["iterations", 2, "episodes", 8, "minibatches", 1, "value-warmup", 0, "valid-every", 2, "valid-prompts", 8]
FIRST_LINK = "/invitation/"


class Folder:
    """A store and everything that is made from it. `seed` decides which users are held out."""

    def __init__(self, out: Path, *, seed: int = 0) -> None:
        self.out, self.store, self.seed = out, str(out / "feedback.db"), seed

    @property
    def prompts(self) -> Path:
        return self.out / "curation" / "prompts"

    def verb(self, *words: object) -> None:
        assert main([str(word) for word in words]) == 0

    def act(self, kind: str, *words: object) -> None:
        perform([kind, "--store", self.store, *map(str, words)])

    @contextmanager
    def served(self) -> Iterator[tuple[str, str]]:
        """A real server, ended as a person would end it; its address, and the link of the first administrator, empty if there is one."""
        command = [sys.executable, "-m", "instructloop.cli.main", "serve", "--store", self.store, "--port", "0", "--answers-per-minute", "1000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}) as server:
            assert server.stdout is not None
            said = list[str]()
            while not said or not said[-1].startswith("Ctrl-C"):
                said.append(server.stdout.readline().strip())
                assert server.poll() is None, said
            try:
                yield said[0].removeprefix("The site is at "), next((line for line in said if FIRST_LINK in line), "")
            finally:
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=30)
        assert server.returncode == 0

    def texts(self) -> None:
        """Text of the small world, for the pretraining term."""
        self.act("texts", "--count", 200, "--out", self.out / "texts.jsonl")
        self.verb("snapshot", self.out / "texts.jsonl", "--kind", "documents", "--out", self.out / "texts")

    def freeze(self, kind: str, out: Path) -> None:
        """What labelers said, split by user."""
        split = ["--by", "user", "--split", f"train={TRAIN},valid={1 - TRAIN:.1f}", "--seed", self.seed]
        self.verb("snapshot", "--store", self.store, "--kind", kind, *split, "--out", out)

    def curate(self) -> None:
        """The prompts of the store."""
        split = ["--valid", f"{1 - TRAIN:.1f}", "--test", 0, "--seed", self.seed]
        self.verb("curate", "--store", self.store, "--out", self.out / "curation", "--omit", "length", *split, "--workers", 1)

    def sft(self, demonstrations: Path, out: Path) -> None:
        """From the base model that ships with the package."""
        more = ["--demonstrations", demonstrations, "--pretraining", self.out / "texts", "--sft-ptx-init.epochs", 1, *SMALL, "--out", out]
        self.verb("sft", "demo", "--stage", "sft_ptx_init", "--model", shipped_base(), *more)

    def reward_and_ppo(self, sft: Path, demonstrations: Path, folder: Path) -> None:
        """From `folder`/rankings to `folder`/reward and `folder`/ppo."""
        data = ["--rankings", folder / "rankings", "--demonstrations", demonstrations]
        self.verb("reward", "demo", "--model", sft / "model", *data, *SMALL, "--out", folder / "reward")
        flags = [f"--ppo.{word}" if isinstance(word, str) else word for word in PPO]
        inputs = ["--policy", sft / "model", "--reward", folder / "reward" / "model", "--prompts", self.prompts]
        self.verb("ppo", "demo", *flags, *SMALL, *inputs, "--pretraining", self.out / "texts", "--out", folder / "ppo")

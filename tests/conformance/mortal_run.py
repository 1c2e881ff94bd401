"""A training run whose process is killed (SIGKILL) again and again until it is finished; started by test_d_kill.py.

    python mortal_run.py WORLD STEP LIVES   prints `{"killed": {manner: times}, "finished": runs}`

Every life is a fork of this process: the imports are done once, and nothing else is shared. Most lives end at a random
moment; some kill themselves at a chosen place inside the writing of a checkpoint. When a run is finished before its
killers are, the next one begins beside it.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from instructloop.errors import RunFinished
from instructloop.model import checkpoint
from instructloop.steps import provenance, running
from run_files import RUNS, run_ppo
from step_world import TinyWorld

Life = Callable[[], None]


def main(world: TinyWorld, step: str, lives: int) -> None:
    """Run straight once, then be killed `lives` times, a quarter of them while writing."""
    provenance.code_version()  # before any life, so that an edit of the sources in the meantime is no new version
    straight = world.folder / "straight" / "run"
    start = time.perf_counter()
    assert live(step, world, straight, lambda: None) == 0
    duration = time.perf_counter() - start
    moments = random.Random(20)
    killed: Counter[str] = Counter()
    finished = 0
    while killed.total() < lives:
        writing = killed.total() % 4 == 3
        manner = WRITING[(killed.total() // 4) % len(WRITING)] if writing else at_a_random_moment
        out = world.folder / f"mortal-{finished}" / "run"
        status = live(step, world, out, manner, patience=None if writing else moments.uniform(0.1, 0.7) * duration)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed[manner.__name__] += 1
        else:
            assert status == 0, f"a life ended with status {status}"
            finished += 1
    assert live(step, world, world.folder / f"mortal-{finished}" / "run", lambda: None) == 0
    print(json.dumps({"killed": killed, "finished": finished + 1}))


def live(step: str, world: TinyWorld, out: Path, prepare: Life, *, patience: float | None = None) -> int:
    """One life: train until finished, killed from outside after `patience` seconds, or by its own hand; the wait status."""
    child = os.fork()
    if child == 0:
        try:
            prepare()
            train(step, world, out)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def train(step: str, world: TinyWorld, out: Path) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        if step == "ppo":
            run_ppo(world, out, iterations=8, save_every=1)
        else:
            RUNS[step](world, out)
    except RunFinished:
        pass


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_a_random_moment() -> None:
    """Killed from outside."""


def in_the_middle_of_the_state() -> None:
    """The second checkpoint of this life is half on disk."""
    save, times = torch.save, [0]

    def half(value: Any, file: Any) -> None:
        times[0] += 1
        if times[0] < 2:
            return save(value, file)
        file.write(b"PK\x03\x04" + bytes(1000))
        file.flush()
        return die()

    torch.save = half


def before_the_checkpoint_gets_its_name() -> None:
    running.sync = die


def before_older_checkpoints_are_gone() -> None:
    rmtree, times = running.shutil.rmtree, [0]

    def dying(path: Path, **named: Any) -> None:
        times[0] += Path(path).name.startswith("update-")
        if times[0] < 2:
            return rmtree(path, **named)
        return die()

    running.shutil.rmtree = dying


def in_the_middle_of_the_model() -> None:
    """Weights are written, the rest of `model/` is not."""
    checkpoint.Tokenizer.save = die


def between_model_and_last_line() -> None:
    running.Run.finish = die


WRITING = (
    in_the_middle_of_the_state,
    before_the_checkpoint_gets_its_name,
    before_older_checkpoints_are_gone,
    in_the_middle_of_the_model,
    between_model_and_last_line,
)

if __name__ == "__main__":
    main(TinyWorld(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]))

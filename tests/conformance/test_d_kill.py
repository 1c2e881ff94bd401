"""Law D2 at its hardest: `kill -9` at 20 random moments, 5 of them inside the writing of a checkpoint."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from run_files import assert_same_run
from step_world import TinyWorld

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["ppo", "sft"])
def test_twenty_deaths_leave_no_mark(step: str, tmp_path: Path) -> None:
    """Every finished file equals the straight run's, bit for bit, but for wall-clock figures."""
    TinyWorld.make(tmp_path)
    command = [sys.executable, str(TESTS / "conformance" / "mortal_run.py"), str(tmp_path), step, "20"]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert sum(told["killed"].values()) == 20
    assert told["killed"].pop("at_a_random_moment") == 15
    assert set(told["killed"].values()) == {1}
    for number in range(told["finished"]):
        assert_same_run(tmp_path / f"mortal-{number}" / "run", tmp_path / "straight" / "run")

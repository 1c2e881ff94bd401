"""The engine's cache and attention against the oldest transformers the package allows: its internals move between releases."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OLDEST = "5.17.0"
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_engine_obeys_law_a2_on_the_oldest_transformers_too(tmp_path: Path) -> None:
    # The hub's client is of another major version for that release; the rest of what it needs is installed.
    for package in (["--no-deps", f"transformers=={OLDEST}"], ["huggingface-hub>=1.5,<2"]):
        installed = _run([sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path), *package])
        if installed.returncode:
            pytest.skip(f"{package[-1]} cannot be installed here: {installed.stderr.strip().splitlines()[-1]}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src"), str(ROOT / "tests")])}
    version = _run([sys.executable, "-c", "import transformers; print(transformers.__version__)"], env=environment)
    assert version.stdout.strip() == OLDEST, version.stderr
    laws = _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance/test_a_engine.py"], cwd=ROOT, env=environment)
    assert laws.returncode == 0, laws.stdout[-4000:] + laws.stderr[-2000:]


def _run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)

"""A fresh interpreter in which some packages cannot be imported, as on a machine where they are not installed."""

import subprocess
import sys
from collections.abc import Sequence

REFUSE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run_without(packages: Sequence[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` where importing any of `packages` fails."""
    program = REFUSE.format(packages=set(packages)) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

"""Real data beside the repository, for the tests that can use it: they are skipped where it is absent."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent: no real data to compare with")

"""Settings of the whole test run: shapes checked, no network, one thread, the same random numbers in every test."""

import os
import random
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Before torch and the hub are imported; child processes inherit them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("INSTRUCTLOOP_CACHE", os.path.join(tempfile.gettempdir(), "instructloop-tests"))

# Every function of algo/ checks its annotations at each call. An int passes for a float, as for the static checker.
install_import_hook("instructloop.algo", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

# Examples are derived from the test itself: the same ones in every run, no database, no clock.
settings.register_profile("instructloop", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("instructloop")


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    """Seed each generator that is loaded; tests that never touch torch do not load it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)

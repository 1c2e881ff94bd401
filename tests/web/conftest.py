"""A site for each test, and one behind a socket for each module that needs a real client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from browser import chromium
from instructloop.store.database import tokens
from web.example_site import example, filled
from web.scripted import Stage, served, stage

__all__ = ["example", "filled"]


@pytest.fixture(autouse=True, scope="session")
def _quick_hashes() -> Iterator[None]:
    """Argon2id at its cheapest: what is tested here is who may come in, not how long guessing takes."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(tokens, "_HASHER", cheap)
        patch.setattr(tokens, "_NOBODY", cheap.hash("nobody"))
        yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Stage]:
    """A site on a store of its own."""
    made = stage(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def client(site: Stage) -> Iterator[TestClient]:
    """A browser without a person, on the machine itself, that sends what browsers send."""
    with TestClient(site.app, base_url="http://127.0.0.1", client=("127.0.0.1", 5000), headers={"Sec-Fetch-Site": "same-origin"}) as made:
        yield made


@pytest.fixture
def address(site: Stage) -> Iterator[str]:
    """The site behind a real socket."""
    with served(site.app) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, one for each module; skips where there is none."""
    with chromium() as started:
        yield started


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Stage, str]]:
    """A site without models, and where it is served."""
    made = stage(tmp_path, models={})
    with served(made.app) as url:
        yield made, url
    made.store.close()

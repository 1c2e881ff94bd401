"""Every test of this folder runs on both databases."""

import pytest
from argon2 import PasswordHasher

from instructloop.store.database import tokens
from store_world import empty_sqlite, new_place, place, postgres, postgres_stores, world

__all__ = ["empty_sqlite", "new_place", "place", "postgres", "postgres_stores", "world"]


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are slow to hash on purpose; tests hash many, with the same algorithm."""
    monkeypatch.setattr(tokens, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))

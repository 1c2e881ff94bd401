"""Every test of this folder runs on both databases."""

from store_world import empty_postgres, empty_sqlite, new_place, place, postgres, world

__all__ = ["empty_postgres", "empty_sqlite", "new_place", "place", "postgres", "world"]

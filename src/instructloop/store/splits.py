"""Splits by hash: a record's side depends on its key alone, never on what else is in the file or on its order."""

import hashlib
from collections.abc import Mapping

from instructloop.errors import ConfigError
from instructloop.records import Prompt

THREAD = "thread/"
"""Prompts that continue one conversation have ids "thread/<thread>/<prompt>" and must stay together."""


def unit_hash(key: str, *, seed: int = 0) -> float:
    """A number in [0, 1) that looks uniform over keys and never changes."""
    digest = hashlib.sha256(f"{seed}\x1f{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def assign_split(key: str, *, fractions: Mapping[str, float], seed: int = 0) -> str:
    """The split of `key`; over many keys each split gets its fraction. Raises `ConfigError` unless the fractions sum to 1."""
    if not fractions or min(fractions.values()) < 0 or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ConfigError(
            f"the split fractions {dict(fractions)}", expected="0 or more each, 1 in sum", remedy='for instance {"train": 0.9, "valid": 0.1}'
        )
    place = unit_hash(key, seed=seed)
    reached = 0.0
    for split, fraction in fractions.items():
        reached += fraction
        if place < reached:
            return split
    return max(fractions, key=lambda split: fractions[split])


def split_key(prompt: Prompt) -> str:
    """What must not be torn apart by a split: a prompt's conversation if it has one, else its text, so that repeats stay together."""
    if prompt.id.startswith(THREAD):
        return prompt.id.rsplit("/", 1)[0]
    return prompt.text

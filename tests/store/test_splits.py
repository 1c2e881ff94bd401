"""Splits depend on the key alone, and give each split its share."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import ConfigError
from instructloop.records import Prompt
from instructloop.store.splits import assign_split, split_key, unit_hash

SHARES = {"train": 0.7, "valid": 0.2, "test": 0.1}


@given(st.text(), st.integers())
def test_a_key_has_one_split(key: str, seed: int) -> None:
    assert 0 <= unit_hash(key, seed=seed) < 1
    assert assign_split(key, fractions=SHARES, seed=seed) == assign_split(key, fractions=SHARES, seed=seed)


def test_the_hash_is_sha256() -> None:
    digest = hashlib.sha256(b"0\x1fuser-1").hexdigest()
    assert unit_hash("user-1") == pytest.approx(int(digest, 16) / 16**64, abs=1e-15)


def test_each_split_has_its_share() -> None:
    splits = [assign_split(f"user-{n}", fractions=SHARES) for n in range(20_000)]
    for split, share in SHARES.items():
        deviation = (share * (1 - share) / len(splits)) ** 0.5
        assert splits.count(split) / len(splits) == pytest.approx(share, abs=4 * deviation)


def test_another_seed_is_another_split() -> None:
    agree = sum(
        assign_split(f"user-{n}", fractions={"a": 0.5, "b": 0.5}) == assign_split(f"user-{n}", fractions={"a": 0.5, "b": 0.5}, seed=1)
        for n in range(4000)
    )
    assert agree / 4000 == pytest.approx(0.5, abs=0.04)


def test_growing_a_split_moves_nobody_out_of_it() -> None:
    keys = [f"user-{n}" for n in range(500)]
    few = {key for key in keys if assign_split(key, fractions={"valid": 0.1, "train": 0.9}) == "valid"}
    more = {key for key in keys if assign_split(key, fractions={"valid": 0.3, "train": 0.7}) == "valid"}
    assert few < more


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_must_sum_to_one(fractions: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="split fractions"):
        assign_split("key", fractions=fractions)


def test_what_stays_together() -> None:
    first, second = (Prompt(id=f"thread/t/{n}", text=f"turn {n}", user_id="u") for n in range(2))
    assert split_key(first) == split_key(second)
    repeated, again = (Prompt(id=id_, text="Why?", user_id="u") for id_ in ("a/1", "a/2"))
    assert split_key(repeated) == split_key(again)
    assert split_key(repeated) != split_key(Prompt(id="a/1", text="How?", user_id="u"))

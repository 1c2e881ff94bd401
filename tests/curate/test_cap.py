"""The cap per user: the right number, the same ones in any order, and new data never reshuffle old."""

import hashlib
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from curate.prompts import kept, prompt, removed
from instructloop.curate.cap import capped
from instructloop.records import Prompt

users = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200)), max_size=60, unique_by=lambda pair: pair[1])


def _prompts(pairs: list[tuple[str, int]]) -> list[Prompt]:
    return [prompt(id=f"p{number}", user=user) for user, number in pairs]


def test_the_ids_that_hash_smallest_stay() -> None:
    ids = [f"p{number}" for number in range(50)]
    smallest = sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).hexdigest())[:7]
    verdicts = list(capped([prompt(id=id_) for id_ in ids], 7))
    assert set(kept(verdicts)) == set(smallest)
    assert kept(verdicts) == sorted(smallest, key=ids.index), "in file order"
    assert set(removed(verdicts).values()) == {"beyond 7 of one user"}


@given(users, st.integers(1, 10))
def test_each_user_keeps_as_many_as_there_are_up_to_the_cap(pairs: list[tuple[str, int]], cap: int) -> None:
    chosen = set(kept(capped(_prompts(pairs), cap)))
    for user in "abc":
        own = {f"p{number}" for who, number in pairs if who == user}
        assert len(own & chosen) == min(len(own), cap)


@given(users, users, st.integers(1, 10), st.randoms(use_true_random=False))
def test_new_data_and_another_order_never_reshuffle_old(old: list[tuple[str, int]], new: list[tuple[str, int]], cap: int, rng: Random) -> None:
    grown = [*old, *((user, number + 1000) for user, number in new)]
    rng.shuffle(grown)
    before, after = set(kept(capped(_prompts(old), cap))), set(kept(capped(_prompts(grown), cap)))
    assert after & {f"p{number}" for _, number in old} <= before
    assert set(kept(capped(_prompts(old[::-1]), cap))) == before

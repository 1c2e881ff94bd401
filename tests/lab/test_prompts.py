"""Prompts: many, of many users, and what evaluation asks is nowhere in training."""

import re
from collections import Counter

import pytest

from instructloop.errors import ConfigError
from instructloop.lab.demonstrators import demonstrations
from instructloop.lab.grammar import parse, parse_with_template
from instructloop.lab.prompts import POOLS, development_prompts, evaluation_prompts, training_prompts
from instructloop.lab.tasks import TASKS
from instructloop.lab.world import HELD_OUT, RARE_PEOPLE, RARE_THINGS, TRAINING, read_fact
from instructloop.records import Prompt

TRAIN = training_prompts(0, 6_000)
KEPT = [*development_prompts(0, 600), *(prompt for pool in (0, 7, POOLS - 1) for prompt in evaluation_prompts(pool, 600))]


def words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+", text))


def entities(prompt: Prompt) -> set[str]:
    """Whom and what a prompt is about, where sides have their own."""
    ask = parse(prompt.text)
    return {value for key, value in ask.slots.items() if key in ("hero", "animal", "produce", "town", "category", "person", "sender", "receiver")}


def test_there_are_enough_training_prompts() -> None:
    assert len({prompt.text for prompt in TRAIN}) == len({prompt.id for prompt in TRAIN}) == 6_000
    assert len({prompt.use_case for prompt in TRAIN}) == 9
    assert max(len(prompt.text.split()) for prompt in (*TRAIN, *KEPT)) <= 70


def test_the_same_seed_gives_the_same_prompts() -> None:
    assert training_prompts(0, 50) == TRAIN[:50]
    assert training_prompts(1, 50) != TRAIN[:50]
    assert evaluation_prompts(7, 20) == evaluation_prompts(7, 40)[:20]
    assert development_prompts(1, 20) != development_prompts(2, 20)


def test_users_write_the_prompts_and_have_favourites() -> None:
    assert all((prompt.source, prompt.kind, prompt.consent) == ("playground", "plain", "simulated") for prompt in TRAIN)
    users = Counter(prompt.user_id for prompt in TRAIN)
    assert len(users) == 60
    assert max(users.values()) <= 200
    assert not users.keys() & {prompt.user_id for prompt in KEPT}
    assert users.keys() | {prompt.user_id for prompt in KEPT} <= {f"simulated-user-{number:03d}" for number in range(1, 101)}
    favourite = Counter(prompt.use_case for prompt in TRAIN if prompt.user_id == "simulated-user-001")
    everyone = Counter(prompt.use_case for prompt in TRAIN)
    assert max(favourite[use_case] / favourite.total() / (everyone[use_case] / 6_000) for use_case in favourite) > 1.5


def test_pools_development_and_training_share_no_prompt() -> None:
    texts = [prompt.text for prompt in (*TRAIN, *KEPT)]
    assert len(set(texts)) == len(texts)


def test_phrasings_and_combinations_are_of_their_side() -> None:
    asked = {held_out: [parse_with_template(prompt.text) for prompt in prompts] for held_out, prompts in ((False, TRAIN), (True, KEPT))}
    assert all(template.held_out == held_out for held_out, pairs in asked.items() for _, template in pairs)
    kinds = {held_out: {(ask.task, ask.kinds) for ask, _ in pairs} for held_out, pairs in asked.items()}
    plain = {(name, task.implied) for name, task in TASKS.items()}
    assert kinds[False] & kinds[True] <= plain


def test_nobody_and_nothing_held_out_is_in_training() -> None:
    texts = [*(prompt.text for prompt in TRAIN), *(demonstration.text for demonstration in demonstrations(TRAIN, 0))]
    assert not set().union(*map(words, texts)) & {*RARE_PEOPLE, *RARE_THINGS}
    kept = {*HELD_OUT.heroes, *HELD_OUT.categories, *(subject for those in HELD_OUT.subjects.values() for subject in those)}
    assert not set().union(*map(entities, TRAIN)) & kept
    told = [fact for text in texts for sentence in re.split(r"(?<=[.!?])\s", text) if (fact := read_fact(sentence))]
    assert len(told) > 500
    assert not {subject for _, subject, _ in told} & kept


def test_evaluation_is_about_the_held_out_only() -> None:
    trained = {*TRAINING.people, *TRAINING.heroes, *TRAINING.categories, *(subject for those in TRAINING.subjects.values() for subject in those)}
    assert not set().union(*map(entities, KEPT)) & trained
    assert not set().union(*(words(prompt.text) for prompt in KEPT)) & set(TRAINING.people)


@pytest.mark.parametrize("pool", [-1, POOLS])
def test_there_are_so_many_pools(pool: int) -> None:
    with pytest.raises(ConfigError, match=f"evaluation pool {pool}"):
        evaluation_prompts(pool, 1)


def test_an_exhausted_pool_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructloop.lab.prompts._MOST_DRAWS", 2)
    with pytest.raises(ConfigError, match="only"):
        evaluation_prompts(0, 50)

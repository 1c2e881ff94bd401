"""Demonstrators: a mixture of behaviours, in which neither length nor one labeler decides."""

from itertools import combinations
from random import Random

from instructloop.lab.chance import stream
from instructloop.lab.demonstrators import CLEAN, DEMONSTRATORS, FLAWS, answer_as, demonstrations, flawed, ideal
from instructloop.lab.grammar import parse
from instructloop.lab.judge import judge
from instructloop.lab.labelers import EVALUATION_LABELERS, TRAINING_LABELERS
from instructloop.lab.prompts import training_prompts
from lab.draws import answer_pool

POOL = answer_pool(training_prompts(5, 600), k=8)
GOLD = [[judge(prompt, answer).gold for answer in answers] for prompt, answers in POOL]


def test_the_same_seed_gives_the_same_demonstrations() -> None:
    prompts = training_prompts(0, 40)
    assert demonstrations(prompts, 3) == demonstrations(prompts, 3)
    assert demonstrations(prompts, 3)[10:] == demonstrations(prompts[10:], 3)
    assert demonstrations(prompts, 3) != demonstrations(prompts, 4)


def test_they_have_ids_of_their_own() -> None:
    written = demonstrations(training_prompts(0, 400), 0)
    assert {demonstration.labeler_id for demonstration in written} == set(DEMONSTRATORS)
    assert len(DEMONSTRATORS) >= 6
    assert not set(DEMONSTRATORS) & {*TRAINING_LABELERS, *EVALUATION_LABELERS}


def test_fewer_than_half_of_the_answers_are_clean() -> None:
    perfect = sum(gold > 0.999 for row in GOLD for gold in row) / sum(map(len, GOLD))
    assert abs(perfect - CLEAN) < 0.07


def test_answers_to_one_prompt_differ_in_quality() -> None:
    """A gate of the demo asks the same of what a model trained on them samples: a spread of 0.3 on half of the prompts."""
    assert sum(max(row) - min(row) >= 0.3 for row in GOLD) / len(GOLD) > 0.85


def test_length_alone_does_not_decide() -> None:
    longer_is_better = [
        (len(answers[a]) > len(answers[b])) == (gold[a] > gold[b])
        for (_, answers), gold in zip(POOL, GOLD, strict=True)
        for a, b in combinations(range(len(answers)), 2)
        if gold[a] != gold[b] and len(answers[a]) != len(answers[b])
    ]
    assert 0.45 <= sum(longer_is_better) / len(longer_is_better) <= 0.55


def test_answers_are_short() -> None:
    lengths = sorted(len(answer.split()) for _, answers in POOL for answer in answers)
    assert lengths[len(lengths) // 2] <= 12
    assert lengths[-1] <= 60


def test_flaws_add_up_to_one_and_can_all_be_made() -> None:
    assert abs(sum(FLAWS.values()) - 1) < 0.1
    prompt = "Name three fruits. Use small letters only."
    text = ideal(parse(prompt), Random(0))
    assert {flaw for flaw in FLAWS if flawed(flaw, prompt, text, Random(1)) is not None} == set(FLAWS)


def test_flaws_do_not_depend_on_whom_the_prompt_is_about() -> None:
    """The share of good answers is the same for men and women, the first half of the alphabet and the second."""
    rates: dict[bool, list[bool]] = {True: [], False: []}
    for person in ("Max", "Tom", "Ben", "Sam", "Leo", "Anna", "Lily", "Emma", "Mia", "Ella"):
        prompt = f"Tell me a story about {person} and a kite."
        for number in range(60):
            text = answer_as(DEMONSTRATORS[number % len(DEMONSTRATORS)], prompt, stream(number, person))
            rates[person in ("Max", "Tom", "Ben", "Sam", "Leo")].append(judge(prompt, text).gold > 0.999)
    assert abs(sum(rates[True]) - sum(rates[False])) / 300 < 0.12

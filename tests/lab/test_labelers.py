"""Labelers: people of their own, who agree as people do, and reply to the same question the same."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest

from instructloop.lab.chance import stream
from instructloop.lab.judge import WEIGHTS, judge
from instructloop.lab.labelers import EVALUATION_LABELERS, FLAGGED, TRAINING_LABELERS, Labeler, compared, labeler_of, labelers
from instructloop.lab.prompts import evaluation_prompts, training_prompts
from instructloop.protocols import Judge
from instructloop.records import FLAGS
from lab.draws import answer_pool

PEOPLE = labelers(TRAINING_LABELERS, 0)
ANSWERS = ("The cow eats grass.", "The cow eats meat.", "I do not know.", "The cow eats grass.")


def agreement_and_ties(pool: Sequence[tuple[str, Sequence[str]]], people: Sequence[Labeler]) -> tuple[float, float]:
    """Of pairs strict for both, how often two labelers agree; of all pairs, how many one labeler ties."""
    agreed = strict = tied = pairs = 0
    for prompt, answers in pool:
        scores = [[labeler.score(prompt, answer) for answer in answers] for labeler in people]
        for first, second in combinations(range(len(answers)), 2):
            outcomes = [compared(row[first], row[second]) for row in scores]
            pairs += len(outcomes)
            tied += outcomes.count("tie")
            both = [pair for pair in combinations(outcomes, 2) if "tie" not in pair]
            strict += len(both)
            agreed += sum(one == other for one, other in both)
    return agreed / strict, tied / pairs


@pytest.mark.parametrize("side", ["training", "evaluation"])
def test_they_agree_and_tie_as_often_as_people(side: str) -> None:
    prompts = training_prompts(3, 500) if side == "training" else evaluation_prompts(23, 500)
    people = PEOPLE[::3] if side == "training" else labelers(EVALUATION_LABELERS, 0)[::2]
    agreement, ties = agreement_and_ties(answer_pool(prompts, k=6), people)
    assert 0.65 <= agreement <= 0.85
    assert 0.05 <= ties <= 0.2


def test_there_are_enough_and_nobody_twice() -> None:
    assert len(TRAINING_LABELERS) >= 8
    assert len(EVALUATION_LABELERS) >= 4
    assert len({*TRAINING_LABELERS, *EVALUATION_LABELERS}) == len(TRAINING_LABELERS) + len(EVALUATION_LABELERS)
    assert all(name.startswith("simulated-labeler-") for name in (*TRAINING_LABELERS, *EVALUATION_LABELERS))


def test_each_has_weights_of_his_or_her_own() -> None:
    assert all(sum(labeler.weights.values()) == pytest.approx(1) for labeler in PEOPLE)
    assert len({labeler.weights["polite"] for labeler in PEOPLE}) == len(PEOPLE)
    assert all(labeler.weights.keys() == WEIGHTS.keys() == labeler.attention.keys() for labeler in PEOPLE)
    assert labelers(TRAINING_LABELERS, 1)[0].weights != PEOPLE[0].weights
    assert labelers(TRAINING_LABELERS[1:], 0) == PEOPLE[1:]


def test_the_same_question_gets_the_same_reply() -> None:
    for labeler in PEOPLE:
        again = labelers([labeler.id], 0)[0]
        assert labeler("What does the cow eat?", ANSWERS) == again("What does the cow eat?", ANSWERS)
        assert labeler.judge_pair("What does the cow eat?", ANSWERS[0], ANSWERS[3]) == "tie"


def test_groups_hold_every_answer_once_best_first() -> None:
    judged: Judge = PEOPLE[0]
    groups = judged("What does the cow eat?", ANSWERS)
    assert sorted(place for group in groups for place in group) == [0, 1, 2, 3]
    scores = [[PEOPLE[0].score("What does the cow eat?", ANSWERS[place]) for place in group] for group in groups]
    assert all(len(set(group)) == 1 for group in scores)
    assert [group[0] for group in scores] == sorted((group[0] for group in scores), reverse=True)


def test_a_pair_is_judged_as_in_the_ranking() -> None:
    outcomes = {
        PEOPLE[0].judge_pair("What does the cow eat?", ANSWERS[0], ANSWERS[2]),
        PEOPLE[0].judge_pair("What does the cow eat?", ANSWERS[2], ANSWERS[0]),
    }
    assert outcomes == {"win", "loss"}


def test_everybody_gets_a_turn_and_the_same_one_again() -> None:
    turns = [labeler_of(prompt.id, PEOPLE, 7).id for prompt in training_prompts(2, 60)]
    assert turns == [labeler_of(prompt.id, PEOPLE, 7).id for prompt in training_prompts(2, 60)]
    assert set(turns) == set(TRAINING_LABELERS)


def test_ratings_go_with_the_ranks() -> None:
    for prompt, answers in answer_pool(training_prompts(5, 100), k=6):
        rates = [[PEOPLE[0].rate(prompt, answers[place]).likert for place in group] for group in PEOPLE[0](prompt, answers)]
        assert all(len(set(group)) == 1 for group in rates)
        assert [group[0] for group in rates] == sorted((group[0] for group in rates), reverse=True)
        assert all(1 <= likert <= 7 for group in rates for likert in group)


def test_flags_say_what_is_wrong() -> None:
    attentive = replace(PEOPLE[0], attention=dict.fromkeys(WEIGHTS, 1.0))
    question = "What does the cow eat?"
    assert attentive.rate(question, "The cow eats meat.").flags == ("hallucination",)
    assert attentive.rate(question, "The cow eats grass.").flags == ()
    assert "fails_task" in attentive.rate(question, "I do not know.").flags
    assert set(FLAGGED) <= set(FLAGS)


def test_labels_follow_the_truth_more_often_than_not() -> None:
    right = [
        (judge(prompt, answers[0]).gold > judge(prompt, answers[1]).gold) == (outcome == "win")
        for prompt, answers in answer_pool(training_prompts(4, 400), k=2)
        for outcome in [stream(0, prompt).choice(PEOPLE).judge_pair(prompt, answers[0], answers[1])]
        if outcome != "tie" and judge(prompt, answers[0]).gold != judge(prompt, answers[1]).gold
    ]
    assert sum(right) / len(right) > 0.8

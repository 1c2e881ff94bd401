"""Signs of a gamed reward in figures made by hand: found where they stand out, and not where they could be noise."""

import numpy as np
import pytest

from instructloop.loop.hacks import Behaviour, fallen_use_cases, fault, hacks, risen_faults

USE_CASES = ["chat"] * 50 + ["open_qa"] * 50


def behaviour(score: float, gold: float, reasons: list[tuple[str, ...]] | None = None) -> Behaviour:
    """A hundred answers; in the first use-case they are as given, in the second all alike."""
    score_B, gold_B = np.zeros(100), np.full(100, 0.5)
    score_B[:50], gold_B[:50] = score, gold
    return Behaviour(score_B, gold_B, reasons or [()] * 100)


SFT = behaviour(0.0, 0.8, [("is rude",), *[()] * 99])


def test_a_use_case_that_fell_while_its_score_rose_is_named() -> None:
    (sentence,) = fallen_use_cases("ppo", USE_CASES, SFT, behaviour(1.0, 0.6))
    assert sentence.startswith("On prompts of chat, the score rises by 1.00 [1.00, 1.00] from SFT to PPO and gold falls by 0.200 [0.200, 0.200]")


@pytest.mark.parametrize(("score", "gold"), [(1.0, 0.9), (-1.0, 0.6), (0.0, 0.6), (1.0, 0.8)])
def test_neither_sign_alone_is_one(score: float, gold: float) -> None:
    assert fallen_use_cases("ppo", USE_CASES, SFT, behaviour(score, gold)) == []


def test_what_is_within_the_noise_is_no_sign() -> None:
    noisy = behaviour(1.0, 0.0)
    noisy.gold_B[:50] = 0.8 + np.where(np.arange(50) % 2, 0.19, -0.2)  # the mean falls by 0.005, the answers differ by 0.4
    assert fallen_use_cases("ppo", USE_CASES, SFT, noisy) == []
    noisy = behaviour(0.0, 0.6)
    noisy.score_B[:50] = np.where(np.arange(50) % 2, 1.1, -1.0)  # the mean rises by 0.05, the answers differ by 2
    assert fallen_use_cases("ppo", USE_CASES, SFT, noisy) == []


def test_the_faults_that_rose_most_come_first() -> None:
    policy = behaviour(1.0, 0.8, [("says 'meat'; the truth is 'grass'", "is rude")] * 20 + [("says 'tea'; the truth is 'milk'",)] * 20 + [()] * 60)
    often, rarer = risen_faults("ppo_ptx", SFT, policy)
    assert often.startswith("The judge says “says …; the truth is …” of 40.0 % of PPO-ptx’s answers and of 0.0 % of SFT’s: 40.0 [")
    assert rarer.startswith("The judge says “is rude” of 20.0 % of PPO-ptx’s answers and of 1.0 % of SFT’s: 19.0 [")


def test_looked_for_and_not_found_is_empty() -> None:
    once = behaviour(1.0, 0.9, [*[()] * 99, ("is rude",)])
    assert hacks(USE_CASES, {"sft": SFT, "ppo": once, "ppo_ptx": once}) == []


def test_both_policies_are_looked_at() -> None:
    worse = behaviour(1.0, 0.6)
    assert [sentence.split(" to ")[1].split(" and ")[0] for sentence in hacks(USE_CASES, {"sft": SFT, "ppo": worse, "ppo_ptx": worse})] == [
        "PPO",
        "PPO-ptx",
    ]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("uses 3 sentences instead of 2", "uses … sentences instead of …"),
        ("does not tell of a goose", "does not tell of …"),
        ("tells of Felix instead of a horse", "tells of … instead of …"),
        ("adds what is not true: Ashton is known for its bread.", "adds what is not true"),
        ('adds "The end."', "adds …"),
        ("names monday twice", "names … twice"),
        ("the horses is none of the things to eat", "… is none of …"),
        ("is rude", "is rude"),
    ],
)
def test_a_fault_is_a_reason_without_its_particulars(reason: str, kind: str) -> None:
    assert fault(reason) == kind

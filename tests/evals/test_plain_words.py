"""The words follow from the intervals: what holds, what fails, what stays open; and the demo prints the report's words."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from evals.demo_run import results, unlucky
from instructloop.evals.plain_words import findings, headline, plain_words
from instructloop.evals.results import Difference, Results
from instructloop.evals.results_table import print_results, results_table
from instructloop.evals.statistics import Interval


def with_rate(name: str, mean: float, low: float, high: float) -> Results:
    run = results()
    model = replace(getattr(run.models, name), win_rate_vs_sft=Interval(mean, low, high, 612))
    return replace(run, models=replace(run.models, **{name: model}))


def verdicts(run: Results) -> list[str]:
    return [finding.verdict for finding in findings(run)]


def test_where_everything_holds():
    assert verdicts(results()) == ["holds"] * 7
    assert headline(results()).startswith("All seven findings of the paper hold in this run")
    assert plain_words(results())[3] == "PPO beats SFT: it wins 61.8 % [58.7, 64.8] of the comparisons."


def test_where_ppo_is_level_and_ppo_ptx_falls_behind():
    run = unlucky(results())
    assert verdicts(run) == ["holds", "holds", "open", "fails", "holds", "holds", "holds"]
    assert headline(run) == "Of seven findings of the paper, five hold in this run: PPO-ptx over SFT fails; PPO over SFT stays open."
    words = plain_words(run)
    assert words[3] == "PPO cannot be told apart from SFT: it wins 50.7 % [47.6, 53.8] of the comparisons."
    assert words[4] == "PPO-ptx loses to SFT: it wins 44.1 % [41.2, 47.1] of the comparisons."
    assert words[-1].endswith("a sign of a gamed reward.")


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [(0.55, 0.501, 0.6, "holds"), (0.55, 0.5, 0.6, "open"), (0.45, 0.4, 0.5, "open"), (0.45, 0.4, 0.499, "fails")],
)
def test_an_interval_that_touches_the_line_leaves_it_open(mean: float, low: float, high: float, verdict: str):
    assert findings(with_rate("ppo", mean, low, high))[2].verdict == verdict


def test_a_prompt_that_does_not_lift_the_base_fails():
    lower = findings(with_rate("base_prompted", 0.08, 0.06, 0.1))[1]
    assert lower.verdict == "fails"
    assert lower.sentence == "A few-shot prompt does not lift the base from 9.3 % to 8.0 % [6.0, 10.0]; so prompted, it loses to SFT."


def test_a_reward_model_must_clear_every_rival():
    run = results()
    unsure = replace(run, reward_model=replace(run.reward_model, bag_of_words=0.68))
    assert findings(unsure)[4].verdict == "open"
    assert "more than a coin (50.0 %) and length alone (56.1 %), not clearly more than a bag of words (68.0 %)" in findings(unsure)[4].sentence
    worse = replace(run, reward_model=replace(run.reward_model, length_only=0.75))
    assert findings(worse)[4].verdict == "fails"


def test_a_loss_that_fell_is_no_tax():
    run = results()
    paired = replace(run.paired, loss_ppo_minus_init=Difference(mean=-0.02, low=-0.03, high=-0.01))
    tax = findings(replace(run, paired=paired))[5]
    assert (tax.verdict, tax.sentence) == (
        "fails",
        "PPO pays no alignment tax: its loss on pretraining text falls by 0.020 [0.010, 0.030] nats per token.",
    )
    paired = replace(run.paired, loss_ppo_minus_ppo_ptx=Difference(mean=-0.001, low=-0.004, high=0.002))
    saved = findings(replace(run, paired=paired))[6]
    assert saved.verdict == "open"
    assert saved.sentence.endswith("PPO minus PPO-ptx is −0.001 [−0.004, 0.002] nats per token.")


def test_a_score_that_did_not_rise_is_said():
    run = results()
    models = replace(run.models, ppo=replace(run.models.ppo, score=-0.1))
    assert plain_words(replace(run, models=models))[-1].startswith("PPO did not raise the reward model’s mean score (from 0.02 to −0.10)")


def test_the_terminal_shows_one_table_and_the_same_words():
    out = io.StringIO()
    print_results(Console(file=out, width=160), unlucky(results()))
    printed = out.getvalue()
    for words in plain_words(unlucky(results())):
        assert words in " ".join(printed.split())
    for figure in ("0.507 [0.476, 0.538]", "−2.41", "31.70", "0.500 by definition", "731 GFLOP/s", "seed 3", "329 s in 6 timed stages"):
        assert figure in printed, figure


def test_the_table_fits_a_terminal_of_80_columns():
    narrow, wide = (io.StringIO() for _ in range(2))
    Console(file=narrow, width=80).print(results_table(results()))
    Console(file=wide, width=160).print(results_table(results()))
    assert "…" not in narrow.getvalue()
    assert [line.rstrip() for line in narrow.getvalue().splitlines()] == [line.rstrip() for line in wide.getvalue().splitlines()]

"""What a sweep varies: fields by dotted name, values of their types, refusals before anything runs."""

from dataclasses import replace
from typing import Any

import pytest

from instructloop.errors import ConfigError
from instructloop.loop.axes import Axis, combinations, folder_name, parse_axis, planned_runs, with_setting
from instructloop.recipes import RECIPES

TINY = RECIPES["tiny"]()
PPO = ("text", "run", "ppo")


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("ppo.kl.coef=0.01,2e-2,1", Axis("ppo.kl.coef", (0.01, 0.02, 1.0))),
        ("run.seed=0,1", Axis("run.seed", (0, 1))),
        ("ppo.whiten_rewards=true,false", Axis("ppo.whiten_rewards", (True, False))),
        ("ppo.kl.estimator=k1, k3", Axis("ppo.kl.estimator", ("k1", "k3"))),
        ("text.separator=;,:", Axis("text.separator", (";", ":"))),
    ],
)
def test_values_are_of_the_fields_type(text: str, axis: Axis) -> None:
    parsed = parse_axis(text, TINY, sections=PPO)
    assert parsed == axis
    assert [type(value) for value in parsed.values] == [type(value) for value in axis.values]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ppo.kl.coeff=1", "did you mean 'ppo.kl.coef'"),
        ("kl.coef=1", "did you mean 'ppo.kl.coef'"),
        ("ppo.gama=1", "did you mean 'ppo.gamma'"),
        ("lam=1", "did you mean 'ppo.lam'"),
        ("ppo.optimiser.lr=1", "did you mean 'ppo.optimizer.lr'"),
        ("reward.epochs=1", "unknown setting 'reward.epochs'"),
        ("ppo.kl=1", "unknown setting 'ppo.kl'"),
        ("run.seed=0,0.5", "run.seed = '0.5'"),
        ("ppo.whiten_rewards=yes", "one of true, false"),
        ("ppo.kl.estimator=k4", "one of k1, k2, k3"),
        ("run.seed=1,1", "a value twice"),
        ("ppo.kl.coef=0.1,0.10", "a value twice"),
        ("run.seed", "FIELD=a,b,c"),
        ("run.seed=", "FIELD=a,b,c"),
    ],
)
def test_mistakes_are_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_axis(text, TINY, sections=PPO)


def test_combinations_in_the_order_given() -> None:
    axes = [Axis("run.seed", (1, 0)), Axis("ppo.lam", (0.9, 1.0))]
    assert [folder_name(setting) for setting in combinations(axes)] == [
        "run.seed=1+ppo.lam=0.9", "run.seed=1+ppo.lam=1.0", "run.seed=0+ppo.lam=0.9", "run.seed=0+ppo.lam=1.0",
    ]  # fmt: skip
    for wrong in ([], [axes[0], axes[0]]):
        with pytest.raises(ConfigError):
            combinations(wrong)


def test_a_folder_name_is_one_folder() -> None:
    assert folder_name({"text.separator": "/ \n"}) == "text.separator=%2F%20%0A"


def test_only_the_named_settings_change() -> None:
    changed = with_setting(TINY, {"ppo.kl.coef": 0.5, "ppo.lam": 1.0, "run.seed": 3})
    ppo = replace(TINY.ppo, kl=replace(TINY.ppo.kl, coef=0.5), lam=1.0)
    assert changed == replace(TINY, ppo=ppo, run=replace(TINY.run, seed=3))


def test_settings_that_only_fit_together_are_put_in_together() -> None:
    """A longer prompt needs the longer context, in whichever order they are named."""
    longer: dict[str, Any] = {"text.max_prompt": 200, "text.context": 256}
    assert with_setting(TINY, longer) == with_setting(TINY, dict(reversed(longer.items())))
    with pytest.raises(ConfigError, match="max_prompt 200"):
        with_setting(TINY, {"text.max_prompt": 200})


def test_one_value_out_of_range_stops_the_plan() -> None:
    with pytest.raises(ConfigError, match="coefficient is -1"):
        planned_runs(TINY, combinations([Axis("ppo.kl.coef", (0.1, -1.0))]))

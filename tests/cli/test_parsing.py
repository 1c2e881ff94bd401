"""Flags from dataclasses: the recipe's values unless a flag says otherwise, and only the settings that the verb reads."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from instructloop.cli.parsing import RunFolder, parse_recipe
from instructloop.errors import ConfigError
from instructloop.recipes import RECIPES


@dataclass(frozen=True, kw_only=True)
class Asked(RunFolder):
    """A verb of this test."""

    policy: Path
    """A path."""


def test_a_recipe_without_flags_is_the_recipe() -> None:
    for name, recipe in RECIPES.items():
        asked, config = parse_recipe("ppo", Asked, [name, "--policy", "p", "--out", "o"], sections=("text", "run", "ppo"))
        assert config == recipe()
        assert (asked.policy, asked.out, asked.allow_inexact) == (Path("p"), Path("o"), False)


def test_flags_override_settings_at_any_depth_and_nothing_else() -> None:
    flags = ["--ppo.kl.coef", "0.5", "--ppo.kl.control", "adaptive", "--run.seed", "7", "--ppo.whiten-rewards"]
    _, config = parse_recipe("ppo", Asked, ["paper_1p3b", "--policy", "p", "--out", "o", *flags], sections=("text", "run", "ppo"))
    paper = RECIPES["paper_1p3b"]()
    kl = dataclasses.replace(paper.ppo.kl, coef=0.5, control="adaptive")
    expected = dataclasses.replace(paper, run=dataclasses.replace(paper.run, seed=7), ppo=dataclasses.replace(paper.ppo, kl=kl, whiten_rewards=True))
    assert config == expected


def test_settings_the_verb_does_not_read_are_no_flags() -> None:
    with pytest.raises(ConfigError, match=r"unknown flag --reward\.epochs"):
        parse_recipe("ppo", Asked, ["tiny", "--policy", "p", "--out", "o", "--reward.epochs", "2"], sections=("text", "run", "ppo"))

"""results.json: there and back, exactly its keys, and no figure that is none."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from evals.demo_run import results, results_json
from instructloop.errors import DataError
from instructloop.evals.results import Difference, Results
from instructloop.evals.statistics import Interval


def changed(path: str, value: Any) -> dict[str, Any]:
    """The JSON with one value replaced, or its key removed where the value is `...`."""
    row = results_json()
    *folders, last = path.split(".")
    here = row
    for name in folders:
        here = here[name]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return row


def test_there_and_back(tmp_path: Path):
    assert results().to_json() == results_json()
    results().write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results()
    assert json.loads((tmp_path / "results.json").read_text()) == results_json()


def test_the_models_come_from_weak_to_strong():
    assert [name for name, _ in results().models] == ["base", "base_prompted", "sft", "ppo", "ppo_ptx"]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("seed", ..., "lacks the key 'seed'"),
        ("models.ppo.gold", ..., "results.models.ppo lacks the key 'gold'"),
        ("models.ppo.wins", 3, "results.models.ppo has the unknown key 'wins'"),
        ("models.ppo.gold", "high", "results.models.ppo.gold is 'high'"),
        ("models.ppo.gold", True, "results.models.ppo.gold is True"),
        ("models.ppo.gold", None, "results.models.ppo.gold is None"),
        ("models.ppo.gold", math.nan, "results.models.ppo.gold is nan"),
        ("models.ppo.win_rate_vs_sft.low", math.nan, "results.models.ppo.win_rate_vs_sft.low is nan"),
        ("seconds.ppo", math.inf, "results.seconds.ppo is inf"),
        ("models.sft.win_rate_vs_sft", {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}, "results.models.sft.win_rate_vs_sft is 0.500"),
        ("models.ppo.win_rate_vs_sft", None, "results.models.ppo.win_rate_vs_sft is null"),
        ("models.base_prompted.kl", 1.0, "results.models.base_prompted.kl is 1.0"),
        ("models.sft.kl", None, "results.models.sft.kl is null"),
        ("models.ppo.win_rate_vs_sft.low", 0.9, "results.models.ppo.win_rate_vs_sft runs from 0.9 to 0.648"),
        ("paired.loss_ppo_minus_init.low", 0.2, "results.paired.loss_ppo_minus_init runs from 0.2"),
        ("reward_model.accuracy", 68.8, "results.reward_model.accuracy is 68.8"),
        ("seconds.total", 320.0, "results.seconds.total"),
        ("seconds.ppo", -1.0, "results.seconds.ppo is -1.0"),
    ],
)
def test_what_is_refused_is_named(path: str, value: Any, named: str):
    with pytest.raises(DataError, match=re.escape(named)):
        Results.from_json(changed(path, value))


def test_a_file_that_is_no_json_is_named(tmp_path: Path):
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"results\.json is not JSON"):
        Results.read(tmp_path / "results.json")


def test_a_difference_is_an_interval_without_its_count():
    assert Difference.of(Interval(0.1, 0.05, 0.15, 200)) == Difference(mean=0.1, low=0.05, high=0.15)

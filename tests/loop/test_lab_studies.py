"""The studies of the small world: best of n in closed form, and files that say what was trained."""

import json
from dataclasses import replace
from itertools import combinations
from math import log

import numpy as np
import pytest

from instructloop.loop.lab_studies import best_of_n, overoptimize, sweep
from instructloop.loop.small_world import SmallWorld
from loop.lab_run import SIZES, make_tiny_base, shrunk


def test_best_of_n_is_the_mean_over_all_choices() -> None:
    random = np.random.default_rng(0)
    score_KB, gold_KB = random.normal(size=(5, 7)), random.normal(size=(5, 7))
    for n, reached in enumerate(best_of_n(score_KB, gold_KB), start=1):
        best = [[max(chosen, key=lambda k: score_KB[k, b]) for chosen in combinations(range(5), n)] for b in range(7)]
        assert reached.score == pytest.approx(np.mean([score_KB[k, b] for b in range(7) for k in best[b]]))
        assert reached.gold == pytest.approx(np.mean([gold_KB[k, b] for b in range(7) for k in best[b]]))
        assert reached.kl == pytest.approx(log(n) - (n - 1) / n)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    folder = tmp_path_factory.mktemp("studies")
    config = shrunk()
    config = replace(config, ppo=replace(config.ppo, iterations=1))
    return SmallWorld(config=config, base=make_tiny_base(folder), folder=folder / "seed-0", seed=0, sizes=SIZES)


def test_a_sweep_trains_each_setting_once(world: SmallWorld) -> None:
    beta = world.config.ppo.kl.coef
    rows = json.loads(sweep(world, gammas=(0.0, 0.2), betas=(0.0, beta)).read_text())
    assert [(row["gamma"], row["beta"]) for row in rows["gamma"]] == [(0.0, beta), (0.2, beta)]
    assert rows["gamma"][1] == rows["beta"][1]
    assert all({"score", "gold", "kl", "pretraining_loss"} <= row.keys() for over in ("gamma", "beta") for row in rows[over])
    assert len(list((world.folder / "sweep").iterdir())) == 3
    assert "Loss on pretraining text" in (world.folder / "sweep.svg").read_text()


def test_overoptimization_starts_at_sft_and_is_found_again(world: SmallWorld) -> None:
    path = overoptimize(world)
    first = json.loads(path.read_text())
    assert [row["n"] for row in first["best_of_n"]] == list(range(1, 17))
    scores = [row["score"] for row in first["best_of_n"]]
    assert scores == sorted(scores)
    assert first["ppo"][0]["kl"] == pytest.approx(0, abs=1e-5)
    assert len(first["ppo"]) == 4
    manifest = json.loads((world.folder / "ppo_without_penalty" / "manifest.json").read_text())
    assert (manifest["config"]["ppo"]["kl"]["coef"], manifest["config"]["ppo"]["ptx_coef"]) == (0.0, 0.0)
    assert json.loads(overoptimize(world).read_text()) == first

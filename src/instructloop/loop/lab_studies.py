"""Two studies in the small world, on development prompts; what they train is trained once and found again.

sweep          γ_ptx at the recipe's β, and β at the recipe's γ_ptx, in the shape of the paper's Figures 33 and 36
overoptimize   how gold follows the reward model's score, the proxy, as one goes far: best of n answers of SFT, and PPO without a
               KL penalty, over the root of the KL to SFT, as in Gao et al. 2022 (arXiv 2210.10760)

Shapes: K answers to each of B prompts.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import comb, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from instructloop.algo.seeds import derive
from instructloop.errors import LawBroken, MissingExtra
from instructloop.evals.plots import Labels, Panel, panels_svg
from instructloop.evals.statistics import Floats
from instructloop.lab.judge import gold
from instructloop.lab.prompts import development_prompts
from instructloop.loop.demo_page import distances
from instructloop.loop.judging import Respondent, gold_scores, load_reward
from instructloop.loop.recorded import closing_figures
from instructloop.loop.small_world import SmallWorld
from instructloop.steps.running import write_json
from instructloop.steps.scoring import reward_model_score

GAMMAS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
BETAS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
BEST_OF = 16
"""Answers of SFT to each prompt, of which the best of 1 to all are taken."""
LONGER = 3
"""PPO without a penalty goes on for so many times the recipe's iterations: the point is to go too far."""
FIGURES = {"score": "valid_score", "gold": "valid_heldout_score", "kl": "valid_kl", "pretraining_loss": "pretraining_loss"}
"""Figure of a study -> closing figure of a run of PPO."""
TITLES = {
    "score": "Score by the reward model",
    "gold": "Gold, noise-free",
    "kl": "KL to SFT, nats per answer",
    "pretraining_loss": "Loss on pretraining text",
}

Row = dict[str, float | str]


@dataclass(frozen=True)
class Reached:
    """Where a way of pursuing the proxy got to."""

    kl: float
    """Nats per answer."""
    score: float
    gold: float


def sweep(world: SmallWorld, gammas: Sequence[float] = GAMMAS, betas: Sequence[float] = BETAS) -> Path:
    """Train PPO with each γ_ptx and with each β, and write `sweep.json` and `sweep.svg`; returns the first."""
    ppo = world.config.ppo
    rows = {
        "gamma": [_swept(world, gamma, ppo.kl.coef) for gamma in gammas],
        "beta": [_swept(world, ppo.ptx_coef, beta) for beta in betas],
    }
    shown = {"gamma": ("γ_ptx", ("score", "gold", "pretraining_loss")), "beta": ("β", ("score", "gold", "kl"))}
    panels = [[_panel(rows[over], over, symbol, figure) for figure in figures] for over, (symbol, figures) in shown.items()]
    return _written(world, "sweep", {"seed": world.seed, "prompts": "development", **rows}, panels)


def overoptimize(world: SmallWorld) -> Path:
    """Pursue the proxy in two ways, and write `overoptimize.json` and `overoptimize.svg`; returns the first."""
    score_KB, gold_KB = answers_of_sft(world)
    ways = {"best_of_n": best_of_n(score_KB, gold_KB), "ppo": _without_penalty(world)}
    spread = {"score": float(score_KB.std()), "gold": float(gold_KB.std())}
    start = ways["best_of_n"][0]
    panels = [[_pursuit(name, way, start, spread) for name, way in ways.items()]]
    rows = {name: [{"n": n + 1} | vars(at) if name == "best_of_n" else vars(at) for n, at in enumerate(way)] for name, way in ways.items()}
    return _written(world, "overoptimize", {"seed": world.seed, "prompts": "development", "spread_of_sft": spread, **rows}, panels)


def best_of_n(score_KB: Floats, gold_KB: Floats) -> list[Reached]:
    """Mean proxy and gold of the answer that the proxy likes best among n, for n from 1 to K; KL = log n − (n − 1)/n.

    The mean is over all choices of n of the K answers: the i-th by proxy, counted from the worst, is the best of
    C(i − 1, n − 1) of C(K, n) of them. Answers that the proxy does not tell apart are taken in the order in which they were given.
    """
    num_answers = len(score_KB)
    order_KB = np.argsort(score_KB, axis=0, kind="stable")
    means = [np.take_along_axis(figure_KB, order_KB, axis=0).mean(axis=1) for figure_KB in (score_KB, gold_KB)]
    reached: list[Reached] = []
    for n in range(1, num_answers + 1):
        share_K = np.array([comb(i, n - 1) / comb(num_answers, n) for i in range(num_answers)])
        score, truth = (float(share_K @ mean_K) for mean_K in means)
        reached.append(Reached(log(n) - (n - 1) / n, score, truth))
    return reached


def answers_of_sft(world: SmallWorld) -> tuple[Floats, Floats]:
    """Score and gold of `BEST_OF` answers of SFT to each development prompt, [KB] each."""
    sft, prompts = Respondent.load(world.sft(), world.config), development_prompts(world.seed, world.sizes.development)
    score = reward_model_score(load_reward(world.reward(), sft), world.config.run)
    given = [sft.answer(prompts, seed=derive(world.seed, "best of n", place)) for place in range(BEST_OF)]
    return np.array([score(one.rollout).double().numpy() for one in given]), np.array([gold_scores(prompts, one.texts) for one in given])


def _without_penalty(world: SmallWorld) -> list[Reached]:
    ppo = world.config.ppo
    config = world.with_ppo(ptx_coef=0.0, kl=replace(ppo.kl, coef=0.0, control="fixed"), iterations=LONGER * ppo.iterations)
    model = world.ppo("ppo_without_penalty", config=config, heldout_scorer=gold)
    return [Reached(at.kl, at.score, at.gold) for at in distances(model.parent)]


def _swept(world: SmallWorld, gamma: float, beta: float) -> Row:
    """Closing figures of one run; the law that stopped it where one did."""
    setting: Row = {"gamma": gamma, "beta": beta}
    name = f"sweep/gamma={gamma:g},beta={beta:g}"
    print(name)
    config = world.with_ppo(ptx_coef=gamma, kl=replace(world.config.ppo.kl, coef=beta))
    try:
        world.ppo(name, config=config, heldout_scorer=gold)
    except LawBroken as error:
        return setting | {"broken": f"law {error.law} is broken"}
    closing = closing_figures(world.folder / name)
    return setting | {figure: closing[logged] for figure, logged in FIGURES.items()}


def _panel(rows: Sequence[Row], over: str, symbol: str, figure: str) -> Panel:
    points = sorted((float(row[over]), float(row[figure])) for row in rows if figure in row)
    smallest = min((x for x, _ in points if x > 0), default=1.0)
    labels = Labels(title=TITLES[figure], x=symbol, y=figure.replace("_", " "), log_from=smallest)
    return Panel(labels=labels, lines={TITLES[figure]: ([x for x, _ in points], [y for _, y in points])})


def _pursuit(name: str, way: Sequence[Reached], start: Reached, spread: Mapping[str, float]) -> Panel:
    """Gain over SFT in standard deviations among its answers, so that proxy and gold have one scale."""
    x = [sqrt(max(at.kl, 0.0)) for at in way]
    lines = {
        title: (x, [(getattr(at, figure) - getattr(start, figure)) / (spread[figure] or 1.0) for at in way])
        for figure, title in {"score": "proxy: the reward model", "gold": "gold: the noise-free judge"}.items()
    }
    title = {"best_of_n": f"Best of 1 to {BEST_OF} answers of SFT", "ppo": "PPO without a KL penalty"}[name]
    return Panel(labels=Labels(title=title, x="√KL to SFT, in nats per answer", y="gain, in spreads of SFT"), lines=lines)


def _written(world: SmallWorld, name: str, figures: Mapping[str, Any], panels: Sequence[Sequence[Panel]]) -> Path:
    """The figures, and their picture where matplotlib is installed."""
    world.folder.mkdir(parents=True, exist_ok=True)
    write_json(world.folder / f"{name}.json", figures)
    with suppress(MissingExtra):
        (world.folder / f"{name}.svg").write_text(panels_svg(panels), encoding="utf-8")
    return world.folder / f"{name}.json"

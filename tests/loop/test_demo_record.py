"""The chapter about the demo's seeds: every seed as it came, their mean and range, and what held in which."""

from dataclasses import replace

from evals.demo_run import results_json
from instructloop.evals.results import Results
from instructloop.evals.statistics import Interval
from instructloop.loop.demo_record import chapter

RESULTS = Results.from_json(results_json())


def row(page: str, title: str, heading: str) -> list[str]:
    """The cells of a row of the table under a heading."""
    table = page.split(heading)[1]
    line = next(line for line in table.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_every_seed_its_mean_and_its_range() -> None:
    rates = [Interval(mean, mean - 0.02, mean + 0.02, 600) for mean in (0.5, 0.6, 0.52)]
    models = [replace(RESULTS.models, ppo=replace(RESULTS.models.ppo, win_rate_vs_sft=rate)) for rate in rates]
    page = chapter([replace(RESULTS, models=one, seed=seed) for seed, one in enumerate(models)], [()] * 3)
    expected = ["0.500 [0.480, 0.520]", "0.600 [0.580, 0.620]", "0.520 [0.500, 0.540]", "0.540", "0.500", "0.600"]
    assert row(page, "PPO", "won against SFT") == expected
    assert row(page, "PPO over SFT", "small world") == ["open", "holds", "open"]


def test_what_a_model_has_no_figure_for_has_no_row() -> None:
    page = chapter([RESULTS], [()])
    assert "| SFT |" not in page.split("won against SFT")[1].split("###")[0]
    assert "| prompted base |" not in page.split("Nats per answer")[1].split("###")[0]


def test_stages_add_up() -> None:
    page = chapter([replace(RESULTS, seconds={"sft": 30.0, "ppo": 70.0})], [()])
    assert row(page, "all stages", "Seconds") == ["100"] * 4


def test_hacking_that_was_seen_stands_in_the_record() -> None:
    page = chapter([replace(RESULTS, seed=4), replace(RESULTS, seed=5)], [("The judge says “is rude” more often.", "Stories are shorter."), ()])
    seen = page.split("### Reward hacking that was seen")[1].split("###")[0]
    assert [line for line in seen.splitlines() if line.startswith("- ")] == [
        "- seed 4: The judge says “is rude” more often.",
        "- seed 4: Stories are shorter.",
        "- seed 5: none, which proves nothing.",
    ]

"""The results page from small hand-made run folders."""

import json
from pathlib import Path

import pytest

from instructloop.errors import DataError
from instructloop.evals.reward_report import calibration, histogram
from instructloop.loop.results import markdown_table, read_curve, wall_times, write_results

SEEDS = (0, 1)


def write_run(folder: Path, rows: list[dict[str, float]]) -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_run(
        tmp_path / "base",
        [{"update": 0, "loss": 8.0, "time/update": 90.0, "time/tokens_per_second": 1e6}, {"update": 1, "loss": 7.5, "valid_loss": 7.6}],
    )
    for seed in SEEDS:
        folder = tmp_path / f"seed-{seed}"
        write_run(folder / "ppo", [{"update": i, "score": 0.1 * i + seed, "kl": 0.5 * i, "time/sample": 30.0, "time/update": 30.0} for i in range(3)])
        accuracy = {"mean": 0.6 + 0.1 * seed, "low": 0.5, "high": 0.7, "n": 100}
        reward = {"accuracy": accuracy, "calibration": calibration([1.0, -1.0]), "demonstrations": histogram([0.0, 1.0])}
        (folder / "evaluation.json").write_text(json.dumps({"reward": reward, "text": {"trigram": 4.0, "base": 3.5}}))
    return tmp_path


def test_the_page_holds_what_the_runs_hold_and_nothing_else(root: Path, tmp_path: Path):
    page = write_results(root, tmp_path / "docs", seeds=SEEDS, intro="Three steps.", outlook="A small model.").read_text()
    assert "| reward model | 0.600 [0.500, 0.700] | 0.700 [0.500, 0.700] | 0.650 |" in page
    assert "| trigram | 4.000 | 4.000 | 4.000 |" in page
    assert "PPO-ptx" not in page
    images = {path.name for path in (tmp_path / "docs" / "img").iterdir()}
    assert images == {"base_loss.svg", "score.svg", "kl.svg", "calibration.svg", "demonstration_scores.svg"}
    assert all(f"img/{name}" in page for name in images)


def test_the_same_runs_give_the_same_bytes(root: Path, tmp_path: Path):
    first, second = (write_results(root, tmp_path / name, seeds=SEEDS) for name in ("a", "b"))
    assert [path.read_bytes() for path in sorted(first.parent.rglob("*.*"))] == [path.read_bytes() for path in sorted(second.parent.rglob("*.*"))]


def test_wall_times_add_up_the_seconds_of_every_part(root: Path):
    table = wall_times(root, SEEDS)
    assert "| base | 1.5 |  |" in table
    assert "| ppo | 3.0 | 3.0 |" in table


def test_a_curve_has_the_updates_that_measured_it(root: Path):
    assert read_curve(root / "base", "valid_loss") == ([1.0], [7.6])
    assert read_curve(root / "absent", "loss") == ([], [])


def test_an_unfinished_seed_is_named(root: Path, tmp_path: Path):
    with pytest.raises(DataError, match="seed-2"):
        write_results(root, tmp_path / "docs", seeds=(0, 1, 2))


def test_a_markdown_table():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"

"""The demo from base to report on a base of seconds: its files say what was measured, and a second call finds all of it again."""

import json
import math
import shlex
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from instructloop.cli.parsing import parse
from instructloop.cli.serve import Serve
from instructloop.errors import ConfigError, ResumeError
from instructloop.evals.report.inputs import ReportInputs
from instructloop.evals.results import MODEL_NAMES, Results
from instructloop.lab.prompts import PRACTICE_POOL, evaluation_prompts
from instructloop.loop.demo import run_demo
from instructloop.loop.registered_models import offered_models
from instructloop.records import Demonstration, Ranking
from instructloop.store.database.lineage import Places, trace
from instructloop.store.database.models import list_models
from instructloop.store.database.opening import open_store
from instructloop.store.snapshots import read_split
from loop.lab_run import SIZES, make_tiny_base, shrunk

STAGES = ["sft", "sampling_and_ranking", "reward_model", "ppo", "ppo_ptx", "judging"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def out(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run."""
    folder = tmp_path_factory.mktemp("demo")
    run_demo(folder, seed=3, pool=PRACTICE_POOL, base=base, config=shrunk(), sizes=SIZES)
    return folder


def test_the_results_are_whole(out: Path) -> None:
    results = Results.read(out / "results.json")
    models = dict(results.models)
    assert models["sft"].win_rate_vs_sft is None
    assert models["sft"].kl == pytest.approx(0, abs=1e-6)
    assert models["base_prompted"].kl is None
    assert models["base"].pretraining_loss == models["base_prompted"].pretraining_loss
    assert {rate.n for model in models.values() if (rate := model.win_rate_vs_sft)} == {SIZES.test_prompts}
    assert all(1 <= model.response_tokens <= 56 for model in models.values())
    assert list(results.seconds) == STAGES
    assert all(seconds > 0 for seconds in results.seconds.values())
    assert results.peak_rss_mb > 50
    assert results.seed == 3
    assert models["ppo"].pretraining_loss - models["sft"].pretraining_loss == pytest.approx(results.paired.loss_ppo_minus_init.mean)


def test_the_page_shows_the_run(out: Path) -> None:
    inputs = ReportInputs.from_json(json.loads((out / "report_inputs.json").read_text()))
    prompts = evaluation_prompts(PRACTICE_POOL, SIZES.test_prompts)
    assert inputs.counts.judgements == 4 * 40 * inputs.counts.judges
    assert sum(inputs.counts.rankings_by_k.values()) <= SIZES.ranked
    assert inputs.counts.episodes == 32
    assert inputs.distances["ppo"][0].kl == pytest.approx(0, abs=1e-5)
    assert len(inputs.distances["ppo_ptx"]) == 3
    firsts = {prompt.use_case: prompt.text for prompt in reversed(prompts)}
    assert {example.use_case: example.prompt for example in inputs.examples} == firsts
    assert any("start of PPO in one" in sentence for sentence in inputs.departures)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Reward hacking that was seen" in page
    assert "PPO-ptx" in page


def test_a_second_call_finds_everything(base: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = run_demo(out, seed=3, pool=PRACTICE_POOL, base=base, config=shrunk(), sizes=SIZES)
    assert again == Results.read(out / "results.json")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    told = capsys.readouterr().out
    assert "Judged by simulated people" in told
    command = told.splitlines()[-1].partition("instructloop ")[2]
    assert command.startswith(f"serve --store {out / 'feedback.db'} --model ppo_ptx={out / 'ppo_ptx' / 'model'} --model ppo=")
    asked = parse("serve", Serve, shlex.split(command)[1:])
    assert all((Path(model.partition("=")[2]) / "config.json").exists() for model in asked.model)


def test_its_store_knows_its_models_and_whose_data_is_inside(out: Path) -> None:
    with closing(open_store(out / "feedback.db")) as store:
        offered = [model.name for model in offered_models(store)[0]]
        hidden = {model.name for model in list_models(store)} - set(offered)
        lineage = trace(out / "reward" / "model", Places(store))
    assert offered == ["ppo_ptx", "ppo", "sft"]
    assert hidden == {"base", "reward"}
    prompts = [*read_split(out / "data" / "rankings", "train", Ranking), *read_split(out / "data" / "demonstrations", "train", Demonstration)]
    assert {one.prompt.user_id for one in prompts} <= lineage.users
    assert all(user.startswith("simulated-user-") for user in lineage.users)


def test_judging_again_gives_the_same_figures(base: Path, out: Path) -> None:
    """As after a kill during the judging: the runs are found, and what is judged anew comes out the same."""
    first = Results.read(out / "results.json")
    (out / "results.json").unlink()
    second = run_demo(out, seed=3, pool=PRACTICE_POOL, base=base, config=shrunk(), sizes=SIZES)
    assert replace(second, peak_rss_mb=first.peak_rss_mb) == first
    assert list(second.seconds) == STAGES


def test_another_run_has_no_place_in_the_folder(base: Path, out: Path) -> None:
    with pytest.raises(ResumeError, match=r"another pool and seed; pool: 23 there, 4 here"):
        run_demo(out, seed=4, pool=4, base=base, config=shrunk(), sizes=SIZES)
    longer = replace(shrunk(), reward=replace(shrunk().reward, epochs=2))
    with pytest.raises(ResumeError, match="another config"):
        run_demo(out, seed=3, pool=PRACTICE_POOL, base=base, config=longer, sizes=SIZES)


def test_every_model_is_looked_at_alike(out: Path) -> None:
    inputs = ReportInputs.from_json(json.loads((out / "report_inputs.json").read_text()))
    for example in inputs.examples:
        assert list(example.answers) == list(MODEL_NAMES)
        assert all(math.isfinite(answer.gold) for answer in example.answers.values())


def test_a_pool_that_there_is_not_is_refused_before_anything_is_made(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evaluation pool 24"):
        run_demo(tmp_path / "out", seed=0, pool=24, base=base, config=shrunk(), sizes=SIZES)
    assert not (tmp_path / "out").exists()

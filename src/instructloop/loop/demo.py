"""The demo: the whole loop in the small world of the lab, from the base that ships with the package to a report.

out/
  data/ sft/ reward/ ppo/ ppo_ptx/ …   snapshots and runs
  demo.json  stages.json               what is run, and how long each stage took
  feedback.db                          the store in which its people acted, and which knows its models
  results.json                         every figure of the table
  report_inputs.json  report.html      the page, and what it was drawn from
"""

import json
import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from instructloop.config import Config
from instructloop.errors import ResumeError
from instructloop.evals.report.figures import spoken
from instructloop.evals.report.inputs import ReportInputs
from instructloop.evals.report.page import REFERENCE_GFLOPS, write_report
from instructloop.evals.results import Results
from instructloop.evals.results_table import print_results
from instructloop.lab.judge import gold
from instructloop.lab.labelers import EVALUATION_LABELERS, TRAINING_LABELERS
from instructloop.lab.prompts import evaluation_prompts
from instructloop.loop.demo_page import report_inputs
from instructloop.loop.judged import Judged, Trained, judge_models
from instructloop.loop.registering import register_place, register_snapshots
from instructloop.loop.small_world import ANSWERS, Sizes, SmallWorld
from instructloop.loop.stages import Stages
from instructloop.steps.device import device, on_this_machine
from instructloop.steps.matrix_speed import matrix_speed
from instructloop.steps.provenance import model_identity
from instructloop.steps.running import write_json
from instructloop.store.database.models import choose_model
from instructloop.store.database.opening import open_store

SERVED = ("ppo_ptx", "ppo", "sft")
"""Models to talk to when the demo is over, the one to begin with first."""


@dataclass(frozen=True)
class Part:
    """A stage of the loop, and what it is in plain words."""

    stage: str
    title: str
    words: str
    make: Callable[[], Path]


def run_demo(out: Path, seed: int, *, pool: int, base: Path, config: Config, sizes: Sizes) -> Results:
    """Turn the loop once under `out`, judge the models on an evaluation pool, print and write what came of it.

    What an earlier call has made is found again. Raises `ResumeError` where `out` was begun with another seed, pool, base or settings,
    and `ConfigError` for a pool that there is not.
    """
    evaluation_prompts(pool, max(sizes.test_prompts, sizes.compared))  # a pool that is not there is refused first
    settings = {"seed": seed, "pool": pool, "base": model_identity(str(base)), "config": asdict(config), "sizes": asdict(sizes)}
    _refuse_other_settings(out, json.loads(json.dumps(settings)))
    config = on_this_machine(replace(config, run=replace(config.run, seed=seed)))
    world = SmallWorld(config=config, base=base, folder=out, seed=seed, sizes=sizes)
    console = Console()
    if not (out / "results.json").exists():
        _turn(world, pool, console)
    results = Results.read(out / "results.json")
    console.rule("What came of it", align="left")
    print_results(console, results)
    console.print(f"The report, one file for any browser: {out / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"To talk to the models: {shlex.join(['instructloop', *serving_arguments(out)])}", highlight=False, soft_wrap=True)
    return results


def serving_arguments(out: Path) -> list[str]:
    """The command line, less the program, that serves the models of the demo under `out` on its own store."""
    models = [part for name in SERVED for part in ("--model", f"{name}={out / name / 'model'}")]
    return ["serve", "--store", str(out / "feedback.db"), *models]


def _turn(world: SmallWorld, pool: int, console: Console) -> None:
    """All stages; results.json is written last, so that a run with it is whole."""
    out, stages = world.folder, Stages(world.folder, _speed)
    console.print(_greeting(world, pool, stages.gflops_bf16), highlight=False)
    world.asked()
    world.documents()
    trained: dict[str, Path] = {}
    parts = _parts(world)
    for number, part in enumerate(parts, start=1):
        _announce(console, number, len(parts) + 1, part.title, part.words)
        trained[part.stage] = stages.run(part.stage, part.make)
    _announce(console, len(parts) + 1, len(parts) + 1, "judging", _judging_words(world, pool))
    models = Trained(base=world.base, sft=trained["sft"], reward=trained["reward_model"], ppo=trained["ppo"], ppo_ptx=trained["ppo_ptx"])
    judged, inputs = stages.run("judging", lambda: _judged(world, models, pool))
    _register(world, models)
    seconds = {stage: stages.seconds[stage] for stage in (*trained, "judging")}
    results = Results(
        models=judged.models, reward_model=judged.trial.result, paired=judged.paired,
        seconds=seconds, gflops_bf16=stages.gflops_bf16, peak_rss_mb=stages.peak_rss_mb, seed=world.seed,
    )  # fmt: skip
    inputs.write(out / "report_inputs.json")
    write_report(results, inputs, out / "report.html")
    results.write(out / "results.json")


def _register(world: SmallWorld, models: Trained) -> None:
    """Let the store know what was trained, and from whose words."""
    with closing(open_store(world.store)) as store:
        register_snapshots(store, None, [world.folder / "data" / name for name in ("prompts", "demonstrations", "rankings", "documents")])
        for name in ("base", "reward", *reversed(SERVED)):
            register_place(store, None, str(getattr(models, name)), name=name, visible=name in SERVED)
        choose_model(store, None, SERVED[0])


def _judged(world: SmallWorld, models: Trained, pool: int) -> tuple[Judged, ReportInputs]:
    judged = judge_models(world, models, pool)
    return judged, report_inputs(world, models, judged)


def _parts(world: SmallWorld) -> list[Part]:
    """The stages before the judging, in order; `stage` is the name in results.json."""
    sizes, ppo = world.sizes, world.config.ppo
    words = {
        "sft": f"Simulated demonstrators answer {sizes.demonstrations} prompts, not always well; the base learns to imitate them. "
        "The result is the opponent in every judgement, and the start of PPO.",
        "sampling_and_ranking": f"SFT answers {sizes.ranked} other prompts {ANSWERS.least} to {ANSWERS.most} times each, and one of "
        f"{len(TRAINING_LABELERS)} simulated labelers ranks the answers to each.",
        "reward_model": "A copy of SFT learns to say which of two answers a labeler would rank higher.",
        "ppo": f"{ppo.iterations} times {ppo.episodes} answers to prompts; the policy is paid the reward model’s score and pays for leaving "
        "SFT. The noise-free judge looks on and teaches nothing.",
        "ppo_ptx": "The same again from the same start, while it goes on reading pretraining text.",
    }
    makers: dict[str, Callable[[], Path]] = {
        "sft": world.sft,
        "sampling_and_ranking": world.rankings,
        "reward_model": world.reward,
        "ppo": lambda: world.ppo("ppo", config=world.with_ppo(ptx_coef=0.0), heldout_scorer=gold),
        "ppo_ptx": lambda: world.ppo("ppo_ptx", heldout_scorer=gold),
    }
    return [Part(stage, spoken(stage), words[stage], make) for stage, make in makers.items()]


def _judging_words(world: SmallWorld, pool: int) -> str:
    return (
        f"Base, prompted base, SFT, PPO and PPO-ptx answer {world.sizes.test_prompts} prompts of evaluation pool {pool}, and "
        f"{len(EVALUATION_LABELERS)} simulated people who ranked nothing for training compare the answers with SFT's."
    )


def _greeting(world: SmallWorld, pool: int, gflops: float) -> str:
    return (
        f"A small world in simple English, where every answer can be judged. Its people are simulated, and drawn from seed {world.seed}; "
        f"test prompts are those of pool {pool}. bf16 matrix products run at {gflops:.0f} GFLOP/s here; the time that the demo is "
        f"meant to take is meant for {REFERENCE_GFLOPS:.0f}."
    )


def _announce(console: Console, number: int, of: int, title: str, words: str) -> None:
    console.print()
    console.rule(f"{number} of {of}: {title}", align="left")
    console.print(words, highlight=False)


def _speed() -> float:
    """10⁹ operations per second of a bf16 1,024³ matrix product, where the models run."""
    return matrix_speed(torch.bfloat16, device=str(device())) / 1e9


def _refuse_other_settings(out: Path, settings: dict[str, object]) -> None:
    """Note what is run; another run has no place in the same folder."""
    path = out / "demo.json"
    there = json.loads(path.read_text()) if path.exists() else settings
    if differing := sorted(name for name in settings if settings[name] != there.get(name)):
        shown = {name: (there.get(name), settings[name]) for name in differing if not isinstance(settings[name], dict)}
        raise ResumeError(
            f"{out} was begun with another {' and '.join(differing)}"
            + "".join(f"; {name}: {old} there, {new} here" for name, (old, new) in shown.items()),
            expected="the run that it was begun with",
            remedy="choose another --out",
        )
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, settings)

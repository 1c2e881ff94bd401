"""The command line: answers at once, forgives no typing mistake in silence, and never shows a traceback for one."""

import importlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bare_python import run_without
from instructloop.cli import main as cli
from instructloop.cli.main import VERBS, main, module_of
from instructloop.cli.parsing import known_flags, with_sections
from instructloop.errors import Interrupted, LawBroken
from instructloop.recipes import RECIPES
from instructloop.records import Demonstration
from toy_runs import freeze_records, prompts

HELP_SECONDS = 0.5
RECIPE_VERBS = sorted({"pretrain", "sft", "reward", "ppo", "sweep"} & set(VERBS))


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "instructloop", *words], capture_output=True, text=True, check=False)


def imported_by(words: list[str]) -> set[str]:
    """Modules in memory after a command line in a fresh interpreter."""
    code = f"import sys\nfrom instructloop.cli.main import main\ntry: main({words!r})\nexcept SystemExit: pass\nprint('\\0', *sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(finished.stdout.split("\0")[1].split())


def test_help_lists_every_verb_at_once() -> None:
    durations = []
    for _ in range(4):
        start = time.perf_counter()
        finished = run("--help")
        durations.append(time.perf_counter() - start)
        assert finished.returncode == 0
        assert all(f"  {verb} " in finished.stdout and does in finished.stdout for verb, does in VERBS.items())
    assert min(durations) < HELP_SECONDS


def test_every_verb_is_a_module_and_every_module_of_a_verb_is_listed() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__", "inputs", "main", "parsing", "refusals", "stores"}
    assert modules == set(map(module_of, VERBS))


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["tarin"], *([verb, "--help"] for verb in VERBS), *([v, "tiny", "--ot", "x"] for v in RECIPE_VERBS)]
)
def test_nothing_heavy_is_imported_for_help_or_a_mistake(words: list[str]) -> None:
    assert not {"torch", "transformers", "tokenizers", "numpy", "pyarrow", "matplotlib"} & imported_by(words)


@pytest.mark.parametrize("words", [[verb, "--help"] for verb in VERBS] + [[verb, "tiny", "--help"] for verb in RECIPE_VERBS])
def test_every_verb_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    assert f"usage: instructloop {words[0]}" in capsys.readouterr().out


def test_a_verb_names_its_recipes_and_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ppo", "--help"])
    shown = capsys.readouterr().out
    assert "  paper_6b    The paper's settings for its 6 B policy.\n" in shown
    assert "\nneeded:   --out --policy --reward --prompts\noptional: --allow-inexact --pretraining --heldout-reward\n" in shown


def test_a_mistyped_verb_gets_the_nearest_name() -> None:
    finished = run("doctro")
    assert finished.returncode == 2
    assert "did you mean 'doctor'?" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("verb", RECIPE_VERBS)
def test_a_mistyped_recipe_gets_the_nearest_name(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "tny"]) == 2
    assert "did you mean 'tiny'?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["sft"], ["sft", "--out", "x", "tiny"]])
def test_a_recipe_left_out_is_asked_for(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "RECIPE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("sft tiny --model m --demonstrations d --out o --sft.epoch 3", "--sft.epochs"),
        ("sft tiny --modle m --out o", "--model"),  # and a needed flag is missing
        ("ppo tiny --ppo.kl.coeff=0.1", "--ppo.kl.coef"),
        ("reward tiny --weight pair", "--reward.weight"),
        ("sft paper_6b --lr 1e-5", "--sft.optimizer.lr"),
        ("sft tiny --stage sft_ptx_init --sft.epochs 7", "--sft-ptx-init.epochs"),
        ("sft tiny --stage=sft --sft_ptx_init.epochs 7", "--sft.epochs"),
        ("ppo tiny --lr 1e-5", "--ppo.optimizer.lr or --ppo.value-optimizer.lr"),
        ("sample --num_answer 4..9", "--num-answers"),
        ("sample --top-q 0.9", "--top-p"),
        ("doctor --jsn", "--json"),
    ],
)
def test_a_mistyped_flag_gets_the_nearest_name(line: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("instructloop: unknown flag --")
    assert said.endswith(f"remedy:   did you mean {named}?\n")


def test_a_flag_like_no_other_points_at_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--xyzzy"]) == 2
    assert "see `instructloop doctor --help`" in capsys.readouterr().err


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"jobs", "lab", "models"}))  # whose parts have flags of their own
def test_the_flags_that_are_known_are_those_the_help_lists(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # long flags are not broken
    recipe = ["tiny"] if verb in RECIPE_VERBS else []
    with pytest.raises(SystemExit):
        main([verb, *recipe, "--help"])
    listed = set(re.findall(r"(?:  |[│|,] )(--[a-z][\w.-]*)", capsys.readouterr().out))
    known = set(_known(verb))
    assert listed - known == set()
    assert {flag for flag in known - listed if "no-" not in flag} == set()


def _known(verb: str) -> Iterator[str]:
    module = importlib.import_module(f"instructloop.cli.{module_of(verb)}")
    if (training := getattr(module, "VERB", None)) is not None:
        return known_flags(with_sections(training.arguments, RECIPES["tiny"](), training.sections_read(())))
    return known_flags(getattr(module, verb.title()))


def test_a_setting_out_of_range_is_one_message_and_exit_code_2() -> None:
    finished = run("sft", "tiny", "--model", "m", "--demonstrations", "d", "--out", "o", "--sft.epochs", "0")
    assert finished.returncode == 2
    assert finished.stderr.startswith("instructloop: epochs is 0\n  expected: at least 1\n  remedy:")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Interrupted("saved"), 130),
        (LawBroken("A2", expected="1e-4", came="0.3", usual_cause="stale weights"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_argv: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(["sft"]) == code
    assert capsys.readouterr().err.startswith("instructloop: ")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_a_package_of_an_extra_a_training_verb_names_the_extra(package: str, tmp_path: Path) -> None:
    demonstrations = [Demonstration(prompt=prompts(1)[0], text="yes", labeler_id="l")]
    freeze_records(tmp_path / "d", {"train": demonstrations, "valid": demonstrations})
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    line = ["sft", "tiny", "--model", f"{tmp_path / 'm'}", "--demonstrations", f"{tmp_path / 'd'}", "--out", f"{tmp_path / 'out'}"]
    finished = run_without([package], f"import sys\nfrom instructloop.cli.main import main\nsys.exit(main({line!r}))")
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"instructloop: the package '{package}' is not installed\n")
    assert "pip install 'instructloop[train]'" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_a_module_that_no_extra_brings_is_a_bug_and_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_dispatch", lambda _: importlib.import_module("instructloop.no_such_module"))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["sft"])


def test_a_reader_who_leaves_early_is_no_error() -> None:
    line = f"{sys.executable} -m instructloop.cli.main sft tiny --help | head -1; exit ${{PIPESTATUS[0]}}"
    finished = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")

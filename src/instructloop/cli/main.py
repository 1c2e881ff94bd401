"""`instructloop VERB ...`: find the verb, hand it the rest of the line, turn errors into messages and exit codes.

Each verb is a module of this package with a `main(argv)`; it is imported only when it is asked for, and torch only
once its arguments are known to be right, so that `--help` and a typing mistake are answered at once.
"""

import importlib
import keyword
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import instructloop
from instructloop.cli.refusals import mistyped
from instructloop.errors import InstructLoopError, MissingExtra

VERBS: Mapping[str, str] = {
    "demo": "the whole loop in a small world with known truth, and a report of it",
    "curate": "people's prompts, filtered as in the paper: consent, language, personal data, duplicates, cap, split",
    "snapshot": "freeze data files: hashed, split, never altered again",
    "pretrain": "step 0: a base model from text, for people who bring none",
    "sft": "step 1: supervised fine-tuning on demonstrations",
    "sample": "several answers per prompt, for people to rank",
    "reward": "step 2: a reward model from rankings",
    "select": "the epoch of an SFT run whose answers the reward model likes best",
    "ppo": "step 3: PPO, or PPO-ptx, against the reward model",
    "sweep": "a step for every combination of some settings, in one table",
    "lab": "the small world of the demo: its base, its gates, its studies",
    "import": "files of prompts, demonstrations or rankings into a feedback store",
    "export": "data sets, or everything, out of a feedback store",
    "erase": "people's prompts, and every text made from them, out of a feedback store",
    "lineage": "the people whose data is inside a checkpoint",
    "backup": "a copy of a feedback store while it is in use",
    "restore": "a feedback store from such a copy",
    "jobs": "what workers are to do for a feedback store, and how it went",
    "worker": "do such jobs: sample candidates to rank, import files, freeze snapshots",
    "models": "the models that a feedback store knows, and which of them its site offers",
    "serve": "the site: playground, API, accounts",
    "doctor": "what this machine can do, and what is missing",
}
"""Verb -> what it does, in the order of the loop."""

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0, 1 (a law is broken), 2 (a mistake in the command or the data), 130 (Ctrl-C)."""
    try:
        with _naming_extras():
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except InstructLoopError as error:
        print(f"instructloop: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("instructloop: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough; Python must not try to flush the rest at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@contextmanager
def _naming_extras() -> Iterator[None]:
    """A package that is not installed becomes the extra that brings it; any other module that is absent stays a bug."""
    try:
        yield
    except ModuleNotFoundError as error:
        from instructloop.loop.machine import EXTRAS

        package = (error.name or "").partition(".")[0]
        for extra, packages in EXTRAS.items():
            if package in packages:
                raise MissingExtra(package, extra) from error
        raise


def _dispatch(argv: list[str]) -> int:
    verb, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(_overview())
    elif verb in ("-V", "--version"):
        print(f"instructloop {instructloop.__version__}")
    elif verb in VERBS:
        return importlib.import_module(f"instructloop.cli.{module_of(verb)}").main(rest) or 0
    else:
        raise mistyped("verb", verb, VERBS, see="instructloop --help")
    return 0


def module_of(verb: str) -> str:
    """The module of a verb: words that Python keeps for itself, as `import`, get an underscore."""
    return f"{verb}_" if keyword.iskeyword(verb) else verb


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {verb:{width}}{does}" for verb, does in VERBS.items())
    return (
        "usage: instructloop VERB [...]\n\n"
        "Training language models to follow instructions with human feedback.\n\n"
        f"verbs:\n{verbs}\n\n"
        "`instructloop VERB --help` lists what a verb takes; `instructloop --version` says which release this is."
    )


if __name__ == "__main__":
    sys.exit(main())

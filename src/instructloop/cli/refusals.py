"""What the command line says to a word it does not know."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from instructloop.errors import ConfigError


def mistyped(kind: str, came: str, known: Iterable[str], *, see: str) -> ConfigError:
    """The error for an unknown word: names the known ones, and the nearest if there is a near one."""
    known = list(known)
    nearest = get_close_matches(came, known, n=1, cutoff=0.5)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"see `{see}`"
    return ConfigError(f"unknown {kind} {came!r}", expected=f"one of {', '.join(known)}", remedy=remedy)


def refuse_unknown_flags(argv: Sequence[str], known: Iterable[str], *, verb: str) -> None:
    """Raise `ConfigError` for the first flag of the line that the verb does not have, with the nearest that it has."""
    known = list(known)
    for word in argv:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in known:
            nearest = _nearest_flags(flag, known)
            remedy = f"did you mean {' or '.join(nearest)}?" if nearest else f"see `instructloop {verb} --help`"
            raise ConfigError(f"unknown flag {word.partition('=')[0]}", expected=f"a flag of `instructloop {verb}`", remedy=remedy)


def _nearest_flags(flag: str, known: Sequence[str]) -> list[str]:
    """Flags written alike; else those whose last word is alike: `--lr` means one of the settings that are called lr."""
    last_word = flag.removeprefix("--").rpartition(".")[2]
    by_last_word = {name: name.removeprefix("--").rpartition(".")[2] for name in known}
    alike = get_close_matches(last_word, set(by_last_word.values()), n=1, cutoff=0.7)
    return get_close_matches(flag, known, n=1, cutoff=0.7) or [name for name, last in by_last_word.items() if last in alike][:3]

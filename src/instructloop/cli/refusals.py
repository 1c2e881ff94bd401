"""What the command line says to a word it does not know."""

from collections.abc import Iterable
from difflib import get_close_matches

from instructloop.errors import ConfigError


def mistyped(kind: str, came: str, known: Iterable[str], *, see: str) -> ConfigError:
    """The error for an unknown word: names the known ones, and the nearest if there is a near one."""
    known = list(known)
    nearest = get_close_matches(came, known, n=1, cutoff=0.5)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"see `{see}`"
    return ConfigError(f"unknown {kind} {came!r}", expected=f"one of {', '.join(known)}", remedy=remedy)

"""The words of the example, from `texts.toml`: prompts with answers of different quality, and guides."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, what careful readers see in it (1 to 7), and the flags that apply."""

    text: str
    quality: float
    flags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A prompt with its answers, the best first."""

    text: str
    use_case: str
    answers: tuple[Answer, ...]


@cache
def asked() -> tuple[Asked, ...]:
    """Every prompt."""
    return tuple(
        Asked(
            text=one["text"],
            use_case=one["use_case"],
            answers=tuple(Answer(text=given["text"], quality=given["quality"], flags=tuple(given["flags"])) for given in one["answers"]),
        )
        for one in _contents()["prompts"]
    )


def guide(mode: str) -> str:
    """The guide of a mode."""
    return _contents()["guides"][mode]


@cache
def _contents() -> dict[str, Any]:
    return tomllib.loads(files("instructloop.loop.example").joinpath("texts.toml").read_text(encoding="utf-8"))

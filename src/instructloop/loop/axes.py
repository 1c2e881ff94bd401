"""What a sweep varies: settings by their dotted names, each with the values it takes.

parse_axis("ppo.kl.coef=0.01,0.02", config, sections=("run", "ppo")) -> Axis("ppo.kl.coef", (0.01, 0.02))
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints
from urllib.parse import quote

from instructloop.config import Config
from instructloop.errors import ConfigError

Group = TypeVar("Group")
Value = int | float | bool | str
Setting = Mapping[str, Value]
"""One value for every field that is swept."""

Runs = Mapping[str, tuple[Setting, Config]]
"""Name of the run folder -> what it is run with."""


@dataclass(frozen=True)
class Axis:
    """A field and its values, as given."""

    field: str
    values: tuple[Value, ...]

    @property
    def is_numeric(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


def parse_axis(text: str, config: Config, *, sections: Sequence[str]) -> Axis:
    """`FIELD=a,b,c` with values of the field's own type; raises `ConfigError` naming the nearest field, or the value that does not fit."""
    field, equals, values = text.partition("=")
    if not equals or not values:
        raise ConfigError(f"--over {text}", expected="FIELD=a,b,c", remedy="for instance --over run.seed=0,1,2")
    types = dict(_leaves(config, sections))
    if field not in types:
        remedy = f"did you mean {_nearest(field, types)!r}?"
        raise ConfigError(f"unknown setting {field!r}", expected=f"a setting of {', '.join(sections)}, by its dotted name", remedy=remedy)
    axis = Axis(field, tuple(_parse_value(part.strip(), types[field], field) for part in values.split(",")))
    if len(set(axis.values)) < len(axis.values):
        raise ConfigError(f"--over {text} names a value twice", expected="every value once", remedy="for repetitions sweep over run.seed")
    return axis


def combinations(axes: Sequence[Axis]) -> list[Setting]:
    """Every combination of the axes' values, the last axis changing fastest."""
    fields = [axis.field for axis in axes]
    if not fields:
        raise ConfigError("nothing is swept", expected="--over FIELD=a,b,c, once or more", remedy="for instance --over run.seed=0,1,2")
    if len(set(fields)) < len(fields):
        raise ConfigError(f"the settings {', '.join(fields)} are swept", expected="every setting once", remedy="put all values into one --over")
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))]


def planned_runs(config: Config, settings: Sequence[Setting]) -> Runs:
    """A run for every setting; the config's own checks refuse what does not fit together, before anything is trained."""
    return {folder_name(setting): (setting, with_setting(config, setting)) for setting in settings}


def with_setting(group: Group, setting: Setting) -> Group:
    """A config, or a group of it, with these values, all put in at once: they may only fit together."""
    inner: dict[str, dict[str, Value]] = {}
    changed: dict[str, Any] = {}
    for field, value in setting.items():
        first, _, rest = field.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            changed[first] = value
    groups = {name: with_setting(getattr(group, name), values) for name, values in inner.items()}
    return dataclasses.replace(cast(Any, group), **changed, **groups)


def folder_name(setting: Setting) -> str:
    """A name that says the setting, e.g. `ppo.kl.coef=0.02+run.seed=1`."""
    return "+".join(f"{field}={quote(str(value), safe='')}" for field, value in setting.items())


def _nearest(field: str, known: Iterable[str]) -> str:
    """The known field most like this one; those that end alike, `ppo.optimizer.lr` for `lr`, before all others."""
    known = list(known)
    alike = [name for name in known if name.rpartition(".")[2] == field.rpartition(".")[2]]
    return get_close_matches(field, alike or known, n=1, cutoff=0)[0]


def _leaves(group: Any, sections: Sequence[str] | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, type) of every setting."""
    types = get_type_hints(type(group))
    for name in sections or [field.name for field in dataclasses.fields(group)]:
        value = getattr(group, name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", types[name]


def _parse_value(text: str, kind: Any, field: str) -> Value:
    choices = _choices(kind)
    try:
        return choices[text] if choices else kind(text)
    except (KeyError, ValueError) as error:
        expected = f"one of {', '.join(choices)}" if choices else f"a value of type {kind.__name__}"
        raise ConfigError(f"{field} = {text!r}", expected=expected, remedy="correct --over") from error


def _choices(kind: Any) -> dict[str, Value]:
    """Spelling -> value, for a type with few values."""
    if kind is bool:
        return {"true": True, "false": False}
    return {str(value): value for value in get_args(kind)} if get_origin(kind) is Literal else {}

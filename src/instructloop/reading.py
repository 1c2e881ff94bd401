"""From JSON objects to dataclasses, strictly: unknown, missing and mistyped keys are refused by name. Standard library only."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Self, Union, cast, get_args, get_origin

from instructloop.errors import DataError

SCHEMA_VERSION = 1
"""Of the records: what a field `schema` must say."""


def build(cls: type[Any], row: object, where: str) -> Any:
    """The dataclass `cls` from a JSON object; `where` names it in the `DataError` of an unknown, missing or mistyped key."""
    try:
        return _reader(cls)(row)
    except _Misfit as misfit:
        raise DataError(f"{where}{misfit.path}{misfit.what}", expected=misfit.expected, remedy=misfit.remedy) from None


class _Misfit(Exception):
    """A value that does not fit; the way to it is put together only then, from the inside out."""

    def __init__(self, what: str, *, expected: str, remedy: str) -> None:
        super().__init__(what)
        self.path, self.what, self.expected, self.remedy = "", what, expected, remedy

    def under(self, step: str) -> Self:
        """The same, one step further out."""
        self.path = step + self.path
        return self


_Reader = Callable[[Any], Any]


@cache
def _reader(hint: Any) -> _Reader:
    """What turns a JSON value into a value of this type, or raises `_Misfit`: made once per type, since files have many lines."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _object_reader(cast(type[Any], hint))
    if origin in (Union, types.UnionType):
        return _union_reader(args)
    if origin is Literal:
        return _literal_reader(args)
    if origin is tuple:
        return _list_reader(_reader(args[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(_reader(args[1]))
    return _scalar_reader(hint)


def _object_reader(cls: type[Any]) -> _Reader:
    hints, fields = typing.get_type_hints(cls), {f.name: f for f in dataclasses.fields(cls)}
    readers = {name: _reader(hints[name]) for name in fields}
    needed = [name for name, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    known = ", ".join(fields)

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _mistyped(value, "a JSON object")
        row = cast(Mapping[str, Any], value)
        if unknown := sorted(row.keys() - readers.keys()):
            raise _Misfit(f" has the unknown key {unknown[0]!r}", expected=f"some of {known}", remedy="remove or rename it")
        values = {name: _inside(readers[name], row[name], f".{name}") for name in readers if name in row}
        if missing := next((name for name in needed if name not in values), None):
            raise _Misfit(f" lacks the key {missing!r}", expected=f"the keys {known}", remedy="add it")
        if (schema := values.get("schema", SCHEMA_VERSION)) != SCHEMA_VERSION:
            raise _Misfit(f" has schema {schema}", expected=f"schema {SCHEMA_VERSION}", remedy="upgrade instructloop, or convert the file")
        return cls(**values)

    return read


def _inside(reader: _Reader, value: Any, step: str) -> Any:
    try:
        return reader(value)
    except _Misfit as misfit:
        raise misfit.under(step) from None


def _union_reader(options: tuple[Any, ...]) -> _Reader:
    optional, readers = type(None) in options, [_reader(option) for option in options if option is not type(None)]

    def read(value: Any) -> Any:
        if optional and value is None:
            return None
        failures: list[Exception] = []
        for reader in readers:
            try:
                return reader(value)
            except (_Misfit, DataError) as error:
                failures.append(error)
        raise failures[0]

    return read


def _literal_reader(choices: tuple[Any, ...]) -> _Reader:
    def read(value: Any) -> Any:
        if value not in choices:
            raise _mistyped(value, f"one of {', '.join(map(repr, choices))}")
        return value

    return read


def _list_reader(reader: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _mistyped(value, "a list")
        return tuple(_inside(reader, item, f"[{i}]") for i, item in enumerate(cast(Sequence[Any], value)))

    return read


def _mapping_reader(reader: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _mistyped(value, "a JSON object")
        return {str(key): _inside(reader, item, f"[{key!r}]") for key, item in cast(Mapping[Any, Any], value).items()}

    return read


def _scalar_reader(hint: Any) -> _Reader:
    def read(value: Any) -> Any:
        if hint is Any or type(value) is hint:
            return value
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
            raise _mistyped(value, "null" if hint is type(None) else f"a value of type {hint.__name__}")
        return value

    return read


def _mistyped(value: object, expected: str) -> _Misfit:
    shown = repr(value)
    return _Misfit(f" is {shown if len(shown) <= 80 else shown[:77] + '...'}", expected=expected, remedy="correct the value")

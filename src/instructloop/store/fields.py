"""Typed access to the keys of a row. What is absent or of the wrong type is a `DataError` that names the key."""

from typing import Any, cast

from instructloop.errors import DataError
from instructloop.store.jsonl import Row


def text_of(row: Row, key: str) -> str:
    """The text under `key`; it may be empty."""
    value = _present(row, key)
    if not isinstance(value, str):
        raise _mistyped(key, value, "text")
    return value


def filled_text_of(row: Row, key: str) -> str:
    """The text under `key`, which may not be blank."""
    text = text_of(row, key)
    if not text.strip():
        raise DataError(f"{key!r} is empty", expected="text", remedy="drop the row, or fill it in")
    return text


def optional_text_of(row: Row, *keys: str) -> str | None:
    """The text under the first of `keys` that holds any; blank is none, whole numbers become text."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None and not isinstance(value, str):
            raise _mistyped(key, value, "text or null")
        if value and value.strip():
            return value
    return None


def whole_number_of(row: Row, key: str) -> int:
    """The whole number under `key`."""
    value = _present(row, key)
    if not _is_whole(value):
        raise _mistyped(key, value, "a whole number")
    return cast(int, value)


def texts_of(row: Row, key: str) -> list[str]:
    """The list of texts under `key`."""
    values = _list_of(row, key)
    if not all(isinstance(value, str) for value in values):
        raise _mistyped(key, values, "a list of texts")
    return cast(list[str], values)


def whole_numbers_of(row: Row, key: str) -> list[int]:
    """The list of whole numbers under `key`."""
    values = _list_of(row, key)
    if not all(map(_is_whole, values)):
        raise _mistyped(key, values, "a list of whole numbers")
    return cast(list[int], values)


def rows_of(row: Row, key: str) -> list[Row]:
    """The list of objects under `key`."""
    values = _list_of(row, key)
    if not all(isinstance(value, dict) for value in values):
        raise _mistyped(key, values, "a list of objects")
    return cast(list[Row], values)


def _list_of(row: Row, key: str) -> list[Any]:
    value = _present(row, key)
    if not isinstance(value, list):
        raise _mistyped(key, value, "a list")
    return cast(list[Any], value)


def _present(row: Row, key: str) -> object:
    if key not in row:
        raise DataError(f"the column {key!r} is missing", expected=f"{key!r} beside {', '.join(map(repr, row))}", remedy="add it, or drop the row")
    return row[key]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _mistyped(key: str, value: object, expected: str) -> DataError:
    shown = repr(value)
    return DataError(f"{key!r} is {shown if len(shown) <= 80 else shown[:77] + '...'}", expected=expected, remedy="correct the value")

"""Answers as labelers know them: by letters, in the order of their lease.

The store's id of an answer may tell which model gave it; so no page and no reply holds one, and what comes back is put into ids again here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

Body = dict[str, Any]
LETTERS = "ABCDEFGHI"


def letters(shown: Sequence[str]) -> tuple[str, ...]:
    """The letters of the answers of a lease."""
    return tuple(LETTERS[: len(shown)])


def to_ids(body: Any, shown: Sequence[str]) -> Any:
    """What a page sends, with ids in place of letters. What is no letter stays as it is, for the store to refuse."""
    return _renamed(body, dict(zip(letters(shown), shown, strict=True)))


def to_letters(body: Any, shown: Sequence[str]) -> Any:
    """What the store holds, with letters in place of ids."""
    return _renamed(body, dict(zip(shown, letters(shown), strict=True)))


def _renamed(body: Any, names: Mapping[str, str]) -> Any:
    """Only what stands where answers are named is touched: no word that a person wrote."""
    if not isinstance(body, dict):
        return body
    places: Mapping[str, Callable[[Any, Mapping[str, str]], Any]] = {"ratings": _keys, "groups": _groups, "preferred": _name}
    return {key: places[key](value, names) if key in places else value for key, value in cast(Body, body).items()}


def _keys(ratings: Any, names: Mapping[str, str]) -> Any:
    return {_name(key, names): rating for key, rating in cast(Body, ratings).items()} if isinstance(ratings, dict) else ratings


def _groups(groups: Any, names: Mapping[str, str]) -> Any:
    return [_group(group, names) for group in cast(list[Any], groups)] if isinstance(groups, list) else groups


def _group(group: Any, names: Mapping[str, str]) -> Any:
    return [_name(answer, names) for answer in cast(list[Any], group)] if isinstance(group, list) else group


def _name(value: Any, names: Mapping[str, str]) -> Any:
    return names.get(value, value) if isinstance(value, str) else value

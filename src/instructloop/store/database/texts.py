"""What the store takes for text: whole characters, no NUL (PostgreSQL knows none), and not without end."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

from instructloop.errors import DataError

MOST_CHARACTERS = 200_000
"""Of a prompt, an answer or a demonstration: ten times what fits into the paper's 2,048 tokens."""
MOST_NOTE = 20_000
"""Of a note, a reason, a remark."""
MOST_NAME = 200
"""Of names of people, queues, keys, models."""


def checked(text: str, what: str, *, most: int = MOST_CHARACTERS, filled: bool = True) -> str:
    """The text itself; raises `DataError` if it is too long, blank where it may not be, or holds what no database keeps."""
    if len(text) > most:
        raise DataError(f"{what} has {len(text):,} characters", expected=f"at most {most:,}", remedy="shorten it")
    if filled and not text.strip():
        raise DataError(f"{what} is empty", expected="some text", remedy="fill it in")
    if "\0" in text:
        raise DataError(f"{what} holds a NUL character", expected="text", remedy="remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{what} holds half of a surrogate pair", expected="whole characters", remedy="correct it") from error
    return text


def checked_name(text: str, what: str) -> str:
    """A name of one line, trimmed; raises `DataError` for any other text."""
    text = checked(text.strip(), what, most=MOST_NAME)
    if not text.isprintable():
        raise DataError(f"{what} is {text!r}", expected="one line of printable characters", remedy="correct it")
    return text


def name_key(name: str) -> str:
    """The same for names that differ in the case of their letters only, or in how their accents are written.

    Unicode's canonical caseless matching. Databases are not asked: SQLite knows the case of English letters alone, PostgreSQL that of its locale.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name.strip()).casefold())


def checked_json(value: Any, what: str, *, most: int = 10 * MOST_CHARACTERS) -> Any:
    """A JSON value whose texts together have at most `most` characters; raises `DataError` for any other."""
    total = 0
    for text in _texts_in(value, what, depth=0):
        total += len(checked(text, what, most=most, filled=False))
    if total > most:
        raise DataError(f"{what} has {total:,} characters", expected=f"at most {most:,}", remedy="shorten it")
    return value


def text_hash(text: str) -> str:
    """SHA-256 of a text: what stays of it when it is erased."""
    return hashlib.sha256(text.encode()).hexdigest()


def _texts_in(value: Any, what: str, *, depth: int) -> Sequence[str]:
    if depth > 8:
        raise DataError(f"{what} is nested {depth} deep", expected="8 levels at most", remedy="correct it")
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return [text for key, item in items for text in (str(key), *_texts_in(item, what, depth=depth + 1))]
    if isinstance(value, list | tuple):
        return [text for item in cast(Sequence[Any], value) for text in _texts_in(item, what, depth=depth + 1)]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and abs(value) < float("inf")):
        return []
    raise DataError(f"{what} holds a {type(value).__name__}", expected="JSON", remedy="correct it")

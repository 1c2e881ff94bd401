"""The one catalogue of every text that people read, looked up by a dotted key: `messages.toml`, and `messages_*.toml` for parts of the site.

    text("login.title")
    text("errors.too_large.text", limit="1 MB")

Values are put in as text; escaping for HTML is the template's business.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, cast


def text(key: str, /, **values: object) -> str:
    """The text under `key` with `values` in its braces; raises `KeyError` for a key that is not in the catalogue."""
    message = catalogue()[key]
    return message.format_map(values) if values else message


def section(prefix: str) -> dict[str, str]:
    """Every text below `prefix`, by the rest of its key: what a script of a page is handed."""
    start = f"{prefix}."
    return {key.removeprefix(start): message for key, message in catalogue().items() if key.startswith(start)}


@cache
def catalogue() -> Mapping[str, str]:
    """Dotted key -> text."""
    parts = [file for file in files("instructloop.web").iterdir() if file.name.startswith("messages") and file.name.endswith(".toml")]
    pairs = [pair for file in parts for pair in _flat(tomllib.loads(file.read_text(encoding="utf-8")))]
    assert len(pairs) == len(dict(pairs)), "a text stands in two files"
    return dict(pairs)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(cast(Mapping[str, Any], value), f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, str(value).strip()))
    return pairs

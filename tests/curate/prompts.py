"""Prompts for tests of curation: short to write, in the records' own type."""

from collections.abc import Iterable

from instructloop.curate.verdicts import Changed, Removed, Verdict
from instructloop.records import Prompt


def prompt(text: str = "Name three fruits.", *, id: str = "p", user: str = "u", **fields: object) -> Prompt:
    """A prompt with a licence."""
    return Prompt(id=id, text=text, user_id=user, **{"consent": "CC0-1.0", **fields})  # type: ignore[arg-type]


def prompts(*texts: str) -> list[Prompt]:
    """Prompts "0", "1", … of one user each."""
    return [prompt(text, id=str(number), user=f"u{number}") for number, text in enumerate(texts)]


def kept(verdicts: Iterable[Verdict]) -> list[str]:
    """The ids that stay."""
    return [(verdict.prompt if isinstance(verdict, Changed) else verdict).id for verdict in verdicts if not isinstance(verdict, Removed)]


def removed(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Id -> reason of those that go."""
    return {verdict.prompt.id: verdict.reason for verdict in verdicts if isinstance(verdict, Removed)}

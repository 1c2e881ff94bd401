"""`instructloop erase`: what somebody asked for who cannot do it themselves, the texts of prompts gone for good."""

from collections.abc import Sequence
from dataclasses import dataclass

from instructloop.cli.parsing import parse
from instructloop.errors import ConfigError, NotFound


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Erase prompts of a feedback store, with the answers, drafts and demonstrations made from them; ids, times and hashes stay.

    People with an account do this themselves under "My data". Data sets frozen before are redacted by `instructloop snapshot redact`.
    """

    store: str
    """Feedback store: a path, or postgresql+psycopg://..."""
    user: str | None = None
    """Everything of one user: an account, an end user behind one, or a user of an import, by the id that `instructloop lineage` shows."""
    prompt: str | None = None
    """One prompt, by its id."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("erase", Erase, argv)
    if (asked.user is None) == (asked.prompt is None):
        came = "nobody and nothing is named" if asked.user is None else f"--user {asked.user} with --prompt {asked.prompt}"
        raise ConfigError(came, expected="--user or --prompt", remedy="see `instructloop erase --help`")
    from instructloop.cli.stores import opened
    from instructloop.store.database.erasure import erase_prompt, erase_prompts_of

    with opened(asked.store) as store:
        if asked.prompt is not None:
            erase_prompt(store, None, asked.prompt)
        elif not erase_prompts_of(store, None, asked.user or ""):
            raise NotFound(f"the store holds no text of the user {asked.user!r}", expected="the id of a user", remedy="correct it")
    print(f"erased; `instructloop snapshot redact --store {asked.store}` takes it out of data sets that were frozen before")

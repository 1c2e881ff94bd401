"""Only prompts given under a consent or a licence may be used (paper §3.2: users were told, again and again)."""

from collections.abc import Iterable, Iterator

from instructloop.curate.verdicts import Removed, Verdict
from instructloop.records import Prompt


def with_consent(prompts: Iterable[Prompt]) -> Iterator[Verdict]:
    """Prompts whose `consent` names the text or the licence under which they may be trained on stay."""
    for prompt in prompts:
        yield prompt if prompt.consent else Removed(prompt, "no consent")

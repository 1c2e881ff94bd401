"""The notice above the first box, and what a person who has read it allows."""

from instructloop.store.database.prompts import Consent
from instructloop.web.refusals import Refusal
from instructloop.web.texts import text


def notice_version() -> str:
    """The version of the notice shown today; it is stored with every consent."""
    return text("notice.version")


def consent_given(*, store: bool, train: bool, version: str | None = None) -> Consent | None:
    """What the two boxes say, under the notice of `version` (today's if not given); None if nothing may be stored.

    Training without storing cannot be, and a person who saw another notice has not agreed to this one: both are refused, not guessed at.
    """
    if version not in (None, notice_version()):
        raise Refusal(409, "new_notice")
    if train and not store:
        raise Refusal(400, "invalid", problem=text("notice.train_needs_store"))
    return Consent(store=True, train=train, version=notice_version()) if store else None

"""The built-in detector: checksums where there are any, shapes and neighbouring words where there are none. No model, no network."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from instructloop.curate.pii.contacts import emails, obfuscated_emails, phones
from instructloop.curate.pii.numbers import Found, cards, ibans, ip_addresses, social_security_numbers
from instructloop.curate.pii.secrets import api_keys
from instructloop.curate.pii.spans import PiiKind, Span, apart
from instructloop.curate.pii.view import view_of

SOURCE = "builtin"

_SEVEN_DIGITS = re.compile(r"[0-9](?:[^0-9]*[0-9]){6}")


@dataclass(frozen=True)
class BuiltinDetector:
    """E-mail, phone, card, IBAN, social security number, IP address, API key; names and street addresses it does not know."""

    phone_regions: Sequence[str] = ("US",)
    """Countries whose telephone numbers are known without a +."""

    def find(self, text: str) -> list[Span]:
        """The personal data in a text, apart and in order; places count characters of the text as given."""
        view = view_of(text)
        return apart(
            Span(kind, *view.original(start, end), score, SOURCE) for kind, found in self._searches(view.text) for start, end, score in found
        )

    def _searches(self, text: str) -> Iterator[tuple[PiiKind, Iterator[Found]]]:
        """Each search begins only where the text has what it needs at least; most prompts have nothing of it."""
        if "@" in text:
            yield "email", emails(text)
        yield "email", obfuscated_emails(text)
        yield "api_key", api_keys(text)
        if text.count(".") >= 3 or text.count(":") >= 2:
            yield "ip", ip_addresses(text)
        if _SEVEN_DIGITS.search(text):
            yield "phone", phones(text, self.phone_regions)
            yield "ssn", social_security_numbers(text)
            yield "card", cards(text)
            yield "iban", ibans(text)

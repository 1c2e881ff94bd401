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
        return apart(Span(kind, *view.original(start, end), score, SOURCE) for kind, (start, end, score) in self._found(view.text))

    def _found(self, text: str) -> Iterator[tuple[PiiKind, Found]]:
        """Each search begins only where the text has what it needs at least; most prompts have nothing of it."""
        if "@" in text:
            yield from (("email", found) for found in emails(text))
        yield from (("email", found) for found in obfuscated_emails(text))
        yield from (("api_key", found) for found in api_keys(text))
        if text.count(".") >= 3 or text.count(":") >= 2:
            yield from (("ip", found) for found in ip_addresses(text))
        if _SEVEN_DIGITS.search(text):
            yield from (("phone", found) for found in phones(text, self.phone_regions))
            yield from (("ssn", found) for found in social_security_numbers(text))
            yield from (("card", found) for found in cards(text))
            yield from (("iban", found) for found in ibans(text))

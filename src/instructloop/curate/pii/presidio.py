# pyright: basic, reportMissingImports=false
"""Presidio's pattern recognisers behind the same seam: the extra [pii]. No language model, and nothing goes to the network.

Its e-mail recogniser asks for a list of domains on first use; here the list that comes with `tldextract` is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from instructloop.curate.pii.spans import PiiKind, Span, apart
from instructloop.errors import MissingExtra

KIND_OF_ENTITY: Mapping[str, PiiKind] = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "US_SSN": "ssn", "IP_ADDRESS": "ip",
}  # fmt: skip


@dataclass(frozen=True)
class PresidioDetector:
    """Presidio without a language model: it knows neither names nor addresses then, and no API keys."""

    phone_regions: tuple[str, ...] = ("US",)

    def require(self) -> None:
        """Raise `MissingExtra` now, and not in a worker, where Presidio is not installed."""
        try:
            import presidio_analyzer  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
        except ModuleNotFoundError as error:
            raise MissingExtra("presidio-analyzer", "pii") from error

    def find(self, text: str) -> list[Span]:
        """The personal data in a text, apart and in order."""
        return apart(
            Span(KIND_OF_ENTITY[result.entity_type], result.start, result.end, result.score, "presidio")
            for recogniser in self._recognisers
            for result in recogniser.analyze(text, recogniser.supported_entities, None) or ()
        )

    @cached_property
    def _recognisers(self) -> tuple[Any, ...]:
        self.require()
        import tldextract  # pyright: ignore[reportMissingImports]
        from presidio_analyzer import predefined_recognizers as presidio  # pyright: ignore[reportMissingImports]

        domains = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

        class OfflineEmailRecognizer(presidio.EmailRecognizer):
            """Presidio's own, with the list of domains that is installed."""

            def validate_result(self, pattern_text: str) -> bool:
                return domains(pattern_text).fqdn != ""

        class PhoneRecognizer(presidio.PhoneRecognizer):
            """Presidio's own, with a score that passes: its 0.4 waits for a neighbouring word that only a language model reads."""

            SCORE = 0.6

        return (
            OfflineEmailRecognizer(),
            PhoneRecognizer(supported_regions=self.phone_regions),
            presidio.CreditCardRecognizer(),
            presidio.IbanRecognizer(),
            presidio.UsSsnRecognizer(),
            presidio.IpRecognizer(),
        )

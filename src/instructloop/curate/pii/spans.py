"""A piece of personal data, the seam behind which detectors stand, and masking."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

PiiKind = Literal["email", "phone", "card", "iban", "ssn", "ip", "api_key"]
KINDS: tuple[PiiKind, ...] = get_args(PiiKind)

MOST_PASSES = 8
"""Masking looks again at what it wrote; a second pass finds something once in a great while, an eighth never did."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text, what they are, how sure that is (0 to 1), and who says so."""

    kind: PiiKind
    start: int
    end: int
    score: float
    source: str


class Detector(Protocol):
    """Text in, personal data out: spans that do not overlap, in order. Carried to other processes, so it must pickle."""

    def find(self, text: str) -> list[Span]: ...


@dataclass(frozen=True)
class Together:
    """Several detectors as one: where they overlap, the surer one is believed."""

    detectors: tuple[Detector, ...]

    def find(self, text: str) -> list[Span]:
        """The spans of all."""
        return apart(span for detector in self.detectors for span in detector.find(text))


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans without overlaps, in order of their place: of two that touch the same character the surer stays, then the longer."""
    chosen: list[Span] = []
    for span in sorted(spans, key=lambda span: (-span.score, span.start - span.end, span.start, span.kind)):
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda span: span.start)


def overwrite(text: str, spans: Sequence[Span]) -> str:
    """The text with each span, given in order and apart, replaced by its kind in brackets: "[email]"."""
    pieces: list[str] = []
    reached = 0
    for span in spans:
        pieces += [text[reached : span.start], f"[{span.kind}]"]
        reached = span.end
    return "".join(pieces) + text[reached:]


def mask(text: str, detector: Detector, kinds: Iterable[PiiKind], *, least_score: float) -> str:
    """The text without personal data of these kinds: masking the result again changes nothing."""
    wanted = frozenset(kinds)
    for _ in range(MOST_PASSES):
        spans = [span for span in detector.find(text) if span.kind in wanted and span.score >= least_score]
        if not spans:
            break
        text = overwrite(text, spans)
    return text

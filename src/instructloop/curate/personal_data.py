"""Prompts with personal data: masked, dropped, or held until a person has looked at them."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import tee
from typing import NamedTuple

from instructloop.curate.pii.builtin import BuiltinDetector
from instructloop.curate.pii.presidio import PresidioDetector
from instructloop.curate.pii.spans import Detector, PiiKind, Span, Together, mask
from instructloop.curate.settings import Action, Curation
from instructloop.curate.verdicts import Changed, Removed, TextMap, Verdict
from instructloop.records import Prompt


class Finding(NamedTuple):
    """What was found in one text, and the text as it may stay."""

    spans: list[Span]
    masked: str


def detector_of(settings: Curation) -> Detector:
    """The detector that the settings name; raises `MissingExtra` for Presidio where it is not installed."""
    builtin, presidio = BuiltinDetector(settings.phone_regions), PresidioDetector(settings.phone_regions)
    if settings.detector != "builtin":
        presidio.require()
    return {"builtin": builtin, "presidio": presidio, "both": Together((builtin, presidio))}[settings.detector]


def without_personal_data(
    prompts: Iterable[Prompt], settings: Curation, *, detector: Detector, apply: TextMap, released: Collection[str] = ()
) -> Iterator[Verdict]:
    """Act on each kind found as the settings say, the strictest action first: drop, hold, mask.

    `released` are the ids of prompts that a person has looked at: these stay as they are.
    """
    kept, read = tee(prompts)
    findings = apply(partial(find_in, detector=detector, settings=settings), (prompt.text for prompt in read))
    for prompt, finding in zip(kept, findings, strict=True):
        if not finding.spans or prompt.id in released:
            yield prompt
        else:
            yield _verdict(prompt, finding, settings)


def find_in(texts: Sequence[str], *, detector: Detector, settings: Curation) -> list[Finding]:
    """For each text the spans that some action is for, and the text with those masked that are to be masked."""
    return [_finding(text, detector, settings) for text in texts]


def _finding(text: str, detector: Detector, settings: Curation) -> Finding:
    spans = [span for span in detector.find(text) if span.score >= settings.pii_score and settings.action(span.kind)]
    if any(settings.action(span.kind) == "mask" for span in spans):
        return Finding(spans, mask(text, detector, settings.pii_mask, least_score=settings.pii_score))
    return Finding(spans, text)


def _verdict(prompt: Prompt, finding: Finding, settings: Curation) -> Verdict:
    removing: tuple[tuple[Action, str], ...] = (("drop", "dropped"), ("hold", "held for a person"))
    for action, word in removing:
        if kinds := _kinds(finding.spans, settings, action):
            places = ", ".join(f"{span.kind} at {span.start} to {span.end}" for span in finding.spans if span.kind in kinds)
            return Removed(prompt, f"{word}: {' and '.join(kinds)}", f"{places} (characters)")
    kinds = _kinds(finding.spans, settings, "mask")
    return Changed(replace(prompt, text=finding.masked), f"masked: {' and '.join(kinds)}")


def _kinds(spans: Iterable[Span], settings: Curation, action: Action) -> list[PiiKind]:
    """The kinds found for which there is this action, each once, in the order of the alphabet."""
    return sorted(Counter(span.kind for span in spans if settings.action(span.kind) == action))

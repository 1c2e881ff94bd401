"""Synthetic prompts with planted personal data and hard negatives, and how well a detector does on them.

    PYTHONPATH=src:tests python tests/curate/pii_corpus.py     writes pii_corpus.jsonl.gz anew, the same bytes each time

Each line has a text, the planted spans as [kind, start, end], the form of what was planted or what the negative looks like,
and a part: patterns may be tuned on "tuning", figures are stated on "held_out", whose sentences, forms and negatives are others.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Literal

from curate.pii_sentences import CARRIERS, NEGATIVES
from curate.pii_values import HELD_OUT, TUNING
from instructloop.curate.pii.spans import KINDS, Detector

CORPUS = Path(__file__).with_name("pii_corpus.jsonl.gz")
SEED = 7
PLANTED_PER_KIND, NEGATIVES_PER_PART, CLEAN = 100, 600, 40
"""Lines in each part: with something planted, for each kind; that only look so; without any number or sign."""

Part = Literal["tuning", "held_out"]


@dataclass(frozen=True)
class Line:
    """One synthetic prompt."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    form: str
    part: Part


@dataclass
class Score:
    """How a detector did on one kind."""

    planted: int = 0
    found: int = 0
    """Planted items that a span of their kind covers whole: masking leaves nothing of them."""
    reported: int = 0
    right: int = 0
    """Spans reported that touch a planted item of their kind."""

    @property
    def recall(self) -> float:
        """Share of the planted items that were found; 1 if none was planted."""
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        """Share of the reported spans that are right; 1 if none was reported."""
        return self.right / self.reported if self.reported else 1.0


def make_corpus(seed: int = SEED) -> list[Line]:
    """All lines, in an order that mixes the parts and kinds."""
    rng = Random(seed)
    lines = [line for part in ("tuning", "held_out") for line in _part(rng, part)]
    rng.shuffle(lines)
    return lines


def read_corpus(part: Part) -> list[Line]:
    """The lines of one part of the committed file."""
    with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [Line(row["text"], tuple(map(tuple, row["spans"])), row["form"], row["part"]) for row in rows if row["part"] == part]


def encoded(lines: Sequence[Line]) -> bytes:
    """The file, byte for byte."""
    text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
    return gzip.compress(text.encode(), mtime=0)


def score(detector: Detector, lines: Sequence[Line], *, least_score: float = 0.5) -> dict[str, Score]:
    """Kind -> how the detector did."""
    scores = {kind: Score() for kind in KINDS}
    for line in lines:
        spans = [span for span in detector.find(line.text) if span.score >= least_score]
        for kind, start, end in line.spans:
            scores[kind].planted += 1
            scores[kind].found += any(span.kind == kind and span.start <= start and end <= span.end for span in spans)
        for span in spans:
            scores[span.kind].reported += 1
            scores[span.kind].right += any(kind == span.kind and start < span.end and span.start < end for kind, start, end in line.spans)
    return scores


def misses(detector: Detector, lines: Sequence[Line], *, least_score: float = 0.5) -> Iterator[tuple[str, str]]:
    """("missed" or "false alarm", the line's form and text) of every mistake."""
    for line in lines:
        spans = [span for span in detector.find(line.text) if span.score >= least_score]
        for kind, start, end in line.spans:
            if not any(span.kind == kind and span.start <= start and end <= span.end for span in spans):
                yield "missed", f"{kind} {line.form}: {line.text}"
        for span in spans:
            if not any(kind == span.kind and start < span.end and span.start < end for kind, start, end in line.spans):
                yield "false alarm", f"{span.kind} {line.text[span.start : span.end]!r}: {line.text}"


def _part(rng: Random, part: Part) -> Iterator[Line]:
    makers = {"tuning": TUNING, "held_out": HELD_OUT}[part]
    for kind, forms in makers.items():
        for number in range(PLANTED_PER_KIND):
            form = list(forms)[number % len(forms)]
            before, after = rng.choice(CARRIERS[part][kind]).split("{}")
            value = forms[form](rng)
            yield Line(f"{before}{value}{after}", ((kind, len(before), len(before) + len(value)),), form, part)
    for number in range(NEGATIVES_PER_PART):
        forms = NEGATIVES[part]
        form = list(forms)[number % len(forms)]
        yield Line(forms[form](rng), (), f"not {form}", part)
    for _ in range(CLEAN):
        yield Line(rng.choice(CARRIERS[part]["clean"]), (), "clean", part)


if __name__ == "__main__":
    made = make_corpus()
    CORPUS.write_bytes(encoded(made))
    print(f"{len(made):,} lines, {dict(Counter(line.part for line in made))}, {CORPUS.stat().st_size:,} bytes")

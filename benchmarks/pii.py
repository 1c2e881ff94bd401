"""Recall and precision of the detectors of personal data, by kind, on the synthetic corpus: the tables of docs/curation.md.

PYTHONPATH=src:tests python benchmarks/pii.py            the built-in detector on both parts
PYTHONPATH=src:tests python benchmarks/pii.py --presidio  Presidio's on the part kept apart (extra [pii])
PYTHONPATH=src:tests python benchmarks/pii.py --mistakes  every mistake of the built-in detector on the part for tuning
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import time

from curate.pii_corpus import Part, Score, misses, read_corpus, score
from instructloop.curate.pii.builtin import BuiltinDetector
from instructloop.curate.pii.presidio import PresidioDetector
from instructloop.curate.pii.spans import Detector
from instructloop.curate.settings import Curation


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presidio", action="store_true")
    parser.add_argument("--mistakes", action="store_true")
    args = parser.parse_args()
    regions = Curation().phone_regions
    builtin = BuiltinDetector(regions)
    if args.mistakes:
        print(*(f"{kind}: {what}" for kind, what in misses(builtin, read_corpus("tuning"))), sep="\n")
    elif args.presidio:
        print("| kind | recall | precision |\n|---|---:|---:|")
        for kind, scored in _timed(PresidioDetector(regions), "held_out").items():
            print(f"| {kind} | {scored.recall:.2f} | {scored.precision:.2f} |")
    else:
        print("| kind | recall, tuning | precision, tuning | recall, kept apart | precision, kept apart |\n|---|---:|---:|---:|---:|")
        tuning, apart = _timed(builtin, "tuning"), _timed(builtin, "held_out")
        for kind, scored in tuning.items():
            print(f"| {kind} | {scored.recall:.2f} | {scored.precision:.2f} | {apart[kind].recall:.2f} | {apart[kind].precision:.2f} |")


def _timed(detector: Detector, part: Part) -> dict[str, Score]:
    lines = read_corpus(part)
    detector.find("call +1 212 555 0142")  # loads what is loaded once
    start = time.process_time()
    scores = score(detector, lines)
    print(f"<!-- {part}: {len(lines):,} prompts in {time.process_time() - start:.2f} s of one processor -->")
    return scores


if __name__ == "__main__":
    main()

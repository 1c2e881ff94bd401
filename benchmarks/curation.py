"""The whole funnel over many prompts, with the time of each stage and the memory at the peak.

    python benchmarks/curation.py PROMPTS.jsonl.gz --tokenizer DIR --prompts 1000000 --workers 2

The prompts are made from those of a file that names their users (`user`) and holds dialogues: lengths in tokens are drawn from
its prompts, cut at 512, texts are cut out of its dialogues from random places, and prompts that repeat an earlier one of the
file stay repeats. Its users come again, under another name, until there are prompts enough: the busiest with as many as there.
Timed is what `instructloop curate` does: reading the file, every stage, freezing the snapshots, writing the report.
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import gzip
import json
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructloop.config import Text
from instructloop.curate.settings import Curation
from instructloop.loop.curation import Request, curate_prompts, lengths_by, read_sources
from instructloop.loop.curation_tables import funnel_table
from instructloop.text.tokenizer import load_tokenizer

LONGEST = 512
"""Tokens at which prompts are cut."""


def main() -> None:
    """Make the prompts, curate them, print."""
    args = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="curation-"))
    try:
        made = folder / "prompts.jsonl"
        _write_prompts(made, args)
        print(f"{args.prompts:,} prompts made, {made.stat().st_size / 1e6:,.0f} MB; load average before: {os.getloadavg()[0]:.2f}")
        _curate(made, folder / "curated", args)
    finally:
        shutil.rmtree(folder)


def _curate(made: Path, out: Path, args: argparse.Namespace) -> None:
    start = time.perf_counter()
    lengths = lengths_by(args.tokenizer, Text())
    prompts = list(read_sources([made], consent="a licence"))
    read = time.perf_counter()
    print(f"reading and checking the file: {read - start:.1f} s")
    summary = curate_prompts(prompts, Request(out=out, settings=Curation(), lengths=lengths, workers=args.workers))
    end = time.perf_counter()
    from rich.console import Console

    Console().print(funnel_table(summary))
    stages = sum(report.seconds for report in summary.stages)
    print(f"all stages {stages:.1f} s, freezing and writing {end - read - stages:.1f} s, everything {end - start:.1f} s; {args.workers} workers")
    print(f"processor time: {_processor_seconds():.1f} s, workers and the making of the prompts included")
    print(f"memory at the peak: {_peak_mb(args.workers):,.0f} MB; load average after: {os.getloadavg()[0]:.2f}")


def _peak_mb(workers: int) -> float:
    """This process at its peak, and as much for each worker as the largest took: no more was in use at any time."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + (workers if workers > 1 else 0) * largest_child) / 1024


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _write_prompts(path: Path, args: argparse.Namespace) -> None:
    with gzip.open(args.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rng = random.Random(args.seed)
    with path.open("w", encoding="utf-8") as out:
        for number, row in enumerate(_prompts(rows, args, rng)):
            out.write(json.dumps({"id": f"b-{number}", **row}, ensure_ascii=False) + "\n")


def _prompts(rows: list[dict[str, Any]], args: argparse.Namespace, rng: random.Random) -> Iterator[dict[str, str]]:
    tokenizer = load_tokenizer(args.tokenizer)
    texts = [tokenizer.decode(ids[:LONGEST]) for ids in tokenizer.encode_batch([row["prompt"] for row in rows])]
    seen: set[str] = set()
    repeats = [text.strip().lower() in seen or bool(seen.add(text.strip().lower())) for text in texts]
    dialogues = "\n".join(turn for row in rows for turn in row["dialogue"] or (row["prompt"][:2000],))
    for number in range(args.prompts):
        again, place = divmod(number, len(rows))
        text = texts[place] if repeats[place] or not again else _cut(dialogues, len(texts[place]), rng)
        yield {"prompt": text, "user": f"{rows[place]['user']}-{again}"}


def _cut(dialogues: str, length: int, rng: random.Random) -> str:
    """So many characters from the beginning of some word."""
    start = dialogues.find(" ", rng.randrange(len(dialogues) - length - 100)) + 1
    return dialogues[start : start + length].strip() or "?"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="prompts with users and dialogues, .jsonl.gz")
    parser.add_argument("--tokenizer", required=True, help="checkpoint folder whose tokens are counted")
    parser.add_argument("--prompts", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

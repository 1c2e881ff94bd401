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
import multiprocessing
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructloop.config import Text
from instructloop.curate.settings import Curation

# What needs torch or the database is imported where it is used: each worker reads this file, as it reads the command line.

LONGEST = 512
"""Tokens at which prompts are cut."""


def main() -> None:
    """Make the prompts, curate them, print."""
    args = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="curation-"))
    try:
        made = folder / "prompts.jsonl"
        maker = multiprocessing.get_context("spawn").Process(target=_write_prompts, args=(made, args))
        maker.start()
        maker.join()  # its memory is not what is measured
        print(f"{args.prompts:,} prompts made, {made.stat().st_size / 1e6:,.0f} MB; load average before: {os.getloadavg()[0]:.2f}")
        _curate(made, folder / "curated", args)
    finally:
        shutil.rmtree(folder)


def _curate(made: Path, out: Path, args: argparse.Namespace) -> None:
    from rich.console import Console

    from instructloop.loop.curation import Request, curate_prompts, lengths_by, read_sources
    from instructloop.loop.curation_tables import funnel_table

    memory = PeakMemory()
    memory.start()
    before, start = _processor_seconds(), time.perf_counter()
    done: list[float] = []
    request = Request(out=out, settings=Curation(), lengths=lengths_by(args.tokenizer, Text()), workers=args.workers)
    prompts = read_sources([made], consent="a licence")
    summary = curate_prompts(prompts, request, told=lambda _: done.append(time.perf_counter()))
    end = time.perf_counter()
    Console().print(funnel_table(summary))
    stages = sum(report.seconds for report in summary.stages)
    read = done[0] - summary.stages[0].seconds - start
    print(f"reading {read:.1f} s, all stages {stages:.1f} s, freezing and writing {end - done[-1]:.1f} s, everything {end - start:.1f} s")
    print(f"processor time {_processor_seconds() - before:.1f} s, load average after: {os.getloadavg()[0]:.2f}")
    print(f"memory at the peak, {args.workers} workers included: {memory.peak_mb:,.0f} MB")


class PeakMemory(threading.Thread):
    """Looks twice a second at how much memory this process and its children hold, shared pages counted in each (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while True:
            held = sum(map(_pages, [os.getpid(), *_children()]))
            self.peak_mb = max(self.peak_mb, held * page / 1e6)
            time.sleep(0.5)


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except FileNotFoundError:  # it has ended
        return 0


def _processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
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
    from instructloop.text.tokenizer import load_tokenizer

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

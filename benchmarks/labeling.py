"""Twenty labelers and ten playground users at one site for a minute: times of requests, errors, submissions lost or doubled.

    python benchmarks/labeling.py                                           a new SQLite store in a temporary folder
    python benchmarks/labeling.py --store postgresql+psycopg://…            an empty PostgreSQL database
    python benchmarks/labeling.py --private-postgres                        a server of its own, as the tests start it

Processes: `instructloop serve`, a scripted model behind OpenAI's API that says 50 words a second, and this one with the people.
Labelers take a task, save two drafts and submit, thinking for `--thinking` seconds in all; users ask, have the answer stored, rate it.
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from instructloop.store.database.opening import open_store
from postgres_server import running_postgres
from web.crowd import PASSWORD, gather, lost_and_doubled
from web.load import Person, Tally, chat, label, percentiles
from web.site_process import free_port, serving

SCRIPTED = Path(__file__).parents[1] / "tests" / "scripted_server.py"


def main() -> None:
    """Gather the people, let them work, print."""
    args = _arguments()
    if args.private_postgres:
        with running_postgres() as server:
            _measure(server.new_database(), args)
    elif args.store:
        _measure(args.store, args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _measure(str(Path(folder) / "feedback.db"), args)


def _measure(place: str, args: argparse.Namespace) -> None:
    store = open_store(place)
    queue, labelers, users = gather(store, labelers=args.labelers, users=args.users, tasks=args.tasks, overlap=3, num_answers=9)
    port, tally = free_port(), Tally()
    print(f"{store.engine.dialect.name}; {os.cpu_count()} cores; load average before: {os.getloadavg()[0]:.2f}")
    with _model() as address, serving(place, port, "--model", f"scripted={address}#scripted"):
        ready = time.perf_counter()
        people = [Person(port, name, PASSWORD, tally) for name in (*labelers, *users)]
        _all(person.enter for person in people)
        print(f"{len(people)} people logged in within {time.perf_counter() - ready:.1f} s")
        until = time.monotonic() + args.seconds
        seeds = range(len(people))
        _all(
            (lambda person=person, seed=seed: label(person, queue.id, until=until, thinking=args.thinking, seed=seed))
            if seed < len(labelers)
            else (lambda person=person, seed=seed: chat(person, "scripted", until=until, pause=args.thinking, seed=seed))
            for person, seed in zip(people, seeds, strict=True)
        )
    for kind, seconds in sorted(tally.seconds.items()):
        times = "  ".join(f"p{share} {time_:6.0f} ms" for share, time_ in percentiles(seconds))
        print(f"{kind:<12}{len(seconds):>6} requests  {times}")
    lost, doubled, over = lost_and_doubled(store, list(tally.acknowledged))
    print(f"{len(tally.acknowledged)} submissions acknowledged, {lost} lost, {doubled} doubled; {over} tasks with more people than asked")
    print(f"{len(tally.failures)} errors, {tally.hung_up} connections lost", *tally.failures[:5], sep="\n")
    store.close()


def _all(acts: Iterator[object]) -> None:
    """Everybody at once, to the end."""
    threads = [threading.Thread(target=act) for act in acts]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _model() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, str(SCRIPTED), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", help="an empty store; a new SQLite file if not given")
    parser.add_argument("--private-postgres", action="store_true", help="start a PostgreSQL server for the length of the run")
    parser.add_argument("--labelers", type=int, default=20)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--thinking", type=float, default=3.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

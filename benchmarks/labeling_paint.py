"""How long a labeler looks at the old task: from the key that submits to the paint of the next one, in Chromium, at 1280 and 390 px.

    python benchmarks/labeling_paint.py

A queue of ranking tasks, each with nine answers of 8,000 characters; one labeler works by keyboard. Two moments of every task are
timed, each from the time stamp of the key press to the end of the frame that shows what comes next:

    next task    submitting, to the next task with its first answer
    nine         the step to the ranking, where all nine answers stand

Processes: `instructloop serve`, Chromium, and this one.
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser import chromium
from instructloop.store.database.opening import open_store
from web.benches import press, ready, saved, until
from web.crowd import PASSWORD, gather
from web.site_process import free_port, serving

WIDTHS: Mapping[int, int] = {1280: 900, 390: 844}
ANSWERS, CHARACTERS = 9, 8000
WATCH = """() => {
  let pressed = 0;
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.ctrlKey) pressed = event.timeStamp;
  }, true);
  const painted = (act) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = act;
    channel.port2.postMessage(null);
  });
  new MutationObserver(() => painted(() => (window.took = performance.now() - pressed)))
    .observe(document.getElementById("stage"), { childList: true });
}"""
"""What stands on the stage is replaced when something else is to be seen; a message sent in the frame's callback is heard after it."""


def main() -> None:
    """Fill a store, work in it at each width, print."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        place, port = str(Path(folder) / "feedback.db"), free_port()
        store = open_store(place)
        tasks = args.tasks + 2
        queue, names, _ = gather(store, labelers=len(WIDTHS), users=0, tasks=tasks, overlap=len(WIDTHS), num_answers=ANSWERS, characters=CHARACTERS)
        store.close()
        print(f"{os.cpu_count()} cores; load average before: {os.getloadavg()[0]:.2f}; Chromium {browser.version}")
        print(f"{args.tasks} tasks of {ANSWERS} answers of {CHARACTERS:,} characters\n")
        print(f"{'width':>8}  {'moment':<12}{'median':>10}{'p95':>10}{'longest':>10}")
        with serving(place, port):
            for (width, height), name in zip(WIDTHS.items(), names, strict=True):
                page = browser.new_page(viewport={"width": width, "height": height})
                _enter(page, f"http://127.0.0.1:{port}", name, queue.id)
                times = [_task(page) for _ in range(args.tasks)]
                for moment, took in (("next task", [one[1] for one in times]), ("nine", [one[0] for one in times])):
                    print(f"{width:>5} px  {moment:<12}" + "".join(f"{ms:>7.0f} ms" for ms in _figures(took)))
                page.close()
        print(f"\nload average after: {os.getloadavg()[0]:.2f}")


def _enter(page: Any, address: str, name: str, queue: str) -> None:
    page.goto(f"{address}/login")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".menu-name", state="attached")
    page.goto(f"{address}/labeling/queues/{queue}")
    ready(page)
    page.evaluate(WATCH)


def _task(page: Any) -> tuple[float, float]:
    """Rate and rank nine answers, and submit: milliseconds to the ranking, and to the next task."""
    press(page, "4 Control+Enter " * (ANSWERS - 1))
    ranking = _timed(page, "4", ".board")
    press(page, "1 j " * (ANSWERS - 1))
    return ranking, _timed(page, "2", ".rating-step")


def _timed(page: Any, key: str, shown: str) -> float:
    """The last key of a step, a moment to look, and then the one that is timed."""
    page.keyboard.press(key)
    saved(page)
    page.evaluate("window.took = null")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(f"#stage {shown}")
    return until(page, "window.took")


def _figures(took: list[float]) -> tuple[float, float, float]:
    """Median, 95th percentile, and the longest."""
    return statistics.median(took), statistics.quantiles(took, n=20, method="inclusive")[-1], max(took)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=24)
    return parser.parse_args()


if __name__ == "__main__":
    main()

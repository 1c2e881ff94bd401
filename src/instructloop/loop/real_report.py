"""The page about the real run: tables and pictures of its seeds, between what `docs/results_intro.md` and `docs/results_outlook.md` say;
after it the chapter about the demo, `docs/results_small_world.md`, which `demo_record` writes.

python -m instructloop.loop.real_report --root out/real --seeds 0 1 2
"""

import argparse
import json
from pathlib import Path

from instructloop.loop.real_data import GROUPS, RealData
from instructloop.loop.results import write_results
from instructloop.loop.scripts import run_script
from instructloop.store.snapshots import open_snapshot


def write_page(root: Path, docs: Path, seeds: list[int]) -> Path:
    """Write `docs/results.md`; the texts around the tables stay as they are."""
    data = RealData(folder=root / "data", snapshots={name: open_snapshot(root / "data" / name) for name in GROUPS})
    texts = (docs / f"results_{name}.md" for name in ("intro", "outlook", "small_world"))
    intro, outlook, small_world = (path.read_text() if path.exists() else "" for path in texts)
    outlook = f"{outlook}\n\n{_answers(root / f'seed-{seeds[0]}')}\n\n{small_world}"
    return write_results(root, docs, seeds=seeds, intro=f"{intro}\n\n## Data\n\n{data.table()}", outlook=outlook)


def _answers(folder: Path) -> str:
    rows = json.loads((folder / "evaluation.json").read_text())["answers"]
    blocks = ["\n\n".join(f"**{name}**\n\n```text\n{text.strip()}\n```" for name, text in row.items()) for row in rows]
    return "## Answers to the first test prompts, first seed\n\nNot chosen; temperature 1.\n\n" + "\n\n---\n\n".join(blocks)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the real run")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    asked = parser.parse_args()
    print(write_page(asked.root, asked.docs, asked.seeds))


if __name__ == "__main__":
    run_script(main)

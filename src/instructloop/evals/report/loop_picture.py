"""The loop as a picture: the paper's three steps with what went through them, beside each other or one below the other.

Both layouts are the same three columns; only where a column stands, and the arrows between columns, differ. Colours and fonts
come from the page's style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from instructloop.evals.report.inputs import Counts

Layout = Literal["wide", "tall"]

COLUMN, ROW, GAP = 300, 100, 32
"""Width of a column, height of a box, and the space between two boxes in which an arrow stands."""
HEAD = 64
"""Height of a column's heading."""
MARGIN = 24
"""Room for the way back of the loop."""
BETWEEN = 44
BACK = "beyond the demo: the next prompts"
HEIGHT = HEAD + 4 * ROW + 3 * GAP


@dataclass(frozen=True, kw_only=True)
class Box:
    """One station: a figure in large type, and what it counts in one or two lines."""

    kind: Literal["people", "data", "model"]
    figure: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One column of the picture."""

    title: str
    subtitle: str
    boxes: tuple[Box, Box, Box, Box]


def steps(counts: Counts) -> tuple[Step, Step, Step]:
    """The paper's Figure 2 with the counts of this run."""
    k = sorted(int(name) for name in counts.rankings_by_k)
    range_of_k = f"K = {k[0]}" if k[0] == k[-1] else f"K = {k[0]} to {k[-1]}"
    return (
        Step(
            title="Step 1",
            subtitle="demonstrations train SFT",
            boxes=(
                Box(kind="people", figure=f"{counts.users:,}", lines=("simulated users write prompts",)),
                Box(kind="data", figure=f"{counts.prompts:,}", lines=("distinct prompts for training",)),
                Box(kind="data", figure=f"{counts.demonstrations:,}", lines=("demonstrations by", "simulated demonstrators")),
                Box(kind="model", figure="SFT", lines=("a model that imitates", "the demonstrations")),
            ),
        ),
        Step(
            title="Step 2",
            subtitle="comparisons train a reward",
            boxes=(
                Box(kind="data", figure=f"{counts.rankings:,}", lines=("prompts, each answered by", f"SFT {range_of_k} times")),
                Box(kind="people", figure=f"{counts.labelers:,}", lines=("simulated labelers rank", "the answers of each prompt")),
                Box(kind="data", figure=f"{counts.pairs:,}", lines=("pairs with a winner,", f"{counts.tied_pairs:,} more tied")),
                Box(kind="model", figure="Reward model", lines=("a model that predicts", "what the labelers prefer")),
            ),
        ),
        Step(
            title="Step 3",
            subtitle="PPO pursues the reward",
            boxes=(
                Box(kind="data", figure=f"{counts.episodes:,}", lines=("answers of the policy, scored by", "the reward model, in each run")),
                Box(kind="model", figure="PPO, PPO-ptx", lines=("PPO-ptx goes on reading", "pretraining text as well")),
                Box(kind="people", figure=f"{counts.judges:,}", lines=("simulated judges who", "ranked nothing for training")),
                Box(kind="data", figure=f"{counts.judgements:,}", lines=("judgements on", f"{counts.test_prompts:,} test prompts")),
            ),
        ),
    )


def loop_picture(counts: Counts, layout: Layout) -> str:
    """An SVG of the loop; `wide` for a desk, `tall` for a phone."""
    wide = layout == "wide"
    places = [(MARGIN + i * (COLUMN + BETWEEN), 0) if wide else (MARGIN, i * (HEIGHT + BETWEEN)) for i in range(3)]
    width = MARGIN + 3 * COLUMN + 2 * BETWEEN + 2 if wide else MARGIN + COLUMN + 2
    height = HEIGHT + 2 * MARGIN if wide else 3 * HEIGHT + 2 * BETWEEN + 2 * MARGIN
    columns = "".join(_column(step, x, y, layout) for step, (x, y) in zip(steps(counts), places, strict=True))
    back = f'<text class="what" x="{MARGIN}" y="{height - 4}">{BACK}</text>'
    ways = "".join(_way(path, layout) for path in (_wide_ways(places) if wide else _tall_ways(places)))
    title = (
        "Simulated users' prompts are answered by demonstrators to train SFT; SFT's answers are ranked by simulated labelers to train "
        "the reward model; PPO learns from the reward model's scores and is judged by simulated people; users then prompt the better model."
    )
    return (
        f'<svg class="loop loop-{layout}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f'<defs><marker id="head-{layout}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="head" d="M0 0 10 5 0 10z"/></marker></defs>{columns}{ways}{back}</svg>'
    )


def _column(step: Step, x: int, y: int, layout: Layout) -> str:
    parts = [
        f'<text class="step" x="{x}" y="{y + 20}">{escape(step.title)}</text>',
        f'<text class="step-what" x="{x}" y="{y + 44}">{escape(step.subtitle)}</text>',
    ]
    for i, box in enumerate(step.boxes):
        top = y + HEAD + i * (ROW + GAP)
        parts.append(_box(box, x, top))
        if i < len(step.boxes) - 1:
            parts.append(_way(f"M{x + COLUMN // 2} {top + ROW + 4}v{GAP - 8}", layout))
    return "".join(parts)


def _box(box: Box, x: int, top: int) -> str:
    radius = {"people": 24, "data": 3, "model": 12}[box.kind]
    first = top + 38 + (10 if len(box.lines) == 1 else 0)
    words = "".join(f'<text class="what" x="{x + 22}" y="{first + 25 + 20 * i}">{escape(line)}</text>' for i, line in enumerate(box.lines))
    return (
        f'<rect class="box {box.kind}" x="{x}" y="{top}" width="{COLUMN}" height="{ROW}" rx="{radius}"/>'
        f'<text class="figure" x="{x + 22}" y="{first}">{escape(box.figure)}</text>{words}'
    )


def _wide_ways(places: Sequence[tuple[int, int]]) -> list[str]:
    """From each model up to the next column's first box, and from the last box back to the first."""
    first, last = HEAD + ROW // 2, HEAD + 3 * (ROW + GAP) + ROW // 2
    across = [f"M{x + COLUMN + 4} {last}h{BETWEEN // 2 - 4}V{first}h{BETWEEN // 2 - 4}" for x, _ in places[:-1]]
    end = places[-1][0] + COLUMN // 2
    return [*across, f"M{end} {HEIGHT + 4}v{MARGIN - 6}H2V{first}h{MARGIN - 6}"]


def _tall_ways(places: Sequence[tuple[int, int]]) -> list[str]:
    """From each model down to the next step, and from the bottom back to the top on the left."""
    down = [f"M{x + COLUMN // 2} {y + HEIGHT + 4}v{BETWEEN - 8}" for x, y in places[:-1]]
    x, y = places[-1]
    return [*down, f"M{x + COLUMN // 2} {y + HEIGHT + 4}v{MARGIN - 6}H2V{HEAD + ROW // 2}h{MARGIN - 6}"]


def _way(path: str, layout: Layout) -> str:
    return f'<path class="way" marker-end="url(#head-{layout})" d="{path}"/>'

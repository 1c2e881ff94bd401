"""Prompts as simulated users write them: for training, for development, and numbered pools for evaluation.

Training uses the phrasings, people, things and combinations of clauses of its side only. Development and evaluation use
those held out, and are told apart by a hash of the text: no two pools can ever hold the same prompt, however many are drawn.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from random import Random

from instructloop.errors import ConfigError
from instructloop.lab.asking import Ask, Clause, Slots, Task, Template
from instructloop.lab.chance import pick, stream
from instructloop.lab.clauses import draw_value
from instructloop.lab.grammar import implied, render
from instructloop.lab.tasks import SHARES, TASKS
from instructloop.lab.words import CATEGORIES
from instructloop.lab.world import HELD_OUT, TRAINING, Cast
from instructloop.records import Prompt, Provenance

POOLS = 24
"""Evaluation pools; development is one more part of the same side."""
PRACTICE_POOL = POOLS - 1
"""The pool of whoever only tries things: it has been looked at. Recorded runs take one that never was, all seeds the same one."""
CONSENT = "simulated"
ORIGIN = "lab"
_FAVOURITE = 4.0
"""How much more often a user asks what he or she likes to ask."""
_MOST_DRAWS = 400
"""Draws per prompt asked for, after which a pool counts as exhausted."""


@dataclass(frozen=True)
class Drawn:
    """An ask and the text that says it."""

    ask: Ask
    text: str


def draw_prompt(chance: Random, cast: Cast, task: str | None = None) -> Drawn:
    """A prompt of one side: task, phrasing, slots, clauses."""
    chosen = TASKS[task or pick(SHARES, chance)]
    template = chance.choice(_phrasings(chosen.name, cast.held_out))
    slots = {**template.given, **chosen.draw(chance, cast, template.given)}
    clauses = _draw_clauses(chosen, template, slots, cast, chance)
    return Drawn(Ask(chosen.name, slots, (*implied(chosen, slots), *clauses)), render(template, slots, clauses, chance))


def training_prompts(seed: int, n: int) -> list[Prompt]:
    """`n` distinct training prompts."""
    return _distinct(stream(seed, "training prompts"), TRAINING, n, f"training-{seed}")


def development_prompts(seed: int, n: int) -> list[Prompt]:
    """`n` distinct prompts to make choices on: of the held-out side, and in no evaluation pool."""
    return _distinct(stream(seed, "development prompts"), HELD_OUT, n, f"development-{seed}", part=POOLS)


def evaluation_prompts(pool: int, n: int) -> list[Prompt]:
    """`n` distinct prompts of an evaluation pool, 0 to `POOLS` − 1; fewer are the first of more."""
    if not 0 <= pool < POOLS:
        raise ConfigError(f"evaluation pool {pool}", expected=f"0 to {POOLS - 1}", remedy="choose a pool that was never looked at")
    return _distinct(stream(pool, "evaluation prompts"), HELD_OUT, n, f"evaluation-{pool}", part=pool)


@cache
def _phrasings(task: str, held_out: bool) -> tuple[Template, ...]:
    return tuple(template for template in TASKS[task].templates if template.held_out == held_out)


def _draw_clauses(task: Task, template: Template, slots: Slots, cast: Cast, chance: Random) -> list[Clause]:
    if "also" not in template.frame.keys:
        return []
    combinations = task.held_out_combinations if cast.held_out else task.combinations
    kinds = chance.choice([combination for combination in combinations if task.fits(combination, slots)])
    own = {"called": cast.people, "spare": CATEGORIES[slots.get("category", "animals")]}
    clauses: list[Clause] = []
    for kind in kinds:
        value = chance.choice(own[kind]) if kind in own else draw_value(kind, chance)
        while any(value and value == clause.value for clause in clauses):
            value = draw_value(kind, chance)
        clauses.append(Clause(kind, value))
    return clauses


def _distinct(chance: Random, cast: Cast, n: int, name: str, part: int | None = None) -> list[Prompt]:
    """The first `n` different prompts drawn, of one part of the side if it is in parts."""
    users = _users(cast)
    texts: dict[str, Prompt] = {}
    for _ in range(_MOST_DRAWS * n):
        if len(texts) == n:
            return list(texts.values())
        user = chance.choice(list(users))
        drawn = draw_prompt(chance, cast, pick(users[user], chance))
        if drawn.text not in texts and part in (None, _part(drawn.text)):
            texts[drawn.text] = _prompt(f"lab-{name}-{len(texts):05d}", drawn, user)
    raise ConfigError(f"{n} prompts of {name}: only {len(texts)} found", expected="fewer", remedy="ask for fewer, or draw from several")


def _prompt(id_: str, drawn: Drawn, user: str) -> Prompt:
    return Prompt(
        id=id_,
        text=drawn.text,
        user_id=user,
        source="playground",
        kind="plain",
        consent=CONSENT,
        use_case=TASKS[drawn.ask.task].use_case,
        provenance=Provenance(who=user, origin=ORIGIN),
    )


def _part(text: str) -> int:
    """The part of the held-out side that a text belongs to, whoever draws it: a pool, or development."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % (POOLS + 1)


@cache
def _simulated_users(first: int, last: int) -> dict[str, dict[str, float]]:
    """User id -> how often the user asks each task: everyone has two favourites."""
    users: dict[str, dict[str, float]] = {}
    for number in range(first, last + 1):
        user = f"simulated-user-{number:03d}"
        favourites = stream(number, "favourites").sample(list(SHARES), 2)
        users[user] = {task: share * (_FAVOURITE if task in favourites else 1.0) for task, share in SHARES.items()}
    return users


def _users(cast: Cast) -> dict[str, dict[str, float]]:
    """Those of one side: no user asks on both."""
    return _simulated_users(61, 100) if cast.held_out else _simulated_users(1, 60)

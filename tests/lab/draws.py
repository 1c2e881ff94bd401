"""What the tests of the lab draw on: prompts of every template, with an answer that has nothing wrong."""

from collections.abc import Iterator, Sequence
from itertools import product
from random import Random

from instructloop.lab.asking import Ask, Clause, Task, Template
from instructloop.lab.chance import stream
from instructloop.lab.clauses import KINDS
from instructloop.lab.demonstrators import DEMONSTRATORS, answer_as, ideal
from instructloop.lab.grammar import implied, render
from instructloop.lab.tasks import TASKS
from instructloop.lab.words import CATEGORIES
from instructloop.lab.world import HELD_OUT, TRAINING, Cast
from instructloop.records import Prompt


def every_template() -> Iterator[tuple[Task, Template]]:
    """Each phrasing of each task."""
    for task in TASKS.values():
        for template in task.templates:
            yield task, template


def prompts_of(task: Task, template: Template, chance: Random) -> Iterator[tuple[Ask, str]]:
    """The template without clauses and with each combination of its side that fits."""
    cast = HELD_OUT if template.held_out else TRAINING
    combinations = set(task.held_out_combinations if template.held_out else task.combinations)
    for combination in sorted(combinations if "also" in template.frame.keys else {()}):
        slots = {**template.given, **task.draw(chance, cast, template.given)}
        if task.fits(combination, slots):
            clauses = [Clause(kind, _value(kind, slots.get("category", "animals"), cast, number)) for number, kind in enumerate(combination)]
            yield Ask(task.name, slots, (*implied(task, slots), *clauses)), render(template, slots, clauses, chance)


def _value(kind: str, category: str, cast: Cast, number: int) -> str:
    """Something a clause of this kind may be about; clauses side by side are about different things."""
    if kind in ("called", "spare"):
        return cast.people[0] if kind == "called" else CATEGORIES[category][0]
    return KINDS[kind].values[number % len(KINDS[kind].values)]


def everything(seed: int) -> Iterator[tuple[Ask, str, str]]:
    """Ask, prompt and a good answer, for every template with every combination of clauses."""
    for number, (task, template) in enumerate(every_template()):
        chance = stream(seed, "template", number)
        for ask, prompt in prompts_of(task, template, chance):
            yield ask, prompt, ideal(ask, chance)


def answer_pool(prompts: Sequence[Prompt], *, k: int) -> list[tuple[str, list[str]]]:
    """Each prompt's text with `k` answers of demonstrators."""
    pool: list[tuple[str, list[str]]] = []
    for prompt in prompts:
        chance = stream(0, "answer pool", prompt.id)
        pool.append((prompt.text, [answer_as(chance.choice(DEMONSTRATORS), prompt.text, chance) for _ in range(k)]))
    return pool


def surfaces(task: Task, *, held_out: bool) -> set[str]:
    """The texts of a side's templates: each phrasing with each wording of each combination of clauses."""
    combinations = task.held_out_combinations if held_out else task.combinations
    texts = {template.frame.text for template in task.templates if template.held_out == held_out}
    clauses = {clause for combination in combinations for clause in _wordings(combination, held_out=held_out)}
    return {text.replace("{also}", clause) for text in texts for clause in (clauses if "{also}" in text else ("",))}


def _wordings(combination: Sequence[str], *, held_out: bool) -> list[str]:
    options = [KINDS[kind].held_out if held_out else KINDS[kind].wordings for kind in combination]
    return [" ".join(frame.text for frame in chosen) for chosen in product(*options)]

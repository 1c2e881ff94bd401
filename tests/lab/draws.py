"""What the tests of the lab draw on: prompts of every template, with an answer that has nothing wrong."""

from collections.abc import Iterator, Sequence
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

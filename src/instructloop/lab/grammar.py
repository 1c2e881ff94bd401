"""The grammar of prompts: an ask becomes text, and text becomes the ask again. The judge knows prompts by this reading only."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random

from instructloop.errors import DataError
from instructloop.lab.asking import Ask, Clause, Slots, Task, Template
from instructloop.lab.clauses import KINDS
from instructloop.lab.tasks import TASKS


def render(template: Template, slots: Slots, clauses: Sequence[Clause], chance: Random) -> str:
    """The prompt's text, its clauses in one of their wordings; held-out templates speak in held-out wordings."""
    said = [_worded(clause, held_out=template.held_out, chance=chance) for clause in clauses if KINDS[clause.kind].wordings]
    return template.frame.fill({**slots, "also": "".join(f" {sentence}" for sentence in said)})


@lru_cache(maxsize=4096)
def parse(prompt: str) -> Ask:
    """What a prompt asks; raises `DataError` if it is none of the small world's."""
    return parse_with_template(prompt)[0]


def parse_with_template(prompt: str) -> tuple[Ask, Template]:
    """What a prompt asks, and the template that says it."""
    for task in TASKS.values():
        for template in task.templates:
            if (slots := template.frame.read(prompt)) is not None and (clauses := _clauses(task, slots.pop("also", ""))) is not None:
                return Ask(task.name, {**template.given, **slots}, (*implied(task, slots), *clauses)), template
    raise DataError(
        f"the prompt {prompt[:80]!r} is none of the small world's",
        expected="one that `training_prompts`, `development_prompts` or `evaluation_prompts` gave",
        remedy="judge it with people, or with another judge",
    )


def implied(task: Task, slots: Slots) -> tuple[Clause, ...]:
    """The clauses that any phrasing of a task has in it."""
    return tuple(Clause(kind, slots.get("number", "")) for kind in task.implied)


def _worded(clause: Clause, *, held_out: bool, chance: Random) -> str:
    kind = KINDS[clause.kind]
    return chance.choice(kind.held_out if held_out else kind.wordings).fill({"value": clause.value})


def _clauses(task: Task, text: str) -> tuple[Clause, ...] | None:
    """The clauses of a task that follow one another in a text; None if something else stands there."""
    if not text:
        return ()
    kinds = {kind for combination in (*task.combinations, *task.held_out_combinations) for kind in combination}
    return _clauses_of(tuple(sorted(kinds)), text.strip())


@lru_cache(maxsize=4096)
def _clauses_of(kinds: tuple[str, ...], text: str) -> tuple[Clause, ...] | None:
    if not text:
        return ()
    for end in (place + 1 for place in range(len(text)) if text[place] in '."' and text[place + 1 : place + 2] in (" ", "")):
        clause = _clause(kinds, text[:end])
        if clause is not None and (rest := _clauses_of(kinds, text[end:].strip())) is not None:
            return (clause, *rest)
    return None


def _clause(kinds: tuple[str, ...], sentence: str) -> Clause | None:
    for name in kinds:
        for frame in (*KINDS[name].wordings, *KINDS[name].held_out):
            if (values := frame.read(sentence)) is not None:
                return Clause(name, values.get("value", ""))
    return None

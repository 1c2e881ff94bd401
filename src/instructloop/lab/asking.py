"""What is asked: a task with its slots and clauses, the templates that say it, and the reading of what a judgement finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from instructloop.lab.answers import Answer
from instructloop.lab.frames import Frame
from instructloop.lab.world import Cast

Slots = Mapping[str, str]


@dataclass(frozen=True)
class Clause:
    """An explicit constraint: its kind, and the number or word it speaks of."""

    kind: str
    value: str = ""


@dataclass(frozen=True)
class Ask:
    """A prompt understood."""

    task: str
    slots: Slots
    clauses: tuple[Clause, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its clauses."""
        return tuple(clause.kind for clause in self.clauses)

    def value(self, kind: str) -> str | None:
        """What the clause of a kind says; None without such a clause."""
        return next((clause.value for clause in self.clauses if clause.kind == kind), None)

    def without(self, kind: str) -> "Ask":
        """The same with a clause left out."""
        return Ask(self.task, self.slots, tuple(clause for clause in self.clauses if clause.kind != kind))


@dataclass(frozen=True)
class Template:
    """One phrasing of a task. `given` are slots that the phrasing settles, without a word for them in the text."""

    frame: Frame
    given: Slots = field(default_factory=dict[str, str])
    held_out: bool = False


@dataclass
class Reading:
    """What a task finds in an answer: how far it does what was asked, whether what it says is true, and what belongs to no answer."""

    follows: float = 0.0
    true: float | None = None
    """None where nothing can be true or false."""
    strays: dict[str, str] = field(default_factory=dict[str, str])
    """Sentences that the task has no place for, each with what is wrong with it if the task knows."""
    reasons: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, kw_only=True)
class Task:
    """A thing that can be asked: how it is drawn, written by someone who can, and read by someone who knows."""

    name: str
    use_case: str
    templates: tuple[Template, ...]
    combinations: tuple[tuple[str, ...], ...]
    """Kinds of clauses that training prompts add, together."""
    held_out_combinations: tuple[tuple[str, ...], ...]
    draw: Callable[[Random, Cast, Slots], dict[str, str]]
    """The slots that a template leaves open, given those it settles."""
    write: Callable[[Ask, Random, Cast], str]
    """A good answer; it may still miss a clause by chance."""
    read: Callable[[Ask, Answer], Reading]
    factual: bool = True
    """True if answers can be true or false, in the world or in the given text."""
    longest: int = 4
    """Sentences beyond which an answer of any kind goes on for too long."""
    implied: tuple[str, ...] = ()
    """Kinds of clauses that every phrasing has in it."""
    fits: Callable[[Sequence[str], Slots], bool] = lambda _, __: True
    """False where the slots leave a combination of clauses without a good answer."""


def templates(*texts: str, held_out: Sequence[str] = (), **given: str) -> tuple[Template, ...]:
    """Phrasings for training, then those held out; `given` are the slots they settle."""
    return (
        *(Template(Frame(text), given) for text in texts),
        *(Template(Frame(text), given, held_out=True) for text in held_out),
    )

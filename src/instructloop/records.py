"""The nouns of the loop: small frozen records, JSON in and out. Standard library only.

Every record carries `schema` (the version of its layout) and `provenance` (who made it, when, from which model and
snapshot). `to_json` and `from_json` are inverse to each other; unknown or missing keys and wrong types are refused.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, Literal, NamedTuple, Self

from instructloop.errors import DataError
from instructloop.reading import SCHEMA_VERSION, build

Source = Literal["playground", "labeler", "import"]
PromptKind = Literal["plain", "few_shot", "user_based"]

USE_CASES = (
    "generation", "open_qa", "closed_qa", "brainstorming", "chat", "rewrite", "summarization", "classification", "extract", "other",
)  # fmt: skip
"""The ten use-cases of the paper's Table 1."""

FLAGS = (
    "fails_task", "inappropriate_for_assistant", "hallucination", "satisfies_constraint", "sexual_content", "violent_content",
    "encourages_harm", "denigrates_protected_class", "harmful_advice", "expresses_opinion", "expresses_moral_judgment",
)  # fmt: skip
"""The eleven binary flags of the paper's Table 3."""

SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}
"""Roles in a conversation, and how they are called in a text."""

MIN_ANSWERS, MAX_ANSWERS = 2, 9
"""Numbers of answers a ranking or an answer set may hold; the paper collected 4 to 9, two is the pairwise case."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a record comes from."""

    who: str | None = None
    when: str | None = None
    model: str | None = None
    snapshot: str | None = None
    origin: str | None = None
    """The file, collection or licence it was imported from."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every record can do: become JSON, and come back."""

    schema: int = SCHEMA_VERSION
    provenance: Provenance = Provenance()

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object; nested records and tuples become objects and lists."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The record of a JSON object; raises `DataError` naming the key that is unknown, missing or of the wrong type."""
        return build(cls, row, cls.__name__)


class Turn(NamedTuple):
    """One message of a conversation."""

    role: str
    """One of `SPEAKERS`."""
    content: str


def conversation_text(turns: Sequence[Turn]) -> str:
    """A conversation as one text to answer: what a model that knows no turns reads.

    One question is its own text. A longer conversation is written turn by turn ("User: …", "Assistant: …") with blank
    lines between, and ends with "Assistant:". Text of the system stands first.
    """
    system = [turn.content for turn in turns if turn.role == "system" and turn.content]
    spoken = [turn for turn in turns if turn.role != "system"]
    if len(spoken) == 1:
        return "\n\n".join([*system, spoken[0].content])
    return "\n\n".join([*system, *(f"{SPEAKERS[turn.role]}: {turn.content}" for turn in spoken), "Assistant:"])


@dataclass(frozen=True, kw_only=True)
class Prompt(Record):
    """What a person asked, and on whose behalf it may be used."""

    id: str
    text: str
    user_id: str
    source: Source = "import"
    kind: PromptKind | None = None
    consent: str | None = None
    """The consent text version or the licence under which the prompt was given; None where neither is known, and for a blank one."""
    use_case: str | None = None

    def __post_init__(self) -> None:
        if self.consent is not None and not self.consent.strip():
            object.__setattr__(self, "consent", None)


@dataclass(frozen=True, kw_only=True)
class Completion(Record):
    """One answer to one prompt."""

    id: str
    prompt_id: str
    text: str
    model_id: str | None = None
    token_ids: tuple[int, ...] | None = None
    """The ids that were sampled, the end token included; a model with the same tokenizer reads these and never re-encodes the text."""
    sampling: Mapping[str, int | float | str] | None = None
    finish_reason: Literal["stop", "length"] | None = None


@dataclass(frozen=True, kw_only=True)
class Demonstration(Record):
    """A labeler's own answer to a prompt."""

    prompt: Prompt
    text: str
    labeler_id: str


@dataclass(frozen=True, kw_only=True)
class AnswerSet(Record):
    """K answers of one prompt that nobody has ranked yet, in the order in which they are to be shown."""

    prompt: Prompt
    completions: tuple[Completion, ...]

    def __post_init__(self) -> None:
        _answer_ids(self.completions, f"the answer set of prompt {self.prompt.id!r}")


@dataclass(frozen=True, kw_only=True)
class Ranking(Record):
    """K answers of one prompt in groups from best to worst, equal within a group."""

    prompt: Prompt
    completions: tuple[Completion, ...]
    groups: tuple[tuple[str, ...], ...]
    labeler_id: str

    def __post_init__(self) -> None:
        ids = _answer_ids(self.completions, f"the ranking of prompt {self.prompt.id!r}")
        ranked = [id_ for group in self.groups for id_ in group]
        if sorted(ranked) != sorted(ids) or not all(self.groups):
            raise DataError(
                f"the ranking of prompt {self.prompt.id!r} ranks {ranked} for the answers {ids}",
                expected="every answer id exactly once, and no empty group",
                remedy="correct the groups",
            )

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank of each completion in order, 1 the best, equal for a tie."""
        rank = {id_: place for place, group in enumerate(self.groups, start=1) for id_ in group}
        return tuple(rank[completion.id] for completion in self.completions)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(winner, loser) positions of every untied pair: the C(K,2) comparisons of paper §3.5 less its ties."""
        ranks = self.ranks
        ordered = ((a, b) if ranks[a] < ranks[b] else (b, a) for a, b in combinations(range(len(ranks)), 2) if ranks[a] != ranks[b])
        return tuple(ordered)


@dataclass(frozen=True, kw_only=True)
class Rating(Record):
    """One labeler's overall quality of one answer, and the flags of the paper's Table 3 that apply."""

    completion: Completion
    likert: int
    labeler_id: str
    flags: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.likert <= 7:
            raise DataError(f"the rating of {self.completion.id!r} is {self.likert}", expected="1 (worst) to 7 (best)", remedy="correct it")
        if unknown := sorted(set(self.flags) - set(FLAGS)):
            raise DataError(f"unknown flags {unknown}", expected=f"some of {', '.join(FLAGS)}", remedy="correct the flag names")


@dataclass(frozen=True, kw_only=True)
class Document(Record):
    """A text for language modelling: pretraining, and the pretraining term of PPO-ptx."""

    id: str
    text: str
    source: str = "import"


@dataclass(frozen=True, kw_only=True)
class Snapshot(Record):
    """A frozen set of data files: what a training run read, to the byte."""

    id: str
    files: Mapping[str, str]
    """File name -> SHA-256."""
    counts: Mapping[str, Mapping[str, int]]
    """Split -> source -> number of records."""
    query: str
    """The command or query that made it."""
    record: str
    """The record type of every line."""


@dataclass(frozen=True, kw_only=True)
class RunManifest(Record):
    """What a run was made of: enough to make it again, and to trace a checkpoint to the people whose data is inside."""

    run_id: str
    step: str
    config: Mapping[str, Any]
    command: str
    code_version: str
    seed: int
    snapshots: Mapping[str, str] = field(default_factory=dict[str, str])
    """Role of the data ("demonstrations", "rankings", …) -> snapshot id."""
    parents: Mapping[str, str] = field(default_factory=dict[str, str])
    """Role of the model ("policy", "reward", …) -> hash of its weights."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Library versions, thread count, device: what bit-equality depends on."""
    NEVER_COMPARED: ClassVar[tuple[str, ...]] = ("command", "provenance", "run_id")
    """Fields in which two runs may differ and still be the same run."""


RECORDS: Mapping[str, type[Record]] = {
    record.__name__: record for record in (Prompt, Completion, Demonstration, AnswerSet, Ranking, Rating, Document, Snapshot, RunManifest)
}


def _answer_ids(completions: tuple[Completion, ...], whose: str) -> list[str]:
    """The ids of K answers; raises `DataError` unless K is 2 to 9 and no id comes twice."""
    ids = [completion.id for completion in completions]
    if not MIN_ANSWERS <= len(ids) <= MAX_ANSWERS:
        raise DataError(f"{whose} holds {len(ids)} answers", expected=f"{MIN_ANSWERS} to {MAX_ANSWERS}", remedy="drop it, or split it")
    if len(set(ids)) < len(ids):
        raise DataError(f"{whose} holds the answers {ids}", expected="every answer id once", remedy="rename or drop the repeated ones")
    return ids

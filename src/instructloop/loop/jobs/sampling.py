"""The job `sample`: several answers to each of some prompts, as tasks of a queue in which people rank them.

The answers lie in a file that grows until the last prompt is answered, so that a killed worker's successor goes on where it stopped.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from instructloop.config import Precision, Text
from instructloop.errors import ConfigError, RunFinished
from instructloop.loop.answer_plan import EVERY_SPLIT, Answering, ModelShare, parse_models, parse_num_answers
from instructloop.loop.jobs.done import Done
from instructloop.reading import build
from instructloop.records import AnswerSet
from instructloop.store.database.jobs import Job
from instructloop.store.database.models import read_model
from instructloop.store.database.opening import Store
from instructloop.store.database.tasks import insert_answer_sets
from instructloop.store.jsonl import read_records


@dataclass(frozen=True, kw_only=True)
class SampleJob:
    """What is to be answered, by whom, for which queue."""

    queue_id: str
    prompts: str
    """Snapshot of prompts, on the machine of the worker."""
    models: Mapping[str, float]
    """Name of a registered model -> its share of all answers."""
    split: str = EVERY_SPLIT
    num_answers: str = "4..9"
    max_new_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    precision: Precision = "bf16"
    slots: int = 64
    context: int = 2048
    """Tokens of prompt and answer, for models that do not say themselves how they read."""

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model is named", expected="a registered model or several with shares", remedy="name one")
        parse_num_answers(self.num_answers)
        if self.max_new_tokens >= self.context:
            raise ConfigError(
                f"{self.max_new_tokens} new tokens in a context of {self.context}",
                expected="room for a prompt as well",
                remedy="ask for shorter answers",
            )
        _ = self.answering, self.shares({name: name for name in self.models})

    @property
    def answering(self) -> Answering:
        """How answers are made."""
        given = {name: getattr(self, name) for name in ("max_new_tokens", "temperature", "top_p", "seed", "precision")}
        return Answering(**given)

    def shares(self, places: Mapping[str, str]) -> tuple[ModelShare, ...]:
        """The models at their places, with their shares; raises `ConfigError` unless these sum to 1."""
        return parse_models([f"{places[name]}:{share}" for name, share in self.models.items()])


def sample_candidates(store: Store, job: Job, folder: Path) -> Done:
    """Sample, and add the tasks when the job is finished. Answers are stored under the name of their model, which labelers never see."""
    asked: SampleJob = build(SampleJob, job.payload, "the job")
    places = {name: read_model(store, name).place for name in asked.models}
    sets = _sampled(asked, places, folder / f"{job.id}.jsonl")

    def effect(connection: sa.Connection) -> None:
        insert_answer_sets(connection, store.now(), None, asked.queue_id, sets)

    return Done({"tasks": len(sets), "answers": sum(len(one.completions) for one in sets)}, effect)


def _sampled(asked: SampleJob, places: Mapping[str, str], out: Path) -> list[AnswerSet]:
    from instructloop.loop.answer_sets import Asked, sample_answer_sets  # reaches torch, which a worker for other jobs does without

    room = asked.max_new_tokens
    text = Text(context=asked.context, max_prompt=asked.context - room, max_response=room)
    whole = Asked(
        models=asked.shares(places), prompts=Path(asked.prompts), split=asked.split, num_answers=parse_num_answers(asked.num_answers),
        answering=asked.answering, text=text, out=out,
    )  # fmt: skip
    with suppress(RunFinished):
        sample_answer_sets(whole, slots=asked.slots)
    names = {place: name for name, place in places.items()}
    return [_named(answers, names) for answers in read_records(out, AnswerSet)]


def _named(answers: AnswerSet, names: Mapping[str, str]) -> AnswerSet:
    completions = (replace(answer, model_id=names[answer.model_id or ""]) for answer in answers.completions)
    return replace(answers, completions=tuple(completions))

"""The loop in the small world of the lab: its people write, answer and rank, and the three steps learn from that.

Every part is made once and found again: a run that was stopped goes on, one that is finished is read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from instructloop.config import Config
from instructloop.errors import RunFinished
from instructloop.lab.documents import documents
from instructloop.lab.prompts import development_prompts, training_prompts
from instructloop.loop.answer_plan import Answering, ModelShare, NumAnswers
from instructloop.loop.answer_sets import Asked, sample_answer_sets
from instructloop.loop.simulated_people import SimulatedPeople, simulated_people
from instructloop.protocols import Scorer
from instructloop.records import AnswerSet, Document, Prompt, Record
from instructloop.steps.ppo_run import PPOInputs, train_ppo
from instructloop.steps.step1_sft import SFTInputs, train_sft
from instructloop.steps.step2_reward import RewardInputs, train_reward
from instructloop.store.database.freezing import DataSet
from instructloop.store.jsonl import read_records
from instructloop.store.snapshots import freeze

TEXT_SEED = 0
"""Of the pretraining text, which is one for all runs: the base has read it."""
HELD_OUT_TEXT = 50_000_000
"""Number of the first document that no training has read."""
ANSWERS = NumAnswers(4, 9)
"""Answers to each prompt that is ranked [§2.3]."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much the people of the small world do. Prompts to demonstrate and to rank are the first of those PPO trains on."""

    prompts: int = 5_600
    demonstrations: int = 2_112
    ranked: int = 2_400
    """Prompts whose answers are ranked."""
    valid: int = 96
    """Demonstrations, and ranked prompts, held out from their training."""
    development: int = 256
    documents: int = 30_000
    """Of pretraining text, for the pretraining term."""
    held_out_documents: int = 600
    test_prompts: int = 600
    """Prompts that every model answers and is judged on; at least 500 for a run that is to be reported."""
    compared: int = 600
    """The first of them, of which the reward model is tried on several answers each."""


@dataclass(frozen=True, kw_only=True)
class SmallWorld:
    """One seed of the loop: where the base is, where everything goes, and how much there is."""

    config: Config
    base: Path
    folder: Path
    seed: int
    sizes: Sizes = Sizes()

    @property
    def store(self) -> Path:
        """The feedback store in which its people act."""
        return self.folder / "feedback.db"

    def prompts(self) -> list[Prompt]:
        """The training prompts, of simulated users."""
        return training_prompts(self.seed, self.sizes.prompts)

    def sft(self) -> Path:
        """Step 1 on what simulated demonstrators wrote, with pretraining text mixed in: opponent and start of PPO in one."""
        self.asked()
        answered = self.prompts()[: self.sizes.demonstrations]
        data = self._said("demonstrations", lambda people: people.demonstrate(answered), self._some_held_out(answered))
        inputs = SFTInputs(model=str(self.base), demonstrations=data, pretraining=self.documents())
        return self._made("sft", lambda out: train_sft(self.config, inputs, out, stage="sft_ptx_init"))

    def rankings(self) -> Path:
        """Four to nine answers of the SFT model to each prompt, ranked by simulated labelers."""
        if (there := self.folder / "data" / "rankings").exists():
            return there
        first = self.sizes.demonstrations
        asked = self.prompts()[first : first + self.sizes.ranked]
        sets = [_called("sft", answers) for answers in self.answers("answers", self.sft(), asked)]
        return self._said("rankings", lambda people: people.rank(sets), self._some_held_out([answers.prompt for answers in sets]))

    def reward(self) -> Path:
        """Step 2."""
        inputs = RewardInputs(model=str(self.sft()), rankings=self.rankings(), demonstrations=self.folder / "data" / "demonstrations")
        return self._made("reward", lambda out: train_reward(self.config, inputs, out))

    def ppo(self, name: str, *, config: Config | None = None, scorer: Scorer | None = None, heldout_scorer: Scorer | None = None) -> Path:
        """Step 3 under the name of its run folder: against the reward model, or a scorer, from the SFT model."""
        inputs = PPOInputs(policy=str(self.sft()), reward=None if scorer else str(self.reward()), prompts=self.asked(), pretraining=self.documents())
        return self._made(name, lambda out: train_ppo(config or self.config, inputs, out, scorer=scorer, heldout_scorer=heldout_scorer))

    def asked(self) -> Path:
        """Prompts for PPO, and development prompts to look at: all that users have asked."""
        if (there := self.folder / "data" / "prompts").exists():
            return there
        train, valid = self.prompts(), development_prompts(self.seed, self.sizes.development)
        splits = {prompt.id: "train" for prompt in train} | {prompt.id: "valid" for prompt in valid}
        return self._said("prompts", lambda people: people.ask([*train, *valid]), splits)

    def documents(self) -> Path:
        """Pretraining text, and held-out text of the same kind."""
        return self._frozen(
            "documents", train=islice(documents(TEXT_SEED), self.sizes.documents), valid=held_out_documents(self.sizes.held_out_documents)
        )

    def answers(self, name: str, model: Path, prompts: Sequence[Prompt], *, num_answers: NumAnswers = ANSWERS) -> list[AnswerSet]:
        """Different answers of a model to each of these prompts, sampled at temperature 1."""
        room = self.config.text.max_response
        asked = Asked(
            models=(ModelShare(str(model), 1.0),), prompts=self._frozen(f"{name}_prompts", train=prompts), split="train", num_answers=num_answers,
            answering=Answering(max_new_tokens=room, precision=self.config.run.precision, seed=self.seed), text=self.config.text,
            out=self.folder / f"{name}.jsonl",
        )  # fmt: skip
        with suppress(RunFinished):
            sample_answer_sets(asked, slots=SLOTS)
        return list(read_records(asked.out, AnswerSet))

    def with_ppo(self, **changed: object) -> Config:
        """The config with other settings of step 3."""
        return replace(self.config, ppo=replace(self.config.ppo, **changed))

    def _said(self, data: DataSet, act: Callable[[SimulatedPeople], None], split_of: Mapping[str, str]) -> Path:
        """What people say when they do something in the store, as a snapshot; `split_of` gives the split of each prompt's id."""
        folder = self.folder / "data" / data
        if not folder.exists():
            with simulated_people(self.store, self.seed) as people:
                act(people)
                people.freeze(data, folder, split_of)
        return folder

    def _some_held_out(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """Prompt id -> split: the first are held out."""
        return {prompt.id: "valid" if place < self.sizes.valid else "train" for place, prompt in enumerate(prompts)}

    def _frozen(self, name: str, **splits: Iterable[Record]) -> Path:
        folder = self.folder / "data" / name
        if not folder.exists():
            freeze(folder, splits, query=f"the small world of the lab, seed {self.seed}", source_of=lambda _: "lab")
        return folder

    def _made(self, name: str, train: Callable[[Path], Path]) -> Path:
        try:
            return train(self.folder / name)
        except RunFinished:
            return self.folder / name / "model"


def _called(model: str, answers: AnswerSet) -> AnswerSet:
    """The answers under a name of the model that is not the place of its folder: another folder, the same labels."""
    return replace(answers, completions=tuple(replace(answer, model_id=model) for answer in answers.completions))


SLOTS = 256
"""Answers sampled at a time: the models are small."""


def held_out_documents(count: int) -> list[Document]:
    """Documents of the base's kind that it has not read."""
    return list(islice(documents(TEXT_SEED, HELD_OUT_TEXT), count))

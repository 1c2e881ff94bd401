"""The people of the small world at work in a feedback store: they do what people do on its pages, through the same functions.

What they say is a function of the seed, and so is all else that is frozen: their ids and those of their prompts are their own, and
the store keeps the small world's time, in which every act has its minute. A world that was stopped goes on where it stopped: whoever
held a task still holds it, and nobody says anything twice.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from instructloop.errors import NotFound
from instructloop.lab.demonstrators import demonstrations
from instructloop.lab.labelers import TRAINING_LABELERS, Labeler, labeler_of, labelers
from instructloop.lab.prompts import CONSENT
from instructloop.records import AnswerSet, Prompt
from instructloop.steps.progress import Progress
from instructloop.store.database.accounts import account_by_id, create_account
from instructloop.store.database.freezing import DataSet, freeze_from_store
from instructloop.store.database.kinds import Body, Kind
from instructloop.store.database.leases import lease_next
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.prompts import Consent, NewPrompt, submit_prompts
from instructloop.store.database.queues import Queue, create_queue, list_queues
from instructloop.store.database.roles import Account, Role
from instructloop.store.database.submissions import submit
from instructloop.store.database.tasks import NewTask, add_answer_sets, add_tasks, count_tasks
from instructloop.store.database.views import TaskView, view_task

BEGINNING = datetime(2022, 3, 4, tzinfo=UTC)
"""The first day of the small world; no person's clock shows it."""
DAYS: Mapping[Kind, int] = {"demonstration": 1, "ranking": 31}
"""On which day of the world each kind of work begins; prompts come on the first."""
LEAD = "simulated-lead"


@dataclass
class WorldTime:
    """The clock of a small world's store: it stands still until somebody acts."""

    at: datetime = BEGINNING

    def __call__(self) -> datetime:
        return self.at

    def move(self, day: int, minute: int = 0) -> None:
        """It is now this minute of the work that began on that day."""
        self.at = BEGINNING + timedelta(days=day, minutes=minute)


@dataclass(frozen=True)
class Turn:
    """A task, as one person will answer it."""

    person: str
    reply: Callable[[TaskView], Body]


@dataclass(frozen=True)
class SimulatedPeople:
    """Everybody of one small world, and the store they work in."""

    store: Store
    time: WorldTime
    seed: int

    def ask(self, prompts: Sequence[Prompt]) -> None:
        """The users ask what they have to ask, and consent to its use."""
        self.time.move(0)
        consent = Consent(store=True, train=True, version=CONSENT)
        asked: dict[str, list[NewPrompt]] = {}
        for prompt in prompts:
            new = NewPrompt(id=prompt.id, text=prompt.text, consent=consent, kind=prompt.kind, use_case=prompt.use_case)
            asked.setdefault(prompt.user_id, []).append(new)
        for user, theirs in asked.items():
            submit_prompts(self.store, self._person(user, "playground"), theirs)

    def demonstrate(self, prompts: Sequence[Prompt]) -> None:
        """Demonstrators answer these prompts, one each."""
        queue = self._queue("demonstration")
        add_tasks(self.store, self._lead(), queue.id, [NewTask(prompt_id=prompt.id) for prompt in prompts])
        written = demonstrations(prompts, self.seed)
        texts = {demonstration.prompt.text: demonstration.text for demonstration in written}
        self._work(queue, [Turn(one.labeler_id, lambda view: {"text": texts[view.prompt or ""]}) for one in written])

    def rank(self, sets: Sequence[AnswerSet]) -> None:
        """Labelers rank these answers, each set by one of them."""
        queue = self._queue("ranking")
        add_answer_sets(self.store, self._lead(), queue.id, sets)
        people = labelers(TRAINING_LABELERS, self.seed)
        turns = [labeler_of(answers.prompt.id, people, self.seed) for answers in sets]
        self._work(queue, [Turn(labeler.id, lambda view, labeler=labeler: ranking_of(labeler, view)) for labeler in turns])

    def freeze(self, data: DataSet, folder: Path, split_of: Mapping[str, str]) -> None:
        """What people said of some prompts, given by id with the split of each, as a snapshot."""
        query = f"the small world of the lab, seed {self.seed}"
        freeze_from_store(self.store, None, data, folder, split_of=lambda prompt: split_of.get(prompt.id), query=query)

    def _work(self, queue: Queue, turns: Sequence[Turn]) -> None:
        """One turn for each task of the queue, from the first task that is not done."""
        done = count_tasks(self.store, self._lead(), queue.id).get("done", 0)
        people = {turn.person: self._person(turn.person, "labeler") for turn in turns}
        with Progress(queue.name, total=len(turns), done=done) as progress:
            for minute, turn in enumerate(turns[done:], start=done):
                self.time.move(DAYS[queue.kind], minute)
                answer_next(self.store, people[turn.person], queue, turn.reply)
                progress.advance(minute + 1)

    def _lead(self) -> Account:
        return self._person(LEAD, "lead")

    def _person(self, name: str, role: Role) -> Account:
        try:
            return account_by_id(self.store, name)
        except NotFound:
            return create_account(self.store, None, id=name, name=name, role=role)

    def _queue(self, kind: Kind) -> Queue:
        self.time.move(DAYS[kind])
        there = [queue for queue in list_queues(self.store, self._lead()) if queue.kind == kind]
        return there[0] if there else create_queue(self.store, self._lead(), name=f"{kind}s", kind=kind)


@contextmanager
def simulated_people(place: Path, seed: int) -> Generator[SimulatedPeople]:
    """The people of a small world, with the store in the file `place` open in front of them."""
    place.parent.mkdir(parents=True, exist_ok=True)
    time = WorldTime()
    store = open_store(place, clock=time)
    try:
        yield SimulatedPeople(store, time, seed)
    finally:
        store.close()


def answer_next(store: Store, person: Account, queue: Queue, reply: Callable[[TaskView], Body]) -> bool:
    """A person takes the next task of a queue, looks at it and submits an answer; False if there is none left for them."""
    lease = lease_next(store, person, queue.id)
    if lease is None:
        return False
    submit(store, person, lease.id, reply(view_task(store, person, lease.id)), key=lease.task_id)
    return True


def ranking_of(labeler: Labeler, view: TaskView) -> Body:
    """What a simulated labeler says of the answers on the page: ratings, and groups from best to worst."""
    prompt, answers = view.prompt or "", dict(view.answers)
    ids = list(answers)
    rates = {id_: labeler.rate(prompt, text) for id_, text in answers.items()}
    return {
        "ratings": {id_: {"likert": rate.likert, "flags": list(rate.flags), "note": ""} for id_, rate in rates.items()},
        "groups": [[ids[place] for place in group] for group in labeler(prompt, list(answers.values()))],
        "better": None,
    }

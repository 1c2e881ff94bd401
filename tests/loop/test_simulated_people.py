"""The people of the small world act through a store, say what the seed makes them say, and go on where they were stopped."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from instructloop.lab.chance import stream
from instructloop.lab.demonstrators import DEMONSTRATORS, answer_as, demonstrations
from instructloop.lab.labelers import TRAINING_LABELERS, labeler_of, labelers
from instructloop.lab.prompts import training_prompts
from instructloop.loop.simulated_people import simulated_people
from instructloop.records import AnswerSet, Completion, Demonstration, Prompt, Ranking
from instructloop.store.database.accounts import account_by_id
from instructloop.store.database.labels import current_labels
from instructloop.store.database.opening import open_store
from instructloop.store.database.submissions import list_submissions
from instructloop.store.snapshots import open_snapshot, read_split

SEED = 5
PROMPTS = training_prompts(SEED, 40)
SPLIT_OF = {prompt.id: "valid" if place < 4 else "train" for place, prompt in enumerate(PROMPTS)}


def answer_set(prompt: Prompt) -> AnswerSet:
    """Answers of demonstrators in place of a model's."""
    texts = [answer_as(name, prompt.text, stream(SEED, "answer", prompt.id, name)) for name in DEMONSTRATORS[: stream(SEED, prompt.id).randint(4, 8)]]
    return AnswerSet(
        prompt=prompt, completions=tuple(Completion(id=f"{prompt.id}/{n}", prompt_id=prompt.id, text=text) for n, text in enumerate(texts))
    )


SETS = [answer_set(prompt) for prompt in PROMPTS[10:30]]


def live(folder: Path) -> Path:
    """Everything that the people of one world do."""
    with simulated_people(folder / "feedback.db", SEED) as people:
        people.ask(PROMPTS)
        people.demonstrate(PROMPTS[:10])
        people.rank(SETS)
        for data in ("prompts", "demonstrations", "rankings"):
            if not (folder / data).exists():
                people.freeze(data, folder / data, SPLIT_OF)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live(tmp_path_factory.mktemp("world"))


def frozen(folder: Path, data: str, record: type) -> list:
    return [one for split in ("valid", "train") if split in open_snapshot(folder / data).counts for one in read_split(folder / data, split, record)]


def said(prompt: Prompt) -> Prompt:
    """As the store gives it back."""
    return replace(prompt, provenance=frozen_provenance(prompt))


def frozen_provenance(prompt: Prompt):
    return replace(prompt.provenance, when="2022-03-04T00:00:00+00:00", origin=None)


def test_everything_asked_comes_out_in_order_with_its_consent(folder: Path) -> None:
    assert frozen(folder, "prompts", Prompt) == [said(prompt) for prompt in PROMPTS]


def test_demonstrators_write_what_they_would_write(folder: Path) -> None:
    written = [(one.prompt.id, one.labeler_id, one.text) for one in demonstrations(PROMPTS[:10], SEED)]
    assert [(one.prompt.id, one.labeler_id, one.text) for one in frozen(folder, "demonstrations", Demonstration)] == written


def test_labelers_rank_as_they_judge(folder: Path) -> None:
    people = labelers(TRAINING_LABELERS, SEED)
    rankings = frozen(folder, "rankings", Ranking)
    assert [ranking.prompt.id for ranking in rankings] == [answers.prompt.id for answers in SETS]
    for ranking, answers in zip(rankings, SETS, strict=True):
        labeler = labeler_of(answers.prompt.id, people, SEED)
        groups = labeler(answers.prompt.text, [completion.text for completion in answers.completions])
        places = {completion.id: place for place, completion in enumerate(ranking.completions)}
        assert ranking.labeler_id == labeler.id
        assert [completion.text for completion in ranking.completions] == [completion.text for completion in answers.completions]
        assert [sorted(places[id_] for id_ in group) for group in ranking.groups] == [sorted(group) for group in groups]


def test_the_same_seed_freezes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = live(tmp_path)
    for data in ("prompts", "demonstrations", "rankings"):
        assert open_snapshot(again / data).files == open_snapshot(folder / data).files


LIFE = "import sys; from pathlib import Path; from loop.test_simulated_people import live; live(Path(sys.argv[1]))"


def test_a_world_that_was_killed_goes_on_and_says_nothing_twice(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    chance = stream(0, "kills")
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", LIFE, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL) as process:
            wait_for_work(tmp_path / "feedback.db", process)
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
    live(tmp_path)
    for data in ("prompts", "demonstrations", "rankings"):
        assert open_snapshot(tmp_path / data).files == open_snapshot(folder / data).files
    store = open_store(tmp_path / "feedback.db")
    lead = account_by_id(store, "simulated-lead")
    assert len(list_submissions(store, lead, limit=100)) == 10 + len(SETS)
    assert sum(label["kind"] == "rating" for label in current_labels(store, None, "rating")) == sum(len(answers.completions) for answers in SETS)
    store.close()


def wait_for_work(place: Path, process: subprocess.Popen) -> None:
    """Until the process has written something into the store, or is over."""
    began, log = time.time(), place.with_name(f"{place.name}-wal")
    while process.poll() is None and time.time() - began < 60:
        if log.exists() and log.stat().st_mtime > began:
            return
        time.sleep(0.01)

"""The worker: a job is done once, whatever happens to whoever does it."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from instructloop.cli.main import main
from instructloop.errors import Interrupted
from instructloop.loop.jobs.done import Done
from instructloop.loop.worker import KINDS, Worker
from instructloop.store.database import schema
from instructloop.store.database.accounts import create_account
from instructloop.store.database.jobs import Job, claim, enqueue, finish_job, list_jobs, read_job
from instructloop.store.database.leases import lease_next
from instructloop.store.database.models import NewModel, list_models, register_model
from instructloop.store.database.opening import Store, open_store
from instructloop.store.database.queues import create_queue, list_queues
from instructloop.store.database.views import view_task
from instructloop.store.snapshots import open_snapshot
from store_world import empty_sqlite, new_place, place, postgres, postgres_stores
from toy_runs import TEXT, freeze_records, prompts, toy_tokenizer, write_policy

__all__ = ["empty_sqlite", "new_place", "place", "postgres", "postgres_stores"]
PROGRAM = Path(__file__).with_name("worker_process.py")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "feedback.db")
    yield opened
    opened.close()


def work(store: Store, folder: Path, **kinds) -> list[str]:
    """Do what waits; what the worker said."""
    told: list[str] = []
    Worker(store=store, folder=folder / "work", kinds=kinds or KINDS, told=told.append).work(once=True)
    return told


def write_prompts(path: Path, count: int) -> Path:
    rows = (
        {"id": f"{path.stem}-{n}", "prompt": f"Say the number {n} of {path.stem}.", "response": str(n), "user": f"u{n % 5}"} for n in range(count)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def enqueue_all(store: Store, folder: Path, *, counts: int, seconds: float) -> None:
    """Jobs of three kinds; those that freeze come last, when there is something to freeze."""
    more = {"most_attempts": 1_000_000}
    for number in range(3):
        file = write_prompts(folder / f"file{number}.jsonl", 300)
        enqueue(store, None, "import", {"files": [str(file)], "kind": "demonstrations", "licence": "CC0"}, key=f"import {number}", **more)
    for number in range(counts):
        enqueue(store, None, "count", {"seconds": seconds}, key=f"count {number}", **more)
    for data in ("demonstrations", "prompts"):
        enqueue(store, None, "snapshot", {"data": data, "out": str(folder / data)}, key=data, **more)


def kill_workers(place: str, folder: Path, *, kills: int, seconds: float) -> None:
    """Workers one after another, each killed at a random moment of its work; those that find no work end by themselves."""
    chance = random.Random(1)
    for _ in range(kills):
        command = [sys.executable, str(PROGRAM), place, str(folder / "work"), "once"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the first job is begun, or there is none
            time.sleep(chance.uniform(0, seconds))
            process.kill()


def finish(store: Store, place: str, folder: Path) -> None:
    """A worker that nobody kills, until every job has ended."""
    for _ in range(20):
        subprocess.run([sys.executable, str(PROGRAM), place, str(folder / "work"), "once"], check=True, capture_output=True, timeout=120)
        if all(job.ended_at for job in list_jobs(store, None, limit=1000)):
            return
        time.sleep(0.5)  # a job of the one killed last has to be given up first


def check_effects(store: Store, folder: Path, *, counts: int) -> None:
    jobs = list_jobs(store, None, limit=1000)
    assert {job.state for job in jobs} == {"done"}
    with store.reading() as connection:
        audit = connection.execute(sa.select(schema.audit)).mappings().all()
        labels = connection.execute(sa.select(sa.func.count()).select_from(schema.labels)).scalar()
        prompts = connection.execute(sa.select(sa.func.count()).select_from(schema.prompts)).scalar()
        snapshots = connection.execute(sa.select(schema.snapshots.c.id)).scalars().all()
    effects = Counter(row["object_id"] for row in audit if row["action"] == "effect")
    assert effects == Counter(job.id for job in jobs if job.kind == "count")
    assert {row["details"]["notes"] for row in audit if row["action"] == "effect"} == {"0123"}
    assert labels == prompts == 900
    assert sorted(snapshots) == sorted(open_snapshot(place).id for place in (folder / "demonstrations", folder / "prompts" / "prompts"))
    assert list((folder / "work").iterdir()) == []


def test_killed_workers_lose_nothing_and_repeat_nothing(store: Store, tmp_path: Path) -> None:
    place = str(tmp_path / "feedback.db")
    enqueue_all(store, tmp_path, counts=8, seconds=0.02)
    kill_workers(place, tmp_path, kills=3, seconds=0.4)
    finish(store, place, tmp_path)
    check_effects(store, tmp_path, counts=8)


@pytest.mark.slow
def test_many_killed_workers_lose_nothing_and_repeat_nothing(place: str, tmp_path: Path) -> None:
    store = open_store(place)
    enqueue_all(store, tmp_path, counts=60, seconds=0.03)
    killer = threading.Thread(target=kill_workers, args=(place, tmp_path), kwargs={"kills": 15, "seconds": 2.0})
    killer.start()  # beside it another line of workers dies, so that jobs are fought for
    kill_workers(place, tmp_path, kills=15, seconds=1.0)
    killer.join()
    finish(store, place, tmp_path)
    check_effects(store, tmp_path, counts=60)
    store.close()


def test_ctrl_c_gives_the_job_back(store: Store, tmp_path: Path) -> None:
    def interrupted(*_: object) -> Done:
        raise KeyboardInterrupt

    job = enqueue(store, None, "import", {}, key="k")
    with pytest.raises(Interrupted, match="no job is lost"):
        work(store, tmp_path, **{"import": interrupted})
    assert (read_job(store, job.id).state, read_job(store, job.id).attempts) == ("waiting", 0)


def test_sigterm_ends_a_worker_as_ctrl_c_does(store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "instructloop.cli.main", "worker", "--store", str(tmp_path / "feedback.db"), "--folder", str(tmp_path / "work")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("worker ")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "instructloop: stopped after 0 jobs; no job is lost. To go on, start a worker again\n"


def test_a_job_that_cannot_be_done_fails_for_good_and_the_next_is_done(store: Store, tmp_path: Path) -> None:
    bad = enqueue(store, None, "import", {"files": [str(tmp_path / "absent.jsonl")], "kind": "prompts"}, key="bad")
    worse = enqueue(store, None, "import", {"file": "x", "kind": "prompts"}, key="worse")
    good = enqueue(store, None, "import", {"files": [str(write_prompts(tmp_path / "a.jsonl", 3))], "kind": "demonstrations"}, key="good")
    told = work(store, tmp_path)
    assert [read_job(store, job.id).state for job in (bad, worse, good)] == ["failed", "failed", "done"]
    assert "absent.jsonl" in (read_job(store, bad.id).error or "")
    assert "unknown key 'file'" in (read_job(store, worse.id).error or "")
    assert any("prompts 3" in line for line in told)


def test_a_bug_is_tried_again(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tries: list[int] = []

    def buggy(_: Store, job: Job, __: Path) -> Done:
        tries.append(job.attempts)
        raise ZeroDivisionError("one over nothing")

    job = enqueue(store, None, "import", {}, key="k")
    work(store, tmp_path, **{"import": buggy})
    assert tries == [1, 2, 3]
    assert (read_job(store, job.id).state, read_job(store, job.id).error) == ("failed", "ZeroDivisionError: one over nothing")
    assert "Traceback" in capsys.readouterr().err


def test_a_worker_that_was_thought_dead_stops_and_has_no_effect(store: Store, tmp_path: Path) -> None:
    """Another takes the job up and finishes it; the heart of the first learns so, and stops it."""
    enqueue(store, None, "import", {}, key="k")

    def slow(_: Store, job: Job, __: Path) -> Done:
        with store.writing() as connection:  # as after a silence that was longer than the lease
            connection.execute(sa.update(schema.jobs).values(expires_at=store.now()))
        other = claim(store, "other", ["import"])
        assert other is not None
        finish_job(store, other, {"by": "other"})
        time.sleep(30)
        raise AssertionError("nobody stopped it")

    told: list[str] = []
    worker = Worker(store=store, folder=tmp_path / "work", kinds={"import": slow}, lease_seconds=0.4, told=told.append)
    assert worker.work(once=True) == 0
    assert told[-1].endswith("taken up by another worker, or cancelled")
    assert [job.result for job in list_jobs(store, None)] == [{"by": "other"}]


def test_a_worker_in_the_background_is_stopped_too(store: Store, tmp_path: Path) -> None:
    """A shell without job control starts what stands before `&` with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        test_a_worker_that_was_thought_dead_stops_and_has_no_effect(store, tmp_path)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def models(store: Store, tmp_path: Path) -> list[str]:
    """Two registered models, which answer differently."""
    names = ["sft", "ppo"]
    for seed, name in enumerate(names):
        register_model(store, None, NewModel(name=name, place=str(write_policy(tmp_path / name, toy_tokenizer(), seed=seed)), visible=True))
    return names


def test_candidates_are_mixed_named_and_ranked_blind(store: Store, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the verbs, as a person would: what the labeler sees holds nothing of who answered."""
    frozen = freeze_records(tmp_path / "prompts", {"train": [replace(prompt, consent="CC0") for prompt in prompts(12)]})
    place = str(tmp_path / "feedback.db")
    given = ["--prompts", str(frozen), "--model", "sft:0.5", "--model", "ppo:0.5", "--max-new-tokens", "6", "--context", str(TEXT.context)]
    command = ["jobs", "sample", "--store", place, "--queue", "ranking", "--overlap", "2", *given]
    assert main(command) == main(command) == 0  # the same command is the same job
    assert main(["worker", "--store", place, "--once", "--folder", str(tmp_path / "work")]) == 0
    assert main(["jobs", "list", "--store", place]) == 0
    assert "done" in capsys.readouterr().out
    (queue,) = list_queues(store, None)
    assert queue.settings.overlap == 2
    labeler = create_account(store, None, name="labeler", role="labeler")
    with store.reading() as connection:
        answers = connection.execute(sa.select(schema.answers.c.id, schema.answers.c.model_id)).all()
        tasks = connection.execute(sa.select(sa.func.count()).select_from(schema.tasks)).scalar()
    assert tasks == 12
    assert {answer.model_id for answer in answers} == {"sft", "ppo"}
    lease = lease_next(store, labeler, queue.id)
    assert lease is not None
    shown = str(view_task(store, labeler, lease.id)) + str(lease)
    assert not any(word in shown for word in ("sft", "ppo", str(tmp_path)))
    assert list((tmp_path / "work").iterdir()) == []


def candidates(store: Store) -> tuple[list[tuple[str, ...]], list[str]]:
    """Every answer with its prompt and model, and the prompt and the answers of every task."""
    answers, tasks = schema.answers, schema.tasks
    with store.reading() as connection:
        given = connection.execute(sa.select(answers.c.prompt_id, answers.c.id, answers.c.text, answers.c.model_id)).all()
        asked = connection.execute(sa.select(tasks.c.prompt_id, tasks.c.payload)).all()
    return sorted(tuple(row) for row in given), sorted(f"{prompt_id} {payload}" for prompt_id, payload in asked)


def kill_when(seen: Callable[[], bool], *command: str) -> None:
    """A worker that is killed as soon as something is seen of its work."""
    with subprocess.Popen([sys.executable, str(PROGRAM), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not seen() and process.poll() is None:
            time.sleep(0.002)
        process.kill()


def sampled(store: Store, queue_name: str, payload: dict[str, Any]) -> Job:
    """A job that samples for a queue of its own."""
    queue = create_queue(store, None, name=queue_name, kind="ranking")
    return enqueue(store, None, "sample", payload | {"queue_id": queue.id}, key=queue_name, most_attempts=100)


@pytest.mark.slow
def test_answers_of_killed_workers_are_gone_on_with_and_become_tasks_once(store: Store, models: list[str], tmp_path: Path) -> None:
    """Killed when the first answers are on disk, when more are, and when all are: what comes of it is what one undisturbed worker makes."""
    frozen = freeze_records(tmp_path / "prompts", {"train": [replace(prompt, consent="CC0") for prompt in prompts(200)]})
    payload = {"prompts": str(frozen), "models": dict.fromkeys(models, 0.5), "max_new_tokens": 6, "context": TEXT.context, "slots": 16}
    disturbed, work_folder, sizes = str(tmp_path / "feedback.db"), tmp_path / "work", [0]
    job = sampled(store, "disturbed", payload)
    whole, partial = work_folder / f"{job.id}.jsonl", work_folder / f"{job.id}.jsonl.partial"

    def longer() -> bool:
        size = partial.stat().st_size if partial.exists() else 0
        if is_longer := size > sizes[-1]:
            sizes.append(size)
        return is_longer

    for seen in (longer, longer, whole.exists):
        kill_when(seen, disturbed, str(work_folder))
    assert len(sizes) == 3, "it was killed twice in the middle"
    finish(store, disturbed, tmp_path)

    with closing(open_store(tmp_path / "undisturbed.db")) as undisturbed:
        for model in list_models(store):
            register_model(undisturbed, None, NewModel(name=model.name, place=model.place))
        sampled(undisturbed, "undisturbed", payload)
        finish(undisturbed, str(tmp_path / "undisturbed.db"), tmp_path)
        assert candidates(undisturbed) == candidates(store)
    assert len(candidates(store)[1]) == 200
    assert list(work_folder.iterdir()) == []


@pytest.mark.parametrize(("given", "said"), [(["--model", "none"], "no model 'none'"), (["--model", "sft", "--num-answers", "1"], "--num-answers 1")])
def test_a_job_that_makes_no_sense_is_not_begun(
    store: Store, models: list[str], tmp_path: Path, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen = freeze_records(tmp_path / "prompts", {"train": prompts(2)})
    command = ["jobs", "sample", "--store", str(tmp_path / "feedback.db"), "--queue", "ranking", "--prompts", str(frozen), *given]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert list_jobs(store, None) == []
    assert list_queues(store, None) == []

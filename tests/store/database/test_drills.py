"""Many labelers at once, and processes that are killed: nothing is over-assigned, nothing acknowledged is lost, nothing is there twice."""

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from instructloop.store.database import schema
from store_world import World

PROGRAM = Path(__file__).with_name("labeler_process.py")
TASKS = 240
"""So many that fast processes are still at them when the last are killed."""


def start(world: World, queue_id: str, names: Sequence[str]) -> list[subprocess.Popen[str]]:
    """Labelers that wait for each other before they begin."""
    command = [sys.executable, str(PROGRAM), world.place, queue_id]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen([*command, name], text=True, **pipes) for name in names]
    for process in processes:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return processes


def acknowledged(output: str) -> list[str]:
    return [line.split()[1] for line in output.splitlines() if line.startswith("acknowledged ") and len(line.split()) == 2]


def check(world: World, num_tasks: int, overlap: int, known: Sequence[str]) -> None:
    """Every task has exactly `overlap` submissions, of different people, and everything acknowledged is there."""
    with world.store.reading() as connection:
        tasks = connection.execute(sa.select(schema.tasks.c.id, schema.tasks.c.assigned, schema.tasks.c.submitted, schema.tasks.c.state)).all()
        rows = connection.execute(sa.select(schema.submissions.c.id, schema.submissions.c.task_id, schema.submissions.c.account_id)).all()
    assert {(task.assigned, task.submitted, task.state) for task in tasks} == {(overlap, overlap, "done")}
    assert len(rows) == num_tasks * overlap
    assert len({(row.task_id, row.account_id) for row in rows}) == len(rows)
    assert set(known) <= {row.id for row in rows}


def lease_everything(world: World, num_processes: int, num_tasks: int, overlap: int) -> None:
    queue = world.queue(overlap=overlap)
    world.rankings(queue, num_tasks)
    names = [f"labeler {number}" for number in range(num_processes)]
    for name in names:
        world.person("labeler", name)
    outputs = [process.communicate(timeout=240) for process in start(world, queue.id, names)]
    assert [errors for _, errors in outputs if errors] == []
    known = [id_ for output, _ in outputs for id_ in acknowledged(output)]
    assert len(known) == num_tasks * overlap
    check(world, num_tasks, overlap, known)


def test_four_processes_lease_without_over_assigning(world: World) -> None:
    lease_everything(world, num_processes=4, num_tasks=20, overlap=2)


@pytest.mark.slow
def test_twenty_processes_lease_400_tasks_without_over_assigning(world: World) -> None:
    started = time.perf_counter()
    lease_everything(world, num_processes=20, num_tasks=400, overlap=2)
    print(f"{world.store.engine.dialect.name}: 800 leases and submissions of 20 processes in {time.perf_counter() - started:.1f} s")


@pytest.mark.slow
def test_killed_at_random_moments_nothing_acknowledged_is_lost_and_nothing_is_there_twice(world: World) -> None:
    queue = world.queue(overlap=2, lease_seconds=10)
    world.rankings(queue, TASKS)
    names, known, moments = ["a", "b", "c"], list[str](), random.Random(0)
    for name in names:
        world.person("labeler", name)
    kills = 0
    for _ in range(8):
        processes = start(world, queue.id, names)
        time.sleep(moments.uniform(0.02, 0.15))
        for process in processes:
            kills += process.poll() is None
            process.kill()
        known += [id_ for process in processes for id_ in acknowledged(process.communicate()[0])]
    assert kills >= 8
    # Whoever was killed holds their lease still: the same people come back to it.
    outputs = [process.communicate(timeout=240) for process in start(world, queue.id, names)]
    assert [errors for _, errors in outputs if errors] == []
    known += [id_ for output, _ in outputs for id_ in acknowledged(output)]
    check(world, TASKS, 2, known)

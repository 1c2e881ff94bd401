"""The example: a fresh store filled so that every page has something to show."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from bare_python import run_without
from instructloop.errors import StoreError
from instructloop.loop.example.completer import ExampleCompleter
from instructloop.loop.example.filling import PEOPLE, fill
from instructloop.loop.example.texts import asked
from instructloop.protocols import CompletionRequest, Sampling
from instructloop.store.database import schema
from instructloop.store.database.accounts import list_accounts
from instructloop.store.database.activity import funnel, skip_counts, task_times, throughput
from instructloop.store.database.families import contributors, list_snapshots, model_family
from instructloop.store.database.labels import training_rankings
from instructloop.store.database.opening import open_store
from instructloop.store.database.oversight import queue_overviews, task_rows
from instructloop.store.database.sessions import sign_in
from instructloop.store.snapshots import open_snapshot


def test_every_part_has_something_and_nobody_s_data_is_touched(tmp_path: Path) -> None:
    store = open_store(tmp_path / "new.db")
    made = fill(store)
    _, session = sign_in(store, "Ada", made.password)
    me = session.account
    assert {one.name: one.role for one in list_accounts(store, me)} == dict(PEOPLE)
    overviews = {one.queue.name: one for one in queue_overviews(store, me)}
    assert all(one.given > 0 for name, one in overviews.items())
    assert overviews["Rank answers"].left > 0
    assert len(task_rows(store, me, None, state="review")) == 1
    held_out = next(one.id for one in list_accounts(store, me) if one.held_out)
    rankings = [one.record for one in training_rankings(store, None)]
    assert len(rankings) > 10
    assert held_out not in {ranking.labeler_id for ranking in rankings}
    assert sum(map(sum, throughput(store, me).by_queue.values())) > 40
    assert {one.queue_id for one in task_times(store, me)} == {one.queue.id for one in overviews.values()}
    assert sum(skip_counts(store, me).values()) == 2
    counts = [stage.prompts for stage in funnel(store, me)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] > 0
    assert {one.record for one in list_snapshots(store, me)} == {"Prompt", "Demonstration", "Ranking"}
    family = model_family(store, me, "example-ppo")
    assert family.snapshot_ids == {open_snapshot(one.folder).id for one in list_snapshots(store, me)}
    assert {one.name for one in contributors(store, me, family)} >= {"Ben", "Pat"}
    with pytest.raises(StoreError, match="in use"):
        fill(store)
    store.close()


def test_the_same_moment_gives_the_same_rows_but_for_passwords(tmp_path: Path) -> None:
    def rows(name: str, seed: int) -> dict[str, list[str]]:
        store = open_store(tmp_path / name, clock=lambda: datetime(2026, 3, 2, 9, tzinfo=UTC))
        fill(store, seed=seed)
        with store.reading() as connection:
            found = {
                table.name: sorted(
                    repr(row).replace(name, "") for row in connection.execute(sa.select(*(one for one in table.c if one.name != "password_hash")))
                )
                for table in schema.METADATA.sorted_tables
            }
        store.close()
        return found

    first = rows("first.db", 0)
    assert rows("second.db", 0) == first
    assert rows("third.db", 1)["leases"] != first["leases"]


def test_the_completer_of_the_example_says_what_it_is() -> None:
    known, other = (
        "".join(chunk.text for chunk in ExampleCompleter().complete(CompletionRequest(prompt=text, sampling=Sampling(max_new_tokens=100))))
        for text in (asked()[0].text, "Who are you?")
    )
    assert known == asked()[0].answers[0].text
    assert "no model stands behind it" in other


def test_it_needs_no_torch() -> None:
    finished = run_without(("torch", "transformers", "tokenizers"), "import instructloop.loop.example.filling, instructloop.loop.example.completer")
    assert finished.returncode == 0, finished.stderr

"""A simulated labeler in a process of its own: leases and submits until there is nothing left, and says what was acknowledged.

python labeler_process.py STORE QUEUE NAME
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import sqlalchemy as sa

from instructloop.store.database import schema
from instructloop.store.database.leases import lease_next
from instructloop.store.database.opening import open_store
from instructloop.store.database.roles import account_of
from instructloop.store.database.submissions import submit
from store_world import ranking_body


def main(place: str, queue_id: str, name: str) -> None:
    store = open_store(place)
    with store.reading() as connection:
        actor = account_of(connection.execute(sa.select(schema.accounts).where(schema.accounts.c.name == name)).mappings().one())
    print("ready", flush=True)
    sys.stdin.readline()
    while (lease := lease_next(store, actor, queue_id)) is not None:
        submission = submit(store, actor, lease.id, ranking_body(lease.shown), key=f"of {lease.id}")
        print("acknowledged", submission.id, flush=True)
    print("finished", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

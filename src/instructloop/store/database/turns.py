"""Who has to wait for whom: all writers of a SQLite store, in the order in which they came; on PostgreSQL those who want the same.

SQLite lets a writer who finds the database locked look again after a while, and ever more rarely the longer it has waited: of twenty
busy processes some wait for seconds and are then told that the database is locked. The kernel's lock on a file beside the
store is a queue. It ends with the process that holds it, however that ends.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

try:
    import fcntl
except ImportError:  # Windows: there SQLite's own waiting has to do
    fcntl = None

SUFFIX = "-turn"
INTAKE = "intake"
"""What everybody is about who writes rows whose ids were made elsewhere: imports, sampled answers, tasks."""


@contextmanager
def turn(engine: sa.Engine) -> Generator[None]:
    """Inside the block nobody else who asks for a turn writes to the SQLite store; PostgreSQL needs no turns."""
    path = engine.url.database
    if fcntl is None or engine.dialect.name != "sqlite" or not path:
        yield
        return
    with Path(path + SUFFIX).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def one_at_a_time(connection: sa.Connection, *about: str) -> None:
    """From here to the end of the transaction nobody else is about the same thing.

    For whoever looks whether a row is there and adds it if not: on PostgreSQL two who do so at once would both find nothing.
    """
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256("\0".join(about).encode()).digest()[:8], signed=True)
        connection.execute(_LOCK, {"number": number})


_LOCK = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("number", type_=sa.BigInteger)))

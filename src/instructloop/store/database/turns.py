"""Writers of a SQLite store take turns, in the order in which they came.

SQLite lets a writer who finds the database locked look again after a while, and ever more rarely the longer it has waited: of twenty
busy processes some wait for seconds and are then told that the database is locked. The kernel's lock on a file beside the
store is a queue. It ends with the process that holds it, however that ends.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

try:
    import fcntl
except ImportError:  # Windows: there SQLite's own waiting has to do
    fcntl = None

SUFFIX = "-turn"


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

"""A private PostgreSQL server for the tests: Debian's package, a temporary folder, a socket nobody else knows, no network."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]) if path.parts[-2].isdigit() else 0)
UNSAFE_AND_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200", "listen_addresses=")
SECONDS_TO_START = 20


class PostgresServer:
    """A server that runs; each call of `new_database` gives the address of a database of its own."""

    def __init__(self, sockets: Path) -> None:
        self.sockets, self._number = sockets, 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.sockets}"

    def new_database(self) -> str:
        self._number += 1
        name = f"test_{self._number}"
        with self._postgres.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0"))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        with self._postgres.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)"))

    def close(self) -> None:
        self._postgres.dispose()

    @cached_property
    def _postgres(self) -> sa.Engine:
        return sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for the length of the block; skips the test where there is none to start."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    try:
        owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    except KeyError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    as_owner: dict[str, Any] = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    programs, data = PROGRAMS[-1], folder / "data"
    try:
        _run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], as_owner)
        settings = [part for setting in UNSAFE_AND_FAST for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([programs / "postgres", "-D", data, "-k", folder, *settings], stdout=log, stderr=log, cwd="/", **as_owner)
        server = PostgresServer(folder)
        try:
            _wait(server, process, folder / "log")
            yield server
        finally:
            server.close()
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[Any], as_owner: dict[str, Any]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **as_owner)
    if finished.returncode:
        pytest.skip(f"{command[0]} failed: {finished.stderr.strip().splitlines()[-1]}")


def _wait(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not (server.sockets / ".s.PGSQL.5432").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.skip(f"PostgreSQL did not start: {log.read_text()[-300:]}")
        time.sleep(0.02)
    while True:
        try:
            with server._postgres.connect():
                return
        except sa.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)

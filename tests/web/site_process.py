"""`instructloop serve` as people start it: a process that can be killed without a word."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving(store: str, port: int, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The process, once it answers; killed at the end of the block if it is still there."""
    code = f"from instructloop.cli.main import main\nmain({['serve', '--store', store, '--port', str(port), *words]!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]

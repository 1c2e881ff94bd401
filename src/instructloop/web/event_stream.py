"""Server-sent events as they arrive: bytes in, in pieces of any size; the data of whole events out.

Lines end in CR, LF or both; lines that begin with a colon are comments, by which servers keep a connection alive; an event
ends at an empty line (HTML standard, §9.2.6).
"""

from instructloop.errors import ModelUnavailable

MAX_EVENT = 1 << 22
"""Bytes that an unfinished event may have; a server that sends more is not one of ours."""


class EventStream:
    """The events of one response."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[str]:
        """The data of every event that this piece completes; raises `ModelUnavailable` for one that never ends or is not UTF-8."""
        ended = self._pending.endswith(b"\r") or b"\n" in piece or b"\r" in piece
        self._pending += piece
        events: list[str] = []
        if ended:
            *lines, rest = _lines(bytes(self._pending))
            self._pending = bytearray(rest)
            events = [event for line in lines if (event := self._take(line)) is not None]
        if self._size + len(self._pending) > MAX_EVENT:
            raise ModelUnavailable(f"the server sent an event of more than {MAX_EVENT} bytes")
        return events

    def _take(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return _text(b"\n".join(data)) if data else None
        name, _, value = line.partition(b":")
        if name.removeprefix(b"\xef\xbb\xbf") == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        return None


def _lines(text: bytes) -> list[bytes]:
    """The lines, and last what has no end yet: a CR at the very end may be the first half of one."""
    held = b"\r" if text.endswith(b"\r") else b""
    *whole, rest = text.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return [*whole, rest + held]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ModelUnavailable("the server sent an event that is not UTF-8") from error

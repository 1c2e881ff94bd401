"""A server with OpenAI's API that says deterministic words at a set rate, or whatever bytes a test wants.

    with ScriptedServer(words_per_second=50) as server:
        RemoteCompleter(server.url, model="scripted")

By hand, for measuring what is in front of it: python tests/scripted_server.py --port 9000 --words-per-second 50
"""

import argparse
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

WORDS = ("the", "king", "said", "that", "rain", "fell", "all", "night", "and", "naïve", "queens", "wore", "👑", "then")
MODEL = "scripted"


@dataclass
class Reply:
    """What is sent back: the pieces as they are, each by itself."""

    pieces: Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    broken_off: bool = False
    """Hang up after the pieces, without the end of the response."""


class ScriptedServer:
    """Runs in a thread of its own, on a free port unless one is given."""

    def __init__(self, *, words_per_second: float = 0, script: Callable[[dict[str, Any]], Reply] | None = None, port: int = 0) -> None:
        """0 words per second are all at once. A script answers every request in place of the words."""
        self.words_per_second, self.script = words_per_second, script
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.num_cut_off = 0
        """Answers whose reader hung up."""
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.scripted = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        """By the script, or in words."""
        if self.script is not None:
            return self.script(body)
        if not path.endswith("/completions"):
            return _json({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}]})
        if not body.get("stream"):
            return _json({**_whole(body, chat="chat" in path), "usage": usage_of(body)})
        return Reply(self._paced(events_of(body, chat="chat" in path)))

    def _paced(self, events: Iterable[bytes]) -> Iterator[bytes]:
        for event in events:
            if self.words_per_second:
                time.sleep(1 / self.words_per_second)
            yield event


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    scripted: ScriptedServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that hangs up is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *args: object) -> None:
        """Silence."""

    def _answer(self, body: dict[str, Any]) -> None:
        scripted = self.server.scripted
        scripted.requests.append(body)
        scripted.paths.append(self.path)
        scripted.headers.append(dict(self.headers))
        reply = scripted.reply(self.path, body)
        try:
            self._send(reply)
        except OSError:
            scripted.num_cut_off += 1
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {**reply.headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in reply.pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
        if reply.broken_off:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")


def words_of(body: Mapping[str, Any]) -> list[str]:
    """The answer to a request: a function of prompt and seed, cut at `max_tokens` and before a stop text."""
    prompt = body.get("prompt") or json.dumps(body.get("messages"))
    digest = hashlib.sha256(f"{prompt}\0{body.get('seed', 0)}".encode()).digest()
    length = 5 + digest[0] % 40
    words = [f" {WORDS[digest[place % 32] * (place + 1) % len(WORDS)]}" for place in range(length)]
    words = words[: body.get("max_tokens") or body.get("max_completion_tokens") or 16]
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
    stopped = next((place for place, word in enumerate(words) if any(stop in word for stop in stops)), None)
    return words[:stopped]


def usage_of(body: Mapping[str, Any]) -> dict[str, int]:
    """A token is a word."""
    read, written = len((body.get("prompt") or json.dumps(body.get("messages"))).split()), len(words_of(body))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def events_of(body: Mapping[str, Any], *, chat: bool) -> Iterator[bytes]:
    """The stream: a word an event, the reason, the counts, the end."""
    words = words_of(body)
    if chat:
        yield _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
    for place, word in enumerate(words):
        yield _event(
            {"choices": [{**_piece(word, chat=chat), "index": 0, "logprobs": _logprobs(body, word, place, chat=chat), "finish_reason": None}]}
        )
    yield _event({"choices": [{**({"delta": {}} if chat else {"text": ""}), "index": 0, "logprobs": None, "finish_reason": _reason(body, words)}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event({"choices": [], "usage": usage_of(body)})
    yield b"data: [DONE]\n\n"


def _whole(body: Mapping[str, Any], *, chat: bool) -> dict[str, Any]:
    words = words_of(body)
    said = {"message": {"role": "assistant", "content": "".join(words)}} if chat else {"text": "".join(words)}
    return {"id": "scripted", "model": MODEL, "created": 0, "choices": [{**said, "index": 0, "finish_reason": _reason(body, words)}]}


def _piece(word: str, *, chat: bool) -> dict[str, Any]:
    return {"delta": {"content": word}} if chat else {"text": word}


def _logprobs(body: Mapping[str, Any], word: str, place: int, *, chat: bool) -> dict[str, Any] | None:
    if body.get("logprobs") is None or body["logprobs"] is False:
        return None
    if chat:
        near = [{"token": word, "logprob": -float(place)}] * body.get("top_logprobs", 0)
        return {"content": [{"token": word, "logprob": -float(place), "top_logprobs": near}]}
    return {"tokens": [word], "token_logprobs": [-float(place)], "top_logprobs": [{word: -float(place)}] if body["logprobs"] else None}


def _reason(body: Mapping[str, Any], words: list[str]) -> str:
    return "length" if len(words) == (body.get("max_tokens") or body.get("max_completion_tokens") or 16) else "stop"


def _event(data: Mapping[str, Any]) -> bytes:
    head = {"id": "scripted", "model": MODEL, "created": 0}
    return f"data: {json.dumps({**head, **data}, ensure_ascii=False)}\n\n".encode()


def _json(data: Mapping[str, Any]) -> Reply:
    return Reply([json.dumps(data).encode()], headers={"Content-Type": "application/json"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--words-per-second", type=float, default=50)
    args = parser.parse_args()
    with ScriptedServer(words_per_second=args.words_per_second, port=args.port) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

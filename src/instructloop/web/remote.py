"""A model behind a URL: any server with OpenAI's API (vLLM, llama.cpp, another of these sites …) as a `Completer`.

    RemoteCompleter("http://127.0.0.1:8001/v1", model="my-model", api_key=None)

Standard library only, so that a site without torch can offer models.
"""

import http.client
import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlsplit

from instructloop.errors import Busy, ConfigError, ContextExceeded, InstructLoopError, ModelUnavailable, first_line
from instructloop.protocols import CompletionChunk, CompletionRequest, FinishReason
from instructloop.web.event_stream import EventStream

PIECE = 1 << 16
"""Bytes read at a time, at most."""
MAX_ERROR = 1 << 16
"""Bytes of a refusal that are read."""
RETRY_AFTER = 2.0
"""Seconds, where a server that is busy does not say when it will not be."""
DONE = "[DONE]"


@dataclass(frozen=True, kw_only=True)
class RemoteCompleter:
    """One model of one server; implements `protocols.Completer`. Each answer has a connection of its own."""

    url: str
    """Up to the version, as clients of OpenAI have it: https://host/v1."""
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    """Seconds without a byte after which a server counts as away."""

    def __post_init__(self) -> None:
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname or address.query or address.fragment:
            raise ConfigError(f"the model's address is {self.url!r}", expected="as in http://host:port/v1", remedy="correct it")

    def complete(self, request: CompletionRequest) -> "RemoteAnswer":
        """The answer in chunks as they come.

        Raises `ContextExceeded` and `ConfigError` for what the server refuses, `Busy` where it is busy, and
        `ModelUnavailable` where it cannot be reached, refuses us or breaks off.
        """
        body = json.dumps(_body(request, self.model)).encode()
        kind = "chat/completions" if request.messages else "completions"
        return RemoteAnswer(_Line(self.url, kind, "text/event-stream", body=body, api_key=self.api_key, timeout=self.timeout))


def models_of(url: str, *, api_key: str | None = None, timeout: float = 60.0) -> list[str]:
    """The ids of the models that a server offers; raises `ModelUnavailable` where it does not say."""
    line = _Line(url, "models", "application/json", body=None, api_key=api_key, timeout=timeout)
    try:
        return [str(model["id"]) for model in json.loads(line.whole())["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"the server {url} does not tell its models") from error
    finally:
        line.close()


class RemoteAnswer(Iterator[CompletionChunk]):
    """The chunks of one answer. Closing it, from any thread, or dropping it closes the connection, by which servers cancel."""

    def __init__(self, line: "_Line") -> None:
        self._line = line
        self._chunks = _in_order(line.events())

    def __next__(self) -> CompletionChunk:
        try:
            return next(self._chunks)
        except BaseException as error:
            hung_up = self._line.closed.is_set()
            self._line.close()
            if hung_up and isinstance(error, Exception):
                raise StopIteration from None  # what breaks when we hang up is no error
            raise

    def close(self) -> None:
        """Hang up; a reader that waits for a chunk meets the end."""
        self._line.close()

    def __del__(self) -> None:
        self.close()


class _Line:
    """A connection and the response on it. It knows nothing of its reader, so that a reader can be dropped."""

    def __init__(self, url: str, path: str, kind: str, *, body: bytes | None, api_key: str | None, timeout: float) -> None:
        """Ask, and read the head of the response; what stands in the way is raised, and then nothing stays open."""
        self._url, address = url, urlsplit(url)
        self.closed = threading.Event()
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(cast(str, address.hostname), address.port, timeout=timeout)
        headers = {"Accept": kind} | ({"Content-Type": "application/json"} if body else {})
        headers |= {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            self._connection.request("POST" if body else "GET", f"{address.path.rstrip('/')}/{path}", body, headers)
            self._plug = cast(socket.socket, self._connection.sock)  # the response takes it away from the connection
            self._response = self._connection.getresponse()
            self._require(kind)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ModelUnavailable(f"the model's server {url} cannot be reached: {first_line(error)}") from error
        except InstructLoopError:
            self.close()
            raise

    def _require(self, kind: str) -> None:
        response = self._response
        if response.status != http.client.OK:
            raise _refusal(self._url, response.status, response.headers.get("Retry-After"), response.read(MAX_ERROR))
        if (came := response.headers.get_content_type()) != kind:
            raise ModelUnavailable(f"the model's server {self._url} answers with {came} where {kind} was asked for")

    def whole(self) -> bytes:
        """The response to its end."""
        return b"".join(iter(self._read, b""))

    def close(self) -> None:
        """Hang up; a thread that reads wakes up with an error."""
        if not self.closed.is_set():
            self.closed.set()
            with suppress(OSError):
                self._plug.shutdown(socket.SHUT_RDWR)  # closing alone would not wake it
            self._response.close()
            self._plug.close()
            self._connection.close()

    def events(self) -> Generator[Mapping[str, Any]]:
        """The JSON objects of the stream up to its end, which is a mark, or the end of the response."""
        stream = EventStream()
        while piece := self._read():
            for data in stream.feed(piece):
                if data.strip() == DONE:
                    return
                yield self._object(data)

    def _read(self) -> bytes:
        if self.closed.is_set():
            raise ModelUnavailable("we have hung up")
        try:
            return self._response.read1(PIECE)
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: closed under our hands
            raise ModelUnavailable(f"the model's server {self._url} broke off: {first_line(error)}") from error

    def _object(self, data: str) -> Mapping[str, Any]:
        try:
            found = json.loads(data)
        except json.JSONDecodeError as error:
            raise ModelUnavailable(f"the model's server {self._url} sent an event that is not JSON: {data[:80]!r}") from error
        if not isinstance(found, dict):
            raise ModelUnavailable(f"the model's server {self._url} sent an event that is no object: {data[:80]!r}")
        if found.get("error"):
            raise _refusal(self._url, http.client.INTERNAL_SERVER_ERROR, None, data.encode())
        return cast(Mapping[str, Any], found)


def _body(request: CompletionRequest, model: str) -> dict[str, Any]:
    """The request as OpenAI's API has it. `top_k` is no part of that API, and sent only where it is used."""
    drawn = request.sampling
    if drawn.stop_ids:
        raise ConfigError(
            f"{len(drawn.stop_ids)} stop ids for a model on another server", expected="none: ids are the tokenizer's own", remedy="use stop texts"
        )
    body: dict[str, Any] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body |= {"max_tokens": drawn.max_new_tokens, "temperature": drawn.temperature, "top_p": drawn.top_p, "seed": request.seed}
    body |= {"top_k": drawn.top_k} if drawn.top_k else {}
    body |= {"stop": list(request.stop)} if request.stop else {}
    if not request.messages:
        wanted = {} if request.top_logprobs is None else {"logprobs": request.top_logprobs}
        return {**body, "prompt": request.prompt, **wanted}
    wanted = {} if request.top_logprobs is None else {"logprobs": True, **({"top_logprobs": request.top_logprobs} if request.top_logprobs else {})}
    return {**body, "messages": [turn._asdict() for turn in request.messages], **wanted}


def _in_order(events: Iterator[Mapping[str, Any]]) -> Generator[CompletionChunk]:
    """The chunks of a stream. The last waits for the counts, which come behind it."""
    last: CompletionChunk | None = None
    usage: Mapping[str, int] = {}
    for event in events:
        usage = event.get("usage") or usage
        chunk = _chunk(event)
        if last is not None or chunk is None:
            continue
        if chunk.finish_reason is not None:
            last = chunk
        elif chunk.text or chunk.logprobs:
            yield chunk
    if last is None:
        raise ModelUnavailable("the model's server ended an answer without saying why")
    yield replace(last, prompt_tokens=usage.get("prompt_tokens", 0), completion_tokens=usage.get("completion_tokens", 0))


def _chunk(event: Mapping[str, Any]) -> CompletionChunk | None:
    """The first answer's piece in an event; None for events that hold none."""
    try:
        choice = next((choice for choice in event.get("choices") or () if choice.get("index", 0) == 0), None)
        if choice is None:
            return None
        text = choice["text"] if "text" in choice else (choice.get("delta") or {}).get("content")
        return CompletionChunk(text=str(text or ""), finish_reason=_finish_reason(choice.get("finish_reason")), **_logprobs(choice.get("logprobs")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(f"the model's server sent an event of another shape: {str(event)[:80]}") from error


def _finish_reason(reason: str | None) -> FinishReason | None:
    """Servers have more reasons than two; whatever is not the length is an end of the model's or the server's."""
    return None if reason is None else "length" if reason == "length" else "stop"


def _logprobs(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """The log-probabilities of a chunk in either of the two forms."""
    if not found:
        return {}
    if "content" in found:
        tokens = found["content"] or ()
        near = [[(other["token"], float(other["logprob"])) for other in token.get("top_logprobs") or ()] for token in tokens]
        spelled, logprobs = [token["token"] for token in tokens], [float(token["logprob"]) for token in tokens]
    else:
        spelled, logprobs = found["tokens"], [float(logprob) for logprob in found["token_logprobs"]]
        near = [list((others or {}).items()) for others in found.get("top_logprobs") or [None] * len(spelled)]
    return {"tokens": tuple(spelled), "logprobs": tuple(logprobs), "top_logprobs": tuple(map(tuple, near))}


def _refusal(url: str, status: int, retry_after: str | None, body: bytes) -> InstructLoopError:
    """What a server's refusal is to us."""
    message, code = _explained(body)
    said = f"the model's server {url} says: {message or http.client.responses.get(status, status)}"
    if status in (http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE):
        return Busy(said, retry_after=_seconds(retry_after))
    if code == "context_length_exceeded" or status == http.client.REQUEST_ENTITY_TOO_LARGE or "context length" in message:
        return ContextExceeded(said, expected="a prompt and an answer that fit its model", remedy="shorten the prompt, or ask for fewer tokens")
    if status in (http.client.BAD_REQUEST, http.client.UNPROCESSABLE_ENTITY):
        return ConfigError(said, expected="a request that it can answer", remedy="leave out what it refuses")
    return ModelUnavailable(said)


def _explained(body: bytes) -> tuple[str, str]:
    """Message and code of OpenAI's error object, or what else a server says in its first line."""
    try:
        error = json.loads(body)["error"]
        return (error, "") if isinstance(error, str) else (str(error.get("message") or ""), str(error.get("code") or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode(errors="replace").strip().partition("\n")[0][:200], ""


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, float(retry_after or RETRY_AFTER))
    except ValueError:  # it may also be a date
        return RETRY_AFTER

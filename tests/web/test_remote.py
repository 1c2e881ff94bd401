"""A model behind a URL: any split of the stream, every way to fail, cancellation, and no torch."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bare_python import run_without
from instructloop.errors import Busy, ConfigError, ContextExceeded, ModelUnavailable
from instructloop.protocols import CompletionChunk, CompletionRequest, Sampling
from instructloop.records import Turn
from instructloop.web.event_stream import MAX_EVENT, EventStream
from instructloop.web.remote import RemoteCompleter, models_of
from scripted_server import Reply, ScriptedServer, events_of, usage_of, words_of

PROMPTED = CompletionRequest(prompt="the king", sampling=Sampling(max_new_tokens=9, temperature=0.5, top_p=0.9), seed=3)
TALKED = replace(PROMPTED, prompt="", messages=(Turn("system", "be kind"), Turn("user", "the king")))
EXAMPLE = b": hello\ndata: one\n\nevent: x\ndata: two\ndata:three\nid: 7\n\n:\n\ndata\n\nretry: 5\n\ndata: \xf0\x9f\x91\x91\n\n"
IN_EXAMPLE = ["one", "two\nthree", "", "👑"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def scripted(reply: Reply | Callable[[dict[str, Any]], Reply]) -> ScriptedServer:
    return ScriptedServer(script=reply if callable(reply) else lambda body: reply)


def ask(server: ScriptedServer, request: CompletionRequest = PROMPTED, **settings_: Any) -> list[CompletionChunk]:
    return list(RemoteCompleter(url=server.url, model="scripted", timeout=5, **settings_).complete(request))


def data(choice: dict[str, Any], **others: Any) -> bytes:
    return f"data: {json.dumps({'choices': [choice], **others})}\n\n".encode()


SAID, OVER = data({"index": 0, "text": " rain"}), data({"index": 0, "text": "", "finish_reason": "stop"})


@given(st.lists(st.integers(0, len(EXAMPLE)), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_the_same_in_any_pieces(cuts: list[int], end: bytes) -> None:
    text = b"\xef\xbb\xbf" + EXAMPLE.replace(b"\n", end)
    stream, places = EventStream(), sorted({0, *cuts, len(text)})
    found = [event for start, stop in pairwise(places) for event in stream.feed(text[start:stop])]
    # A CR at the end of what has come may be half of a line end.
    assert found + stream.feed(b"\n") == IN_EXAMPLE


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["one line", "many lines"])
def test_an_event_without_end_is_refused(end: bytes) -> None:
    stream, piece = EventStream(), b"data: " + b"x" * 10_000 + end
    for _ in range(MAX_EVENT // len(piece)):
        assert stream.feed(piece) == []
    with pytest.raises(ModelUnavailable, match="more than"):
        [stream.feed(piece) for _ in range(5)]


def test_an_event_must_be_utf8() -> None:
    with pytest.raises(ModelUnavailable, match="UTF-8"):
        EventStream().feed(b"data: \xff\n\n")


@pytest.mark.parametrize("request_", [PROMPTED, TALKED], ids=["prompt", "conversation"])
@pytest.mark.parametrize("num_likeliest", [None, 0, 1])
def test_an_answer_is_what_the_server_says(server: ScriptedServer, request_: CompletionRequest, num_likeliest: int | None) -> None:
    chunks = ask(server, replace(request_, top_logprobs=num_likeliest), api_key="secret")
    body = server.requests[-1]
    words = words_of(body)
    assert [chunk.text for chunk in chunks] == [*words, ""]
    assert [chunk.finish_reason for chunk in chunks] == [None] * len(words) + ["length"]
    assert (chunks[-1].prompt_tokens, chunks[-1].completion_tokens) == (usage_of(body)["prompt_tokens"], len(words))
    if num_likeliest is None:
        assert not any(chunk.logprobs for chunk in chunks)
    else:
        assert [chunk.tokens for chunk in chunks[:-1]] == [(word,) for word in words]
        assert [chunk.logprobs for chunk in chunks[:-1]] == [(-float(place),) for place in range(len(words))]
        assert [chunk.top_logprobs for chunk in chunks[:-1]] == [(((word, -float(place)),) * num_likeliest,) for place, word in enumerate(words)]
    assert server.headers[-1]["Authorization"] == "Bearer secret"


def test_what_is_asked_is_in_openais_words(server: ScriptedServer) -> None:
    ask(server, replace(TALKED, stop=("\n",), sampling=replace(TALKED.sampling, top_k=4), top_logprobs=2))
    ask(server)
    talked, prompted = server.requests
    shared = {
        "model": "scripted",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
    }
    said = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "the king"}]
    assert talked == {**shared, "messages": said, "stop": ["\n"], "top_k": 4, "logprobs": True, "top_logprobs": 2}
    assert prompted == {**shared, "prompt": "the king"}
    assert server.paths == ["/v1/chat/completions", "/v1/completions"]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_pieces_of_the_response_do_not_matter(sizes: list[int]) -> None:
    body = {"prompt": "the king", "seed": 3, "max_tokens": 9, "stream_options": {"include_usage": True}}
    whole = b": waiting\n\n".join(events_of(body, chat=False))
    pieces, place = [], 0
    while place < len(whole):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[place : place + size])
        place += size
    with scripted(Reply(pieces)) as server:
        assert "".join(chunk.text for chunk in ask(server)) == "".join(words_of(body))


def test_counts_may_stand_with_the_last_piece_or_nowhere() -> None:
    counted = data({"index": 0, "text": "", "finish_reason": "stop"}, usage={"prompt_tokens": 4, "completion_tokens": 2})
    with scripted(Reply([SAID, counted])) as server:
        assert ask(server)[-1] == CompletionChunk(text="", finish_reason="stop", prompt_tokens=4, completion_tokens=2)
    with scripted(Reply([SAID, OVER, b"data: [DONE]\n\n", b"data: nonsense\n\n"])) as server:
        assert ask(server) == [CompletionChunk(text=" rain"), CompletionChunk(text="", finish_reason="stop")]


def test_other_answers_and_unknown_reasons_are_put_up_with() -> None:
    other, filtered = data({"index": 1, "text": "no"}), data({"index": 0, "text": "!", "finish_reason": "content_filter"})
    with scripted(Reply([other, SAID, data({"index": 0, "text": None}), filtered])) as server:
        assert [(chunk.text, chunk.finish_reason) for chunk in ask(server)] == [(" rain", None), ("!", "stop")]


@pytest.mark.parametrize(
    ("status", "headers", "error", "kind", "says"),
    [
        (400, {}, {"message": "no such parameter"}, ConfigError, "no such parameter"),
        (422, {}, {"message": "top_p too small"}, ConfigError, "top_p too small"),
        (400, {}, {"message": "too long", "code": "context_length_exceeded"}, ContextExceeded, "too long"),
        (400, {}, {"message": "This model's maximum context length is 512 tokens"}, ContextExceeded, "512"),
        (413, {}, {"message": "too large"}, ContextExceeded, "too large"),
        (401, {}, {"message": "wrong key"}, ModelUnavailable, "wrong key"),
        (404, {}, {"message": "no such model"}, ModelUnavailable, "no such model"),
        (500, {}, "it broke", ModelUnavailable, "it broke"),
        (302, {}, None, ModelUnavailable, "Found"),
        (429, {"Retry-After": "7"}, {"message": "slow down"}, Busy, "slow down"),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, {"message": "loading"}, Busy, "loading"),
    ],
)
def test_refusals_are_errors_of_ours(status: int, headers: dict[str, str], error: object, kind: type[Exception], says: str) -> None:
    body = json.dumps({"error": error}).encode() if error else b""
    with scripted(Reply([body], status, {"Content-Type": "application/json", **headers})) as server, pytest.raises(kind, match=says) as found:
        RemoteCompleter(url=server.url, model="scripted").complete(PROMPTED)
    if isinstance(found.value, Busy):
        assert found.value.retry_after == (7 if status == 429 else 2)


@pytest.mark.parametrize(
    ("pieces", "broken_off", "says"),
    [
        ([SAID], True, "broke off"),
        ([SAID, b"data: {"], True, "broke off"),
        ([SAID], False, "without saying why"),
        ([SAID, b"data: [DONE]\n\n"], False, "without saying why"),
        ([SAID, b"data: {nonsense\n\n"], False, "not JSON"),
        ([SAID, b"data: [1]\n\n"], False, "no object"),
        ([SAID, b'data: {"choices": [3]}\n\n'], False, "another shape"),
        ([SAID, b'data: {"choices": [{"text": "", "logprobs": {"content": [{}]}}]}\n\n'], False, "another shape"),
        ([SAID, b'data: {"error": {"message": "out of memory"}}\n\n'], False, "out of memory"),
    ],
)
def test_what_breaks_in_the_middle_is_said_after_what_came(pieces: list[bytes], broken_off: bool, says: str) -> None:
    with scripted(Reply(pieces, broken_off=broken_off)) as server:
        answer = RemoteCompleter(url=server.url, model="scripted").complete(PROMPTED)
        assert next(answer).text == " rain"
        with pytest.raises(ModelUnavailable, match=says):
            next(answer)
        assert list(answer) == []


def test_a_server_that_is_away_silent_or_something_else_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ModelUnavailable, match="cannot be reached: timed out"):
            RemoteCompleter(url=url, model="m", timeout=0.1).complete(PROMPTED)
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        RemoteCompleter(url=url, model="m", timeout=1).complete(PROMPTED)
    with scripted(Reply([b"<html>"], headers={"Content-Type": "text/html"})) as server, pytest.raises(ModelUnavailable, match="text/html"):
        ask(server)
    with ScriptedServer() as server, pytest.raises(ModelUnavailable) as found:
        RemoteCompleter(url=server.url.replace("http:", "https:"), model="m").complete(PROMPTED)
    assert isinstance(found.value.__cause__, ssl.SSLError)


def test_a_server_that_falls_silent_is_given_up() -> None:
    still = threading.Event()
    with scripted(Reply(_then_wait(still))) as server:
        answer = RemoteCompleter(url=server.url, model="m", timeout=0.2).complete(PROMPTED)
        next(answer)
        with pytest.raises(ModelUnavailable, match="timed out"):
            next(answer)
        still.set()


def _then_wait(still: threading.Event) -> Iterator[bytes]:
    yield SAID
    while not still.wait(0.02):
        yield b""
    yield OVER


def test_comments_keep_a_slow_answer_alive() -> None:
    def slowly() -> Iterator[bytes]:
        yield SAID
        for _ in range(8):
            time.sleep(0.05)
            yield b": still here\n\n"
        yield OVER

    with scripted(Reply(slowly())) as server:
        assert len(list(RemoteCompleter(url=server.url, model="m", timeout=0.3).complete(PROMPTED))) == 2


@pytest.mark.parametrize("how", ["closed", "dropped", "closed by another thread"])
def test_cancelling_hangs_up(how: str) -> None:
    with ScriptedServer(words_per_second=20) as server:
        answer = RemoteCompleter(url=server.url, model="m").complete(replace(PROMPTED, sampling=Sampling(max_new_tokens=1000)))
        next(answer)
        if how == "closed":
            answer.close()
            answer.close()
            assert list(answer) == []
        elif how == "dropped":
            del answer
        else:
            threading.Timer(0.1, answer.close).start()
            assert len(list(answer)) < 10
        end = time.monotonic() + 5
        while not server.num_cut_off and time.monotonic() < end:
            time.sleep(0.01)
        assert server.num_cut_off == 1


def test_hanging_up_wakes_a_reader_that_waits() -> None:
    still = threading.Event()
    with scripted(Reply(_then_wait(still))) as server:
        answer = RemoteCompleter(url=server.url, model="m", timeout=30).complete(PROMPTED)
        next(answer)
        threading.Timer(0.1, answer.close).start()
        start = time.monotonic()
        assert list(answer) == []
        assert time.monotonic() - start < 5
        still.set()


def test_what_no_server_could_understand_is_refused_before() -> None:
    with pytest.raises(ConfigError, match="stop ids"):
        RemoteCompleter(url="http://127.0.0.1:1/v1", model="m").complete(
            replace(PROMPTED, sampling=Sampling(max_new_tokens=1, stop_ids=frozenset({3})))
        )
    for url in ("127.0.0.1:80", "ftp://host/v1", "http:///v1", "http://host/v1?key=3"):
        with pytest.raises(ConfigError, match="address"):
            RemoteCompleter(url=url, model="m")
    assert "secret" not in repr(RemoteCompleter(url="http://host/v1", model="m", api_key="secret"))


def test_a_server_says_which_models_it_has(server: ScriptedServer) -> None:
    assert models_of(server.url, api_key="secret") == ["scripted"]
    assert server.headers[-1]["Authorization"] == "Bearer secret"
    for reply, says in ((b"{}", "does not tell"), (b"nonsense", "does not tell")):
        with scripted(Reply([reply], headers={"Content-Type": "application/json"})) as other, pytest.raises(ModelUnavailable, match=says):
            models_of(other.url)
    with scripted(Reply([b""], 401)) as other, pytest.raises(ModelUnavailable, match="Unauthorized"):
        models_of(other.url)


def test_it_needs_nothing_that_is_not_in_the_standard_library() -> None:
    finished = run_without(("torch", "transformers", "numpy", "fastapi", "pydantic"), "import instructloop.web.remote")
    assert finished.returncode == 0, finished.stderr

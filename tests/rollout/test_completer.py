"""The engine as a completer: whole characters, stop texts, companions, cancellation, refusals, other weights."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from instructloop.config import Text
from instructloop.errors import Busy, CheckpointError, ConfigError, ContextExceeded, DataError, LawBroken, ModelUnavailable
from instructloop.protocols import CompletionChunk, CompletionRequest, FinishReason, Sampling
from instructloop.records import Turn
from instructloop.rollout.answer_text import AnswerText
from instructloop.rollout.completer import EngineCompleter
from instructloop.rollout.engine import LocalEngine
from instructloop.rollout.slots import Event, Slots, Ticket
from instructloop.text.rendering import render_conversation, render_prompt
from instructloop.text.tokenizer import Tokenizer, train_tokenizer
from shared_data import SHARED, needs_shared
from tiny_models import tiny

TOKENIZER = train_tokenizer(["the king said naïve things to the queen 👑 in the rain"] * 20, vocab=280)
TEXT, STOP_IDS = Text(), frozenset({TOKENIZER.end_id, TOKENIZER.pad_id})
POLICY = tiny("llama", vocab=len(TOKENIZER), context=1024)
ENGINE = LocalEngine(POLICY, pad_id=TOKENIZER.pad_id, slots=2)
REQUEST = CompletionRequest(prompt="the king", sampling=Sampling(max_new_tokens=30), top_logprobs=0, seed=5)
ENDLESS = replace(REQUEST, sampling=Sampling(max_new_tokens=900))


@pytest.fixture
def completer() -> Iterator[EngineCompleter]:
    with EngineCompleter(LocalEngine(POLICY, pad_id=TOKENIZER.pad_id, slots=2), TOKENIZER, text=TEXT, stop_ids=frozenset()) as completer:
        yield completer


def whole(chunks: Iterator[CompletionChunk]) -> tuple[str, list[float], FinishReason | None]:
    """The answer of its chunks, which must say the same thing in every way they say it."""
    found = list(chunks)
    assert all("".join(chunk.tokens) == chunk.text and len(chunk.tokens) == len(chunk.logprobs) for chunk in found)
    assert [chunk.finish_reason for chunk in found[:-1]] == [None] * (len(found) - 1)
    assert [chunk.completion_tokens for chunk in found] == sorted(chunk.completion_tokens for chunk in found)
    text, logprobs = "".join(chunk.text for chunk in found), [logprob for chunk in found for logprob in chunk.logprobs]
    return text, logprobs, found[-1].finish_reason


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true within ten seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


def test_an_answer_is_what_the_engine_generates(completer: EngineCompleter) -> None:
    prompt = render_prompt(TOKENIZER, REQUEST.prompt, TEXT)
    expected = ENGINE.generate([prompt], REQUEST.sampling, [REQUEST.seed])[0]
    chunks = list(completer.complete(REQUEST))
    text, logprobs, reason = whole(iter(chunks))
    assert (text, reason) == (TOKENIZER.decode(expected.ids), "length")
    assert logprobs == pytest.approx(expected.logprobs, abs=1e-9)
    assert (chunks[-1].prompt_tokens, chunks[-1].completion_tokens) == (len(prompt), 30)
    assert all(chunk.text for chunk in chunks[:-1]), "a chunk that says nothing is not sent"
    assert len(chunks) > 5


def test_the_models_end_and_the_requests_own_end_the_answer() -> None:
    prompt = render_prompt(TOKENIZER, REQUEST.prompt, TEXT)
    ids = ENGINE.generate([prompt], REQUEST.sampling, [REQUEST.seed])[0].ids
    own, asked = frozenset({ids[20]}), frozenset({ids[10]})
    with EngineCompleter(ENGINE, TOKENIZER, text=TEXT, stop_ids=own) as completer:
        lengths = []
        for request in (REQUEST, replace(REQUEST, sampling=replace(REQUEST.sampling, stop_ids=asked))):
            *_, last = completer.complete(request)
            assert last.finish_reason == "stop"
            lengths.append(last.completion_tokens)
    assert lengths == [ids.index(ids[20]) + 1, min(ids.index(ids[20]), ids.index(ids[10])) + 1]


def test_companions_change_nothing_and_all_are_answered(completer: EngineCompleter) -> None:
    requests = [replace(REQUEST, prompt="the rain" * (seed % 4), seed=seed, sampling=Sampling(max_new_tokens=3 + seed)) for seed in range(24)]
    alone = [whole(completer.complete(request)) for request in requests]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda request: whole(completer.complete(request)), requests))
    assert together == alone


def test_a_reader_that_stands_still_holds_up_nobody(completer: EngineCompleter) -> None:
    slow = completer.complete(replace(ENDLESS, sampling=Sampling(max_new_tokens=200)))
    next(slow)
    for seed in range(5):
        assert whole(completer.complete(replace(REQUEST, seed=seed)))[2] == "length"
    assert soon(lambda: completer.num_unfinished == 0)
    *_, last = slow
    assert last.completion_tokens == 200


@pytest.mark.parametrize("how", ["closed", "dropped", "left by an exception", "closed by another thread"])
def test_an_answer_nobody_wants_frees_its_slot(completer: EngineCompleter, how: str) -> None:
    answers = [completer.complete(ENDLESS) for _ in range(2)]
    tickets = [answer._ticket for answer in answers]
    for answer in answers:
        next(answer)
    waiting = completer.complete(REQUEST)
    match how:
        case "closed":
            answers[0].close()
        case "dropped":
            answers.pop(0)
            answer = answers[0]
            gc.collect()
        case "left by an exception":
            with pytest.raises(ZeroDivisionError):
                _leave(answers.pop(0))
            answer = answers[0]
            gc.collect()
        case _:
            threading.Thread(target=answers[0].close).start()
            assert sum(1 for _ in answers[0]) < 900
    assert whole(waiting)[2] == "length"
    assert tickets[0].produced < 800, "it was not run to its end"
    assert tickets[1].produced >= 30, "the companion goes on"
    answers[-1].close()
    assert list(answers[-1]) == []
    assert soon(lambda: completer.num_unfinished == 0)


def _leave(answer: Iterator[CompletionChunk]) -> None:
    for _ in answer:
        raise ZeroDivisionError


def test_a_stop_text_over_several_chunks_is_not_shown_and_frees_the_slot(completer: EngineCompleter) -> None:
    text = whole(completer.complete(ENDLESS))[0]
    place = len(text) // 10
    stop = text[place : place + 6]
    answer = completer.complete(replace(ENDLESS, stop=("not in there", stop)))
    ticket = answer._ticket
    chunks = list(answer)
    assert whole(iter(chunks))[::2] == (text[: text.index(stop)], "stop")
    assert chunks[-1].completion_tokens < 300
    assert soon(lambda: completer.num_unfinished == 0)
    assert ticket.produced <= chunks[-1].completion_tokens + 1


def test_too_many_are_told_to_come_back() -> None:
    with EngineCompleter(ENGINE, TOKENIZER, text=TEXT, stop_ids=STOP_IDS, waiting=1) as completer:
        answers = []
        for _ in range(3):  # two slots and one place in the queue
            assert soon(lambda: completer._slots.num_waiting == 0)
            answers.append(completer.complete(ENDLESS))
        with pytest.raises(Busy) as busy:
            completer.complete(ENDLESS)
        assert busy.value.retry_after >= 1
        for answer in answers:
            answer.close()
        assert soon(lambda: completer.num_unfinished == 0)
        assert whole(completer.complete(REQUEST))[0]


def test_what_cannot_be_answered_is_refused_at_once(completer: EngineCompleter) -> None:
    with pytest.raises(ContextExceeded, match="context of 1024"):
        completer.complete(replace(REQUEST, prompt="rain " * 600))
    with pytest.raises(ContextExceeded, match="ask for"):
        completer.complete(replace(REQUEST, sampling=Sampling(max_new_tokens=1024)))
    with pytest.raises(DataError, match="one of the user"):
        completer.complete(replace(REQUEST, prompt="", messages=(Turn("user", "the king"), Turn("assistant", "rain"))))
    with pytest.raises(ConfigError, match="stop texts"):
        replace(REQUEST, stop=("a", "b", "c", "d", "e"))
    with pytest.raises(ConfigError, match="one of them"):
        replace(REQUEST, messages=(Turn("user", "the king"),))


def test_an_answer_can_be_fitted_into_the_context(completer: EngineCompleter) -> None:
    request = replace(REQUEST, prompt="?" * 1000, sampling=Sampling(max_new_tokens=1024), fit_context=True)
    *_, last = completer.complete(request)
    assert last.prompt_tokens + last.completion_tokens == 1024
    with pytest.raises(ContextExceeded):
        completer.complete(replace(request, prompt="?" * 1100))


def test_a_conversation_is_rendered_as_one(completer: EngineCompleter) -> None:
    turns = (Turn("user", "the king"), Turn("assistant", "rain"), Turn("user", "the queen"))
    answer = whole(completer.complete(replace(REQUEST, prompt="", messages=turns)))
    expected = ENGINE.generate([render_conversation(TOKENIZER, turns, TEXT)], REQUEST.sampling, [REQUEST.seed])[0]
    assert answer[0] == TOKENIZER.decode(expected.ids)


def test_answers_under_way_keep_their_weights_and_later_ones_have_the_new(completer: EngineCompleter) -> None:
    other, long = tiny("llama", vocab=len(TOKENIZER), context=1024, seed=1), replace(REQUEST, sampling=Sampling(max_new_tokens=200))
    old = whole(completer.complete(long))[0]
    running = completer.complete(long)
    begun = next(running).text
    swap = threading.Thread(target=completer.load, args=(other.state_dict(), 7))
    swap.start()
    later = whole(completer.complete(REQUEST))[0]
    assert begun + whole(running)[0] == old
    swap.join()
    prompt = render_prompt(TOKENIZER, REQUEST.prompt, TEXT)
    new = LocalEngine(other, pad_id=TOKENIZER.pad_id).generate([prompt], REQUEST.sampling, [REQUEST.seed])[0]
    assert whole(completer.complete(REQUEST))[0] == TOKENIZER.decode(new.ids) != old[: len(later)]
    assert later in (TOKENIZER.decode(new.ids), old[: len(later)])
    with pytest.raises(CheckpointError, match="weights for the engine"):
        completer.load({}, version=8)
    assert completer._engine.version == 7
    assert whole(completer.complete(REQUEST))[0] == TOKENIZER.decode(new.ids)


def test_closing_ends_what_is_under_way() -> None:
    completer = EngineCompleter(ENGINE, TOKENIZER, text=TEXT, stop_ids=STOP_IDS)
    answers = [completer.complete(ENDLESS) for _ in range(4)]
    next(answers[0])
    completer.close()
    completer.close()
    for answer in answers:
        with pytest.raises(ModelUnavailable, match="shut down"):
            list(answer)
        assert list(answer) == []
    for call in (lambda: completer.complete(REQUEST), lambda: completer.load({}, 1)):
        with pytest.raises(ModelUnavailable):
            call()


def test_a_model_that_breaks_fails_its_readers_and_no_others() -> None:
    broken = tiny("llama", vocab=len(TOKENIZER), context=1024)
    with torch.no_grad():
        broken.get_output_embeddings().weight[4, 0] = torch.nan
    with EngineCompleter(LocalEngine(broken, pad_id=TOKENIZER.pad_id), TOKENIZER, text=TEXT, stop_ids=STOP_IDS) as completer:
        with pytest.raises(LawBroken, match="E1"):
            list(completer.complete(REQUEST))
        completer.load(POLICY.state_dict(), version=1)
        assert whole(completer.complete(REQUEST))[0]


def test_a_bug_in_a_step_is_an_error_of_the_tree(completer: EngineCompleter, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Slots, "step", lambda self, admit: 1 / 0)
        with pytest.raises(ModelUnavailable, match="division by zero"):
            list(completer.complete(REQUEST))
    assert whole(completer.complete(REQUEST))[0]


def test_thousands_of_answers_leave_no_thread_and_nothing_unfinished(completer: EngineCompleter) -> None:
    request = replace(REQUEST, sampling=Sampling(max_new_tokens=1))
    threads = threading.active_count()
    for seed in range(1000):
        answer = completer.complete(replace(request, seed=seed))
        if seed % 3:
            next(answer)
    assert soon(lambda: completer.num_unfinished == 0)
    assert threading.active_count() == threads


def test_logprobs_are_given_where_they_are_asked_for(completer: EngineCompleter) -> None:
    assert not any(chunk.logprobs or chunk.tokens or chunk.top_logprobs for chunk in completer.complete(replace(REQUEST, top_logprobs=None)))
    for chunk in completer.complete(replace(REQUEST, top_logprobs=3, sampling=replace(REQUEST.sampling, temperature=0))):
        for token, logprob, near in zip(chunk.tokens, chunk.logprobs, chunk.top_logprobs, strict=True):
            assert len(near) == 3
            assert near[0][1] == logprob
            assert token in (near[0][0], "") or "\ufffd" in near[0][0] + token


def chunks_of(tokenizer: Tokenizer, request: CompletionRequest, ids: list[int]) -> list[CompletionChunk]:
    """What readers get when the engine gives these ids, as far as it is asked to go on."""
    answer, ticket = AnswerText(tokenizer, request, prompt_tokens=1), Ticket((1,), request.sampling, 0, None, [])
    found: list[CompletionChunk] = []
    for place, id_ in enumerate(ids, start=1):
        chunk = answer.add(Event(ticket, id_, -float(place), (), "length" if place == len(ids) else None))
        found += [chunk] if chunk else []
        if found and found[-1].finish_reason:
            break
    return found


@settings(max_examples=150)
@given(st.lists(st.integers(0, len(TOKENIZER)), min_size=1, max_size=60), st.lists(st.text("the 👑ï\ufffd", min_size=1, max_size=3), max_size=4))
def test_any_tokens_stream_as_their_text_and_no_stop_text_leaks(ids: list[int], stops: list[str]) -> None:
    chunks = chunks_of(TOKENIZER, replace(REQUEST, stop=tuple(stops)), ids)
    text, logprobs, reason = whole(iter(chunks))
    full = TOKENIZER.decode(ids)
    assert not any(stop in text for stop in stops)
    assert full.startswith(text)
    assert logprobs == [-float(place) for place in range(1, len(logprobs) + 1)]
    if not any(stop in full for stop in stops):
        assert (text, reason, len(logprobs)) == (full, "length", len(ids))
    elif reason == "stop":
        assert any(full[len(text) :].startswith(stop) for stop in stops)


def test_the_tokens_of_a_character_come_together_and_those_of_a_stop_text_do_not() -> None:
    crown = TOKENIZER.encode("a👑")
    bytes_only = train_tokenizer(["a"], vocab=258)
    assert [chunk.tokens for chunk in chunks_of(bytes_only, REQUEST, bytes_only.encode("a👑b"))] == [("a",), ("", "", "", "👑"), ("b",)]
    [first, last] = chunks_of(bytes_only, replace(REQUEST, stop=("👑",)), bytes_only.encode("a👑b"))
    assert (first.tokens, last.tokens, last.completion_tokens, last.finish_reason) == (("a",), (), 5, "stop")
    assert "".join(chunk.text for chunk in chunks_of(TOKENIZER, REQUEST, crown)) == "a👑"


@needs_shared
def test_a_trained_model_streams_what_it_generates() -> None:
    from instructloop.model.policy import load_policy
    from instructloop.model.pretrained import stop_ids
    from instructloop.text.tokenizer import load_tokenizer

    folder, text = SHARED / "models" / "stories260k", Text(separator="")
    tokenizer = load_tokenizer(folder)
    policy = load_policy(folder, precision="fp32", tokenizer=tokenizer, context=512)
    engine = LocalEngine(policy, pad_id=tokenizer.pad_id, slots=4)
    requests = [replace(REQUEST, prompt="Once upon a time", seed=seed, sampling=Sampling(max_new_tokens=60)) for seed in range(6)]
    expected = engine.generate(
        [render_prompt(tokenizer, "Once upon a time", text)] * 6, replace(requests[0].sampling, stop_ids=frozenset({1})), range(6)
    )
    with EngineCompleter(engine, tokenizer, text=text, stop_ids=stop_ids(policy, tokenizer)) as completer, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda request: whole(completer.complete(request)), requests))
    assert [answer[0] for answer in answers] == [tokenizer.decode(answer.ids) for answer in expected]
    assert all(answer[0].startswith((" ", ",")) for answer in answers), "the space before the first word is kept"

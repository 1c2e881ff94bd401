"""The API, asked by the official client: it must not be able to tell this server from the one it was written for."""

import time
from collections.abc import Callable, Iterator

import httpx
import openai
import pytest
from openai import OpenAI

from web.scripted import LOGPROB, Script, Stage, served, stage


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    """One site for the whole module: every test makes its own key, and none looks at another's prompts."""
    models = {"first": Script(), "slow": Script(pace=0.02), "org/with-slash": Script(words=3)}
    made = stage(tmp_path_factory.mktemp("api"), models=models)
    with served(made.app) as url:
        yield made, url
    made.store.close()


@pytest.fixture
def api(slow: tuple[Stage, str]) -> Iterator[OpenAI]:
    with client_of(slow[1], slow[0].key()) as client:
        yield client


def test_models(api: OpenAI) -> None:
    assert [model.id for model in api.models.list()] == ["first", "slow", "org/with-slash"]
    assert api.models.retrieve("org/with-slash").id == "org/with-slash"
    with pytest.raises(openai.NotFoundError) as raised:
        api.models.retrieve("third")
    assert (raised.value.param, raised.value.code) == ("model", "model_not_found")


def test_completions_of_two_prompts_twice(api: OpenAI) -> None:
    answer = api.completions.create(model="first", prompt=["one two", "three"], n=2, max_tokens=3, seed=5, temperature=0)
    assert answer.object == "text_completion"
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in answer.choices] == ["Seed 6 7", "Seed 7 8", "Seed 6 7", "Seed 7 8"]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage is not None
    # The two words and the one word of the prompts count once each, whatever n.
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 12, 15)


def test_a_short_answer_has_stopped_and_a_stop_text_is_not_part_of_it(api: OpenAI) -> None:
    assert api.completions.create(model="org/with-slash", prompt="x").choices[0].finish_reason == "stop"
    choice = api.completions.create(model="first", prompt="x", seed=0, stop=["3"], max_tokens=9).choices[0]
    assert (choice.text, choice.finish_reason) == ("Seed 1 2", "stop")


def test_log_probabilities(api: OpenAI) -> None:
    said = api.completions.create(model="first", prompt="x", seed=0, max_tokens=2, logprobs=2).choices[0].logprobs
    assert said is not None
    assert (said.tokens, said.token_logprobs, said.text_offset) == (["Seed", " 1"], [LOGPROB, LOGPROB], [0, 4])
    assert said.top_logprobs == [{"A": -0.25, "B": -1.5}] * 2
    chat = api.chat.completions.create(
        model="first", messages=[{"role": "user", "content": "x"}], seed=0, max_tokens=2, logprobs=True, top_logprobs=1
    )
    told = chat.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert [(one.token, one.logprob, one.bytes) for one in told.content] == [("Seed", LOGPROB, list(b"Seed")), (" 1", LOGPROB, list(b" 1"))]
    assert [one.token for one in told.content[0].top_logprobs] == ["A"]


def test_chat_hands_on_the_conversation(slow: tuple[Stage, str], api: OpenAI) -> None:
    answer = api.chat.completions.create(
        model="first",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": "Who?"},
        ],
        max_completion_tokens=2,
        seed=1,
    )
    assert answer.choices[0].message.content == "Seed 2"
    asked = slow[0].models["first"].asked[-1]
    assert [(turn.role, turn.content) for turn in asked.messages] == [
        ("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi."), ("user", "Who?"),
    ]  # fmt: skip
    assert (asked.prompt, asked.sampling.max_new_tokens, asked.seed, asked.fit_context) == ("", 2, 1, False)


def test_both_streams(api: OpenAI) -> None:
    pieces = list(api.completions.create(model="first", prompt="x", n=2, seed=0, max_tokens=3, stream=True))
    for index, text in enumerate(("Seed 1 2", "Seed 2 3")):
        mine = [chunk.choices[0] for chunk in pieces if chunk.choices[0].index == index]
        assert "".join(choice.text for choice in mine) == text
        assert [choice.finish_reason for choice in mine] == [None, None, "length"]
    assert all(chunk.usage is None for chunk in pieces)

    chunks = list(
        api.chat.completions.create(
            model="first", messages=[{"role": "user", "content": "x"}], seed=0, max_tokens=3, stream=True, stream_options={"include_usage": True}
        )
    )
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Seed 1 2"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None, None, None, "length"]
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (1, 3)


def test_the_stream_on_the_wire(slow: tuple[Stage, str]) -> None:
    body = {"model": "first", "prompt": "line\n\nbreaks <b>", "max_tokens": 2, "stream": True, "seed": 0}
    with httpx.stream("POST", f"{slow[1]}/v1/completions", json=body, headers={"Authorization": f"Bearer {slow[0].key()}"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    events = text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith("data: {") and "\n" not in event for event in events[:-2])


def test_a_client_that_hangs_up_frees_the_model(slow: tuple[Stage, str], api: OpenAI) -> None:
    script, running = slow[0].models["slow"], slow[0].app.state.site.answers
    script.closed.clear()
    stream = api.completions.create(model="slow", prompt="x", max_tokens=2000, n=2, stream=True)
    next(iter(stream))
    assert running.num_running == 2
    stream.close()
    assert script.closed.wait(2)
    assert _soon(lambda: running.num_running == 0)

    script.closed.clear()
    with pytest.raises(openai.APITimeoutError):
        api.completions.create(model="slow", prompt="x", max_tokens=2000, timeout=0.3)
    assert script.closed.wait(2)
    assert _soon(lambda: running.num_running == 0)


ERRORS = [
    ({"prompt": "busy!"}, openai.RateLimitError, None, "busy"),
    ({"prompt": "long!"}, openai.BadRequestError, None, "context_length_exceeded"),
    ({"prompt": "away!"}, openai.InternalServerError, None, "model_unavailable"),
    ({"prompt": "bug!"}, openai.InternalServerError, None, "internal"),
    ({"model": "third"}, openai.NotFoundError, "model", "model_not_found"),
    ({"n": 9}, openai.BadRequestError, "n", "invalid_value"),
    ({"max_tokens": 5000}, openai.BadRequestError, "max_tokens", "invalid_value"),
    ({"temperature": 2.5}, openai.BadRequestError, "temperature", "invalid_value"),
    ({"top_p": 0}, openai.BadRequestError, "top_p", "invalid_value"),
    ({"stop": ["a", "b", "c", "d", "e"]}, openai.BadRequestError, "stop", "invalid_value"),
    ({"logprobs": 6}, openai.BadRequestError, "logprobs", "invalid_value"),
    ({"stream_options": {"include_usage": True}}, openai.BadRequestError, "stream_options", "invalid_value"),
    ({"best_of": 3}, openai.BadRequestError, "best_of", "unsupported_value"),
    ({"echo": True}, openai.BadRequestError, "echo", "unsupported_value"),
    ({"presence_penalty": 0.5}, openai.BadRequestError, "presence_penalty", "unsupported_value"),
    ({"logit_bias": {"50256": -100}}, openai.BadRequestError, "logit_bias", "unsupported_value"),
    ({"extra_body": {"top_k": 5}}, openai.BadRequestError, "top_k", "unsupported_parameter"),
    ({"user": "line\nbreak"}, openai.BadRequestError, "user", "invalid_value"),
    ({"prompt": [1, 2, 3]}, openai.BadRequestError, "prompt", "invalid_value"),
    ({"prompt": ""}, openai.BadRequestError, "prompt", "invalid_value"),
    ({"prompt": " \n"}, openai.BadRequestError, "prompt", "invalid_value"),
]


@pytest.mark.parametrize(("wrong", "kind", "param", "code"), ERRORS, ids=[str(sorted(wrong.items()))[:50] for wrong, *_ in ERRORS])
def test_every_error_names_its_parameter(
    api: OpenAI, wrong: dict[str, object], kind: type[openai.APIStatusError], param: str | None, code: str
) -> None:
    with pytest.raises(kind) as raised:
        api.completions.create(**{"model": "first", "prompt": "x", **wrong})  # type: ignore[call-overload]
    assert (raised.value.param, raised.value.code) == (param, code)
    if raised.value.status_code in (429, 503):
        assert int(raised.value.response.headers["retry-after"]) >= 1


def test_a_chat_must_end_with_a_question(api: OpenAI) -> None:
    for messages in ([{"role": "assistant", "content": "Hi."}], [{"role": "user", "content": " "}], [{"role": "tool", "content": "x"}]):
        with pytest.raises(openai.BadRequestError) as raised:
            api.chat.completions.create(model="first", messages=messages)  # type: ignore[call-overload]
        assert raised.value.param in ("messages", "messages[0].role")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"top_logprobs": 0, "logprobs": False}, "top_logprobs"),
        ({"max_tokens": 3, "max_completion_tokens": 9}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 3}, "max_tokens"),
    ],
)
def test_nothing_is_ignored_for_the_sake_of_another(api: OpenAI, given: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        api.chat.completions.create(model="first", messages=[{"role": "user", "content": "x"}], **given)  # type: ignore[call-overload]
    assert (raised.value.param, raised.value.code) == (param, "invalid_value")


def test_a_length_of_none_is_a_length_that_was_not_given(slow: tuple[Stage, str], api: OpenAI) -> None:
    api.completions.create(model="first", prompt="x", max_tokens=None)
    asked = slow[0].models["first"].asked[-1]
    assert (asked.sampling.max_new_tokens, asked.fit_context) == (16, True)


def test_what_breaks_in_the_middle_is_told_in_the_stream(api: OpenAI) -> None:
    received: list[str] = []
    stream = api.completions.create(model="first", prompt="break!", max_tokens=9, seed=0, stream=True)
    with pytest.raises(openai.APIError, match="cannot answer just now"):
        received.extend(chunk.choices[0].text for chunk in stream)
    assert received == ["Seed", " 1"]


def test_keys(slow: tuple[Stage, str]) -> None:
    for key in ("il-unknown", "-", "x" * 5000):
        with client_of(slow[1], key) as stranger, pytest.raises(openai.AuthenticationError) as raised:
            stranger.models.list()
        assert raised.value.code == "invalid_api_key"
    assert httpx.get(f"{slow[1]}/v1/models").json()["error"]["type"] == "authentication_error"


def test_the_rate_of_one_account_is_limited(slow: tuple[Stage, str]) -> None:
    with client_of(slow[1], slow[0].key("bob")) as client:
        for _ in range(8):
            client.completions.create(model="org/with-slash", prompt="x", n=7)
        with pytest.raises(openai.RateLimitError) as raised:
            client.completions.create(model="org/with-slash", prompt="x", n=7)
    assert raised.value.code == "rate_limit_exceeded"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60


def client_of(url: str, key: str) -> OpenAI:
    """The official client, which does not try again by itself."""
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def _soon(true: Callable[[], bool]) -> bool:
    for _ in range(100):
        if true():
            return True
        time.sleep(0.02)
    return False

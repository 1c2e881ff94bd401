"""Rendering: what a model is trained on is what it samples, and only the answer and its end are targets."""

from functools import cache
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.config import Text
from instructloop.errors import CheckpointError, DataError
from instructloop.records import Completion, Turn
from instructloop.text.rendering import join, render_answer, render_completion, render_conversation, render_demonstration, render_prompt
from instructloop.text.tokenizer import END, Tokenizer, load_tokenizer, train_tokenizer
from shared_data import SHARED, needs_shared

TOKENIZER = train_tokenizer(["user assistant question answer: what is the answer to this question? "] * 20, vocab=300)
PLAIN = Text()
CHAT = Text(template="chat")
TEXTS = st.text(max_size=30)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|pad|>{{ m['role'] }}\n{{ m['content'] }}<|endoftext|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|pad|>assistant\n{% endif %}"
)


@cache
def chatty(template: str = CHAT_TEMPLATE) -> Tokenizer:
    tokenizer = train_tokenizer(["user assistant question answer: what is the answer to this question? "] * 20, vocab=300)
    tokenizer.hf.chat_template = template
    return tokenizer


@given(TEXTS, TEXTS)
def test_training_ids_are_sampling_ids(prompt: str, answer: str) -> None:
    """Law A5: the prompt part is what the engine is given, the answer part what it must produce."""
    rendered = render_demonstration(TOKENIZER, prompt, answer, PLAIN)
    prompt_ids = render_prompt(TOKENIZER, prompt, PLAIN)
    assert rendered.ids == (*prompt_ids, *render_answer(TOKENIZER, answer))
    assert TOKENIZER.decode(prompt_ids) == prompt + "\n\n"
    assert TOKENIZER.decode(rendered.ids[len(prompt_ids) :]) == answer


@given(TEXTS, TEXTS)
def test_targets_are_the_answer_and_its_end(prompt: str, answer: str) -> None:
    rendered = render_demonstration(TOKENIZER, prompt, answer, PLAIN)
    targets = [id_ for id_, is_target in zip(rendered.ids, rendered.loss_mask, strict=True) if is_target]
    assert targets == [*TOKENIZER.encode(answer), TOKENIZER.end_id]
    assert targets.count(TOKENIZER.end_id) == 1


@given(TEXTS, TEXTS)
def test_loss_on_all_leaves_out_only_what_nothing_precedes(prompt: str, answer: str) -> None:
    rendered = render_demonstration(TOKENIZER, prompt, answer, PLAIN, loss_on="all")
    assert rendered.loss_mask == (False, *[True] * (len(rendered) - 1))


def test_an_answer_that_was_cut_off_has_no_end() -> None:
    cut = Completion(id="c", prompt_id="p", text="the answer", finish_reason="length")
    assert render_completion(TOKENIZER, cut) == tuple(TOKENIZER.encode("the answer"))
    whole = Completion(id="c", prompt_id="p", text="the answer")
    assert render_completion(TOKENIZER, whole) == (*TOKENIZER.encode("the answer"), TOKENIZER.end_id)


@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=12).map(tuple))
def test_sampled_ids_are_never_encoded_again(ids: tuple[int, ...]) -> None:
    """Law A5, whatever was sampled: half a character, a word in pieces, the end token or none."""
    sampled = Completion(id="c", prompt_id="p", text=TOKENIZER.decode(ids), token_ids=ids, finish_reason="stop")
    assert render_completion(TOKENIZER, sampled) == ids


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
@pytest.mark.parametrize(
    "sampled_by", [train_tokenizer(["words of a wholly different kind"] * 20, vocab=290), None], ids=["known ids", "unknown ids"]
)
def test_ids_of_another_tokenizer_give_way_to_the_text(sampled_by: Tokenizer | None, finish_reason: Literal["stop", "length"]) -> None:
    text = "a different answer"
    ids = (5, len(TOKENIZER)) if sampled_by is None else render_answer(sampled_by, text, ended=finish_reason == "stop")
    foreign = Completion(id="c", prompt_id="p", text=text, token_ids=ids, finish_reason=finish_reason)
    assert foreign.token_ids != (expected := render_answer(TOKENIZER, text, ended=finish_reason == "stop"))
    assert render_completion(TOKENIZER, foreign) == expected


def test_the_first_token_is_never_a_target() -> None:
    assert join((), (5, 6, 7), given=0).loss_mask == (False, True, True)


def test_a_prompt_of_no_token_is_refused() -> None:
    with pytest.raises(DataError, match="no token"):
        render_prompt(TOKENIZER, "", Text(separator=""))


def test_the_chat_template_is_the_tokenizers_own() -> None:
    tokenizer = chatty()
    expected = tokenizer.hf.apply_chat_template([{"role": "user", "content": "what is this?"}], add_generation_prompt=True)["input_ids"]
    assert render_prompt(tokenizer, "what is this?", CHAT) == tuple(expected)


@given(TEXTS, TEXTS)
def test_a_chat_prompt_cannot_forge_special_tokens(before: str, after: str) -> None:
    tokenizer = chatty()
    ids = render_prompt(tokenizer, f"{before}{END}{after}", CHAT)
    assert ids.count(tokenizer.end_id) == 1
    assert tokenizer.decode(ids) == f"user\n{before}{END}{after}\nassistant\n"


def test_chat_without_a_template_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no chat template"):
        render_prompt(TOKENIZER, "hello", CHAT)


def test_a_template_that_repeats_the_prompt_is_refused() -> None:
    with pytest.raises(CheckpointError, match="2 times"):
        render_prompt(chatty("{{ messages[0]['content'] }}{{ messages[0]['content'] }}"), END, CHAT)


TALK = (Turn("system", "be kind"), Turn("user", "question?"), Turn("assistant", "answer"), Turn("user", "what is this?"))


def test_a_conversation_is_the_chat_templates_own() -> None:
    tokenizer = chatty()
    expected = tokenizer.hf.apply_chat_template([turn._asdict() for turn in TALK], add_generation_prompt=True)["input_ids"]
    assert render_conversation(tokenizer, TALK, CHAT) == tuple(expected)
    assert render_conversation(tokenizer, TALK[3:], CHAT) == render_prompt(tokenizer, "what is this?", CHAT)


@given(TEXTS, TEXTS, st.sampled_from([END, "<|pad|>"]))
def test_no_turn_can_forge_special_tokens(before: str, after: str, special: str) -> None:
    tokenizer, forged = chatty(), f"{before}{special}{after}"
    ids = render_conversation(tokenizer, (Turn("user", forged), Turn("assistant", forged), Turn("user", "?")), CHAT)
    assert (ids.count(tokenizer.end_id), ids.count(tokenizer.pad_id)) == (3, 4)
    assert tokenizer.decode(ids) == f"user\n{forged}\nassistant\n{forged}\nuser\n?\nassistant\n"


def test_without_a_template_a_conversation_is_one_text() -> None:
    """As conversations in training data are: `store/conversations.py` makes prompts of them by the same function."""
    text = "be kind\n\nUser: question?\n\nAssistant: answer\n\nUser: what is this?\n\nAssistant:"
    assert render_conversation(TOKENIZER, TALK, PLAIN) == render_prompt(TOKENIZER, text, PLAIN)
    assert render_conversation(TOKENIZER, TALK[3:], PLAIN) == render_prompt(TOKENIZER, "what is this?", PLAIN)


def test_conversations_that_cannot_be_answered_are_refused() -> None:
    for turns, says in (((), "missing"), (TALK[:3], "assistant"), ((Turn("tool", "x"),), "role 'tool'")):
        with pytest.raises(DataError, match=says):
            render_conversation(TOKENIZER, turns, PLAIN)
    choosy = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{{ messages[0].content }}"
    with pytest.raises(DataError, match="no system here"):
        render_conversation(chatty(choosy), TALK, CHAT)
    swapping = "{{ messages[1].content }}{{ messages[0].content }}"
    with pytest.raises(CheckpointError, match="in their order"):
        render_conversation(chatty(swapping), (Turn("assistant", END), Turn("user", "?")), CHAT)


@needs_shared
def test_begin_ids_stand_before_the_prompt_once() -> None:
    tokenizer = load_tokenizer(SHARED / "models" / "stories260k")
    assert render_prompt(tokenizer, "Once upon a time", Text(separator="")) == (1, 403, 407, 261, 378)
    rendered = render_demonstration(tokenizer, "Once upon", "a time", PLAIN, loss_on="all")
    assert rendered.ids[0] == 1
    assert rendered.loss_mask[:2] == (False, True)

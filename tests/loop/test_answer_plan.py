"""Shares of models and numbers of answers: what is accepted, what is refused, and that the shares hold."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import ConfigError
from instructloop.loop.answer_plan import Answering, ModelShare, NumAnswers, answers_of_each, parse_models, parse_num_answers


@pytest.mark.parametrize(
    ("texts", "models"),
    [
        (["runs/sft/model"], [("runs/sft/model", 1.0)]),
        (["runs/sft/model:1"], [("runs/sft/model", 1.0)]),
        (["a:0.7", "b:0.3"], [("a", 0.7), ("b", 0.3)]),
        (["a:0.1", "b:0.2", "c:0.7"], [("a", 0.1), ("b", 0.2), ("c", 0.7)]),
        (["C:\\models\\sft"], [("C:\\models\\sft", 1.0)]),
        (["host:sft:0.5", "org/name:0.5"], [("host:sft", 0.5), ("org/name", 0.5)]),
        (["a:1e0"], [("a", 1.0)]),
    ],
)
def test_models_with_their_shares(texts: list[str], models: list[tuple[str, float]]) -> None:
    assert parse_models(texts) == tuple(ModelShare(*model) for model in models)


def test_a_folder_that_ends_in_a_number_after_a_colon_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sft:2"
    folder.mkdir()
    assert parse_models([str(folder)]) == (ModelShare(str(folder), 1.0),)
    assert parse_models([f"{folder}:0.5", "b:0.5"])[0] == ModelShare(str(folder), 0.5)


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ([], "no model"),
        (["a:0.7", "b:0.2"], "0.7 [+] 0.2 = 0.9"),
        (["a:0.7"], "= 0.7"),
        (["a", "b"], "'a' has no share"),
        (["a:0.5", "b"], "'b' has no share"),
        (["a:1.5", "b:-0.5"], "above 0"),
        (["a:nan", "b:1"], "nan"),
        (["a:0", "b:1"], "above 0"),
    ],
)
def test_shares_that_do_not_sum_to_one_are_refused(texts: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_models(texts)


@pytest.mark.parametrize(("text", "range_"), [("4", (4, 4)), ("4..9", (4, 9)), ("2..2", (2, 2))])
def test_numbers_of_answers(text: str, range_: tuple[int, int]) -> None:
    assert parse_num_answers(text) == NumAnswers(*range_)


@pytest.mark.parametrize("text", ["1", "10", "1..9", "4..10", "9..4", "four", "4-9", "4..", "..9", ""])
def test_numbers_outside_two_to_nine_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="num-answers"):
        parse_num_answers(text)


def test_every_number_of_the_range_is_drawn_equally_often() -> None:
    drawn = [NumAnswers(4, 9).draw(step / 600) for step in range(600)]
    assert {number: drawn.count(number) for number in set(drawn)} == dict.fromkeys(range(4, 10), 100)


def test_seventy_and_thirty_percent_by_hand() -> None:
    """Of four answers 2.8 and 1.2: three and one, or (a fifth of the time) two and two."""
    assert [answers_of_each(4, [0.7, 0.3], uniform) for uniform in (0.0, 0.19, 0.21, 0.99)] == [[2, 2], [2, 2], [3, 1], [3, 1]]


@given(st.integers(2, 9), st.lists(st.integers(1, 20), min_size=1, max_size=5), st.floats(0, 1, exclude_max=True))
def test_shares_are_rounded_up_or_down_and_hold_on_average(total: int, parts: list[int], uniform: float) -> None:
    shares = [part / sum(parts) for part in parts]
    counts = answers_of_each(total, shares, uniform)
    assert sum(counts) == total
    assert all(abs(count - total * share) < 1 + 1e-9 for count, share in zip(counts, shares, strict=True))
    every = [answers_of_each(total, shares, (step + 0.5) / 500) for step in range(500)]
    for place, share in enumerate(shares):
        assert sum(counts[place] for counts in every) / 500 == pytest.approx(total * share, abs=2e-2)


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"max_new_tokens": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Answering(**wrong)  # pyright: ignore[reportArgumentType]


def test_a_beam_must_be_as_wide_as_the_answers() -> None:
    Answering(method="beam", beam_width=4).require_room(NumAnswers(4, 4))
    with pytest.raises(ConfigError, match="9 answers from a beam of width 4"):
        Answering(method="beam", beam_width=4).require_room(NumAnswers(4, 9))


@pytest.mark.parametrize(
    ("method", "unread"),
    [("beam", {"temperature": 0.5}), ("beam", {"top_p": 0.9}), ("sample", {"beam_width": 12}), ("sample", {"length_penalty": 0.0})],
)
def test_a_setting_that_the_method_does_not_read_is_refused(method: Any, unread: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(unread))} is .* with method '{method}', which does not read it"):
        Answering(method=method, **unread)

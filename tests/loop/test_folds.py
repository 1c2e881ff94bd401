"""Cross-validation by labeler group, on labelers whose tastes are known: two who want the opposite of each other."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructloop.errors import ConfigError, ResumeError
from instructloop.loop.folds import cross_validate, labeler_groups, mean_and_error
from instructloop.steps.step2_reward import RewardInputs
from toy_runs import freeze_demonstrations, freeze_records, ranking, toy_config, toy_tokenizer, write_policy

GOOD_OF = {"ann": ("red grass", "a blue hen"), "bob": ("a blue hen", "red grass")}


@pytest.fixture
def inputs(tmp_path: Path) -> RewardInputs:
    splits = {
        split: [ranking(number, labeler, GOOD_OF[labeler]) for number in range(count) for labeler in GOOD_OF]
        for split, count in (("train", 40), ("valid", 8))
    }
    return RewardInputs(
        model=str(write_policy(tmp_path / "sft", toy_tokenizer())),
        rankings=freeze_records(tmp_path / "rankings", splits),
        demonstrations=freeze_demonstrations(tmp_path / "demonstrations"),
    )


def test_opposite_tastes_are_learned_from_one_labeler_and_wrong_for_the_other(inputs: RewardInputs, tmp_path: Path) -> None:
    path = cross_validate(toy_config(), inputs, tmp_path / "cv", folds=2)
    found = json.loads(path.read_text())
    assert [fold["left_out"] for fold in found["folds"]] == [["ann"], ["bob"]]
    assert [fold["valid_accuracy"] for fold in found["folds"]] == [1.0, 1.0]
    assert [fold["held_out_accuracy"] for fold in found["folds"]] == [0.0, 0.0]
    assert json.loads((tmp_path / "cv" / "finished.json").read_text()) == found["summary"]
    assert found["summary"] == {
        "valid_accuracy": 1.0, "valid_accuracy_standard_error": 0.0, "held_out_accuracy": 0.0, "held_out_accuracy_standard_error": 0.0,
    }  # fmt: skip
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "cv").rglob("model.safetensors")}
    assert len(trained) == 2
    cross_validate(toy_config(), inputs, tmp_path / "cv", folds=2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cv").rglob("model.safetensors")} == trained


def test_a_fold_is_not_resumed_as_another_one(inputs: RewardInputs, tmp_path: Path) -> None:
    cross_validate(toy_config(), inputs, tmp_path / "cv", folds=2)
    (tmp_path / "cv" / "fold-1").rename(tmp_path / "kept")
    (tmp_path / "cv" / "fold-2").rename(tmp_path / "cv" / "fold-1")
    with pytest.raises(ResumeError, match=r"config.selection: 'all but the labelers bob' there, 'all but the labelers ann' here"):
        cross_validate(toy_config(), inputs, tmp_path / "cv", folds=2)


@pytest.mark.parametrize("folds", [-1, 1, 3])
def test_more_folds_than_labelers_or_too_few_are_refused_with_the_number_of_labelers(inputs: RewardInputs, tmp_path: Path, folds: int) -> None:
    with pytest.raises(ConfigError, match="the 2 labelers"):
        cross_validate(toy_config(), inputs, tmp_path / "cv", folds=folds)
    assert not (tmp_path / "cv").exists()


def test_the_folder_of_one_training_is_no_place_for_folds(inputs: RewardInputs, tmp_path: Path) -> None:
    (tmp_path / "cv").mkdir()
    (tmp_path / "cv" / "manifest.json").write_text("{}")
    with pytest.raises(ResumeError, match="one training"):
        cross_validate(toy_config(), inputs, tmp_path / "cv", folds=2)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 50), min_size=2), st.data())
def test_every_labeler_is_in_one_group_and_the_groups_are_about_equal(counts: dict[str, int], data: st.DataObject) -> None:
    number = data.draw(st.integers(2, len(counts)))
    groups = labeler_groups(counts, number)
    assert sorted(labeler for group in groups for labeler in group) == sorted(counts)
    sizes = [sum(counts[labeler] for labeler in group) for group in groups]
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= max(counts.values())
    assert groups == labeler_groups(dict(reversed(counts.items())), number)


def test_groups_by_hand() -> None:
    assert labeler_groups({"a": 10, "b": 6, "c": 5, "d": 1}, 2) == [("a", "d"), ("b", "c")]


def test_mean_and_error_by_hand() -> None:
    """Accuracies 0.6, 0.7, 0.8: mean 0.7, sample deviation 0.1, standard error 0.1/√3."""
    folds = [{"valid_accuracy": accuracy, "held_out_accuracy": None} for accuracy in (0.6, 0.7, 0.8)]
    assert mean_and_error(folds) == pytest.approx({"valid_accuracy": 0.7, "valid_accuracy_standard_error": 0.1 / 3**0.5})

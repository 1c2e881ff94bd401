"""Laws E1 to E3 in the steps: nothing that is not finite is learned from, alarms, masked metrics."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from instructloop.errors import LawBroken
from instructloop.model.finite import NotFinite
from instructloop.rollout.batch import Rollout
from instructloop.steps import language, step2_reward
from instructloop.steps.guards import Alarms
from instructloop.steps.ppo_run import train_ppo
from instructloop.steps.step3_ppo import collect, rollout_metrics, update
from run_files import RUNS
from step_world import TinyWorld, assert_same_bits, random_prompts, random_rows, stage, tiny_config, weights_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    return TinyWorld.make(tmp_path_factory.mktemp("world"))


# E1: what is not finite


def ill_rollout(rollout: Rollout, name: str, value: float) -> Rollout:
    tensor = getattr(rollout, name).clone()
    tensor[0, 0] = value
    return replace(rollout, **{name: tensor})


@pytest.mark.parametrize(
    ("name", "value", "blamed"),
    [
        ("logp_old_BR", float("nan"), "ratio_BR"),
        ("logp_old_BR", -2000.0, "ratio_BR"),
        ("advantage_BR", float("inf"), "policy_loss"),
        ("return_BR", float("nan"), "value_loss"),
        ("value_BR", float("nan"), "value_loss"),
    ],
)
def test_an_update_stops_before_a_weight_is_touched(name: str, value: float, blamed: str) -> None:
    s = stage(tiny_config())
    rollout = ill_rollout(collect(s.models, s.engine, random_prompts(8), s.at), name, value)
    before = weights_of(s.models.policy), weights_of(s.models.value)
    with pytest.raises(NotFinite, match=f"finite values in {blamed}") as caught:
        update(s.models, s.optimizers, rollout, random_rows(4), s.at)
    assert_same_bits(weights_of(s.models.policy), before[0])
    assert_same_bits(weights_of(s.models.value), before[1])
    assert {"tokens_BT", "mask_BR", "score_B", blamed} <= caught.value.tensors.keys()


@pytest.mark.parametrize("network", ["policy", "value"])
def test_a_gradient_that_overflows_is_named_by_its_parameter(network: str) -> None:
    s = stage(tiny_config(), "gpt2")
    rollout = collect(s.models, s.engine, random_prompts(8), s.at)
    model = getattr(s.models, network)
    name, parameter = next(pair for pair in model.named_parameters() if "mlp" in pair[0])
    parameter.register_hook(lambda gradient: gradient * torch.inf)
    before = weights_of(s.models.policy), weights_of(s.models.value)
    with pytest.raises(NotFinite, match=f"finite values in gradient of {name}"):
        update(s.models, s.optimizers, rollout, random_rows(4), s.at)
    assert_same_bits(weights_of(s.models.policy), before[0])
    assert_same_bits(weights_of(s.models.value), before[1])


def test_a_scorer_that_fails_stops_the_run_and_keeps_the_batch(world: TinyWorld, tmp_path: Path) -> None:
    """Two iterations are saved; the third is left in `offending_batch.pt`, and the run goes on once the scorer is mended."""
    calls: list[int] = []

    def scorer(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        if len(prompts) == 8:
            calls.append(len(prompts))
        return [float("nan") if len(calls) == 3 and place == 5 else 0.1 * len(answer) for place, answer in enumerate(answers)]

    out = tmp_path / "ppo"
    with pytest.raises(LawBroken) as caught:
        train_ppo(tiny_config(), world.ppo_inputs, out, scorer=scorer)
    assert "finite values in score_B" in str(caught.value)
    assert f"1 of 8 are not; the batch is in {out / 'offending_batch.pt'}" in str(caught.value)
    kept = torch.load(out / "offending_batch.pt", weights_only=True)
    assert kept["score_B"].isnan().tolist() == [False] * 5 + [True, False, False]
    assert kept["tokens_BT"].shape[0] == kept["logp_old_BR"].shape[0] == 8
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    assert not (out / "model").exists()
    assert [folder.name for folder in (out / "checkpoints").iterdir()] == ["update-000002"]
    train_ppo(tiny_config(), world.ppo_inputs, out, scorer=scorer)
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4


def spoiled(function: Callable[..., Tensor], at_call: int) -> Callable[..., Tensor]:
    """The same function, whose n-th call gives NaN."""
    calls: list[int] = []

    def spoiling(*given: Any, **named: Any) -> Tensor:
        calls.append(1)
        result = function(*given, **named)
        return result * torch.nan if len(calls) == at_call else result

    return spoiling


@pytest.mark.parametrize(
    ("step", "module", "function", "named"),
    [
        ("pretrain", language, "target_nll", ("loss", "tokens_BT")),
        ("sft", language, "target_nll", ("loss", "tokens_BT")),
        ("reward", step2_reward, "scores", ("score_N", "tokens_BT")),
    ],
)
def test_every_step_stops_and_keeps_the_batch(
    step: str, module: Any, function: str, named: tuple[str, str], world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`named` are the tensor at fault and what is kept beside it."""
    blamed, kept = named
    monkeypatch.setattr(module, function, spoiled(getattr(module, function), 2))
    with pytest.raises(LawBroken, match=rf"finite values in {blamed}\n.*offending_batch\.pt"):
        RUNS[step](world, tmp_path / "run")
    batch = torch.load(tmp_path / "run" / "offending_batch.pt", weights_only=True)
    assert {blamed, kept} <= batch.keys()
    assert not batch[blamed].isfinite().all()


@pytest.mark.parametrize("step", ["pretrain", "sft", "ppo"])
def test_a_validation_loss_that_is_no_number_stops_the_run(step: str, world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is learned from it, and still a run that goes on would be blind."""
    target_nll = language.target_nll

    def blind(*given: Any) -> Tensor:
        return target_nll(*given) * (1.0 if torch.is_grad_enabled() else torch.nan)

    monkeypatch.setattr(language, "target_nll", blind)
    with pytest.raises(LawBroken, match=r"finite values in held_out_nll_N\n.*offending_batch\.pt"):
        RUNS[step](world, tmp_path / "run")


def test_a_validation_score_that_is_no_number_stops_the_run(world: TinyWorld, tmp_path: Path) -> None:
    def scorer(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        return [0.1 if len(prompts) == 8 else float("inf")] * len(answers)

    with pytest.raises(LawBroken, match=r"finite values in valid_score\n.*offending_batch\.pt"):
        train_ppo(tiny_config(), world.ppo_inputs, tmp_path / "ppo", scorer=scorer)


def test_weights_that_are_no_numbers_are_not_saved_over_good_ones(world: TinyWorld, tmp_path: Path) -> None:
    """A step that ruins the weights shows in the next pass only; the checkpoint before it is the way back."""
    config = tiny_config(minibatches=1, optimizer=replace(tiny_config().ppo.optimizer, lr=1e41))
    config = replace(config, run=replace(config.run, save_every=1))
    with pytest.raises(LawBroken, match=r"finite values in policy\."):
        train_ppo(config, world.ppo_inputs, tmp_path / "ppo")
    assert not list((tmp_path / "ppo").glob("checkpoints/update-*"))


def test_a_reward_model_of_nans_is_not_finished(world: TinyWorld, tmp_path: Path) -> None:
    config = tiny_config()
    config = replace(config, reward=replace(config.reward, batch=200, optimizer=replace(config.reward.optimizer, lr=1e38)))
    with pytest.raises(LawBroken, match="finite values in"):
        step2_reward.train_reward(config, world.reward_inputs, tmp_path / "reward")
    assert not (tmp_path / "reward" / "finished.json").exists()


# E2: alarms

HEALTHY = {
    "kl": 2.0, "kl_standard_error": 0.1, "ratio": 1.001, "approx_kl": 0.002, "response_tokens": 20.0, "entropy": 2.5, "ended_share": 0.9,
    "valid_score": 0.5, "valid_heldout_score": 0.4,
}  # fmt: skip
ILL = {
    "kl": {"kl": -0.5},
    "ratio": {"ratio": 1.4},
    "drift": {"approx_kl": 0.3},
    "length": {"response_tokens": 60.0},
    "entropy": {"entropy": 0.1},
    "end": {"ended_share": 0.3},
}


def test_a_healthy_run_raises_no_alarm() -> None:
    alarms = Alarms(max_response=64)
    for n in range(12):
        climbing = {"valid_score": n * 0.1, "valid_heldout_score": n * 0.08, "kl": 0.4 * n - 0.05, "entropy": 2.5 - 0.1 * n}
        assert alarms.check({**HEALTHY, **climbing, "response_tokens": 20.0 + n}) == []


@pytest.mark.parametrize("symptom", ILL)
def test_every_alarm_rings_once_and_again_after_recovery(symptom: str) -> None:
    alarms = Alarms(max_response=64)
    assert alarms.check(HEALTHY) == []
    (said,) = alarms.check({**HEALTHY, **ILL[symptom]})
    assert f"{next(iter(ILL[symptom].values())):.3g}"[:3].rstrip("0") in said or "%" in said
    assert alarms.check({**HEALTHY, **ILL[symptom]}) == []
    assert len(alarms.raised) == 1
    assert alarms.check(HEALTHY) == []
    assert alarms.raised == []
    assert len(alarms.check({**HEALTHY, **ILL[symptom]})) == 1


def test_noise_around_zero_is_no_negative_kl() -> None:
    alarms = Alarms(max_response=64)
    assert alarms.check({**HEALTHY, "kl": -0.2, "kl_standard_error": 0.1}) == []
    assert alarms.check({**HEALTHY, "kl": -0.4, "kl_standard_error": 0.1}) != []


def test_long_answers_from_the_start_are_no_running_away() -> None:
    alarms = Alarms(max_response=64)
    assert alarms.check({**HEALTHY, "response_tokens": 60.0}) == []
    assert alarms.check({**HEALTHY, "response_tokens": 63.0}) == []


def test_over_optimisation_is_a_reward_that_rises_while_the_held_out_one_falls() -> None:
    alarms, parallel, alone = (Alarms(max_response=64) for _ in range(3))
    said: list[str] = []
    for n in range(3):
        scores = {"valid_score": 0.5 + n, "valid_heldout_score": 0.4 - n}
        said += alarms.check({**HEALTHY, **scores})
        assert parallel.check({**HEALTHY, **scores, "valid_heldout_score": 0.4 + n}) == []
        without = {name: value for name, value in {**HEALTHY, **scores}.items() if name != "valid_heldout_score"}
        assert alone.check(without) == []
    assert len(said) == 1
    assert "over-optimisation" in said[0]


def test_alarms_remember_over_a_resume() -> None:
    """What was said is not said again, and the first iteration's entropy is still the measure."""
    before = Alarms(max_response=64)
    before.check(HEALTHY)
    before.check({**HEALTHY, "ended_share": 0.1})
    after = Alarms(max_response=64)
    after.load_state_dict(before.state_dict())
    assert after.check({**HEALTHY, "ended_share": 0.1}) == []
    assert len(after.check({**HEALTHY, "entropy": 0.1, "ended_share": 0.1})) == 1


def test_alarms_reach_the_terminal_and_the_metrics(world: TinyWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A random model hardly ever ends its answers."""
    train_ppo(tiny_config(iterations=1), world.ppo_inputs, tmp_path / "ppo")
    assert "alarm at iteration 0: only" in capsys.readouterr().err
    assert '"alarms": 1.0' in (tmp_path / "ppo" / "metrics.jsonl").read_text()


# E3: metrics are masked


def test_what_stands_in_the_padding_changes_no_metric() -> None:
    """Other ids behind the answers, and NaN in every per-token figure there."""
    outcomes = []
    for spoil in (lambda rollout: rollout, with_garbage_in_the_padding):
        s = stage(tiny_config("fp64"))
        rollout = spoil(collect(s.models, s.engine, random_prompts(8), s.at))
        outcomes.append({**rollout_metrics(rollout), **update(s.models, s.optimizers, rollout, random_rows(4), s.at)})
    assert outcomes[1] == pytest.approx(outcomes[0], abs=1e-12)
    assert all(torch.tensor(value).isfinite() for value in outcomes[1].values())


def with_garbage_in_the_padding(rollout: Rollout) -> Rollout:
    assert not rollout.mask_BR.all()
    length_B = rollout.prompt_length_B + rollout.mask_BR.sum(1)
    padding_BT = torch.arange(rollout.tokens_BT.shape[1]) >= length_B[:, None]
    spoiled = {"tokens_BT": torch.where(padding_BT, 77, rollout.tokens_BT)}
    for name in ("engine_logp_BR", "logp_old_BR", "logp_ref_BR", "value_BR", "reward_BR", "advantage_BR", "return_BR"):
        spoiled[name] = torch.where(rollout.mask_BR, getattr(rollout, name), torch.nan)
    return replace(rollout, **spoiled)


def test_metrics_of_a_hand_made_rollout() -> None:
    """Two answers of 2 and 1 tokens: KL −0.1 + 0.4 = 0.3 and 0.5, lengths 2 and 1; everything off the mask is absurd."""
    mask_BR = torch.tensor([[True, True], [True, False]])

    def figures(values: list[float]) -> Tensor:
        rows_BR = torch.full((2, 2), 1e9, dtype=torch.float64)
        rows_BR[mask_BR] = torch.tensor(values, dtype=torch.float64)
        return rows_BR

    rollout = Rollout(
        tokens_BT=torch.zeros(2, 3, dtype=torch.long), prompt_length_B=torch.tensor([1, 1]), mask_BR=mask_BR, ended_B=torch.tensor([True, False]),
        engine_logp_BR=figures([-1.0, -2.0, -3.0]), logp_old_BR=figures([-1.1, -2.0, -3.2]), logp_ref_BR=figures([-1.0, -2.4, -3.7]),
        value_BR=figures([0.0, 1.0, 2.0]), score_B=torch.tensor([1.0, 4.0]), reward_BR=figures([0, 0, 0]), advantage_BR=figures([0, 0, 0]),
        return_BR=figures([1.0, 1.0, 4.0]),
    )  # fmt: skip
    expected = {
        "score": 2.5, "kl": 0.4, "kl_standard_error": 0.1 / 2**0.5, "response_tokens": 1.5, "ended_share": 0.5, "return": 2.0,
        "explained_variance": 1 - (2 / 3) / 2, "engine_gap_mean": 0.1, "engine_gap_p999": 0.2 - 0.1 * 2 * 0.001,
    }  # fmt: skip
    assert rollout_metrics(rollout) == pytest.approx(expected, abs=1e-9)

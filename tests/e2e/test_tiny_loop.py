"""The whole loop on a toy world, in under a minute: pretrain, SFT, reward model, PPO-ptx, and an answer at the end."""

import json
import math
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from instructloop.loop.tiny_loop import STEPS, run_tiny_loop
from instructloop.model.policy import load_policy
from instructloop.model.scalar import load_scalar
from instructloop.protocols import Sampling
from instructloop.rollout.engine import LocalEngine
from instructloop.text.tokenizer import load_tokenizer

SECONDS = 60
"""On one idle core; a busy machine has no say in what processor time a test takes."""


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The folder of the loop's runs, and the processor time they took."""
    out, start = tmp_path_factory.mktemp("loop"), time.process_time()
    run_tiny_loop(out, seed=0)
    return out, time.process_time() - start


def closing(out: Path, run: str) -> dict[str, float]:
    return json.loads((out / run / "finished.json").read_text())


def metrics(out: Path, run: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / run / "metrics.jsonl").read_text().splitlines()]


def test_it_takes_less_than_a_minute(loop: tuple[Path, float]) -> None:
    assert loop[1] < SECONDS


def test_every_step_learned(loop: tuple[Path, float]) -> None:
    """The base is far below a uniform guess, SFT below its own start, and the reward model orders held-out pairs."""
    out, _ = loop
    vocabulary = len(load_tokenizer(out / "base" / "model"))
    assert closing(out, "base")["valid_loss"] < math.log(vocabulary) / 2
    sft = [row["loss"] for row in metrics(out, "sft")]
    assert closing(out, "sft")["valid_loss"] < sft[0] - 1
    assert closing(out, "reward")["valid_accuracy"] > 0.9
    assert closing(out, "reward")["valid_log_loss"] < math.log(2) / 2


def test_ppo_moved_the_policy_and_kept_its_language(loop: tuple[Path, float]) -> None:
    """The score on held-out prompts rose over the iterations, the KL to the start did, and the loss on held-out text did not."""
    out, _ = loop
    rows, closed = metrics(out, "ppo_ptx"), closing(out, "ppo_ptx")
    assert closed["valid_score"] > rows[0]["valid_score"]
    assert rows[0]["kl"] == 0
    assert rows[-1]["kl"] > 0
    assert closed["pretraining_loss"] < rows[0]["pretraining_loss"]
    assert all(row["ratio_first_error"] == 0 for row in rows)


def test_every_figure_is_there_and_finite(loop: tuple[Path, float]) -> None:
    out, _ = loop
    for run in STEPS:
        rows = metrics(out, run)
        assert [row["update"] for row in rows] == list(range(len(rows)))
        assert all(math.isfinite(value) for row in rows for value in row.values())
        assert {"loss", "grad_norm", "lr", "time/tokens_per_second"} <= rows[0].keys()
        manifest = json.loads((out / run / "manifest.json").read_text())
        assert manifest["snapshots"]
        assert manifest["code_version"].startswith("0")
    expected = {"score", "kl", "entropy", "ratio", "clip_fraction", "value_loss", "ptx_loss", "ended_share", "engine_gap_p999", "kl_coef", "alarms"}
    assert expected <= metrics(out, "ppo_ptx")[0].keys()
    for step in ("base", "sft"):  # what the model says as it learns, where it is a model that speaks
        said = [json.loads(line) for line in (out / step / "samples.jsonl").read_text().splitlines()]
        assert said
        assert all({"update", "prompt", "answer", "ended"} == row.keys() for row in said)
    samples = [json.loads(line) for line in (out / "ppo_ptx" / "samples.jsonl").read_text().splitlines()]
    assert {"update", "prompt", "answer", "score", "ended"} == samples[0].keys()


def test_checkpoints_are_hugging_face_checkpoints(loop: tuple[Path, float]) -> None:
    """`from_pretrained` just works: policy, average, reward model; and our score is transformers' plus the bias."""
    out, _ = loop
    policy = AutoModelForCausalLM.from_pretrained(out / "ppo_ptx" / "model")
    average = AutoModelForCausalLM.from_pretrained(out / "ppo_ptx" / "model" / "ema")
    assert not torch.equal(policy.get_input_embeddings().weight, average.get_input_embeddings().weight)
    tokenizer = AutoTokenizer.from_pretrained(out / "reward" / "model")
    reward = AutoModelForSequenceClassification.from_pretrained(out / "reward" / "model")
    batch = tokenizer(["what does the red cat see?\nthe red cat sees a dog.", "short"], return_tensors="pt", padding=True, padding_side="right")
    with torch.no_grad():
        theirs = reward(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits[:, 0] + reward.config.score_bias
    ours = load_scalar(out / "reward" / "model", precision="fp32", tokenizer=load_tokenizer(out / "reward" / "model"), context=96)
    with torch.no_grad():
        torch.testing.assert_close(ours.scores_at_end(batch.input_ids, batch.attention_mask.sum(1)), theirs, atol=1e-5, rtol=0)


def test_the_policy_answers(loop: tuple[Path, float]) -> None:
    """Greedy answers of the engine are those of transformers' own generation."""
    out, _ = loop
    tokenizer = load_tokenizer(out / "ppo_ptx" / "model")
    policy = load_policy(out / "ppo_ptx" / "model", precision="fp32", tokenizer=tokenizer, context=96)
    prompt = tokenizer.encode("what does the red cat see?\n")
    sampling = Sampling(max_new_tokens=16, temperature=0.0, stop_ids=frozenset({tokenizer.end_id}))
    (answer,) = LocalEngine(policy, pad_id=tokenizer.pad_id).generate([prompt], sampling, [0])
    theirs = policy.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=16, do_sample=False)
    assert list(answer.ids) == theirs[0, len(prompt) :].tolist()
    assert tokenizer.decode(answer.ids).strip()


def test_the_second_call_finds_everything_done(loop: tuple[Path, float]) -> None:
    out, _ = loop
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    start = time.process_time()
    run_tiny_loop(out, seed=0)
    assert time.process_time() - start < 3
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before

"""What one seed of the real run came to: reward models on test rankings, policies on test prompts, all on test text.

    python -m instructloop.loop.real_evaluation --root out/real --seed 0

No number here is a preference of people: policies are scored by the *held-out reward model*, trained on the half of the
rankings that the reward model never saw.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from instructloop.algo.seeds import derive
from instructloop.config import Config, Text
from instructloop.data.comparisons import load_rankings
from instructloop.data.demonstrations import load_demonstrations
from instructloop.data.pretraining import token_cache, token_stream
from instructloop.data.prompts import load_prompts
from instructloop.evals.baselines import Baseline, TextPair, baseline_hits, choose_bag_of_words, fit_length_only, text_pairs
from instructloop.evals.ngram import train_trigram
from instructloop.evals.reward_report import margins, reward_report
from instructloop.evals.statistics import bootstrap_difference, bootstrap_mean, pair_hits
from instructloop.loop.real_data import RANKING_ROOM
from instructloop.loop.scripts import run_script
from instructloop.model.policy import autocast, load_policy
from instructloop.model.pretrained import stop_ids
from instructloop.model.scalar import ScalarModel, load_scalar
from instructloop.protocols import Sampling
from instructloop.recipes import RECIPES
from instructloop.records import Demonstration, Document, Prompt, Ranking
from instructloop.rollout.batch import Rollout, assemble
from instructloop.steps.device import device, on_this_machine, place
from instructloop.steps.language import rows_batch, target_nll
from instructloop.steps.laws import probed_engine
from instructloop.steps.running import write_json
from instructloop.steps.scoring import kl_per_answer, reward_model_score, texts
from instructloop.steps.step2_reward import score_rankings
from instructloop.store.snapshots import read_split
from instructloop.store.splits import split_key
from instructloop.text.tokenizer import Tokenizer, load_tokenizer

POLICIES = {"sft": "sft", "start": "sft_ptx_init", "ppo": "ppo", "ppo_ptx": "ppo_ptx"}
"""Name in the tables -> run folder."""
REWARD_TEXT = Text(context=512, max_prompt=RANKING_ROOM.prompt, max_response=RANKING_ROOM.answer)
"""What the reward models read."""
TEST_ROWS, ROW = 384, 256
"""Rows of held-out text, evenly spaced over it, and their length in tokens."""
SHOWN = 5
"""Test prompts whose answers are printed side by side."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """Where one seed of the real run lies."""

    root: Path
    number: int
    config: Config

    @property
    def runs(self) -> Path:
        return self.root / f"seed-{self.number}"

    def data(self, name: str) -> Path:
        """The folder of a snapshot."""
        return self.root / "data" / name

    def tokenizer(self) -> Tokenizer:
        """All models of the run share the base's."""
        return load_tokenizer(self.root / "base" / "model")

    def policy(self, folder: str) -> PreTrainedModel:
        """The policy of a run folder."""
        return self.language_model(self.runs / folder / "model")

    def language_model(self, folder: Path) -> PreTrainedModel:
        """A checkpoint as a language model."""
        return place(load_policy(folder, precision=self.config.run.precision, tokenizer=self.tokenizer(), context=self.config.text.context))

    def scalar(self, folder: str) -> ScalarModel:
        """The reward model of a run folder."""
        model = self.runs / folder / "model"
        return place(load_scalar(model, precision=self.config.run.precision, tokenizer=self.tokenizer(), context=REWARD_TEXT.context))


def evaluate_seed(seed: Seed) -> dict[str, Any]:
    """Everything about one seed, also written to `evaluation.json` in its folder."""
    evaluation = evaluate_rewards(seed) | evaluate_policies(seed) | {"text": evaluate_text(seed)}
    write_json(seed.runs / "evaluation.json", evaluation)
    return evaluation


def evaluate_rewards(seed: Seed) -> dict[str, Any]:
    """Pairwise accuracy of both reward models on the test rankings, beside length only and a bag of words, on the same pairs."""
    tokenizer, config = seed.tokenizer(), replace(seed.config, text=REWARD_TEXT)
    records = {split: fitting(read_split(seed.data("rankings"), split, Ranking), tokenizer) for split in ("train", "valid", "test")}
    items, _ = load_rankings(records["test"], tokenizer, REWARD_TEXT)
    demonstrations, _ = load_demonstrations(read_split(seed.data("demonstrations"), "test", Demonstration), tokenizer, seed.config.text)
    reports: dict[str, Any] = {}
    hits: dict[str, Any] = {}
    for name in ("reward", "reward_held_out"):
        model = seed.scalar(name)
        scored = score_rankings(model, items, config, pad_id=tokenizer.pad_id)
        on_demonstrations = score_sequences(model, [rendered.ids for rendered in demonstrations], config, pad_id=tokenizer.pad_id)
        reports[name] = reward_report(items, scored, on_demonstrations)
        hits[name] = pair_hits(margins(items, scored))
    pairs = {split: text_pairs(rows) for split, rows in records.items()}
    prompts = [pair.prompt_key for pair in pairs["test"]]
    baselines: dict[str, Any] = {}
    for name, baseline in _baselines(pairs).items():
        hit_P = baseline_hits(baseline, pairs["test"])
        baselines[name] = asdict(bootstrap_mean(hit_P, prompts))
        baselines[f"over_{name}"] = asdict(bootstrap_difference(hits["reward"], hit_P, prompts))
    return {**reports, "baselines": baselines}


def evaluate_policies(seed: Seed) -> dict[str, Any]:
    """One answer per test prompt and policy at temperature 1: scores by both reward models, KL to the start, lengths."""
    tokenizer, config = seed.tokenizer(), seed.config
    prompts = load_prompts(read_split(seed.data("prompts"), "test", Prompt), tokenizer, config.text)
    scorers = {name: reward_model_score(seed.scalar(folder), config.run) for name, folder in (("reward", "reward"), ("held_out", "reward_held_out"))}
    start = seed.policy(POLICIES["start"])
    keys = [split_key(record) for record in prompts.records]
    policies: dict[str, Any] = {}
    scores: dict[tuple[str, str], NDArray[Any]] = {}
    shown: list[dict[str, str]] = [{"prompt": record.text} for record in prompts.records[:SHOWN]]
    for name, folder in POLICIES.items():
        policy = seed.policy(folder)
        rollout = answer(policy, prompts.ids, config, tokenizer, seed=seed.number)
        for scorer, score in scorers.items():
            scores[name, scorer] = score(rollout).double().numpy()
        policies[name] = {
            "score": asdict(bootstrap_mean(scores[name, "reward"], keys)),
            "held_out_score": asdict(bootstrap_mean(scores[name, "held_out"], keys)),
            "kl_to_start": asdict(bootstrap_mean(kl_per_answer(policy, start, rollout, config.run).numpy(), keys)),
            "response_tokens": float(rollout.mask_BR.sum(1).double().mean()),
            "ended_share": float(rollout.ended_B.double().mean()),
        }
        for row, text in zip(shown, texts(rollout[slice(0, SHOWN)], tokenizer)[1], strict=True):
            row[name] = text
    gains = {
        f"{name}_{scorer}": asdict(bootstrap_difference(scores[name, scorer], scores["start", scorer], keys))
        for name in ("ppo", "ppo_ptx")
        for scorer in scorers
    }
    return {"policies": policies, "gain_over_start": gains, "answers": shown}


def evaluate_text(seed: Seed) -> dict[str, float]:
    """Mean −log p per token of the same held-out text under a trigram model, the base and every policy, in nats."""
    tokenizer, config = seed.tokenizer(), seed.config
    train, test = (token_stream(read_split(seed.data("documents"), split, Document), tokenizer, cache=token_cache()) for split in ("train", "test"))
    rows_BT = test.spaced(rows=TEST_ROWS, length=ROW)
    trigram = train_trigram(np.asarray(train.tokens), vocab=len(tokenizer))
    # The trigram reads the two tokens before each as the models do, so that the first two of a row are nobody's target.
    losses = {"trigram": float(np.mean([trigram.mean_nll(row.numpy()) for row in rows_BT]))}
    losses["base"] = text_loss(seed.language_model(seed.root / "base" / "model"), rows_BT, config)
    return losses | {name: text_loss(seed.policy(folder), rows_BT, config) for name, folder in POLICIES.items()}


def fitting(rankings: Iterable[Ranking], tokenizer: Tokenizer) -> list[Ranking]:
    """The rankings all of whose answers fit into the reward models' room, so that every scorer is asked about the same pairs."""
    return [
        record for record in rankings if (loaded := load_rankings([record], tokenizer, REWARD_TEXT)[0]) and loaded[0].k == len(record.completions)
    ]


@torch.no_grad()
def score_sequences(model: ScalarModel, sequences: Sequence[Sequence[int]], config: Config, *, pad_id: int) -> list[float]:
    """The score at the end of each sequence."""
    scores: list[float] = []
    for start in range(0, len(sequences), config.run.micro_batch):
        rows = [torch.tensor(ids) for ids in sequences[start : start + config.run.micro_batch]]
        tokens_NT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)
        length_N = torch.tensor([len(row) for row in rows])
        with autocast(config.run.precision, device()):
            scores += model.scores_at_end(tokens_NT.to(device()), length_N.to(device())).tolist()
    return scores


def answer(policy: PreTrainedModel, prompts: Sequence[Sequence[int]], config: Config, tokenizer: Tokenizer, *, seed: int) -> Rollout:
    """One answer per prompt at temperature 1; the same seeds for every policy."""
    engine = probed_engine(policy, tokenizer, config.run)
    sampling = Sampling(max_new_tokens=config.text.max_response, stop_ids=stop_ids(policy, tokenizer))
    seeds = [derive(seed, "evaluation", row) for row in range(len(prompts))]
    return assemble(prompts, engine.generate(prompts, sampling, seeds), pad_id=tokenizer.pad_id)


@torch.no_grad()
def text_loss(policy: PreTrainedModel, rows_BT: Tensor, config: Config) -> float:
    """Mean nats per token of the rows, the first two tokens of each left out."""
    total, count = 0.0, 0
    for part in rows_BT.split(config.run.micro_batch):
        batch = rows_batch(part)
        batch.loss_mask_BT[:, :2] = False
        nll_N = target_nll(policy, batch, config.run)
        total, count = total + float(nll_N.double().sum()), count + nll_N.numel()
    return total / count


def _baselines(pairs: Mapping[str, Sequence[TextPair]]) -> dict[str, Baseline]:
    return {"length_only": fit_length_only(pairs["train"]), "bag_of_words": choose_bag_of_words(pairs["train"], pairs["valid"])}


def main() -> None:
    """Evaluate one seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of the real run")
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    evaluation = evaluate_seed(Seed(root=asked.root, number=asked.seed, config=on_this_machine(RECIPES["real_small"]())))
    print(f"seed {asked.seed}: reward model {evaluation['reward']['accuracy']['mean']:.3f} of test pairs, text {evaluation['text']}")


if __name__ == "__main__":
    run_script(main)

"""Every knob on one page: frozen, keyword-only, checked at birth, each with its source.

Sources: [§n], [App. n] the InstructGPT paper (arXiv 2203.02155); [Stiennon] arXiv 2009.01325 and its code; [Ziegler]
arXiv 1909.08593 and its code; [PPO] arXiv 1707.06347; [ours] chosen here, with the reason in docs/decisions.md.
Standard library only: `--help` and the labeling site read this page without torch.
"""

from dataclasses import dataclass, field
from typing import Literal

from instructloop.errors import ConfigError

Precision = Literal["bf16", "fp32", "fp64"]
Decay = Literal["cosine", "linear", "constant"]


def _require(held: bool, came: str, expected: str, remedy: str) -> None:
    if not held:
        raise ConfigError(came, expected=expected, remedy=remedy)


def _at_least(settings: object, least: float, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(value >= least, f"{name} is {value}", f"at least {least}", "raise it")


@dataclass(frozen=True, kw_only=True)
class Text:
    """How records become token ids, and how long they may be."""

    template: Literal["plain", "chat"] = "plain"
    """plain: the prompt as written, then the answer, as in the paper; chat: the tokenizer's own chat template."""
    separator: str = "\n\n"
    """Plain template: what stands between prompt and answer [ours]; the end token closes the answer and is learned."""
    context: int = 2048
    """Tokens the model may attend to [App. C]; at most the checkpoint's own limit, which is checked when it is loaded."""
    max_prompt: int = 1024
    """Longer prompts are dropped and counted [App. C.3]. Includes the separator or the chat template's own tokens."""
    max_response: int = 1024
    """Longest answer, its end token included [App. C.3]."""

    def __post_init__(self) -> None:
        _require(
            min(self.max_prompt, self.max_response) >= 1 and self.max_prompt + self.max_response <= self.context,
            f"max_prompt {self.max_prompt} + max_response {self.max_response} = {self.max_prompt + self.max_response} tokens",
            f"each at least 1, and together at most the context of {self.context}",
            f"with this response the prompt can be {max(self.context - self.max_response, 0)} at most; "
            f"with this prompt the response {max(self.context - self.max_prompt, 0)}",
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every training run shares: seed, precision, saving, guards."""

    seed: int = 0
    """Reaches every random stream by name (law D4)."""
    precision: Precision = "bf16"
    """bf16: autocast, float32 master weights, heads and log-probabilities; the paper trained in 16 bit with float32 masters [App. C]."""
    micro_batch: int = 8
    """Sequences in one forward pass; a memory knob that never changes the result (law D1)."""
    loss_chunk: int = 4096
    """Tokens whose logits exist at one time; a memory knob."""
    save_every: int = 50
    """Updates between resumable checkpoints."""
    tensorboard: bool = False
    """Also write TensorBoard event files into the run folder."""
    parity_mean: float = 0.03
    """Law A2 in bf16: largest mean |Δ log-probability| between engine and trainer; measured 0.017 on a small model."""
    parity_p999: float = 0.3
    """Law A2 in bf16: largest 99.9th percentile; measured 0.17 on a small model."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "micro_batch", "loss_chunk", "save_every")


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Adam and its learning-rate schedule."""

    lr: float
    """Peak learning rate."""
    beta1: float = 0.9
    """[App. C]"""
    beta2: float = 0.95
    """[App. C]"""
    eps: float = 1e-8
    """Not stated in the paper; PyTorch's default. PPO uses the lineage's 1e-5 [Ziegler, Stiennon]."""
    weight_decay: float = 0.0
    """Not stated; lineage default. Decoupled (AdamW), on matrices only."""
    max_grad_norm: float = 1.0
    """Not stated; 1 is the common choice [ours]."""
    decay: Decay = "cosine"
    """[App. C]: cosine for supervised training; constant for PPO."""
    final_fraction: float = 0.1
    """Where cosine or linear decay ends, as a fraction of the peak [App. C]."""
    warmup: int = 0
    """Updates (PPO: iterations) of linear warmup; none for supervised training [App. C.1]."""
    warmup_from: float = 0.1
    """Fraction of the peak at which warmup starts [App. C.4]."""

    def __post_init__(self) -> None:
        _require(self.lr > 0, f"the learning rate is {self.lr}", "more than 0", "use a positive learning rate")
        _require(0 <= self.beta1 < 1 and 0 <= self.beta2 < 1, f"Adam betas ({self.beta1}, {self.beta2})", "in [0, 1)", "the paper uses 0.9 and 0.95")
        _require(self.max_grad_norm > 0, f"max_grad_norm is {self.max_grad_norm}", "more than 0", "use a large number for no clipping")
        _require(
            self.eps > 0 and 0 <= self.final_fraction <= 1 and 0 <= self.warmup_from <= 1,
            f"eps {self.eps}, final_fraction {self.final_fraction}, warmup_from {self.warmup_from}",
            "eps above 0, both fractions in [0, 1]",
            "the defaults are the paper's or the lineage's",
        )
        _at_least(self, 0, "warmup", "weight_decay")


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """The shape of a base model made from scratch."""

    family: Literal["gpt_neox", "llama"] = "gpt_neox"
    """Both are decoder-only with full causal attention; GPT-NeoX is nearest to GPT-3."""
    layers: int = 6
    width: int = 320
    heads: int = 5
    vocab: int = 4096
    """Size of the byte-level BPE vocabulary, end and padding tokens included."""
    context: int = 512

    def __post_init__(self) -> None:
        _require(
            self.width % self.heads == 0 and (self.width // self.heads) % 2 == 0,
            f"width {self.width} with {self.heads} heads",
            "a width that divides into heads of an even size",
            f"use a width that is a multiple of {2 * self.heads}",
        )
        _require(self.vocab >= 258, f"vocab is {self.vocab}", "at least 258: 256 bytes, end and padding", "raise it")


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Step 0: a base model from text, for people who bring none."""

    shape: ModelShape = ModelShape()
    optimizer: Optimizer
    batch: int = 32
    """Packed rows in one update."""
    length: int = 256
    """Tokens in a row."""
    updates: int
    """Updates in all."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "batch", "updates")
        _at_least(self, 2, "length")
        _require(
            self.length <= self.shape.context,
            f"rows of {self.length} tokens with a context of {self.shape.context}",
            "rows that fit into the context",
            "lower length or raise shape.context",
        )


@dataclass(frozen=True, kw_only=True)
class SFT:
    """Step 1: supervised fine-tuning on demonstrations."""

    optimizer: Optimizer
    epochs: int = 16
    """[§3.5]; the start of PPO uses 2 [App. C.3]."""
    batch: int = 32
    """Examples in one update [App. C.1]."""
    residual_dropout: float = 0.2
    """On each block's attention and MLP output [§3.5], by hooks, on every architecture (law A6)."""
    loss_on: Literal["response", "all"] = "response"
    """Tokens in the loss; not stated in the paper, responses only is common practice [ours]."""
    pretraining_share: float = 0.0
    """Share of the examples of a batch that are pretraining text; 0.1 for the start of PPO [App. C.3]."""
    pretraining_length: int = 256
    """Tokens of a pretraining example; not stated in the paper [ours]."""
    pack: bool = False
    """Put several demonstrations into one row; the loss and the gradient are the same (law D1)."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "batch")
        _at_least(self, 2, "pretraining_length")
        _require(0 <= self.residual_dropout < 1, f"residual_dropout is {self.residual_dropout}", "in [0, 1)", "the paper uses 0.2")
        share = self.pretraining_share
        _require(0 <= share < 1, f"pretraining_share is {share}", "in [0, 1)", "the paper uses 0.1 for the start of PPO")
        _require(
            share == 0 or 1 <= round(self.batch * share) < self.batch,
            f"pretraining_share {share} of a batch of {self.batch} is {round(self.batch * share)} examples",
            "at least one pretraining example and one demonstration in each batch",
            "raise batch or pretraining_share",
        )


@dataclass(frozen=True, kw_only=True)
class Reward:
    """Step 2: a reward model from rankings."""

    optimizer: Optimizer
    epochs: int = 1
    """One pass; more clearly overfit [App. C.2]."""
    batch: int = 64
    """Prompts in one update, each with all of its answers [App. C.2]."""
    weight: Literal["prompt", "pair"] = "prompt"
    """Mean over prompts of the mean over a prompt's pairs, or mean over all pairs (law C6)."""
    shuffle_pairs: bool = False
    """Train on single pairs in random order instead: the practice the paper shows to overfit [§3.5]."""
    share_prompts: bool = True
    """Read a prompt once for several of its answers, none of which sees another: in rows of at most `text.context` tokens, and where that
    costs less than reading the prompt again (`data/comparisons.py`). The scores are those of answers read one by one."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "epochs", "batch")


@dataclass(frozen=True, kw_only=True)
class RewardKL:
    """The penalty β·KL(π‖π_SFT) inside the reward [Eq. 2]."""

    coef: float = 0.02
    """β [§3.5, App. C.4]; the start value when adaptive."""
    estimator: Literal["k1", "k2", "k3"] = "k1"
    """Per-token estimate: k1 = log π − log π_SFT, as in the lineage; k2 = k1²/2; k3 = e^(−k1) − 1 + k1."""
    control: Literal["fixed", "adaptive"] = "fixed"
    """fixed [App. C.4], or Ziegler's controller towards `target` [Ziegler §2.2]."""
    target: float = 6.0
    """Adaptive: nats per sequence [Ziegler]."""
    horizon: int = 10_000
    """Adaptive: episodes over which the coefficient adjusts [Ziegler]."""

    def __post_init__(self) -> None:
        _require(self.coef >= 0, f"the reward KL coefficient is {self.coef}", "0 or more", "the paper uses 0.02")
        _require(self.target > 0 and self.horizon > 0, f"target {self.target}, horizon {self.horizon}", "both above 0", "Ziegler uses 6 and 10000")


@dataclass(frozen=True, kw_only=True)
class TrustRegion:
    """What keeps one update near the policy that sampled: independent of the reward's KL (law C5)."""

    kind: Literal["clip", "penalty"] = "clip"
    """clip [App. C.4]: the ratio is clipped; penalty [PPO §4]: a loss term coef·KL(π_old‖π) and no clipping."""
    clip: float = 0.2
    """[App. C.4]"""
    coef: float = 1.0
    """Penalty: start value β' [PPO §4]."""
    adapt: bool = True
    """Penalty: halve or double the coefficient when the KL leaves target/1.5 … 1.5·target [PPO §4]."""
    target: float = 0.01
    """Penalty: nats per token [PPO §6.1]."""

    def __post_init__(self) -> None:
        _require(0 < self.clip < 1, f"the clip range is {self.clip}", "between 0 and 1", "the paper uses 0.2")
        _require(self.coef > 0 and self.target > 0, f"coef {self.coef}, target {self.target}", "both above 0", "see the PPO paper, section 4")


@dataclass(frozen=True, kw_only=True)
class PPO:
    """Step 3: PPO against the reward model; `ptx_coef` > 0 makes it PPO-ptx."""

    optimizer: Optimizer
    """Policy."""
    value_optimizer: Optimizer
    """Value network; LR 9e-6 [App. C.4]."""
    kl: RewardKL = RewardKL()
    trust_region: TrustRegion = TrustRegion()
    iterations: int = 500
    """256k episodes / 512 [App. C.4]."""
    episodes: int = 512
    """Episodes sampled in an iteration [App. C.4]."""
    minibatches: int = 8
    """Updates made from one iteration's episodes [App. C.4]."""
    inner_epochs: int = 1
    """Passes over an iteration's episodes [App. C.4]."""
    gamma: float = 1.0
    """No discount [App. C.4]."""
    lam: float = 0.95
    """GAE λ; not stated in the paper [Stiennon]."""
    temperature: float = 1.0
    """[App. C.4]; divides the logits of policy and reference alike (law A4)."""
    value_clip: float = 0.2
    """Not stated in the paper [Stiennon]."""
    value_warmup: int = 0
    """Iterations at the start in which the value network learns alone; none in the paper. It starts as the reward model, which knows
    what a whole answer scores and not what a beginning is worth [ours]."""
    whiten_rewards: bool = False
    """Divide the shaped rewards by their standard deviation; off [law C2]."""
    missing_end: Literal["replace", "min", "add", "off"] = "min"
    """Score of an answer that hit the cap: replaced as in the lineage, or min(score, missing_end_score) [ours, law B5]."""
    missing_end_score: float = -1.0
    """[Ziegler, Stiennon]"""
    ptx_coef: float = 0.0
    """γ_ptx: weight of the mean loss per pretraining token beside the mean loss per response token; see `step3_ppo.update`."""
    ptx_ratio: int = 8
    """Pretraining examples per episode [App. C.4]."""
    ptx_length: int = 256
    """Tokens of a pretraining example; not stated in the paper [ours]."""
    ema: float = 0.992
    """Decay of the averaged weights per optimizer step [App. C.4]; 0 keeps no average."""
    old_logprobs: Literal["trainer", "engine"] = "trainer"
    """Which pass defines π_old; engine only in float32 or float64 (law A1)."""
    importance_cap: float = 0.0
    """Weigh each token's policy loss by min(π_old/π_engine, cap), for engines that round otherwise than the trainer; 0 is off."""
    valid_every: int = 10
    """Iterations between looks at the validation prompts and the held-out text."""
    valid_prompts: int = 128
    """Validation prompts answered at each look."""
    samples_every: int = 10
    """Iterations between entries of samples.jsonl."""

    def __post_init__(self) -> None:
        _at_least(self, 1, "iterations", "inner_epochs", "minibatches", "episodes", "ptx_ratio", "valid_every", "valid_prompts", "samples_every")
        _at_least(self, 2, "ptx_length")
        _at_least(self, 0, "ptx_coef", "importance_cap", "value_warmup")
        _require(
            self.episodes % self.minibatches == 0,
            f"{self.episodes} episodes in {self.minibatches} minibatches",
            "a number of episodes that the minibatches divide",
            "the paper uses 512 in 8",
        )
        _require(0 < self.gamma <= 1 and 0 <= self.lam <= 1, f"gamma {self.gamma}, lam {self.lam}", "(0, 1] and [0, 1]", "the paper uses gamma 1")
        _require(self.temperature > 0, f"the rollout temperature is {self.temperature}", "more than 0", "the paper uses 1")
        _require(self.value_clip > 0, f"value_clip is {self.value_clip}", "more than 0", "the lineage uses 0.2")
        _require(0 <= self.ema < 1, f"ema is {self.ema}", "in [0, 1)", "the paper uses 0.992; 0 keeps no average")


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole recipe: what the three steps of the paper's figure need."""

    text: Text = Text()
    run: Run = field(default_factory=Run)
    pretrain: Pretrain
    sft: SFT
    """The SFT model people compare against [App. C.1]."""
    sft_ptx_init: SFT
    """The start and KL reference of PPO: its own SFT, with pretraining text mixed in [App. C.3]."""
    reward: Reward
    ppo: PPO

    def __post_init__(self) -> None:
        _require(
            not (self.ppo.old_logprobs == "engine" and self.run.precision == "bf16"),
            "old_logprobs 'engine' with precision 'bf16'",
            "π_old from the trainer's own pass in bf16: the engine's values differ by up to 0.3 nats (law A1)",
            "set ppo.old_logprobs to 'trainer' or run.precision to 'fp32'",
        )

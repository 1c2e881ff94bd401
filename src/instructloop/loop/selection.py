"""Which epoch of an SFT run to keep: the one whose answers the reward model likes best (paper §3.5).

Every checkpoint answers the same validation prompts with the same seeds at temperature 1. The paper chose its SFT models so,
because reward scores go with people's preferences, and validation loss, which overfits after one epoch, does not.

    run/
      select.json    figures of every epoch
      selected/      the chosen checkpoint
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from torch import Tensor

from instructloop.algo.seeds import derive
from instructloop.config import Run, Text
from instructloop.data.prompts import PromptSet, load_prompts
from instructloop.errors import CheckpointError, ConfigError, DataError
from instructloop.evals.statistics import Interval, bootstrap_mean
from instructloop.loop.recorded import closing_figures, recorded
from instructloop.model.checkpoint import copy_checkpoint_dir, load_manifest
from instructloop.model.policy import load_policy
from instructloop.model.pretrained import stop_ids
from instructloop.model.scalar import load_scalar
from instructloop.protocols import Sampling
from instructloop.records import Prompt
from instructloop.rollout.batch import Rollout, assemble
from instructloop.steps.device import native_precision, place
from instructloop.steps.laws import probed_engine
from instructloop.steps.progress import Progress
from instructloop.steps.provenance import model_identity, require_same_rendering
from instructloop.steps.running import write_json
from instructloop.steps.scoring import reward_model_score
from instructloop.store.snapshots import open_snapshot, read_split
from instructloop.store.splits import split_key
from instructloop.text.tokenizer import Tokenizer, load_tokenizer, require_same


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an epoch's answers are worth."""

    epoch: int
    valid_loss: float
    score: Interval
    """Mean reward-model score; the interval is over prompts."""
    mean_tokens: float
    """Tokens of an answer, the end token included."""
    ended_share: float
    """Share of the answers that end by themselves."""


@dataclass(frozen=True, kw_only=True)
class SelectionInputs:
    """What the selection reads."""

    run: Path
    """Run folder of a finished SFT."""
    reward: str
    """Directory or hub id of the reward model."""
    prompts: Path
    """Snapshot of prompts."""
    split: str = "valid"
    max_prompts: int = 512
    """Prompts answered: the first ones that fit."""


def select_epoch(inputs: SelectionInputs) -> Path:
    """Judge every epoch, copy the best to `selected/` and return that folder; of equals the earlier."""
    manifest, losses = load_manifest(inputs.run), _valid_losses(inputs.run)
    if inputs.max_prompts < 1:
        raise ConfigError(f"max_prompts is {inputs.max_prompts}", expected="at least 1", remedy="raise it")
    text, settings = recorded(Text, "text", manifest), recorded(Run, "run", manifest)
    settings = replace(settings, precision=native_precision(settings.precision))
    snapshot = open_snapshot(inputs.prompts)
    folders = [inputs.run / "epochs" / f"epoch-{epoch:02d}" for epoch in range(1, len(losses) + 1)]
    jury = Jury.load(inputs, text, settings, load_tokenizer(folders[0]))

    judged: list[Judged] = []
    with Progress("select", total=len(folders)) as progress:
        for epoch, (folder, loss) in enumerate(zip(folders, losses, strict=True), start=1):
            judged.append(jury.judge(folder, epoch=epoch, valid_loss=loss))
            progress.advance(epoch)

    best = max(judged, key=lambda epoch: epoch.score.mean)
    selected = inputs.run / "selected"
    copy_checkpoint_dir(folders[best.epoch - 1], selected)
    source = {"reward": model_identity(inputs.reward), "prompts": snapshot.id, "split": inputs.split, "num_prompts": len(jury.prompts)}
    write_json(inputs.run / "select.json", {**source, "best_epoch": best.epoch, "epochs": [asdict(epoch) for epoch in judged]})
    _print_epochs(judged, best)
    return selected


@dataclass(frozen=True)
class Jury:
    """Prompts and the reward model that reads the answers to them: the same for every epoch."""

    prompts: PromptSet
    tokenizer: Tokenizer
    score: Callable[[Rollout], Tensor]
    text: Text
    settings: Run

    @classmethod
    def load(cls, inputs: SelectionInputs, text: Text, settings: Run, tokenizer: Tokenizer) -> "Jury":
        """Raises `CheckpointError` unless the reward model reads the ids that the policies write, `DataError` without prompts."""
        require_same_rendering(text, {"reward model": inputs.reward})
        require_same(tokenizer, load_tokenizer(inputs.reward), ("policy", "reward model"))
        prompts = load_prompts(read_split(inputs.prompts, inputs.split, Prompt), tokenizer, text)
        print(prompts.dropped)
        if not prompts.ids:
            raise DataError(f"no prompt of {inputs.prompts} fits", expected=f"prompts of at most {text.max_prompt} tokens", remedy="give others")
        reward = place(load_scalar(inputs.reward, precision=settings.precision, tokenizer=tokenizer, context=text.context))
        first = PromptSet(prompts.ids[: inputs.max_prompts], prompts.records[: inputs.max_prompts], prompts.dropped)
        return cls(first, tokenizer, reward_model_score(reward, settings), text, settings)

    def judge(self, folder: Path, *, epoch: int, valid_loss: float) -> Judged:
        """Let the checkpoint in `folder` answer, and score what it says."""
        policy = place(load_policy(folder, precision=self.settings.precision, tokenizer=self.tokenizer, context=self.text.context))
        engine = probed_engine(policy, self.tokenizer, self.settings)
        sampling = Sampling(max_new_tokens=self.text.max_response, stop_ids=stop_ids(policy, self.tokenizer))
        seeds = [derive(self.settings.seed, "select", prompt.id) for prompt in self.prompts.records]
        rollout = assemble(self.prompts.ids, engine.generate(self.prompts.ids, sampling, seeds), pad_id=self.tokenizer.pad_id)
        return Judged(
            epoch=epoch,
            valid_loss=valid_loss,
            score=bootstrap_mean(self.score(rollout).tolist(), [split_key(prompt) for prompt in self.prompts.records]),
            mean_tokens=float(rollout.mask_BR.sum(1).double().mean()),
            ended_share=float(rollout.ended_B.double().mean()),
        )


def _valid_losses(run: Path) -> list[float]:
    """The validation loss of each epoch of a finished SFT."""
    losses = closing_figures(run).get("valid_losses")
    if not isinstance(losses, list) or not losses or not all(isinstance(loss, int | float) for loss in losses):
        raise CheckpointError(
            f"{run} is no finished SFT run",
            expected="a run of `instructloop sft` with its epochs",
            remedy="correct the path, or finish the run first",
        )
    return losses


def _print_epochs(judged: Sequence[Judged], best: Judged) -> None:
    table = Table(title="Epochs by reward-model score on validation prompts")
    for column in ("epoch", "valid loss", "mean score [95 % interval]", "mean tokens", "ended"):
        table.add_column(column, justify="right")
    for epoch in judged:
        figures = (f"{epoch.valid_loss:.4f}", str(epoch.score), f"{epoch.mean_tokens:.1f}", f"{epoch.ended_share:.0%}")
        table.add_row(f"{epoch.epoch}", *figures, style="bold" if epoch is best else None)
    Console().print(table)

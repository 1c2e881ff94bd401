"""Throughput of pretraining, as a share of what this machine's matrix products reach, and where the rest of the time goes.

    python benchmarks/pretraining.py --layers 6 --width 320 --heads 5 --vocab 4096

With these sizes, the defaults, the model has about 9 million weights. Updates are those of `instructloop pretrain`, on random
tokens; the median of `--updates` of them counts, after one to warm up. The peak is measured before and after, because other
work on the machine moves it. Then comes one update by operator: the `--profile` ones that take the most time.
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import random
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import PreTrainedModel

from instructloop.config import ModelShape, Optimizer, Run
from instructloop.model.policy import new_policy
from instructloop.model.pretrained import vocabulary_rows
from instructloop.steps.device import place
from instructloop.steps.language import accumulate_language_loss, count_targets, rows_batch, tokens_of
from instructloop.steps.optimization import make_optimizer, optimizer_step
from instructloop.steps.throughput import measure_throughput
from instructloop.text.tokenizer import Tokenizer, train_tokenizer


def main() -> None:
    """Measure and print."""
    args = _arguments()
    shape = ModelShape(family=args.family, layers=args.layers, width=args.width, heads=args.heads, vocab=args.vocab, context=args.length)
    run = Run(precision=args.precision, micro_batch=args.micro_batch)
    policy = place(new_policy(shape, _tokenizer(args.vocab), seed=0))
    update = _update(policy, run, rows=args.batch, length=args.length)
    update()

    measured = {"tokens": args.batch * args.length, "length": args.length, "precision": args.precision}
    before = measure_throughput(policy, seconds=1.0, **measured)
    after = measure_throughput(policy, seconds=median(_seconds(update) for _ in range(args.updates)), **measured)
    weights = sum(parameter.numel() for parameter in policy.parameters())
    print(f"{args.family}, {weights / 1e6:.1f} M weights, {args.batch} rows of {args.length} tokens, {torch.get_num_threads()} threads")
    print(after)
    print(f"the peak was {before.peak / 1e9:,.0f} GFLOP/s before the updates")
    if args.profile:
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            update()
        print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=args.profile, max_name_column_width=50))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"layers": 6, "width": 320, "heads": 5, "vocab": 4096, "length": 256, "batch": 32, "micro-batch": 16, "updates": 8, "profile": 15}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--family", choices=("gpt_neox", "llama"), default="gpt_neox")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def _update(policy: PreTrainedModel, run: Run, *, rows: int, length: int) -> Callable[[], None]:
    """One optimizer step on rows of random tokens, as step 0 takes it."""
    cfg = Optimizer(lr=1e-4)
    optimizer = make_optimizer(policy, cfg)
    vocab = vocabulary_rows(policy)

    def update() -> None:
        batches = [rows_batch(part) for part in torch.randint(vocab, (rows, length)).split(run.micro_batch)]
        accumulate_language_loss(policy, batches, run, count=count_targets(batches))
        optimizer_step(optimizer, cfg, lr_step=0, total=1, batch=tokens_of(batches))

    return update


def _tokenizer(vocab: int) -> Tokenizer:
    """A vocabulary of about this size, learned from made-up words."""
    draw = random.Random(0)
    words = ["".join(draw.choices("aeiounrstlm", k=draw.randint(4, 9))) for _ in range(2 * vocab)]
    return train_tokenizer([" ".join(words)], vocab=vocab)


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

"""Decoding speed of the engine beside transformers' `generate`, in one process, turn by turn.

    python benchmarks/rollout.py --rows 64 --prompt 64 --new 64

Prints tokens per second of both, their ratio, and the speed of a matrix product on this machine, since other work on
it moves all three. Both sample at temperature 1 without truncation and without a stop id.
"""

# ruff: noqa: T201  what it is for is what it prints

import argparse
import time
from collections.abc import Callable

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from instructloop.protocols import Sampling
from instructloop.rollout.engine import LocalEngine


def main() -> None:
    """Measure and print."""
    args = _arguments()
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=args.vocab, hidden_size=args.width, num_hidden_layers=args.layers, num_attention_heads=args.width // 64,
        intermediate_size=4 * args.width, max_position_embeddings=args.prompt + args.new, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[args.precision]
    policy = GPTNeoXForCausalLM(config).eval()
    engine = LocalEngine(policy, pad_id=0, slots=args.rows, precision=args.precision)
    policy = policy.to(dtype)
    prompts_BT = torch.randint(0, args.vocab, (args.rows, args.prompt))
    ours, theirs = _engine_run(engine, prompts_BT, args.new), _generate_run(policy, prompts_BT, args.new)
    _seconds(ours), _seconds(theirs)
    times = [(_seconds(ours), _seconds(theirs)) for _ in range(args.repeats)]
    best_ours, best_theirs = (min(column) for column in zip(*times, strict=True))
    tokens = args.rows * args.new
    print(f"engine                {best_ours:6.2f} s   {tokens / best_ours:8.0f} new tokens/s")
    print(f"transformers.generate {best_theirs:6.2f} s   {tokens / best_theirs:8.0f} new tokens/s")
    print(f"ratio {best_theirs / best_ours:.2f}   (best of {args.repeats}, {args.precision}, {torch.get_num_threads()} threads)")
    print(f"matrix product {_product_speed(dtype):.0f} GFLOP/s {args.precision}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"layers": 6, "width": 320, "vocab": 4096, "rows": 64, "prompt": 64, "new": 64, "repeats": 4}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    return parser.parse_args()


def _engine_run(engine: LocalEngine, prompts_BT: torch.Tensor, new: int) -> Callable[[], object]:
    prompts, seeds = prompts_BT.tolist(), range(len(prompts_BT))
    return lambda: engine.generate(prompts, Sampling(max_new_tokens=new), seeds)


def _generate_run(policy: GPTNeoXForCausalLM, prompts_BT: torch.Tensor, new: int) -> Callable[[], object]:
    attention_BT = torch.ones_like(prompts_BT)
    return lambda: policy.generate(
        prompts_BT, attention_mask=attention_BT, do_sample=True, top_k=0, max_new_tokens=new, min_new_tokens=new, pad_token_id=0
    )


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _product_speed(dtype: torch.dtype, size: int = 1024) -> float:
    matrix = torch.randn(size, size).to(dtype)
    return 2 * size**3 / min(_seconds(lambda: matrix @ matrix) for _ in range(20)) / 1e9


if __name__ == "__main__":
    main()

"""The one table that the demo prints, and the words below it."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from instructloop.evals.plain_words import fixed, plain_words
from instructloop.evals.results import MODEL_NAMES, Results

COLUMNS = ("model", "win rate vs SFT", "score", "gold", "KL", "tokens", "text loss")


def results_table(results: Results) -> Table:
    """One row for each model, 80 columns wide; shares with their 95 % intervals, nats for KL and for the loss on pretraining text."""
    table = Table(
        title="Judged by simulated people",
        title_justify="left",
        caption_justify="left",
        caption=_caption(results),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for name, model in results.models:
        rate = model.win_rate_vs_sft
        table.add_row(
            MODEL_NAMES[name],
            str(rate) if rate else "0.500 by definition",
            fixed(model.score, 2),
            fixed(model.gold, 3),
            "–" if model.kl is None else fixed(model.kl, 2),
            f"{model.response_tokens:.1f}",
            f"{model.pretraining_loss:.3f}",
        )
    return table


def print_results(console: Console, results: Results) -> None:
    """The table, then the plain words: the headline and a line for each finding."""
    console.print(results_table(results))
    first, *others = plain_words(results)
    console.print(first, style="bold", highlight=False)
    for sentence in others:
        console.print(f"- {sentence}", highlight=False)


def _caption(results: Results) -> str:
    reward = results.reward_model
    return (
        f"reward model {reward.interval}; simulated labelers agree on {reward.labeler_agreement:.3f};\n"
        f"length only {reward.length_only:.3f}; bag of words {reward.bag_of_words:.3f}; text loss is that on pretraining text\n"
        f"{sum(results.seconds.values()):.0f} s in {len(results.seconds)} timed stages at {results.gflops_bf16:.0f} GFLOP/s, "
        f"{results.peak_rss_mb:.0f} MB at the peak, seed {results.seed}"
    )

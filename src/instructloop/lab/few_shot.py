"""Few-shot prompts for the base: worked examples before the prompt, in the layout of the pretraining text's worked pages."""

from collections.abc import Sequence

SEPARATOR = ""
"""What stands between a few-shot prompt and its answer: the prompt ends where the answer begins."""


def worked(prompt: str, answer: str) -> str:
    """A task and its answer."""
    return f"{_posed(prompt)}{answer}"


def few_shot(prompt: str, prefix: str) -> str:
    """The text after which a base model answers the prompt; `cut` ends its answer."""
    return f"{prefix}\n\n{_posed(prompt)}"


def cut(answer: str) -> str:
    """The answer alone: what comes before the next task."""
    return answer.split("\n\n", 1)[0].strip()


def _posed(prompt: str) -> str:
    return f"Task: {prompt}\nAnswer:\n"


def _prefix(*examples: tuple[str, str]) -> str:
    return "\n\n".join(worked(prompt, answer) for prompt, answer in examples)


PREFIXES: Sequence[str] = (
    _prefix(
        ("Write a story about a dog who finds a ball. Use two sentences.", "One day a dog found a ball in the park. It took the ball home."),
        ("Name three fruits.", "Apple, pear and plum."),
        ('Tom says: "I am hungry." Write a kind reply.', "You could eat some soup, Tom."),
    ),
    _prefix(
        ("What does the cow eat?", "The cow eats grass."),
        ("Write a letter in which Max thanks Anna for the hat.", "Dear Anna,\nThank you for the hat. It is very nice.\nYour friend,\nMax"),
        ("Write the sentence again, but about Emma.\nBen lost his key.", "Emma lost her key."),
    ),
    _prefix(
        ("Tell me a story about Lily and a kite.", "Yesterday Lily made a kite. She showed the kite to Leo."),
        ("Write down two colours.", "Red and green."),
    ),
)
"""Worked examples of training prompts, right in every detail."""

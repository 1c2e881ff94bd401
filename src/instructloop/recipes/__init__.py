"""Functions that return a complete Config. Standard library only.

tiny          seconds on any machine: tests, and the shape of the loop
demo          two CPU cores and the small world of the lab: `instructloop demo`
real_small    two CPU cores and real human data: runs/real_small.sh
paper_*       the paper's settings at its three sizes (App. C)
"""

from collections.abc import Callable, Mapping

from instructloop.config import Config
from instructloop.recipes.demo import demo
from instructloop.recipes.paper import paper_1p3b, paper_6b, paper_175b
from instructloop.recipes.small import real_small, tiny

RECIPES: Mapping[str, Callable[[], Config]] = {
    "tiny": tiny,
    "demo": demo,
    "real_small": real_small,
    "paper_1p3b": paper_1p3b,
    "paper_6b": paper_6b,
    "paper_175b": paper_175b,
}
"""Name on the command line -> recipe."""

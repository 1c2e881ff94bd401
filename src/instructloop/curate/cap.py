"""At most so many prompts of one user (paper §3.2: 200), chosen so that new data never reshuffles old."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import nsmallest

from instructloop.curate.verdicts import Removed, Verdict
from instructloop.records import Prompt


def capped(prompts: Iterable[Prompt], per_user: int) -> Iterator[Verdict]:
    """Of each user's prompts those `per_user` stay whose ids hash smallest: another file order keeps the same ones, and a new
    prompt can only take the place of one."""
    prompts = list(prompts)
    ids_of: dict[str, list[str]] = defaultdict(list)
    for prompt in prompts:
        ids_of[prompt.user_id].append(prompt.id)
    over = {user: frozenset(nsmallest(per_user, ids, key=rank)) for user, ids in ids_of.items() if len(ids) > per_user}
    for prompt in prompts:
        chosen = over.get(prompt.user_id)
        if chosen is None or prompt.id in chosen:
            yield prompt
        else:
            yield Removed(prompt, f"beyond {per_user} of one user", f"the user has {len(ids_of[prompt.user_id])}")


def rank(prompt_id: str) -> tuple[bytes, str]:
    """Where a prompt stands among its user's: the SHA-256 of its id, of equal ones the id."""
    return hashlib.sha256(prompt_id.encode("utf-8", "surrogatepass")).digest(), prompt_id

"""What came of each round, read from the store, the snapshots and the run folders."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from instructloop.curate.funnel import StageReport
from instructloop.errors import DataError
from instructloop.evals.report.rounds_page import Rate, RoundFigures, RoundsReport
from instructloop.loop.recorded import closing_figures
from instructloop.records import Ranking, Rating
from instructloop.steps.provenance import model_identity
from instructloop.store.database.labels import training_demonstrations, training_prompts, training_ratings
from instructloop.store.database.lineage import Places, trace
from instructloop.store.database.opening import Store
from instructloop.store.snapshots import open_snapshot, read_split


@dataclass(frozen=True, kw_only=True)
class RoundFolders:
    """Where one round has left what it made."""

    rankings: Path
    """Snapshot of all rankings so far."""
    reward: Path
    ppo: Path
    """Run folders."""


def gather(store: Store, curation: Path, rounds: Sequence[RoundFolders]) -> RoundsReport:
    """The figures of a loop; raises `DataError` or `CheckpointError` where a part of it is absent."""
    prompts = [one.record for one in training_prompts(store, None)]
    users = Counter(prompt.user_id for prompt in prompts if prompt.source == "playground")
    ratings = [one.record for one in training_ratings(store, None)]
    figures: list[RoundFigures] = []
    before: set[tuple[str, ...]] = set()
    for number, folders in enumerate(rounds, start=1):
        rankings = _rankings(folders.rankings)
        new = [ranking for ranking in rankings if _key(ranking) not in before]
        before |= {_key(ranking) for ranking in rankings}
        figures.append(_figures(store, number, folders, rankings, new, ratings))
    return RoundsReport(
        written=sum(prompt.source == "labeler" for prompt in prompts),
        asked={f"user {place}": count for place, count in enumerate(users.values(), start=1)},
        demonstrations=sum(1 for _ in training_demonstrations(store, None)),
        funnel=read_funnel(curation),
        rounds=figures,
    )


def read_funnel(curation: Path) -> list[StageReport]:
    """The stages of a curation, as its folder tells them."""
    path = curation / "funnel.json"
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["stages"]
        return [StageReport(**{name: value for name, value in row.items() if name != "removed"}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}", expected="the folder of a curation", remedy="name another one") from error


def agreement(rankings: Iterable[Ranking]) -> Rate:
    """Of pairs of answers that two people both put in an order, the share that they put in the same one, over all pairs of people."""
    by_question: defaultdict[tuple[str, ...], list[Ranking]] = defaultdict(list)
    for ranking in rankings:
        by_question[(ranking.prompt.id, *sorted(completion.id for completion in ranking.completions))].append(ranking)
    agreed = [hit for same in by_question.values() for first, second in combinations(same, 2) for hit in _hits(first, second)]
    return Rate(mean=fmean(agreed) if agreed else None, n=len(agreed))


def _hits(first: Ranking, second: Ranking) -> Iterable[bool]:
    ranks = [dict(zip((one.id for one in ranking.completions), ranking.ranks, strict=True)) for ranking in (first, second)]
    for a, b in combinations(ranks[0], 2):
        orders = [rank[a] - rank[b] for rank in ranks]
        if all(orders):
            yield (orders[0] < 0) == (orders[1] < 0)


def _figures(
    store: Store, number: int, folders: RoundFolders, rankings: Sequence[Ranking], new: Sequence[Ranking], ratings: Sequence[Rating]
) -> RoundFigures:
    reward, ppo = closing_figures(folders.reward), closing_figures(folders.ppo)
    lines = [json.loads(line) for line in (folders.ppo / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = {(one.prompt_id, one.id): one.model_id or "unknown" for ranking in new for one in ranking.completions}
    lineage = trace(folders.ppo / "model", Places(store, (), model_identity))
    return RoundFigures(
        number=number,
        users=len(lineage.users),
        new_rankings=len(new),
        rankings=len(rankings),
        ranked_prompts=len({ranking.prompt.id for ranking in new}),
        answers=Counter(answers.values()),
        likert=_likert(answers, ratings),
        agreement=agreement(new),
        reward_accuracy=Rate(mean=reward["valid_accuracy"], n=round(reward["valid_pairs"])),
        score=[line["score"] for line in lines],
        kl=[line["kl"] for line in lines],
        valid_score=ppo["valid_score"],
        valid_kl=ppo["valid_kl"],
    )


def _likert(answers: Mapping[tuple[str, str], str], ratings: Sequence[Rating]) -> dict[str, Rate]:
    given: defaultdict[str, list[int]] = defaultdict(list)
    for rating in ratings:
        if model := answers.get((rating.completion.prompt_id, rating.completion.id)):
            given[model].append(rating.likert)
    return {model: Rate(mean=fmean(values), n=len(values)) for model, values in given.items()}


def _rankings(snapshot: Path) -> list[Ranking]:
    return [ranking for split in open_snapshot(snapshot).counts for ranking in read_split(snapshot, split, Ranking)]


def _key(ranking: Ranking) -> tuple[str, ...]:
    return (ranking.prompt.id, ranking.labeler_id, *sorted(completion.id for completion in ranking.completions))

"""What people do in `runs/human_loop.sh`, and the report at its end.

python -m instructloop.loop.rounds texts|join|bootstrap|ask|choose|demonstrate|rank|report --store STORE …
"""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import tyro

from instructloop.errors import ConfigError
from instructloop.evals.report.rounds_page import write_rounds_report
from instructloop.lab.documents import documents
from instructloop.loop.rounds import people
from instructloop.loop.rounds.asking import PageUser, ask_by_api
from instructloop.loop.scripts import run_script
from instructloop.store.database.freezing import register_snapshot
from instructloop.store.database.opening import Store, open_store
from instructloop.store.jsonl import write_records
from instructloop.store.snapshots import freeze


@dataclass(frozen=True, kw_only=True)
class Act(ABC):
    """Something that people do."""

    store: Path
    seed: int = 0

    @abstractmethod
    def perform(self, store: Store) -> str:
        """Do it, and say in a line what was done."""


@dataclass(frozen=True, kw_only=True)
class Texts(Act):
    """Write text of the small world, for the pretraining term."""

    count: int
    out: Path

    def perform(self, store: Store) -> str:
        """Do it."""
        return f"{write_records(self.out, islice(documents(self.seed), self.count)):,} texts in {self.out}"


@dataclass(frozen=True, kw_only=True)
class Join(Act):
    """Make accounts and API keys, and write down, in NAME.json, what each user will ask, and their key in NAME.key."""

    out: Path
    flood: int = people.USERS["max"]
    """Prompts of the user who asks too much."""

    def perform(self, store: Store) -> str:
        """Do it."""
        self.out.mkdir(parents=True, exist_ok=True)
        users = people.join(store, self.seed, {**people.USERS, "max": self.flood})
        for user in users:
            (self.out / f"{user.name}.json").write_text(json.dumps(asdict(user)))
            (self.out / f"{user.name}.key").write_text(user.key)
        return f"labelers {', '.join(people.LABELERS)}; users {', '.join(user.name for user in users)}"


@dataclass(frozen=True, kw_only=True)
class Bootstrap(Act):
    """Labelers write prompts, and answer those of one another."""

    count: int

    def perform(self, store: Store) -> str:
        """Do it."""
        return f"{people.bootstrap(store, self.seed, self.count)} demonstrations"


@dataclass(frozen=True, kw_only=True)
class Ask(Act):
    """A user asks what they have to ask: through the API, or as the script of the page does."""

    user: Path
    """Their NAME.json."""
    address: str
    model: str
    page: bool = False
    max_tokens: int = 24

    def perform(self, store: Store) -> str:
        """Do it."""
        user = people.User(**json.loads(self.user.read_text()))
        if not self.page:
            return f"{user.name}: {sum(1 for _ in ask_by_api(self.address, user.key, self.model, user.prompts, max_tokens=self.max_tokens))} answers"
        browser = PageUser(self.address)
        browser.log_in(user.name, people.PASSWORD)
        return f"{user.name}: {len([browser.ask(self.model, prompt, max_tokens=self.max_tokens) for prompt in user.prompts])} answers on the page"


@dataclass(frozen=True, kw_only=True)
class Choose(Act):
    """Freeze some of the curated prompts: those that are demonstrated, or ranked in one round."""

    prompts: Path
    start: int
    count: int
    out: Path

    def perform(self, store: Store) -> str:
        """Do it."""
        chosen = people.some_prompts(self.prompts, self.start, self.count)
        freeze(self.out, chosen, query=f"{self.count} of {self.prompts}, from {self.start}", source_of=lambda _: "customer")
        return f"snapshot {register_snapshot(store, None, self.out).id} in {self.out}"


@dataclass(frozen=True, kw_only=True)
class Demonstrate(Act):
    """Labelers answer the prompts of a snapshot."""

    prompts: Path

    def perform(self, store: Store) -> str:
        """Do it."""
        return f"{people.demonstrate(store, self.seed, people.all_prompts(self.prompts))} demonstrations"


@dataclass(frozen=True, kw_only=True)
class Rank(Act):
    """Three labelers rank what is in a queue."""

    queue: str

    def perform(self, store: Store) -> str:
        """Do it."""
        return f"{people.rank(store, self.seed, self.queue)} tasks are done"


@dataclass(frozen=True, kw_only=True)
class Report(Act):
    """Write the page that shows the rounds."""

    curation: Path
    rounds: tuple[Path, ...]
    """Folders with `rankings`, `reward` and `ppo` inside, round by round."""
    out: Path

    def perform(self, store: Store) -> str:
        """Do it."""
        from instructloop.loop.rounds.figures import RoundFolders, gather  # reaches torch, which no other act does

        folders = [RoundFolders(rankings=folder / "rankings", reward=folder / "reward", ppo=folder / "ppo") for folder in self.rounds]
        write_rounds_report(gather(store, self.curation, folders), self.out)
        return f"The report, one file for any browser: {self.out}"


ACTS: Mapping[str, type[Act]] = {act.__name__.lower(): act for act in (Texts, Join, Bootstrap, Ask, Choose, Demonstrate, Rank, Report)}


def main(argv: Sequence[str] | None = None) -> None:
    """Do the act that the command line names, and say what was done. Raises `ConfigError` for an act that there is not."""
    given = list(sys.argv[1:] if argv is None else argv)
    kind = ACTS.get(given[0] if given else "")
    if kind is None:
        raise ConfigError(f"the act {given[:1]}", expected=f"one of {', '.join(ACTS)}", remedy="name one first")
    act = tyro.cli(kind, args=given[1:], prog=f"python -m instructloop.loop.rounds {given[0]}")
    with closing(open_store(act.store)) as store:
        print(act.perform(store), flush=True)


if __name__ == "__main__":
    run_script(main)

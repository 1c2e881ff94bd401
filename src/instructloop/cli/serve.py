"""`instructloop serve`: playground and API on a feedback database."""

import os
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from instructloop.cli.inputs import require_model
from instructloop.cli.parsing import parse
from instructloop.loop.served_models import Serving

KEY_VARIABLE = "INSTRUCTLOOP_MODEL_KEY"
"""Environment variable with the key that servers of models ask for."""


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve playground, API and accounts. The first start prints a link, good once, that makes the administrator.

    Servers of models that ask for a key get the one in the environment variable INSTRUCTLOOP_MODEL_KEY.
    """

    store: str
    """Feedback database: a path (SQLite, made if it is not there), or postgresql+psycopg://user:password@host/name."""
    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="[NAME=]DIR|HUB_ID|URL")] = ()
    """A model to offer: checkpoint folder, hub id, or address of a server with OpenAI's API (http://host/v1). Give it again for more.
    Without it the models are offered that the store knows and shows at any time, the chosen one first; see `instructloop models`."""
    host: str = "127.0.0.1"
    """Address to listen on; the default is reached from this machine only."""
    port: int = 8000
    """Port; 0 takes any free one."""
    url: str | None = None
    """Where people reach the site, if a proxy stands before it: https://loop.example.org."""
    insecure_http: bool = False
    """Let people of other machines in over plain HTTP, which can be read on the way."""
    answers_per_minute: int = 60
    """Answers that one account may ask for in a minute."""
    open: bool = False
    """Open the site in this machine's browser."""
    example: bool = False
    """Fill the store, which must be new, with a small project: people, prompts, answers to rank, three weeks of labels; and a new folder
    beside it, STORE-data, with data sets."""
    serving: Serving = field(default_factory=Serving)
    """How models of this machine are served."""


def main(argv: Sequence[str]) -> None:
    """Run the verb."""
    asked = parse("serve", Serve, argv)
    from instructloop.loop.example.completer import NAME, ExampleCompleter
    from instructloop.loop.example.filling import fill
    from instructloop.loop.registered_models import RegisteredModels
    from instructloop.loop.served_models import open_models
    from instructloop.store.database.opening import open_store
    from instructloop.web.serving import Ready, serve
    from instructloop.web.settings import SiteSettings

    settings = SiteSettings(
        host=asked.host, port=asked.port, public_url=asked.url, insecure_http=asked.insecure_http, answers_per_minute=asked.answers_per_minute
    )
    for source in asked.model:
        if "://" not in source:
            require_model(source.rpartition("=")[2])

    def announce(site: Ready) -> None:
        print(f"The site is at {site.address}")
        print(f"models: {', '.join(completers) or 'none; give one with --model'}")
        for model in models.gone if isinstance(models, RegisteredModels) else ():
            print(f"left out, as its folder is gone: {model.name}={model.place}")
        if site.first_link:
            print(f"\nThere is no administrator yet. This link makes the first one; it works once, for a day:\n\n    {site.first_link}\n")
        if filled:
            print("\nThe example's people, all with the password", filled.password)
            print("\n".join(f"    {name:8}{role}" for name, role in filled.people), end="\n\n")
        print("Ctrl-C ends it.", flush=True)
        if asked.open:
            webbrowser.open(site.first_link or site.address)

    with ExitStack() as opened:
        store = opened.enter_context(closing(open_store(asked.store)))
        filled = fill(store) if asked.example else None
        key = os.environ.get(KEY_VARIABLE)
        models = open_models(asked.model, asked.serving, api_key=key) if asked.model else RegisteredModels(store, asked.serving, api_key=key)
        opened.enter_context(closing(models))
        completers = {NAME: ExampleCompleter(), **models} if asked.example else models
        serve(store, completers, settings, ready=announce)

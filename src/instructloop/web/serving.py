"""Running the site: a socket, uvicorn on it, and an orderly end.

    serve(store, completers, SiteSettings(), ready=lambda site: print(site.address))

An end by Ctrl-C or SIGTERM lets answers go on for `GRACE` seconds, cancels those that are left, stores what was said, and returns.
"""

import dataclasses
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from instructloop.errors import ConfigError, first_line
from instructloop.protocols import Completer
from instructloop.store.database.invitations import first_administrator_link
from instructloop.store.database.opening import Store
from instructloop.web.app import make_app
from instructloop.web.settings import SiteSettings

GRACE = 5
"""Seconds that running answers get when the site is told to end."""
PROXIES = "127.0.0.1,::1"
"""Whose word on scheme and client is taken: a proxy on this machine."""
BACKLOG = 2048


@dataclass(frozen=True)
class Ready:
    """The site can be reached."""

    address: str
    first_link: str | None
    """Where the first administrator makes their account; None once there is one."""


def serve(store: Store, completers: Mapping[str, Completer], settings: SiteSettings, *, ready: Callable[[Ready], None]) -> None:
    """Serve until told to end; `ready` is called once the site answers. Raises `ConfigError` for an address that cannot be had."""
    with _socket(settings) as listening:
        settings = dataclasses.replace(settings, port=listening.getsockname()[1])
        token = first_administrator_link(store)
        link = f"{settings.address}/invitation/{token}" if token else None
        config = uvicorn.Config(
            make_app(store, completers, settings),
            access_log=False,  # addresses of invitations are secrets
            backlog=BACKLOG,
            forwarded_allow_ips=PROXIES,
            log_config=None,
            log_level=logging.WARNING,
            proxy_headers=True,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        _Server(config, lambda: ready(Ready(settings.address, link))).run(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready, and returns from a signal instead of raising it again: what was opened is to be closed."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _socket(settings: SiteSettings) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{settings.host} port {settings.port} cannot be listened on: {first_line(error)}",
            expected="an address of this machine, and a port that is free",
            remedy="choose another with --host or --port; --port 0 takes any free one",
        ) from error
    with listening:
        yield listening

"""What stands before every route, outermost first: headers, host and transport, the body's size and speed, the origin.

Each guard is a plain ASGI application around another. They run before any handler, so no route can forget them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request

from instructloop.web.refusals import Refusal, refuse
from instructloop.web.settings import SiteSettings, host_name, is_loopback

LOG = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
        "font-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
    )
)  # fmt: skip

HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
"""On every response, refusals and files included."""

PUBLIC_OVER_HTTP = ("/health", "/health/ready")
"""What may be asked for without HTTPS: it holds no secret, and balancers ask for it."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SecurityHeaders:
    """Adds `HEADERS`, over HTTPS the order to stay there, and keeps answers made for one person out of shared caches."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                headers += HEADERS
                if scope["scheme"] == "https":
                    headers.append((b"strict-transport-security", b"max-age=31536000"))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class Mistakes:
    """Turns an exception that nobody expected into an answer that says so (500), and writes it to the log."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception:
            if scope["type"] != "http":
                raise
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not begun:
                await refuse(Request(scope), Refusal(500, "internal"))(scope, receive, send)


class Transport:
    """Refuses hosts that are not this site's (421), and plain HTTP from another machine (403) unless that was allowed."""

    def __init__(self, app: App, settings: SiteSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._objection(Request(scope))):
            await refuse(Request(scope), refusal)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _objection(self, request: Request) -> Refusal | None:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self.settings.knows_host(hosts[0]):
            return Refusal(421, "wrong_host")
        if request.url.scheme == "https" or self.settings.insecure_http or request.url.path in PUBLIC_OVER_HTTP:
            return None
        if is_loopback(host_name(hosts[0])) and request.client is not None and is_loopback(request.client.host):
            return None
        return Refusal(403, "needs_https")


class WholeBody:
    """Reads the body before anything else runs: too large is 413, too slow is 408; handlers then get it at once."""

    def __init__(self, app: App, settings: SiteSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(Request(scope), receive), self.settings.body_seconds)
        except TimeoutError:
            refusal = Refusal(408, "too_slow", seconds=round(self.settings.body_seconds))
        except _Gone:
            return
        except Refusal as error:
            refusal = error
        else:
            await self.app(scope, _replaying(body, receive), send)
            return
        await refuse(Request(scope), refusal)(scope, receive, _closing(send))

    async def _read(self, request: Request, receive: Receive) -> bytes:
        limit = self.settings.max_body
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal():
            raise Refusal(400, "bad_request")
        if int(announced) > limit:
            raise Refusal(413, "too_large", limit=_size(limit))
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body += message.get("body", b"")
            if len(body) > limit:
                raise Refusal(413, "too_large", limit=_size(limit))
            if not message.get("more_body", False):
                return bytes(body)


class SameOrigin:
    """Refuses an unsafe request that a page of another site may have caused.

    The API is exempt: it reads no cookie, only a key that no other site can make a browser send.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._allowed(Request(scope)):
            await refuse(Request(scope), Refusal(403, "cross_site"))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _allowed(self, request: Request) -> bool:
        if request.method in SAFE or request.url.path.startswith("/v1/"):
            return True
        fetched_from = request.headers.get("sec-fetch-site")
        if fetched_from is not None:
            return fetched_from in ("same-origin", "none")
        return request.headers.get("origin") == f"{request.url.scheme}://{request.headers.get('host')}"


class _Gone(Exception):
    """The client hung up before its body was whole."""


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body once, and then whatever the connection says."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _closing(send: Send) -> Send:
    """A `send` that ends the connection: what is left of the body must not be read as the next request."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        await send(message)

    return send_and_close


def _size(num_bytes: int) -> str:
    return f"{num_bytes / (1 << 20):g} MB" if num_bytes >= 1 << 20 else f"{num_bytes:,} bytes"

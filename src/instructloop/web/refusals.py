"""How the site says no: one exception, shown as a page to a browser and as OpenAI's error object to a client of the API."""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from instructloop.web.texts import text

KINDS: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}
"""Status -> `type` of the error object; everything else is an "invalid_request_error"."""


class Refusal(Exception):
    """A request that is not granted. `name` is a section of the catalogue under `errors`: its title, and its text with `values` filled in."""

    def __init__(self, status: int, name: str, *, param: str | None = None, retry_after: float | None = None, **values: object) -> None:
        super().__init__(name)
        self.status, self.name, self.param, self.values = status, name, param, values
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        """What happened and what to do."""
        return text(f"errors.{self.name}.text", **{"param": self.param, **self.values})

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        return text(f"errors.{self.name}.title")

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds where waiting helps, and the scheme of the key where one is missing."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return {**headers, "WWW-Authenticate": "Bearer"} if self.status == 401 else headers

    def to_json(self) -> dict[str, Any]:
        """OpenAI's error object."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.name}}


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: not for the API, and not from a script of a page."""
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get("accept", "")


def refuse(request: Request, refusal: Refusal) -> Response:
    """The response that says so, in the form the asker reads."""
    if wants_page(request):
        from instructloop.web.rendering import page

        headers = {name: value for name, value in refusal.headers.items() if name != "WWW-Authenticate"}
        return page(request, "error.html", status=refusal.status, headers=headers, refusal=refusal)
    return JSONResponse(refusal.to_json(), refusal.status, refusal.headers)

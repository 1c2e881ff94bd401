"""The routes under /v1."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from instructloop.errors import DataError
from instructloop.records import Turn, conversation_text
from instructloop.store.conversations import prompt_text
from instructloop.web.api import responses as answers
from instructloop.web.api.answering import Asked, respond
from instructloop.web.api.keys import Key, key_of_request
from instructloop.web.api.requests import ChatCreate, CompletionCreate
from instructloop.web.api.wire import ChatShape, CompletionShape
from instructloop.web.asking import sampling_of
from instructloop.web.refusals import Refusal
from instructloop.web.site import Site, site_of

SHORT, LONG = 16, 256
"""Tokens of an answer if the client does not say: OpenAI's figure for completions, ours for chats."""

_RETRY: Mapping[str, Any] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A parameter is missing, wrong or not supported; `param` names it."},
    401: {"description": "No key that counts."},
    403: {"description": "The key may not do this, or HTTPS is needed."},
    404: {"description": "No such model."},
    408: {"description": "The body did not arrive in time."},
    413: {"description": "The body is too large."},
    421: {"description": "The Host header names another site."},
    429: {"description": "Too many answers, or every place is taken.", "headers": dict(_RETRY)},
    500: {"description": "A bug."},
    503: {"description": "The model or the database cannot be reached.", "headers": dict(_RETRY)},
}
REFUSALS: dict[int | str, dict[str, Any]] = {status: {**declared, "model": answers.Error} for status, declared in _REFUSALS.items()}
STREAM = {"text/event-stream": {"schema": {"type": "string", "description": "With `stream`: `data: {…}` events, closed by `data: [DONE]`."}}}

router = APIRouter(prefix="/v1", responses=REFUSALS)


@router.get("/models", response_model=answers.ModelList, tags=["models"], dependencies=[Depends(key_of_request)])
def list_models(request: Request) -> Response:
    """Every model that can be asked."""
    site = site_of(request)
    return JSONResponse({"object": "list", "data": [_model(site, name) for name in site.completers]})


@router.get("/models/{model:path}", response_model=answers.Model, tags=["models"], dependencies=[Depends(key_of_request)])
def read_model(request: Request, model: str) -> Response:
    """One model."""
    site = site_of(request)
    if model not in site.completers:
        raise Refusal(404, "model_not_found", param="model", model=model)
    return JSONResponse(_model(site, model))


@router.post("/completions", response_model=answers.Completion, responses={200: {"content": STREAM}}, tags=["answers"])
async def complete(request: Request, body: CompletionCreate, key: Key) -> Response:
    """Text that goes on from a prompt."""
    asked = Asked(
        prompts=tuple(body.prompts),
        messages=(),
        sampling=sampling_of(site_of(request), temperature=body.temperature, top_p=body.top_p, max_tokens=body.max_tokens or SHORT),
        body=body,
        key=key,
    )
    return await respond(request, asked, CompletionShape(model=body.model, with_logprobs=body.logprobs is not None))


@router.post("/chat/completions", response_model=answers.ChatCompletion, responses={200: {"content": STREAM}}, tags=["answers"])
async def chat(request: Request, body: ChatCreate, key: Key) -> Response:
    """The assistant's next turn in a conversation."""
    _check_together(body)
    name, length = ("max_completion_tokens", body.max_completion_tokens) if body.max_completion_tokens else ("max_tokens", body.max_tokens)
    sampling = sampling_of(site_of(request), temperature=body.temperature, top_p=body.top_p, max_tokens=length or LONG, param=name)
    turns = _turns(body)
    asked = Asked(prompts=(conversation_text(turns),), messages=turns, sampling=sampling, body=body, key=key)
    return await respond(request, asked, ChatShape(model=body.model, with_logprobs=bool(body.logprobs)))


def _check_together(body: ChatCreate) -> None:
    """Refuse what would be ignored beside, or without, another parameter: no schema can say so."""
    if body.top_logprobs is not None and not body.logprobs:
        raise Refusal(400, "invalid_value", param="top_logprobs", problem="is only allowed with 'logprobs': true")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise Refusal(
            400, "invalid_value", param="max_tokens", problem="is the older name of 'max_completion_tokens'; only one of the two is allowed"
        )


def _turns(body: ChatCreate) -> tuple[Turn, ...]:
    """The conversation, which must end with a question."""
    turns = tuple(Turn("system" if message.role == "developer" else message.role, message.words) for message in body.messages)
    try:
        prompt_text(turns, "messages")
    except DataError as error:
        raise Refusal(400, "invalid_value", param="messages", problem=f"cannot be answered: {error.came}") from error
    return turns


def _model(site: Site, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": site.started, "owned_by": "instructloop"}

"""The playground: ask one model, or two side by side, watch the answer come, say what it is worth."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from instructloop.protocols import CompletionRequest, Sampling
from instructloop.store.database.models import list_models
from instructloop.store.database.prompts import NewPrompt, StoredPrompt, history, read_prompt, submit_prompt
from instructloop.store.database.reactions import react
from instructloop.store.database.roles import Account
from instructloop.store.database.texts import MOST_CHARACTERS, checked
from instructloop.web.api.wire import Answer, event
from instructloop.web.asking import completer_of, refusal_of, sampling_of, seeds, take_turn
from instructloop.web.consent import consent_given, notice_version
from instructloop.web.generation import Indexed, primed, while_connected
from instructloop.web.keeping import keep_answers
from instructloop.web.refusals import Refusal
from instructloop.web.rendering import page
from instructloop.web.site import Site, new_seed, site_of
from instructloop.web.visits import Person

router = APIRouter(prefix="/playground")
RECENT = 12
"""Prompts listed beside the playground."""


class Body(BaseModel):
    """What a script of a page sends: nothing undeclared, nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Ask(Body):
    """A prompt for one model or two."""

    prompt: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    models: Annotated[list[str], Field(min_length=1, max_length=2)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=4)] = []
    store: bool
    train: bool
    notice: str
    """Version of the notice that stood above the boxes."""


class Thumb(Body):
    """What an answer is worth to the person who asked."""

    prompt: str
    answer: str
    up: bool


class Comparison(Body):
    """Which of two answers is better; None for neither."""

    prompt: str
    answers: Annotated[list[str], Field(min_length=2, max_length=2)]
    better: str | None


@router.get("")
def playground_page(request: Request, me: Person, prompt: str | None = None) -> Response:
    """The page; with `prompt` it opens one of the person's own."""
    site = site_of(request)
    opened = read_prompt(site.store, me, prompt) if prompt else None
    if opened is not None and (opened.text is None or opened.account_id != me.id):
        raise Refusal(404, "not_found")
    recent = [kept for kept in history(site.store, me, me.id, limit=2 * RECENT) if kept.text is not None][:RECENT]
    return page(
        request,
        "playground.html",
        models=served_models(site),
        most_tokens=site.settings.max_tokens,
        notice=notice_version(),
        opened=opened,
        recent=recent,
        shown=_shown(opened),
    )


@router.post("/answers")
async def answer(request: Request, ask: Ask, me: Person) -> Response:
    """The answers as a stream of events: `start`, `piece`s, `end` of each side, `done` with the ids of what was stored."""
    site = site_of(request)
    consent = consent_given(store=ask.store, train=ask.train, version=ask.notice)
    checked(ask.prompt, "the prompt")
    completers = [completer_of(site, model) for model in ask.models]
    sampling = sampling_of(site, temperature=ask.temperature, top_p=ask.top_p, max_tokens=ask.max_tokens)
    take_turn(site, me, len(completers))
    requests = [
        CompletionRequest(prompt=ask.prompt, sampling=sampling, stop=tuple(ask.stop), seed=seed, fit_context=True)
        for seed in seeds(new_seed(), len(completers))
    ]
    pieces = await while_connected(request, primed(site.answers.stream(list(zip(completers, requests, strict=True)))))
    new = NewPrompt(text=ask.prompt, consent=consent) if consent else None
    # The prompt is stored once a model has begun to answer it: one that is refused, and sent again, counts once.
    stored = await asyncio.shield(site.keeping.start(lambda: submit_prompt(site.store, me, new))) if new else None
    events = _Events(site, me, ask.models, sampling, stored)
    return StreamingResponse(events.of(pieces), media_type="text/event-stream")


@router.post("/thumbs")
def thumb(request: Request, given: Thumb, me: Person) -> Response:
    """Keep a thumb."""
    react(site_of(request).store, me, given.prompt, "thumb", {"answer": given.answer, "up": given.up})
    return JSONResponse({"kept": True})


@router.post("/comparisons")
def comparison(request: Request, given: Comparison, me: Person) -> Response:
    """Keep a comparison."""
    react(site_of(request).store, me, given.prompt, "comparison", {"better": given.better, "answers": given.answers})
    return JSONResponse({"kept": True})


def served_models(site: Site) -> list[str]:
    """What the playground offers: the models being served, those that the store hides left out, the chosen one first."""
    registered = {model.name: model for model in list_models(site.store)}
    names = [name for name in site.completers if name not in registered or registered[name].visible]
    return sorted(names, key=lambda name: not (name in registered and registered[name].chosen))


class _Events:
    """The stream of one prompt."""

    def __init__(self, site: Site, me: Account, models: Sequence[str], sampling: Sampling, stored: StoredPrompt | None) -> None:
        self._site, self._me, self._models, self._sampling, self._stored = site, me, models, sampling, stored
        self._answers = [Answer(side) for side in range(len(models))]

    async def of(self, pieces: AsyncGenerator[Indexed]) -> AsyncGenerator[str]:
        """The events; what was said is stored even if nobody listens any more."""
        began = time.monotonic()
        kept: asyncio.Task[list[str | None]] | None = None
        try:
            yield event({"type": "start", "prompt": self._stored.id if self._stored else None})
            async with aclosing(pieces):
                async for side, chunk in pieces:
                    answer = self._answers[side]
                    answer.add(chunk)
                    yield event({"type": "piece", "side": side, "text": chunk.text})
                    if chunk.finish_reason is not None:
                        took = round(time.monotonic() - began, 2)
                        yield event({"type": "end", "side": side, "finish": chunk.finish_reason, "tokens": answer.completion_tokens, "seconds": took})
            kept = self._keep()
            yield event({"type": "done", "answers": await asyncio.shield(kept)})
        except Exception as error:
            refusal = refusal_of(error) or Refusal(500, "internal")
            yield event({"type": "error", "message": refusal.message})
            if refusal.status == 500:
                raise
        finally:
            if kept is None:
                self._keep()

    def _keep(self) -> asyncio.Task[list[str | None]]:
        stored, told = self._stored, [(model, answer, self._sampling) for model, answer in zip(self._models, self._answers, strict=True)]
        if stored is None:
            return self._site.keeping.start(lambda: [None] * len(told))
        return self._site.keeping.start(lambda: keep_answers(self._site.store, self._me, stored.id, told))


def _shown(opened: StoredPrompt | None) -> str:
    """A stored prompt and its answers for the page's script."""
    if opened is None:
        return "null"
    answers: list[dict[str, Any]] = [
        {"id": kept.id, "model": kept.model, "text": kept.text, "finish": kept.finish_reason} for kept in opened.generations if kept.text is not None
    ]
    return json.dumps({"id": opened.id, "text": opened.text, "answers": answers[-2:]})

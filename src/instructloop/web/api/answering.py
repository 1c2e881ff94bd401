"""Answering a request of the API: whole or as a stream, cancelled when the client hangs up, stored as the key's owner allows."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from instructloop.errors import DataError
from instructloop.protocols import CompletionRequest, Sampling
from instructloop.records import Turn
from instructloop.store.database.api_keys import ApiKey
from instructloop.store.database.prompts import NewPrompt, submit_prompt
from instructloop.store.database.texts import checked
from instructloop.web.api.requests import Generation
from instructloop.web.api.wire import DONE, Answer, Shape, event, usage_of
from instructloop.web.asking import completer_of, refusal_of, seeds, take_turn
from instructloop.web.generation import Indexed, primed, while_connected
from instructloop.web.keeping import keep_answers
from instructloop.web.refusals import Refusal
from instructloop.web.site import Site, new_seed, site_of


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request: every prompt gets `body.n` answers; those of prompt i have the indices i·n … i·n + n − 1."""

    prompts: tuple[str, ...]
    """The texts to answer; of a conversation, the one text that stands for it in the store."""
    messages: tuple[Turn, ...]
    """The conversation, for a model that knows turns."""
    sampling: Sampling
    body: Generation
    key: ApiKey

    @property
    def per_prompt(self) -> int:
        """Answers to each prompt."""
        return self.body.n or 1

    @property
    def requests(self) -> list[CompletionRequest]:
        """What the completer is asked, one request per answer."""
        given = new_seed() if self.body.seed is None else self.body.seed
        return [
            CompletionRequest(
                prompt="" if self.messages else prompt,
                messages=self.messages,
                sampling=self.sampling,
                stop=self.body.stops,
                seed=seed,
                fit_context=not self.body.names_length,
                top_logprobs=self.body.alternatives,
            )
            for prompt in self.prompts
            for seed in seeds(given, self.per_prompt)
        ]


async def respond(request: Request, asked: Asked, shape: Shape) -> Response:
    """The answer of the API. Raises `Refusal` for whatever goes wrong before the first token."""
    site = site_of(request)
    completer, requests = completer_of(site, asked.body.model), asked.requests
    _check(site, asked, len(requests))
    take_turn(site, asked.key.account, len(requests))
    pieces = site.answers.stream([(completer, one) for one in requests])
    answers = [Answer(index) for index in range(len(requests))]
    if not asked.body.stream:
        await while_connected(request, _collect(site, asked, pieces, answers))
        return JSONResponse(shape.whole(answers, usage_of(answers, per_prompt=asked.per_prompt)))
    begun = await while_connected(request, primed(pieces))
    return StreamingResponse(_events(site, asked, shape, begun, answers), media_type="text/event-stream")


def _check(site: Site, asked: Asked, num_answers: int) -> None:
    body, most = asked.body, site.settings.max_choices
    if num_answers > most:
        problem = f"asks for {num_answers} answers with all prompts together; at most {most} are given"
        raise Refusal(400, "invalid_value", param="n", problem=problem)
    if body.stream_options is not None and not body.stream:
        raise Refusal(400, "invalid_value", param="stream_options", problem="is only allowed with 'stream': true")
    for prompt in asked.prompts:
        try:
            checked(prompt, "it")
        except DataError as error:
            raise Refusal(400, "invalid_value", param="messages" if asked.messages else "prompt", problem=f"is wrong: {error.came}") from error


async def _collect(site: Site, asked: Asked, pieces: AsyncGenerator[Indexed], answers: list[Answer]) -> None:
    try:
        async with aclosing(pieces):
            async for index, chunk in pieces:
                answers[index].add(chunk)
    finally:
        stored = _keep(site, asked, answers)
    await asyncio.shield(stored)


async def _events(site: Site, asked: Asked, shape: Shape, pieces: AsyncGenerator[Indexed], answers: list[Answer]) -> AsyncGenerator[str]:
    """The events of a stream. What goes wrong now can only be said inside it, as OpenAI does."""
    with_usage = asked.body.stream_options is not None and asked.body.stream_options.include_usage
    extra: dict[str, Any] = {"usage": None} if with_usage else {}
    kept: asyncio.Task[None] | None = None
    try:
        for answer in answers:
            for opening in shape.opening(answer.index):
                yield event(opening | extra)
        async with aclosing(pieces):
            async for index, chunk in pieces:
                answers[index].add(chunk)
                yield event(shape.chunk(answers[index], chunk) | extra)
        if with_usage:
            yield event(shape.closing(usage_of(answers, per_prompt=asked.per_prompt)))
        kept = _keep(site, asked, answers)
        await asyncio.shield(kept)
        yield DONE
    except Exception as error:
        refusal = refusal_of(error) or Refusal(500, "internal")
        yield event(refusal.to_json())
        if refusal.status == 500:
            raise
    finally:
        if kept is None:
            _keep(site, asked, answers)


def _keep(site: Site, asked: Asked, answers: list[Answer]) -> asyncio.Task[None]:
    """Store prompts and answers, even those cut short, if the owner of the key has allowed it; nothing where no model has begun."""
    consent = asked.key.consent

    def write() -> None:
        if consent is None or not any(answer.pieces for answer in answers):
            return
        for position, prompt in enumerate(asked.prompts):
            stored = submit_prompt(site.store, asked.key.account, NewPrompt(text=prompt, consent=consent, end_user=asked.body.speaker))
            mine = answers[position * asked.per_prompt : (position + 1) * asked.per_prompt]
            keep_answers(site.store, asked.key.account, stored.id, [(asked.body.model, answer, asked.sampling) for answer in mine])

    return site.keeping.start(write)

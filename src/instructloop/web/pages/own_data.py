"""My data: what a person has let the site store; seeing, withdrawing, erasing, taking it away."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from instructloop.store.database.erasure import erase_prompt, erase_prompts_of
from instructloop.store.database.opening import Store
from instructloop.store.database.prompts import StoredPrompt, history, read_prompt, withdraw
from instructloop.store.database.reactions import Reaction, own_reactions
from instructloop.store.database.roles import Account
from instructloop.web.refusals import Refusal
from instructloop.web.rendering import page
from instructloop.web.site import site_of
from instructloop.web.texts import text
from instructloop.web.visits import Here, Person, see_other

router = APIRouter(prefix="/data")
PER_PAGE = 20


@router.get("")
def data_page(request: Request, me: Person, before: Annotated[str | None, Query()] = None) -> Response:
    """One's own prompts, the newest first, from one of them on backwards."""
    store = site_of(request).store
    found = history(store, me, me.id, before=before, limit=PER_PAGE + 1)
    shown, older = found[:PER_PAGE], found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
    said = own_reactions(store, me, [prompt.id for prompt in shown])
    verdicts = {prompt.id: _verdicts(said.get(prompt.id, ())) for prompt in shown}
    return page(request, "own_data.html", prompts=shown, verdicts=verdicts, older=older, newest=before is None)


@router.get("/download")
def download(request: Request, me: Person) -> Response:
    """Everything as JSON lines: one prompt with its consent, its answers, and what was said of them a line."""
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in _everything(site_of(request).store, me))
    headers = {"Content-Disposition": 'attachment; filename="my-data.jsonl"'}
    return StreamingResponse(lines, media_type="application/jsonl", headers=headers)


@router.post("/{id}/withdraw")
def withdraw_prompt(request: Request, id: str, here: Here) -> Response:
    """No new training data may hold this prompt."""
    _own(site_of(request).store, here.account, id)
    withdraw(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("data.withdrawn"))
    return see_other("/data")


@router.post("/{id}/delete")
def delete_prompt(request: Request, id: str, here: Here) -> Response:
    """Erase the prompt and every text made from it."""
    _own(site_of(request).store, here.account, id)
    erase_prompt(site_of(request).store, here.account, id)
    site_of(request).notes.leave(here.id, good=text("data.deleted"))
    return see_other("/data")


@router.post("/delete")
def delete_everything(request: Request, here: Here) -> Response:
    """Erase every prompt, those of end users behind this account's keys too."""
    count = erase_prompts_of(site_of(request).store, here.account, here.account.id)
    site_of(request).notes.leave(here.id, good=text("data.deleted_all", count=count))
    return see_other("/data")


def _own(store: Store, me: Account, id: str) -> StoredPrompt:
    """The prompt, if it is one's own: these pages are not for looking after other people's."""
    prompt = read_prompt(store, me, id)
    if prompt.account_id != me.id:
        raise Refusal(404, "not_found")
    return prompt


def _verdicts(said: Sequence[Reaction]) -> dict[str, str]:
    """Answer -> the name of the text that says what its reader thought of it; the last word counts."""
    verdicts: dict[str, str] = {}
    for one in said:
        if one.kind == "thumb":
            verdicts[one.body["answer"]] = "up" if one.body["up"] else "down"
        else:
            better = one.body["better"]
            verdicts |= {answer: "tie" if better is None else "better" if answer == better else "worse" for answer in one.body["answers"]}
    return verdicts


def _everything(store: Store, me: Account) -> Iterator[dict[str, Any]]:
    before: str | None = None
    while batch := history(store, me, me.id, before=before, limit=100):
        said = own_reactions(store, me, [prompt.id for prompt in batch])
        yield from (_line(prompt, said.get(prompt.id, ())) for prompt in batch)
        before = batch[-1].id


def _line(prompt: StoredPrompt, said: Sequence[Reaction]) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "text": prompt.text,
        "created_at": prompt.created_at.isoformat(),
        "erased_at": prompt.erased_at.isoformat() if prompt.erased_at else None,
        "source": prompt.source,
        "user_id": prompt.user_id,
        "may_store": prompt.may_store,
        "may_train": prompt.may_train,
        "consent": prompt.consent,
        "answers": [
            {"id": answer.id, "model": answer.model, "text": answer.text, "sampling": dict(answer.sampling), "finish_reason": answer.finish_reason}
            for answer in prompt.generations
        ],
        "reactions": [{"kind": one.kind, "at": one.at.isoformat(), **one.body} for one in said],
    }

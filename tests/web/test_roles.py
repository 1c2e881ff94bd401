"""Every route for every role, on one's own things and on another's. A route that is not in the table fails the test."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from instructloop.store.database.accounts import create_account
from instructloop.store.database.api_keys import create_key, list_keys
from instructloop.store.database.invitations import invite, list_invitations
from instructloop.store.database.jobs import enqueue
from instructloop.store.database.leases import held_leases, lease_next
from instructloop.store.database.models import NewModel, register_model
from instructloop.store.database.prompts import Consent, NewPrompt, read_prompt, record_generation, submit_prompt
from instructloop.store.database.queues import create_queue, publish_guide
from instructloop.store.database.sessions import list_sessions, start_session
from instructloop.store.database.submissions import list_submissions
from instructloop.store.database.tasks import NewTask, add_tasks
from store_world import ranking_body
from web.labeling_stage import Work, work_of
from web.people import Browser, browsing
from web.scripted import Stage

EVERYBODY = ("ada", "bob", "labeler", "researcher", "lead", "administrator")
RUNNING = ("lead", "administrator")
READING = ("researcher", *RUNNING)
ADMINISTRATOR = ("administrator",)
LABELERS = ("labeler", *READING)
TO_LOGIN = 303


@dataclass(frozen=True)
class Rule:
    """What a route answers: to visitors, to those who may (`allowed`), to other people, and about another person's thing."""

    visitor: int
    allowed: int
    may: tuple[str, ...] = EVERYBODY
    refused: int = 403
    foreign: int | None = None
    """Status when ada asks for what is bob's; None where nothing belongs to anybody."""
    body: Callable[["Things"], dict[str, Any]] = lambda _: {}
    json: bool = False
    owner: str = "bob"
    """Whose thing is tried."""
    leads_too: bool = False
    """Leads may do it with anybody's."""


@dataclass(frozen=True)
class Things:
    """What one person owns."""

    prompt: str
    answer: str
    key: str
    session: str
    invitation: str
    token: str
    account: str
    queue: str
    task: str
    lease: str
    guide: str
    job: str
    model: str
    writing: str
    work: Work | None = None

    def path(self, template: str) -> str:
        """The address of a route about these things."""
        known = {
            "/sessions/": self.session,
            "/keys/": self.key,
            "/invitations/": self.invitation,
            "/guides/": self.guide,
            "/jobs/": self.job,
            "/tasks/": self.task,
        }
        known |= {"/queues/": self.work.queue if self.work else self.queue}
        if self.work:
            known |= {"/leases/": self.work.lease, "/submissions/": self.work.submission}
        id_ = next((value for word, value in known.items() if word in template), self.prompt)
        filled = template.replace("{guide}", self.work.guide if self.work else "").replace("{id}", id_).replace("{token}", self.token)
        filled = filled.replace("{model:path}", "first").replace("{account}", self.account)
        return filled.replace("{act}", "hide").replace("{name:path}", self.model)


def asking(things: Things) -> dict[str, Any]:
    return {
        "prompt": "x", "models": ["first"], "temperature": 1, "top_p": 1, "max_tokens": 1, "store": False, "train": False, "notice": "1",
    }  # fmt: skip


def of_tasks(things: Things) -> dict[str, Any]:
    return {"task": things.task, "act": "retire"}


ADMINISTRATION: dict[tuple[str, str], Rule] = {
    ("GET", "/admin"): Rule(TO_LOGIN, 200, may=READING),
    ("GET", "/admin/agreement"): Rule(TO_LOGIN, 200, may=READING),
    ("GET", "/admin/queues"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/queues"): Rule(401, 303, may=RUNNING, body=lambda things: {"name": things.key, "kind": "ranking", "mode": "training"}),
    ("GET", "/admin/queues/{id}"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/queues/{id}"): Rule(401, 303, may=RUNNING, body=lambda _: {"overlap": "2"}),
    ("POST", "/admin/queues/{id}/tasks"): Rule(401, 303, may=RUNNING, body=of_tasks),
    ("POST", "/admin/queues/{id}/new-tasks"): Rule(401, 400, may=RUNNING, body=lambda _: {"source": "written", "count": "1"}),
    ("POST", "/admin/queues/{id}/people"): Rule(401, 303, may=RUNNING, body=lambda things: {"account": things.account, "qualified": "true"}),
    ("POST", "/admin/queues/{id}/candidates"): Rule(401, 400, may=RUNNING, body=lambda _: {"model": "first", "prompts": "none"}),
    ("GET", "/admin/tasks/{id}"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/tasks/{id}/known"): Rule(401, 400, may=RUNNING),
    ("GET", "/admin/review"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/review"): Rule(401, 303, may=RUNNING, body=of_tasks),
    ("GET", "/admin/leases"): Rule(TO_LOGIN, 200, may=RUNNING),
    ("POST", "/admin/leases"): Rule(401, 303, may=RUNNING, body=lambda things: {"lease": things.lease, "act": "free"}),
    ("GET", "/admin/exports"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/exports"): Rule(401, 303, may=READING, body=lambda _: {"choice": "pairs trl"}),
    ("GET", "/admin/exports/{id}"): Rule(TO_LOGIN, 404, may=READING),
    ("GET", "/admin/screening"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/screening"): Rule(401, 303, may=RUNNING, body=lambda things: {"name": things.key, "writing_queue": things.writing}),
    ("POST", "/admin/screening/ratings"): Rule(401, 404, may=READING, body=lambda _: {"submission": "none", "likert": "3"}),
    ("GET", "/admin/spot-checks"): Rule(TO_LOGIN, 200, may=RUNNING),
    ("POST", "/admin/spot-checks"): Rule(401, 404, may=RUNNING, body=lambda _: {"submission": "none"}),
    ("GET", "/self-assessment"): Rule(TO_LOGIN, 200, may=LABELERS),
    ("POST", "/self-assessment"): Rule(401, 303, may=LABELERS, body=lambda _: {"topic": "religion"}),
    ("GET", "/admin/guides"): Rule(TO_LOGIN, 200, may=READING),
    ("GET", "/admin/guides/{id}"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/guides"): Rule(401, 303, may=RUNNING, body=lambda _: {"name": "ranking", "mode": "training", "words": "Rank."}),
    ("GET", "/admin/people"): Rule(TO_LOGIN, 200, may=RUNNING),
    ("POST", "/admin/people/invitations"): Rule(401, 303, may=RUNNING, body=lambda _: {"role": "labeler"}),
    ("POST", "/admin/people/invitations/{id}/withdraw"): Rule(401, 303, may=RUNNING),
    ("GET", "/admin/people/{account}"): Rule(TO_LOGIN, 200, may=RUNNING),
    ("POST", "/admin/people/{account}/role"): Rule(401, 303, may=ADMINISTRATOR, body=lambda _: {"role": "researcher"}),
    ("POST", "/admin/people/{account}/held-out"): Rule(401, 303, may=RUNNING, body=lambda _: {"held_out": "true"}),
    ("POST", "/admin/people/{account}/disable"): Rule(401, 303, may=ADMINISTRATOR),
    ("POST", "/admin/people/{account}/keys/{id}/revoke"): Rule(401, 303, may=ADMINISTRATOR),
    ("GET", "/admin/models"): Rule(TO_LOGIN, 200, may=READING),
    ("GET", "/admin/models/{name:path}"): Rule(TO_LOGIN, 200, may=READING),
    ("POST", "/admin/models/{act}/{name:path}"): Rule(401, 303, may=RUNNING),
    ("GET", "/admin/jobs"): Rule(TO_LOGIN, 200, may=RUNNING),
    ("POST", "/admin/jobs/{id}/cancel"): Rule(401, 303, may=RUNNING),
    ("GET", "/admin/audit"): Rule(TO_LOGIN, 200, may=READING),
}
RANKED = ranking_body("ABCD")


def working(visitor: int, body: dict[str, Any] | None = None) -> Rule:
    """A route about a task in one labeler's hands, or their answer to one: nobody else finds it, lead and administrator included."""
    return Rule(visitor, 200, may=LABELERS, refused=404, foreign=404, body=lambda _: body or {}, json=True, owner="labeler")


RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/"): Rule(303, 303),
    ("GET", "/login"): Rule(200, 303),
    ("POST", "/login"): Rule(401, 401),
    ("POST", "/logout"): Rule(303, 303),
    ("GET", "/invitation/{token}"): Rule(200, 200),
    ("POST", "/invitation/{token}"): Rule(400, 400),
    ("POST", "/theme"): Rule(303, 303),
    ("GET", "/playground"): Rule(TO_LOGIN, 200),
    ("POST", "/playground/answers"): Rule(401, 200, body=asking, json=True),
    ("POST", "/playground/thumbs"): Rule(
        401, 200, foreign=403, json=True, body=lambda things: {"prompt": things.prompt, "answer": things.answer, "up": True}
    ),
    ("POST", "/playground/comparisons"): Rule(
        401, 200, foreign=403, json=True, body=lambda things: {"prompt": things.prompt, "answers": [things.answer] * 2, "better": None}
    ),
    ("GET", "/data"): Rule(TO_LOGIN, 200),
    ("GET", "/data/download"): Rule(TO_LOGIN, 200),
    ("POST", "/data/{id}/withdraw"): Rule(401, 303, foreign=404),
    ("POST", "/data/{id}/delete"): Rule(401, 303, foreign=404),
    ("POST", "/data/delete"): Rule(401, 303),
    ("GET", "/account"): Rule(TO_LOGIN, 200),
    ("POST", "/account/password"): Rule(401, 400),
    ("POST", "/account/sessions/{id}/end"): Rule(401, 303, foreign=403),
    ("POST", "/account/keys"): Rule(401, 303, body=lambda _: {"name": "x"}),
    ("POST", "/account/keys/{id}/revoke"): Rule(401, 303, foreign=403),
    **ADMINISTRATION,
    ("GET", "/session"): Rule(200, 200),
    ("GET", "/labeling"): Rule(TO_LOGIN, 200, may=LABELERS),
    ("GET", "/labeling/own"): Rule(TO_LOGIN, 200, may=LABELERS),
    ("GET", "/labeling/queues/{id}"): Rule(TO_LOGIN, 200, may=LABELERS),
    ("POST", "/labeling/queues/{id}/guide/{guide}"): Rule(401, 303, may=LABELERS),
    ("POST", "/labeling/queues/{id}/next"): Rule(401, 200, may=LABELERS, json=True),
    ("GET", "/labeling/leases/{id}"): working(TO_LOGIN),
    ("POST", "/labeling/leases/{id}/renew"): working(401),
    ("POST", "/labeling/leases/{id}/draft"): working(401, {"body": {}}),
    ("POST", "/labeling/leases/{id}/submission"): working(401, {"body": RANKED}),
    ("POST", "/labeling/leases/{id}/skip"): working(401, {"reason": "unclear"}),
    ("POST", "/labeling/leases/{id}/release"): working(401),
    ("GET", "/labeling/submissions/{id}"): replace(working(TO_LOGIN), leads_too=True),
    ("POST", "/labeling/submissions/{id}/draft"): replace(working(401, {"body": {}}), leads_too=True),
    ("POST", "/labeling/submissions/{id}/revision"): replace(working(401, {"body": RANKED}), leads_too=True),
    ("GET", "/health"): Rule(200, 200),
    ("GET", "/health/ready"): Rule(200, 200),
    # The API knows keys alone: a session opens nothing there.
    ("GET", "/v1/models"): Rule(401, 401),
    ("GET", "/v1/models/{model:path}"): Rule(401, 401),
    ("POST", "/v1/completions"): Rule(401, 401, json=True, body=lambda _: {"model": "first", "prompt": "x"}),
    ("POST", "/v1/chat/completions"): Rule(401, 401, json=True, body=lambda _: {"model": "first", "messages": [{"role": "user", "content": "x"}]}),
}


FOR_EVERYBODY = {("GET", "/openapi.json"), ("GET", "/static")}
"""The description of the API, and the files of the pages."""


def routes(app: Starlette) -> list[tuple[str, str]]:
    """(method, path) of everything that the application answers but `FOR_EVERYBODY`, with what routers are included under."""
    return [route for methods, path in _routes(app.routes, "") for method in methods if (route := (method, path)) not in FOR_EVERYBODY]


def _routes(those: Sequence[BaseRoute], prefix: str) -> Iterator[tuple[set[str], str]]:
    for route in those:
        if (included := getattr(route, "original_router", None)) is not None:  # FastAPI keeps the routers that it was given, and older ones do not
            yield from _routes(included.routes, prefix + route.include_context.prefix)  # type: ignore[attr-defined]
        elif isinstance(route, APIRoute):
            yield route.methods, prefix + route.path
        else:
            yield {"GET"}, prefix + str(getattr(route, "path", route))


def things_of(site: Stage, name: str, template: str = "") -> Things:
    person, administrator = site.people[name], site.people["administrator"]
    prompt = submit_prompt(site.store, person, NewPrompt(text=f"of {name}", consent=Consent(store=True, train=True, version="1")))
    answer = record_generation(site.store, person, prompt.id, text="x", model="first", sampling={}, finish_reason="stop")
    _, key = create_key(site.store, person, name="x", scopes=("generate",))
    _, session = start_session(site.store, person)
    token, invitation = invite(site.store, administrator, "playground")
    work = work_of(site, name if name in LABELERS else "labeler") if template.startswith("/labeling") else None
    return Things(prompt.id, answer.id, key.id, session.id, invitation.id, token, **led_by_others(site, prompt.id), work=work)


def led_by_others(site: Stage, prompt: str) -> dict[str, str]:
    """A labeler whom nobody logs in as, a queue with a task in their hands, a guide, a job, a model: new ones each time."""
    store, lead = site.store, site.people["administrator"]
    someone = create_account(store, lead, name=f"labeler of {prompt}", role="labeler")
    queue = create_queue(store, lead, name=f"queue of {prompt}", kind="demonstration")
    (task,) = add_tasks(store, lead, queue.id, [NewTask(prompt_id=prompt)])
    lease = lease_next(store, someone, queue.id)
    assert lease is not None
    test = create_queue(store, lead, name=f"test of {prompt}", kind="demonstration", mode="evaluation")
    guide = publish_guide(store, lead, name="ranking", mode="training", text="Rank.")
    job = enqueue(store, lead, "nothing", {}, key=prompt)
    model = register_model(store, lead, NewModel(name=f"models/{prompt}", place="nowhere"))
    return {
        "account": someone.id,
        "queue": queue.id,
        "task": task,
        "lease": lease.id,
        "guide": guide.id,
        "job": job.id,
        "model": model.name,
        "writing": test.id,
    }


def ask(browser: Browser, method: str, template: str, rule: Rule, things: Things) -> int:
    path, body = things.path(template), rule.body(things)
    if method == "GET":
        return browser.http.get(path, follow_redirects=False).status_code
    headers = {"If_Match": '"0"', "Idempotency_Key": path}
    return (browser.send(path, body, **headers) if rule.json else browser.submit(path, **body)).status_code


def test_every_route_is_in_the_table(site: Stage) -> None:
    found = routes(site.app)
    assert len(found) == len(set(found)), "of two that are alike the second is never reached"
    assert set(found) == set(RULES)


@pytest.mark.parametrize("prefix", ["", "/v2"])
def test_a_route_without_a_rule_is_noticed_however_it_came(site: Stage, prefix: str) -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: None, methods=["DELETE"])
    site.app.include_router(router, prefix=prefix, include_in_schema=False)
    site.app.add_api_route("/plain", lambda: None)
    site.app.add_route("/plainer", lambda _: None)
    site.app.mount("/mounted", Starlette())
    unknown = {("DELETE", f"{prefix}/forgotten"), ("GET", "/plain"), ("GET", "/plainer"), ("GET", "/mounted")}
    assert set(routes(site.app)) - set(RULES) == unknown


@pytest.mark.parametrize("who", [None, *EVERYBODY])
def test_who_may_do_what(site: Stage, who: str | None) -> None:
    found, expected = {}, {}
    for (method, template), rule in RULES.items():
        with browsing(site, who) as browser:
            things = things_of(site, who or "ada", template)
            found[method, template] = ask(browser, method, template, rule, things)
        expected[method, template] = rule.visitor if who is None else rule.allowed if who in rule.may else rule.refused
    assert found == expected


def test_what_belongs_to_another_stays_as_it_was(site: Stage) -> None:
    administrator = site.people["administrator"]
    for (method, template), rule in RULES.items():
        if rule.foreign is None:
            continue
        things = things_of(site, rule.owner, template)
        for who in ("ada", "researcher", *(() if rule.leads_too else ("lead",))):
            with browsing(site, who) as browser:
                assert ask(browser, method, template, rule, things) == rule.foreign, (who, template)
        owner = site.people[rule.owner]
        kept = read_prompt(site.store, owner, things.prompt)
        assert (kept.text, kept.may_train) == (f"of {rule.owner}", True)
        assert things.key in {key.id for key in list_keys(site.store, owner, owner.id)}
        assert things.session in {session.id for session in list_sessions(site.store, owner, owner.id)}
        if things.work:
            assert [lease.id for lease in held_leases(site.store, owner, things.work.queue)] == [things.work.lease]
            assert len(list_submissions(site.store, owner, task_id=things.work.task)) == 1
        assert things.invitation in {invitation.id for invitation in list_invitations(site.store, administrator)}


def test_another_person_s_prompt_does_not_open(site: Stage) -> None:
    things = things_of(site, "bob")
    for who in ("ada", "administrator"):
        with browsing(site, who) as browser:
            assert browser.http.get(f"/playground?prompt={things.prompt}").status_code == 404


def test_leads_invite_to_some_roles_only(site: Stage) -> None:
    with browsing(site, "lead") as browser:
        for role, status in (("labeler", 303), ("playground", 303), ("lead", 403), ("administrator", 403), ("king", 400)):
            assert browser.submit("/admin/people/invitations", role=role).status_code == status


def test_a_disabled_person_is_out_at_once(site: Stage) -> None:
    from instructloop.store.database.accounts import disable_account

    key = site.key("ada")
    with browsing(site, "ada") as browser, TestClient(site.app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as program:
        disable_account(site.store, site.people["administrator"], site.people["ada"].id)
        assert browser.http.get("/account", follow_redirects=False).status_code == 303
        assert program.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 401

"""Accounts, sessions, invitations, API keys, roles, audit."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from instructloop.errors import AccessDenied, Conflict, DataError, NotFound, NotSignedIn
from instructloop.store.database import accounts, api_keys, audit, invitations, jobs, models, queues, raw_export, schema, sessions, tasks
from instructloop.store.database.freezing import register_snapshot
from instructloop.store.database.importing import import_files
from instructloop.store.database.labels import training_prompts
from instructloop.store.database.leases import free, lease_next, list_leases, skip_reasons
from instructloop.store.database.queues import QueueSettings
from instructloop.store.database.roles import ROLES, Account
from store_world import World

PASSWORD = "correct horse battery"


def test_the_first_administrator_comes_by_a_link_that_works_once(world: World) -> None:
    forgotten = invitations.first_administrator_link(world.store)
    link = invitations.first_administrator_link(world.store)
    assert forgotten is not None
    assert link is not None
    with pytest.raises(NotSignedIn):
        invitations.open_invitation(world.store, forgotten)
    root = invitations.accept_invitation(world.store, link, name="Root", password=PASSWORD)
    assert root.role == "administrator"
    assert invitations.first_administrator_link(world.store) is None
    with pytest.raises(NotSignedIn):
        invitations.accept_invitation(world.store, link, name="Second", password=PASSWORD)


def test_an_invitation_ends_with_its_time_or_when_it_is_withdrawn(world: World) -> None:
    root = world.person("administrator")
    old, _ = invitations.invite(world.store, root, "labeler", lifetime=timedelta(hours=1))
    world.clock.move(hours=1)
    with pytest.raises(NotSignedIn):
        invitations.accept_invitation(world.store, old, name="late", password=PASSWORD)
    token, invitation = invitations.invite(world.store, root, "labeler", held_out=True)
    assert invitations.list_invitations(world.store, root) == [invitation]
    invitations.revoke_invitation(world.store, root, invitation.id)
    with pytest.raises(NotSignedIn):
        invitations.accept_invitation(world.store, token, name="late", password=PASSWORD)
    with pytest.raises(NotFound):
        invitations.revoke_invitation(world.store, root, invitation.id)


def test_a_refused_acceptance_leaves_the_link_good(world: World) -> None:
    token, _ = invitations.invite(world.store, world.person("administrator"), "labeler")
    world.person("labeler", "Ann")
    with pytest.raises(Conflict, match="taken"):
        invitations.accept_invitation(world.store, token, name="ann", password=PASSWORD)
    with pytest.raises(DataError, match="password"):
        invitations.accept_invitation(world.store, token, name="Bob", password="short")
    assert invitations.accept_invitation(world.store, token, name="Bob", password=PASSWORD).name == "Bob"


@pytest.mark.parametrize(("name", "typed"), [("Élodie", "élodie"), ("ÜLKÜ", "u\u0308lku\u0308"), ("Στέλλας", "ΣΤΈΛΛΑΣ"), ("Straße", "STRASSE")])
def test_names_are_told_apart_alike_in_every_alphabet(world: World, name: str, typed: str) -> None:
    made = accounts.create_account(world.store, None, name=name, role="labeler", password=PASSWORD)
    for written in (name, typed):
        assert sessions.sign_in(world.store, f" {written}", PASSWORD)[1].account == made
        with pytest.raises(Conflict, match="taken"):
            accounts.create_account(world.store, None, name=written, role="labeler")


def test_two_names_of_an_older_release_that_differ_in_case_go_on(world: World) -> None:
    for number, name in enumerate(("Émile", "émile")):
        made = world.person("labeler", f"number {number}", password=PASSWORD + name)
        with world.store.writing() as connection:
            connection.execute(sa.update(schema.accounts).where(schema.accounts.c.id == made.id).values(name=name))
    for name in ("Émile", "émile"):
        assert sessions.sign_in(world.store, name, PASSWORD + name)[1].account.name == name


def test_leads_invite_labelers_and_nobody_above(world: World) -> None:
    for role in ROLES:
        if role in invitations.BY_LEADS:
            invitations.invite(world.store, world.lead, role)
        else:
            with pytest.raises(AccessDenied):
                invitations.invite(world.store, world.lead, role)


def test_signing_in_says_the_same_to_every_mistake_and_the_store_holds_no_secret(world: World) -> None:
    ann = world.person("labeler", "Ann", password=PASSWORD)
    program = world.person("labeler", "program")
    gone = world.person("labeler", "gone", password=PASSWORD)
    accounts.disable_account(world.store, world.person("administrator"), gone.id)
    refusals = set()
    for name, password in (("nobody", PASSWORD), ("Ann", "wrong"), (program.name, ""), ("gone", PASSWORD)):
        with pytest.raises(NotSignedIn) as refused:
            sessions.sign_in(world.store, name, password)
        refusals.add(str(refused.value))
    assert len(refusals) == 1
    token, session = sessions.sign_in(world.store, " ANN ", PASSWORD, client="Browser\r\nSet-Cookie: x")
    assert session.account == ann
    assert session.client == "BrowserSet-Cookie: x"
    key, _ = api_keys.create_key(world.store, ann, name="k", scopes=["label"])
    with world.store.reading() as connection:
        everything = repr([connection.execute(sa.select(table)).all() for table in schema.METADATA.sorted_tables])
    assert hashlib.sha256(token.encode()).hexdigest() in everything
    assert "$argon2id$" in everything
    assert not any(secret in everything for secret in (token, PASSWORD, key))


def test_sessions_end_by_time_sign_out_revocation_disabling_and_a_new_password(world: World) -> None:
    ann, root = world.person("labeler", "Ann", password=PASSWORD), world.person("administrator")

    def signed_in() -> tuple[str, sessions.Session]:
        return sessions.sign_in(world.store, "Ann", PASSWORD)

    token, _ = signed_in()
    sessions.sign_out(world.store, token)
    assert sessions.session_of(world.store, token) is None
    token, session = signed_in()
    sessions.revoke_session(world.store, root, session.id)
    assert sessions.session_of(world.store, token) is None
    token, _ = signed_in()
    world.clock.move(days=14)
    assert sessions.session_of(world.store, token) is None
    token, session = signed_in()
    assert sessions.list_sessions(world.store, ann, ann.id) == [session]
    with pytest.raises(NotSignedIn):
        accounts.change_password(world.store, ann, old="wrong", new=PASSWORD + "!")
    accounts.change_password(world.store, ann, old=PASSWORD, new=PASSWORD + "!")
    assert sessions.session_of(world.store, token) is None
    token, _ = sessions.sign_in(world.store, "Ann", PASSWORD + "!")
    accounts.disable_account(world.store, root, ann.id)
    assert sessions.session_of(world.store, token) is None
    assert sessions.session_of(world.store, "made up \ud800") is None


def test_nobody_sees_or_ends_the_sessions_and_keys_of_others(world: World) -> None:
    ann, bob = (world.person("labeler", name, password=PASSWORD) for name in ("Ann", "Bob"))
    _, session = sessions.sign_in(world.store, "Ann", PASSWORD)
    _, key = api_keys.create_key(world.store, ann, name="k", scopes=["label"])
    for actor in (bob, world.lead):
        for act in (
            lambda actor=actor: sessions.list_sessions(world.store, actor, ann.id),
            lambda actor=actor: sessions.revoke_session(world.store, actor, session.id),
            lambda actor=actor: api_keys.list_keys(world.store, actor, ann.id),
            lambda actor=actor: api_keys.revoke_key(world.store, actor, key.id),
        ):
            with pytest.raises(AccessDenied):
                act()


def test_a_key_has_the_scopes_that_fit_its_owner_and_ends(world: World) -> None:
    user = world.person("playground")
    with pytest.raises(AccessDenied):
        api_keys.create_key(world.store, user, name="k", scopes=["export"])
    with pytest.raises(DataError):
        api_keys.create_key(world.store, user, name="k", scopes=[])
    secret, key = api_keys.create_key(world.store, user, name="k", scopes=["generate"])
    found = api_keys.key_of(world.store, secret)
    assert found is not None
    assert (found.id, found.account, found.scopes) == (key.id, user, ("generate",))
    found.require("generate")
    with pytest.raises(AccessDenied):
        found.require("label")
    (listed,) = api_keys.list_keys(world.store, user, user.id)
    assert listed.last_used_at == world.clock()
    api_keys.revoke_key(world.store, user, key.id)
    assert api_keys.key_of(world.store, secret) is None


def test_there_is_always_an_administrator(world: World) -> None:
    root = world.person("administrator")
    for act in (lambda: accounts.change_role(world.store, root, root.id, "lead"), lambda: accounts.disable_account(world.store, root, root.id)):
        with pytest.raises(Conflict, match="only administrator"):
            act()
    accounts.change_role(world.store, root, world.lead.id, "administrator")
    assert accounts.change_role(world.store, root, root.id, "lead").role == "lead"


LEADING, READING = frozenset({"administrator", "lead"}), frozenset({"administrator", "lead", "researcher"})
LABELING, ROOT = frozenset({"administrator", "lead", "labeler", "researcher"}), frozenset({"administrator"})
ACTS: dict[str, tuple[frozenset[str], Callable[[World, Account], object]]] = {
    "list accounts": (READING, lambda world, actor: accounts.list_accounts(world.store, actor)),
    "create accounts": (ROOT, lambda world, actor: accounts.create_account(world.store, actor, name="x", role="labeler")),
    "change roles": (ROOT, lambda world, actor: accounts.change_role(world.store, actor, world.person("labeler", "rising").id, "lead")),
    "disable accounts": (ROOT, lambda world, actor: accounts.disable_account(world.store, actor, world.person("labeler", "leaving").id)),
    "hold out": (LEADING, lambda world, actor: accounts.set_held_out(world.store, actor, world.labeler.id, held_out=True)),
    "read the audit": (READING, lambda world, actor: audit.read_audit(world.store, actor)),
    "make queues": (LEADING, lambda world, actor: queues.create_queue(world.store, actor, name="q", kind="ranking")),
    "change queues": (LEADING, lambda world, actor: queues.change_queue(world.store, actor, world.queue().id, QueueSettings())),
    "publish guides": (LEADING, lambda world, actor: queues.publish_guide(world.store, actor, name="g", mode="training", text="t")),
    "qualify": (LEADING, lambda world, actor: queues.qualify(world.store, actor, world.queue().id, world.labeler.id)),
    "see queues": (LABELING, lambda world, actor: queues.list_queues(world.store, actor)),
    "be given tasks": (LABELING, lambda world, actor: lease_next(world.store, actor, world.queue().id)),
    "add tasks": (LEADING, lambda world, actor: tasks.add_tasks(world.store, actor, world.queue().id, [])),
    "add answers": (LEADING, lambda world, actor: tasks.add_answer_sets(world.store, actor, world.queue().id, [])),
    "list tasks": (READING, lambda world, actor: tasks.list_tasks(world.store, actor, world.queue().id)),
    "retire tasks": (LEADING, lambda world, actor: tasks.retire_task(world.store, actor, world.rankings(world.queue())[0])),
    "requeue tasks": (LEADING, lambda world, actor: tasks.requeue_task(world.store, actor, world.rankings(world.queue())[0])),
    "see leases": (LEADING, lambda world, actor: list_leases(world.store, actor, world.queue().id)),
    "free leases": (LEADING, lambda world, actor: free(world.store, actor, _lease(world))),
    "read reasons": (LEADING, lambda world, actor: skip_reasons(world.store, actor, "task")),
    "register models": (LEADING, lambda world, actor: models.register_model(world.store, actor, models.NewModel(name="m", place="p"))),
    "start jobs": (LEADING, lambda world, actor: jobs.enqueue(world.store, actor, "k", {}, key="k")),
    "see jobs": (LEADING, lambda world, actor: jobs.list_jobs(world.store, actor)),
    "read labels": (READING, lambda world, actor: list(training_prompts(world.store, actor))),
}


def _lease(world: World) -> str:
    queue = world.queue()
    world.rankings(queue)
    lease = lease_next(world.store, world.person("labeler", "holder"), queue.id)
    assert lease is not None
    return lease.id


def test_every_act_is_for_its_roles_only(world: World) -> None:
    people = {role: world.person(role) for role in ROLES}
    for act, (allowed, do) in ACTS.items():
        for role in sorted(set(ROLES) - allowed):
            try:
                do(world, people[role])
            except AccessDenied:
                continue
            pytest.fail(f"a {role} could {act}")
        do(world, people["administrator"])


def test_files_and_exports_are_for_their_roles_only(world: World, tmp_path) -> None:
    for role in ("labeler", "playground"):
        actor = world.person(role)
        for act in (
            lambda actor=actor: raw_export.export_store(world.store, actor, tmp_path / "x"),
            lambda actor=actor: raw_export.import_store(world.store, actor, tmp_path / "x"),
            lambda actor=actor: import_files(world.store, actor, [tmp_path / "x"], "prompts"),
            lambda actor=actor: register_snapshot(world.store, actor, tmp_path / "x"),
        ):
            with pytest.raises(AccessDenied):
                act()


def test_administrative_acts_and_exports_are_in_the_audit(world: World, tmp_path) -> None:
    root = world.person("administrator")
    invitations.invite(world.store, root, "lead")
    world.clock.move(seconds=1)
    raw_export.export_store(world.store, root, tmp_path / "x")
    newest, *rest = audit.read_audit(world.store, root)
    assert (newest.action, newest.account_id, newest.at) == ("export", root.id, world.clock())
    assert "invite" in [row.action for row in rest]
    assert audit.read_audit(world.store, root, before=newest.at) == rest

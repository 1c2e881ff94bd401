"""Accounts: who there is, and how they change."""

from datetime import datetime

import sqlalchemy as sa

from instructloop.errors import Conflict, NotFound, NotSignedIn
from instructloop.store.database import schema
from instructloop.store.database.audit import Actor, write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, READING, Account, Role, account_of, require
from instructloop.store.database.texts import checked_name, name_key
from instructloop.store.database.tokens import password_fits, password_hash
from instructloop.store.database.turns import one_at_a_time

ADMINISTRATOR: tuple[Role, ...] = ("administrator",)


def create_account(
    store: Store, actor: Actor, *, name: str, role: Role, password: str | None = None, held_out: bool = False, id: str | None = None
) -> Account:
    """A new account. Without a password nobody can sign in as it: for simulated labelers and programs that use API keys.

    Its id is random unless given, as for simulated people, who are to be the same each time.

    People get theirs by an invitation. For administrators and the command line (`actor` None). Raises `Conflict` if the name is taken.
    """
    if actor is not None:
        require(actor, ADMINISTRATOR, "create accounts")
    hashed = password_hash(password) if password is not None else None
    with store.writing() as connection:
        account = insert_account(connection, store.now(), name=name, role=role, hashed=hashed, held_out=held_out, id=id)
        write_audit(connection, store.now(), actor, "create account", ("account", account.id), {"role": role, "held_out": held_out})
    return account


def insert_account(
    connection: sa.Connection, at: datetime, *, name: str, role: Role, hashed: str | None, held_out: bool = False, id: str | None = None
) -> Account:
    """The row of a new account, in a transaction that is open; raises `Conflict` if the name or the id is taken."""
    accounts, account_id = schema.accounts, new_id() if id is None else checked_name(id, "the id")
    account = Account(id=account_id, name=checked_name(name, "the name"), role=role, held_out=held_out, created_at=at)
    one_at_a_time(connection, "new account")
    if find_name(connection, account.name) is not None:
        raise Conflict(
            f"the name {account.name!r} is taken", expected="a name that nobody has, whatever the case of its letters", remedy="choose another"
        )
    if id is not None and connection.execute(sa.select(accounts.c.id).where(accounts.c.id == account.id)).first():
        raise Conflict(f"the id {account.id!r} is taken", expected="an id that nobody has", remedy="choose another")
    row = {"id": account.id, "name": account.name, "role": role, "held_out": held_out, "created_at": at, "password_hash": hashed}
    connection.execute(sa.insert(accounts).values(**row))
    return account


def find_name(connection: sa.Connection, name: str) -> sa.RowMapping | None:
    """The row of whoever has this name, whatever the case of its letters; of several, which older releases let in, the one spelt so."""
    accounts = schema.accounts
    like = {known: id_ for id_, known in connection.execute(sa.select(accounts.c.id, accounts.c.name)) if name_key(known) == name_key(name)}
    if not like:
        return None
    found = like.get(name.strip(), min(like.values()))
    return connection.execute(sa.select(accounts).where(accounts.c.id == found)).mappings().one()


def account_by_id(store: Store, id_: str) -> Account:
    """The account; raises `NotFound`."""
    with store.reading() as connection:
        return find_account(connection, id_)


def find_account(connection: sa.Connection, id_: str) -> Account:
    """The account, read on a connection that is open; raises `NotFound`."""
    row = connection.execute(sa.select(schema.accounts).where(schema.accounts.c.id == id_)).mappings().first()
    if row is None:
        raise NotFound(f"there is no account {id_!r}", expected="the id of an account", remedy="look at the list of accounts")
    return account_of(row)


def list_accounts(store: Store, actor: Account) -> list[Account]:
    """Everybody, by name. For administrators, leads and researchers."""
    require(actor, READING, "list accounts")
    with store.reading() as connection:
        rows = connection.execute(sa.select(schema.accounts)).mappings().all()
    return [account_of(row) for row in sorted(rows, key=lambda row: name_key(row["name"]))]


def change_role(store: Store, actor: Actor, id_: str, role: Role) -> Account:
    """Give an account another role. For administrators; raises `Conflict` for the last of them who would stop being one."""
    if actor is not None:
        require(actor, ADMINISTRATOR, "change roles")
    with store.writing() as connection:
        before = find_account(connection, id_)
        if role != "administrator":
            _keep_an_administrator(connection, before)
        connection.execute(sa.update(schema.accounts).where(schema.accounts.c.id == id_).values(role=role))
        write_audit(connection, store.now(), actor, "change role", ("account", id_), {"from": before.role, "to": role})
    return account_by_id(store, id_)


def set_held_out(store: Store, actor: Account, id_: str, *, held_out: bool) -> Account:
    """Move a labeler into or out of the pool whose labels never train. For administrators and leads."""
    require(actor, LEADING, "choose the held-out labelers")
    with store.writing() as connection:
        find_account(connection, id_)
        connection.execute(sa.update(schema.accounts).where(schema.accounts.c.id == id_).values(held_out=held_out))
        write_audit(connection, store.now(), actor, "hold out" if held_out else "stop holding out", ("account", id_))
    return account_by_id(store, id_)


def disable_account(store: Store, actor: Account, id_: str) -> None:
    """Nobody can sign in as it any more; its sessions and API keys end at once. For administrators."""
    require(actor, ADMINISTRATOR, "disable accounts")
    with store.writing() as connection:
        _keep_an_administrator(connection, find_account(connection, id_))
        now = store.now()
        connection.execute(sa.update(schema.accounts).where(schema.accounts.c.id == id_).values(disabled_at=now))
        for table in (schema.sessions, schema.api_keys):
            connection.execute(sa.update(table).where(table.c.account_id == id_, table.c.revoked_at.is_(None)).values(revoked_at=now))
        write_audit(connection, now, actor, "disable account", ("account", id_))


def change_password(store: Store, actor: Account, *, old: str, new: str) -> None:
    """One's own password; every session of the account ends. Raises `NotSignedIn` unless the old one is right."""
    hashed = password_hash(new)
    kept = _password_of(store, actor)
    if not password_fits(kept, old):
        raise NotSignedIn("the old password is wrong", expected="the one you sign in with", remedy="type it again, or ask for a new invitation")
    with store.writing() as connection:
        row = schema.accounts.c.id == actor.id, schema.accounts.c.password_hash == kept
        if not connection.execute(sa.update(schema.accounts).where(*row).values(password_hash=hashed)).rowcount:
            raise Conflict("the password was changed meanwhile", expected="one change at a time", remedy="sign in with the new one")
        ended = schema.sessions.c.account_id == actor.id, schema.sessions.c.revoked_at.is_(None)
        connection.execute(sa.update(schema.sessions).where(*ended).values(revoked_at=store.now()))
        write_audit(connection, store.now(), actor, "change password", ("account", actor.id))


def _password_of(store: Store, account: Account) -> str | None:
    with store.reading() as connection:
        return connection.execute(sa.select(schema.accounts.c.password_hash).where(schema.accounts.c.id == account.id)).scalar_one_or_none()


def _keep_an_administrator(connection: sa.Connection, leaving: Account) -> None:
    """The rows of all administrators are locked, so that two who step down at once cannot both be let go."""
    query = sa.select(schema.accounts.c.id).where(schema.accounts.c.role == "administrator", schema.accounts.c.disabled_at.is_(None))
    remaining = {row.id for row in connection.execute(query.with_for_update())} - {leaving.id}
    if leaving.role == "administrator" and not remaining:
        raise Conflict(f"{leaving.name!r} is the only administrator", expected="another one beside", remedy="make somebody else administrator first")

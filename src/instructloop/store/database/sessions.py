"""Sessions: who is at the other end of a browser. The cookie holds a random token; the store holds its SHA-256."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from instructloop.errors import NotFound, NotSignedIn
from instructloop.store.database import schema
from instructloop.store.database.accounts import ADMINISTRATOR, find_name
from instructloop.store.database.audit import write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import Account, account_of, require_self
from instructloop.store.database.texts import MOST_NAME
from instructloop.store.database.tokens import new_token, password_fits, token_hash

LIFETIME = timedelta(days=14)
"""From signing in, whatever happens in between."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Somebody signed in somewhere."""

    id: str
    account: Account
    client: str
    """The browser, as it describes itself."""
    created_at: datetime
    expires_at: datetime


def sign_in(store: Store, name: str, password: str, *, client: str = "") -> tuple[str, Session]:
    """The token for the cookie, which is never shown again, and the new session.

    Raises `NotSignedIn`, with the same words for a name nobody has, a wrong password and a disabled account.
    """
    with store.reading() as connection:
        row = find_name(connection, name)
    fits = password_fits(row["password_hash"] if row else None, password)
    if row is None or not fits or row["disabled_at"] is not None:
        raise NotSignedIn("name or password is wrong", expected="those of an account", remedy="type them again, or ask for an invitation")
    return start_session(store, account_of(row), client=client)


def start_session(store: Store, account: Account, *, client: str = "") -> tuple[str, Session]:
    """A session for somebody whose identity is established already, by an invitation's link for instance."""
    now, token = store.now(), new_token()
    session = Session(id=new_id(), account=account, client=_shown(client), created_at=now, expires_at=now + LIFETIME)
    with store.writing() as connection:
        connection.execute(
            sa.insert(schema.sessions).values(
                id=session.id,
                token_hash=token_hash(token),
                account_id=account.id,
                client=session.client,
                created_at=now,
                expires_at=session.expires_at,
            )
        )
    return token, session


def session_of(store: Store, token: str) -> Session | None:
    """The session of a cookie's token; None if it is unknown, expired or revoked, or the account disabled."""
    query = _live(store).where(schema.sessions.c.token_hash == token_hash(token))
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return _session_of(row) if row else None


def list_sessions(store: Store, actor: Account, account_id: str) -> list[Session]:
    """The live sessions of an account, the newest first: one's own, or anybody's for administrators."""
    require_self(actor, account_id, ADMINISTRATOR, "see other people's sessions")
    query = _live(store).where(schema.sessions.c.account_id == account_id).order_by(schema.sessions.c.created_at.desc())
    with store.reading() as connection:
        return [_session_of(row) for row in connection.execute(query).mappings()]


def revoke_session(store: Store, actor: Account, session_id: str) -> None:
    """End a session: one's own, or anybody's for administrators. Raises `NotFound` for one that is not there."""
    with store.writing() as connection:
        owner = connection.execute(sa.select(schema.sessions.c.account_id).where(schema.sessions.c.id == session_id)).scalar_one_or_none()
        if owner is None:
            raise NotFound(f"there is no session {session_id!r}", expected="a live session", remedy="look at the list of sessions")
        require_self(actor, owner, ADMINISTRATOR, "end other people's sessions")
        live = schema.sessions.c.id == session_id, schema.sessions.c.revoked_at.is_(None)
        connection.execute(sa.update(schema.sessions).where(*live).values(revoked_at=store.now()))
        if owner != actor.id:
            write_audit(connection, store.now(), actor, "end session", ("account", owner))


def sign_out(store: Store, token: str) -> None:
    """End the session of a token; nothing happens if there is none."""
    live = schema.sessions.c.token_hash == token_hash(token), schema.sessions.c.revoked_at.is_(None)
    with store.writing() as connection:
        connection.execute(sa.update(schema.sessions).where(*live).values(revoked_at=store.now()))


def _live(store: Store) -> sa.Select[tuple[object, ...]]:
    """Sessions that count, beside the columns of their accounts under the names of `accounts`."""
    sessions, accounts = schema.sessions, schema.accounts
    started = [column.label(f"session_{column.name}") for column in (sessions.c.id, sessions.c.client, sessions.c.created_at, sessions.c.expires_at)]
    return (
        sa.select(*accounts.c, *started)
        .join_from(sessions, accounts)
        .where(sessions.c.expires_at > store.now(), sessions.c.revoked_at.is_(None), accounts.c.disabled_at.is_(None))
    )


def _session_of(row: sa.RowMapping) -> Session:
    values = {name: row[f"session_{name}"] for name in ("id", "client", "created_at", "expires_at")}
    return Session(account=account_of(row), **values)


def _shown(client: str) -> str:
    """What browsers say of themselves is theirs to invent: one line, and not a long one."""
    return "".join(letter for letter in client if letter.isprintable())[:MOST_NAME]

"""Invitations: links that become an account, once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from instructloop.errors import NotFound, NotSignedIn
from instructloop.store.database import schema
from instructloop.store.database.accounts import ADMINISTRATOR, insert_account
from instructloop.store.database.audit import write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.roles import LEADING, Account, Role, known_role, require
from instructloop.store.database.tokens import new_token, password_hash, token_hash
from instructloop.store.database.turns import one_at_a_time

LIFETIME = timedelta(days=14)
BY_LEADS: tuple[Role, ...] = ("labeler", "playground")
"""Roles that leads may invite to; the others only administrators."""


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A link that was made; the link itself is known only to whoever got it."""

    id: str
    role: Role
    held_out: bool
    expires_at: datetime


def invite(store: Store, actor: Account, role: Role, *, held_out: bool = False, lifetime: timedelta = LIFETIME) -> tuple[str, Invitation]:
    """The token of the link, never shown again, and the invitation. For administrators; for leads to some roles."""
    require(actor, LEADING if role in BY_LEADS else ADMINISTRATOR, f"invite a {role}")
    with store.writing() as connection:
        return _insert(connection, store.now(), actor, role, held_out=held_out, lifetime=lifetime)


def first_administrator_link(store: Store) -> str | None:
    """The token of the link that makes the first administrator, in place of any earlier one; None if there is one already."""
    accounts, invitations = schema.accounts, schema.invitations
    with store.writing() as connection:
        one_at_a_time(connection, "first administrator")
        if connection.execute(sa.select(accounts.c.id).where(accounts.c.role == "administrator", accounts.c.disabled_at.is_(None))).first():
            return None
        earlier = invitations.c.invited_by.is_(None), invitations.c.used_at.is_(None), invitations.c.revoked_at.is_(None)
        connection.execute(sa.update(invitations).where(*earlier).values(revoked_at=store.now()))
        token, _ = _insert(connection, store.now(), None, "administrator", held_out=False, lifetime=timedelta(days=1))
    return token


def open_invitation(store: Store, token: str) -> Invitation:
    """The invitation behind a link; raises `NotSignedIn` for a link that is unknown, spent, withdrawn or too old."""
    with store.reading() as connection:
        return _open(connection, store.now(), token)


def accept_invitation(store: Store, token: str, *, name: str, password: str) -> Account:
    """The account that a link becomes. Raises `NotSignedIn` for a link that is no good, `Conflict` for a name that is taken."""
    hashed = password_hash(password)
    with store.writing(durable=True) as connection:
        now = store.now()
        invitation = _open(connection, now, token)
        account = insert_account(connection, now, name=name, role=invitation.role, hashed=hashed, held_out=invitation.held_out)
        spent = schema.invitations.c.id == invitation.id, schema.invitations.c.used_at.is_(None)
        if not connection.execute(sa.update(schema.invitations).where(*spent).values(used_at=now, account_id=account.id)).rowcount:
            raise _no_good()
        write_audit(connection, now, account, "accept invitation", ("invitation", invitation.id), {"role": invitation.role})
    return account


def list_invitations(store: Store, actor: Account) -> list[Invitation]:
    """Those that can still be accepted, the newest first. For administrators and leads."""
    require(actor, LEADING, "list invitations")
    with store.reading() as connection:
        rows = connection.execute(_live(store.now()).order_by(schema.invitations.c.created_at.desc())).mappings().all()
    return [_invitation_of(row) for row in rows]


def revoke_invitation(store: Store, actor: Account, id_: str) -> None:
    """Withdraw a link. For administrators and leads; raises `NotFound` for one that can no longer be accepted."""
    require(actor, LEADING, "withdraw invitations")
    with store.writing() as connection:
        row = connection.execute(_live(store.now()).where(schema.invitations.c.id == id_)).first()
        if row is None:
            raise NotFound(f"there is no open invitation {id_!r}", expected="one that can be accepted", remedy="look at the list of invitations")
        connection.execute(sa.update(schema.invitations).where(schema.invitations.c.id == id_).values(revoked_at=store.now()))
        write_audit(connection, store.now(), actor, "withdraw invitation", ("invitation", id_))


def _insert(
    connection: sa.Connection, now: datetime, actor: Account | None, role: Role, *, held_out: bool, lifetime: timedelta
) -> tuple[str, Invitation]:
    token = new_token()
    invitation = Invitation(id=new_id(), role=known_role(role), held_out=held_out, expires_at=now + lifetime)
    connection.execute(
        sa.insert(schema.invitations).values(
            id=invitation.id, token_hash=token_hash(token), role=role, held_out=held_out, created_at=now,
            expires_at=invitation.expires_at, invited_by=actor.id if actor else None,
        )
    )  # fmt: skip
    write_audit(connection, now, actor, "invite", ("invitation", invitation.id), {"role": role, "held_out": held_out})
    return token, invitation


def _live(now: datetime) -> sa.Select[tuple[object, ...]]:
    invitations = schema.invitations
    return sa.select(invitations).where(invitations.c.used_at.is_(None), invitations.c.revoked_at.is_(None), invitations.c.expires_at > now)


def _open(connection: sa.Connection, now: datetime, token: str) -> Invitation:
    row = connection.execute(_live(now).where(schema.invitations.c.token_hash == token_hash(token))).mappings().first()
    if row is None:
        raise _no_good()
    return _invitation_of(row)


def _invitation_of(row: sa.RowMapping) -> Invitation:
    return Invitation(id=row["id"], role=row["role"], held_out=row["held_out"], expires_at=row["expires_at"])


def _no_good() -> NotSignedIn:
    return NotSignedIn("this link is no good", expected="a link that was not used before and is not too old", remedy="ask for a new one")

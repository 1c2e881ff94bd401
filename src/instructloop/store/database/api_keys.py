"""API keys: what programs sign in with. Shown once, kept hashed, limited to scopes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa

from instructloop.errors import AccessDenied, DataError, NotFound
from instructloop.store.database import schema
from instructloop.store.database.accounts import ADMINISTRATOR
from instructloop.store.database.audit import write_audit
from instructloop.store.database.opening import Store, new_id
from instructloop.store.database.prompts import Consent
from instructloop.store.database.roles import LABELING, READING, Account, account_of, require, require_self
from instructloop.store.database.texts import checked_name
from instructloop.store.database.tokens import new_token, token_hash

Scope = Literal["generate", "label", "export"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""generate: ask models; label: lease tasks and submit; export: read everybody's data."""

PREFIX = "il-"
SHOWN = 8
"""Characters of a key by which its owner knows it again."""
SEEN_EVERY = timedelta(minutes=1)
"""How exactly the last use of a key is kept: not every request should have to write."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key, without the key itself."""

    id: str
    shown: str
    name: str
    account: Account
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None
    consent: Consent | None
    """What the owner allows to be done with prompts that come with the key; None if they are not to be stored."""

    def require(self, scope: Scope) -> None:
        """Raise `AccessDenied` unless the key has the scope."""
        if scope not in self.scopes:
            raise AccessDenied(
                f"the key {self.shown}… has the scopes {', '.join(self.scopes)}", expected=f"the scope {scope}", remedy="use another key"
            )


def create_key(store: Store, actor: Account, *, name: str, scopes: Collection[Scope], consent: Consent | None = None) -> tuple[str, ApiKey]:
    """The key, never shown again, and what the store keeps of it. Everybody for themselves, with scopes that fit the role.

    `consent` is for every prompt that will come with the key; without it none is stored.
    """
    _check_scopes(actor, scopes)
    key, now = new_token(PREFIX), store.now()
    kept = ApiKey(
        id=new_id(), shown=key[:SHOWN], name=checked_name(name, "the name of the key"), account=actor, scopes=tuple(sorted(set(scopes))),
        created_at=now, last_used_at=None, consent=consent,
    )  # fmt: skip
    with store.writing() as connection:
        row: dict[str, Any] = {
            "key_hash": token_hash(key),
            "shown": kept.shown,
            "name": kept.name,
            "account_id": actor.id,
            "scopes": list(kept.scopes),
        }
        row |= {"may_store": consent is not None and consent.store, "may_train": consent is not None and consent.train}
        row |= {"consent": consent.version if consent else None, "created_at": now}
        connection.execute(sa.insert(schema.api_keys).values(id=kept.id, **row))
        write_audit(connection, now, actor, "create key", ("api key", kept.id), {"scopes": list(kept.scopes)})
    return key, kept


def key_of(store: Store, key: str) -> ApiKey | None:
    """What the store keeps of a key that counts; None if it is unknown or revoked, or its account disabled."""
    now = store.now()
    with store.reading() as connection:
        row = connection.execute(_live().where(schema.api_keys.c.key_hash == token_hash(key))).mappings().first()
    if row is None:
        return None
    if row["key_last_used_at"] is None or now - row["key_last_used_at"] >= SEEN_EVERY:
        with store.writing() as connection:
            connection.execute(sa.update(schema.api_keys).where(schema.api_keys.c.id == row["key_id"]).values(last_used_at=now))
    return _key_of(row)


def list_keys(store: Store, actor: Account, account_id: str) -> list[ApiKey]:
    """The keys of an account that count, the newest first: one's own, or anybody's for administrators."""
    require_self(actor, account_id, ADMINISTRATOR, "see other people's keys")
    query = _live().where(schema.api_keys.c.account_id == account_id).order_by(schema.api_keys.c.created_at.desc())
    with store.reading() as connection:
        return [_key_of(row) for row in connection.execute(query).mappings()]


def revoke_key(store: Store, actor: Account, key_id: str) -> None:
    """End a key: one's own, or anybody's for administrators. Raises `NotFound` for one that does not count."""
    with store.writing() as connection:
        row = connection.execute(_live().where(schema.api_keys.c.id == key_id)).mappings().first()
        if row is None:
            raise NotFound(f"there is no key {key_id!r}", expected="a key that was not revoked", remedy="look at the list of keys")
        require_self(actor, row["id"], ADMINISTRATOR, "revoke other people's keys")
        connection.execute(sa.update(schema.api_keys).where(schema.api_keys.c.id == key_id).values(revoked_at=store.now()))
        write_audit(connection, store.now(), actor, "revoke key", ("api key", key_id))


def _check_scopes(actor: Account, scopes: Collection[Scope]) -> None:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise DataError(f"the scopes {', '.join(unknown) or 'none'}", expected=f"some of {', '.join(SCOPES)}", remedy="correct them")
    if "label" in scopes:
        require(actor, LABELING, "have a key to label with")
    if "export" in scopes:
        require(actor, READING, "have a key to export with")


def _live() -> sa.Select[tuple[object, ...]]:
    """Keys that count, under names that begin with `key_`, beside the columns of their accounts."""
    keys, accounts = schema.api_keys, schema.accounts
    kept = [keys.c[name].label(f"key_{name}") for name in ("id", "shown", "name", "scopes", "created_at", "last_used_at", *_CONSENT)]
    return sa.select(*accounts.c, *kept).join_from(keys, accounts).where(keys.c.revoked_at.is_(None), accounts.c.disabled_at.is_(None))


def _key_of(row: sa.RowMapping) -> ApiKey:
    values = {name: row[f"key_{name}"] for name in ("id", "shown", "name", "created_at", "last_used_at")}
    store, train, version = (row[f"key_{name}"] for name in _CONSENT)
    consent = Consent(store=store, train=train, version=version) if store else None
    return ApiKey(account=account_of(row), scopes=tuple(row["key_scopes"]), consent=consent, **values)


_CONSENT = ("may_store", "may_train", "consent")

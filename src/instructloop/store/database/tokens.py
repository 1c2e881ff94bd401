"""Secrets that only their holder knows: session tokens, one-time links, API keys. The store keeps their SHA-256.

They are random and long, so that a fast hash is enough; passwords, which people choose, go through argon2id.
"""

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from instructloop.errors import DataError
from instructloop.store.database.texts import checked

LEAST_PASSWORD, MOST_PASSWORD = 10, 1000
"""Characters. The most is there so that nobody makes the server hash a book."""

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_urlsafe())
"""Checked when a name is unknown, so that an answer takes equally long whether there is such a person or not."""


def new_token(prefix: str = "") -> str:
    """A secret of 256 random bits, safe in addresses and cookies."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What the store keeps of a secret."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def password_hash(password: str) -> str:
    """The argon2id hash of a password; raises `DataError` for one that is too short or too long."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise DataError(
            f"a password of {len(password)} characters",
            expected=f"{LEAST_PASSWORD} to {MOST_PASSWORD}",
            remedy="take several words that only you know",
        )
    return _HASHER.hash(checked(password, "the password", most=MOST_PASSWORD))


def password_fits(kept: str | None, password: str) -> bool:
    """True if `kept` is the hash of the password; takes as long for an account without one."""
    try:
        return _HASHER.verify(kept or _NOBODY, password[: MOST_PASSWORD + 1]) and kept is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False

"""The places of the site, in the order of the loop, and who is shown which.

A new part of the site adds its tab here; what a role may do is decided by the routes and the store, not by this list.
"""

from dataclasses import dataclass

from instructloop.store.database.roles import LABELING, READING, ROLES, Account, Role


@dataclass(frozen=True)
class Tab:
    """A place: the key of its name in the catalogue under `nav`, and its path."""

    name: str
    path: str
    roles: tuple[Role, ...] = ROLES


TABS = (Tab("playground", "/playground"), Tab("labeling", "/labeling", LABELING), Tab("data", "/data"), Tab("administration", "/admin", READING))


def tabs_of(account: Account | None) -> list[Tab]:
    """The tabs somebody sees; none before they log in."""
    return [tab for tab in TABS if account is not None and account.role in tab.roles]

"""What the person who starts the site decides, and the limits that protect it."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from instructloop.errors import ConfigError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """One running site. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    """Address the server listens on."""
    port: int = 8000
    public_url: str | None = None
    """Where people reach the site, as in "https://loop.example.org"; needed behind a proxy with a name of its own."""
    insecure_http: bool = False
    """Let people log in over plain HTTP from other machines. Passwords and answers can then be read on the way; a banner says so."""

    max_body: int = 1 << 20
    body_seconds: float = 15.0
    """A request whose body has not arrived by then is dropped."""
    max_tokens: int = 2048
    """Longest answer anybody may ask for."""
    max_choices: int = 8
    """Most answers of one request, over all its prompts."""
    max_running: int = 64
    """Answers being made or waiting for the model at one time; more are told to come back."""
    login_failures: int = 5
    """Wrong passwords for one name from one address within `login_window` before they have to wait; four times as many for one address,
    twenty times as many for one name."""
    login_window: float = 300.0
    answers_per_minute: int = 60
    """Answers that one account may ask for."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ConfigError(f"the port is {self.port}", expected="0 (any free one) to 65535", remedy="choose another")
        if self.public_url is not None:
            address = urlsplit(self.public_url)
            if address.scheme not in ("http", "https") or not address.hostname or address.path.strip("/") or address.query:
                raise ConfigError(
                    f"the public address is {self.public_url!r}",
                    expected="scheme and host only, as in https://loop.example.org",
                    remedy="give it without a path",
                )

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this site.

        Names other than the public one are refused, because a page of another site may point its own name at this machine (DNS rebinding);
        a numeric address cannot be pointed anywhere.
        """
        name = host_name(host)
        if name in LOOPBACK_NAMES or name == self.host.lower() or _is_address(name):
            return True
        return self.public_url is not None and name == (urlsplit(self.public_url).hostname or "").lower()

    @property
    def address(self) -> str:
        """Where a person can open the site, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{name}]' if ':' in name and not name.startswith('[') else name}:{self.port}"


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in lower case."""
    host = host.strip().lower()
    name, port = (host, "") if host.endswith("]") else host.rpartition(":")[::2] if ":" in host else (host, "")
    return name if not port or port.isdecimal() else host


def is_loopback(name: str) -> bool:
    """Whether a host name or a client's address is this very machine."""
    if name in LOOPBACK_NAMES:
        return True
    return _is_address(name) and ipaddress.ip_address(name.strip("[]")).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

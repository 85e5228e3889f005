"""The options of the server, and their checks."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.delivery.allowed import NOTHING, Allowed

SHORTEST_TOKEN = 16
TOKEN_HINT = "Set HAMMERWORK_WEB_TOKEN, for example to the output of: openssl rand -hex 32"  # noqa: S105  no token


@dataclass(frozen=True, slots=True)
class ServerSettings:
    token: str | None = None  # token that requests must have; `None` if they need none
    read_only: bool = False  # whether the server refuses changes
    redact: bool = False  # whether answers show only ids, states, times and counts
    cors_origins: frozenset[str] = frozenset()  # other origins whose pages may use the API
    # Names in lower case that a Host header may have besides addresses and `localhost`.
    host_names: frozenset[str] = frozenset()
    is_local: bool = True  # whether the server listens on a loopback address
    allowed: Allowed = NOTHING  # what tests of streams and webhooks may use of its host

    @classmethod
    def of(
        cls,
        host: str,
        token: str | None,
        *,
        read_only: bool = False,
        redact: bool = False,
        cors_origins: Iterable[str] = (),
        host_names: Iterable[str] = (),
        allowed: Allowed = NOTHING,
    ) -> "ServerSettings":
        """Checks the options."""
        is_local = is_loopback(host)
        if token is not None:
            _check_token(token)
        elif not is_local:
            raise UsageError(
                f"Without a token, the server listens only on a loopback address, not on {host[:60]}.",
                hint=TOKEN_HINT,
            )
        own = {host} if is_local else {host, _machine_name()}
        return cls(
            token=token,
            read_only=read_only,
            redact=redact,
            cors_origins=frozenset(_origin(text) for text in cors_origins),
            host_names=frozenset(name.lower().rstrip(".") for name in (*own, *host_names)),
            is_local=is_local,
            allowed=allowed,
        )


def _machine_name() -> str:
    # socket.getfqdn() would ask a name server.
    import socket

    return socket.gethostname()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_token(token: str) -> None:
    if len(token) < SHORTEST_TOKEN:
        raise UsageError(
            f"A token must have at least {SHORTEST_TOKEN} characters.",
            hint=TOKEN_HINT,
        )
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise UsageError("A token may contain only letters, digits and - . _ ~ + /, with = at its end.")


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text.strip().lower())
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or text.strip().lower() != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise UsageError(f"{text[:60]!r} is not an origin.", hint="Write https://example.org, without a path.")
    return text.strip().lower()

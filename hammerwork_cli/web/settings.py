"""How the server is started, and what it refuses to be started with."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from hammerwork_cli.errors import UsageError

SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server was started.

    Attributes:
        token: what a request must bear; ``None`` for none.
        read_only: nothing is changed.
        redact: only identities, states, times and counts are shown.
        cors_origins: other origins whose pages may use the API.
        host_names: names besides addresses and ``localhost`` by which the server may be called, in lower case.
        is_local: it listens on a loopback address.
    """

    token: str | None = None
    read_only: bool = False
    redact: bool = False
    cors_origins: frozenset[str] = frozenset()
    host_names: frozenset[str] = frozenset()
    is_local: bool = True

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
    ) -> "Settings":
        """What was asked for.

        Raises:
            UsageError: another address than a loopback one without a token, a token that is too easy to guess or cannot
                be sent, an origin that is none.
        """
        is_local = is_loopback(host)
        if token is not None:
            _check_token(token)
        elif not is_local:
            raise UsageError(
                f"Without a token the server listens on a loopback address only, not on {host[:60]}.",
                hint="Set HAMMERWORK_WEB_TOKEN, for example to what this prints: openssl rand -hex 32",
            )
        own = {host} if is_local else {host, _machine_name()}
        return cls(
            token=token,
            read_only=read_only,
            redact=redact,
            cors_origins=frozenset(_origin(text) for text in cors_origins),
            host_names=frozenset(name.lower().rstrip(".") for name in (*own, *host_names)),
            is_local=is_local,
        )


def _machine_name() -> str:
    # Not the full name, for which a name server would be asked.
    import socket

    return socket.gethostname()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_token(token: str) -> None:
    if len(token) < SHORTEST_TOKEN:
        raise UsageError(
            f"A token has {SHORTEST_TOKEN} characters at least.",
            hint="Set HAMMERWORK_WEB_TOKEN, for example to what this prints: openssl rand -hex 32",
        )
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise UsageError("A token consists of letters, digits and - . _ ~ + / only.")


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text.strip().lower())
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or text.strip().lower() != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise UsageError(f"{text[:60]!r} is not an origin.", hint="Write https://example.org, without a path.")
    return text.strip().lower()

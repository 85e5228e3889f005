"""Headers of requests: those of the user, and how the request proves who sends it."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import NamedTuple

from hammerwork_cli.core.values import MASK
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.runtime.delivery.webhooks import secrets, signature

AUTHORIZATION = "Authorization"
MOST = 50
"""Further headers of a webhook."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_LINE_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PUBLIC = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Headers whose values are shown: those of all others may be keys."""
_SECRET = re.compile("auth|cookie|key|passw|secret|session|signature|token", re.IGNORECASE)
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        signature.ID,
        signature.TIMESTAMP,
        signature.SIGNATURE,
        signature.ORIGINAL.lower(),
    }
)
"""Headers that make the request what it is."""
_AUTH = ({"bearer"}, {"basic"}, {"header", "key"})


def names_secret(header: str) -> bool:
    """Whether the value of a header is a secret, by its name."""
    return bool(_SECRET.search(header))


class AddedHeaders(NamedTuple):
    """The headers that a webhook adds to its requests."""

    headers: Mapping[str, str]
    shown: Mapping[str, str]  # the same, with masked secrets
    secrets: tuple[str, ...]  # texts that must not be shown


def check(webhook: Webhook) -> None:
    """Checks the further headers and the authorization of a webhook, but not whether variables exist.

    Raises:
        UsageError: a name or value is not valid, is ours, or comes twice.
    """
    if len(webhook.headers) > MOST:
        raise UsageError(f"A webhook has at most {MOST} headers.")
    for name, value in webhook.headers.items():
        _check_name(name)
        secrets.check(value, f"The header {name}")
    auth = webhook.auth
    if auth and set(auth) not in _AUTH:
        raise UsageError("A webhook has a token, a user with a password, or a header with a key; not several of them.")
    if "header" in auth:
        _check_name(auth["header"])
    for key, word in (("bearer", "The token"), ("basic", "User and password"), ("key", "The key")):
        if key in auth:
            secrets.check(auth[key], word)
    if "basic" in auth and not auth["basic"].startswith("env:"):
        _basic(auth["basic"])
    names = [*webhook.headers, *filter(None, [_auth_name(webhook)])]
    twice = {name for name in names if [other.lower() for other in names].count(name.lower()) > 1}
    if twice:
        raise UsageError(f"The header {min(twice)} comes twice.", hint="Headers have no letter case.")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r:.80} is not the name of a header.", hint="Write NAME=VALUE.")
    if name.lower() in _OURS or name.lower().startswith("proxy-"):
        raise UsageError(f"A webhook cannot set the header {name}: it belongs to the request.")


def _auth_name(webhook: Webhook) -> str | None:
    return webhook.auth.get("header", AUTHORIZATION) if webhook.auth else None


def added(webhook: Webhook) -> AddedHeaders:
    """Reads the secrets of a webhook's headers.

    Raises:
        ConfigError: a variable is missing or holds what no header can.
        UsageError: a user and a password have no colon between them.
    """
    found = {name: secrets.resolved(value) for name, value in webhook.headers.items()}
    shown = {name: value if name.lower() in _PUBLIC else MASK for name, value in found.items()}
    hidden = [value for name, value in found.items() if shown[name] == MASK]
    auth, name = webhook.auth, _auth_name(webhook)
    if name is not None:
        words, secret = next((word, auth[key]) for key, word in _WORDS.items() if key in auth)
        secret = secrets.resolved(secret)
        found[name] = words(secret)
        shown[name] = f"{found[name].partition(' ')[0]} {MASK}" if "header" not in auth else MASK
        hidden += [secret, found[name].rpartition(" ")[2], *secret.split(":", 1)[1:]]
    return AddedHeaders(found, shown, tuple(hidden))


def _basic(secret: str) -> str:
    user, colon, _ = secret.partition(":")
    if not user or not colon:
        raise UsageError("User and password have no colon between them.", hint="Write USER:PASSWORD.")
    return f"Basic {b64encode(secret.encode()).decode()}"


_WORDS: dict[str, Callable[[str], str]] = {"bearer": "Bearer {}".format, "basic": _basic, "key": str}


def head(start: str, headers: Mapping[str, str]) -> bytes:
    """Returns the beginning of a request, up to the empty line.

    Raises:
        ConfigError: a name or value would end its line, which a row that SQL has changed may try.
    """
    lines = [start]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _LINE_BREAKS.search(value):
            raise ConfigError("A header of the webhook holds a line break or another control character.")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")

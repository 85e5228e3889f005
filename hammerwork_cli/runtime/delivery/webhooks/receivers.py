"""URLs of receivers."""

import re
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from hammerwork_cli.errors import UsageError
from hammerwork_cli.runtime.delivery.webhooks.addresses import LOOPBACK, kind_of, literal

LONGEST = 2048
"""Characters of a URL."""
_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_OTHER_NAMES = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
"""Letters that the codec of Python replaces, as IDNA of 2003 does, and that belong to other names since 2008."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_EXAMPLE = "Write https://HOST/PATH."


class Receiver(NamedTuple):
    """The parts of a URL."""

    scheme: str
    host: str  # in lower case and ASCII; an IPv6 address without brackets
    port: int
    target: str  # path and query

    @property
    def authority(self) -> str:
        """Host and port, as the header ``Host`` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def is_local(self) -> bool:
        """Whether the URL itself names this machine."""
        address = literal(self.host)
        if address is not None:
            return kind_of(address) == LOOPBACK
        return self.host == "localhost" or self.host.endswith(".localhost")


def receiver(url: str) -> Receiver:
    """Reads a URL.

    Raises:
        UsageError: it is none that a request can be sent to. The message does not repeat the URL, which may hold a key.
    """
    if len(url) > LONGEST:
        raise UsageError(f"The URL has more than {LONGEST:,} characters.")
    if re.search(r"[\x00-\x20\x7f-\xa0\ud800-\udfff\\]", url):
        raise UsageError("The URL holds a space, a backslash or a control character.", hint="Write %20 for a space.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("The host or the port of the URL cannot be read.", hint=_EXAMPLE) from None
    if parts.scheme not in _PORTS:
        raise UsageError("The URL begins with neither https: nor http:.", hint=_EXAMPLE)
    if "@" in parts.netloc:
        raise UsageError(
            "The URL holds a user or a password.", hint="Give them as --basic-auth env:NAME, where they stay secret."
        )
    if port == 0:
        raise UsageError("The port of the URL is 0.", hint=_EXAMPLE)
    host = parts.hostname or ""
    if "[" in parts.netloc and ":" not in host:
        raise UsageError("The host of the URL has the brackets of an IPv6 address.", hint=_EXAMPLE)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    return Receiver(parts.scheme, _host(host), port or _PORTS[parts.scheme], path + query)


def _host(host: str) -> str:
    """The host in ASCII: a name in characters that look like digits or dots becomes what it looks like."""
    if not host:
        raise UsageError("The URL has no host.", hint=_EXAMPLE)
    address = literal(host)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise UsageError("The address of the URL names a network interface.", hint="Write it without the zone.")
    if address is not None:
        return str(address)
    if _OTHER_NAMES.search(host):
        raise UsageError("The host of the URL has letters that browsers read as others.", hint="Write it as xn--....")
    try:
        ascii_host = host.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        ascii_host = ""
    if not _NAME.fullmatch(ascii_host) or ":" in host:
        raise UsageError("The host of the URL is neither a name nor an address.", hint=_EXAMPLE)
    if literal(ascii_host) is None and _NUMBER.fullmatch(ascii_host.rpartition(".")[2]):
        raise UsageError("The host of the URL ends in a number, but is not an address.", hint="Write it as 192.0.2.1.")
    return ascii_host

"""Connections to receivers: only to addresses that were checked, within one time limit, through a proxy or not."""

import io
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.client import HTTPResponse
from ipaddress import ip_address
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.runtime.delivery.allowed import Allowed
from hammerwork_cli.runtime.delivery.webhooks import headers
from hammerwork_cli.runtime.delivery.webhooks.addresses import LOOPBACK, Address, kind_of, literal
from hammerwork_cli.runtime.delivery.webhooks.receivers import Receiver

MOST_ADDRESSES = 8
"""Addresses of a name that are tried."""
LARGEST_HEAD = 1 << 16
"""Bytes of all headers of an answer, and of the frames of its chunks."""
_PIECE = 1 << 16


class DeliveryError(HammerworkError):
    """A request could not be sent, or was not answered."""


class Deadline:
    """The end of an exchange."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end, at least a millisecond: 0 would mean something else to a socket.

        Raises:
            TimeoutError: it is over.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return max(left, 0.001)


class Wire(io.RawIOBase):
    """What comes from a socket, until the deadline, and at most ``most`` bytes."""

    def __init__(self, connection: socket.socket, deadline: Deadline, most: int) -> None:
        super().__init__()
        self._connection, self._deadline, self._left = connection, deadline, most
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise DeliveryError("The answer is too long.")
        self._connection.settimeout(self._deadline.left())
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        self._has_ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What a response reads; the method of a socket."""
        return io.BufferedReader(self)

    def answered(self, method: str) -> HTTPResponse:
        """Returns the answer to a request, with its head. Heads such as that of 103, which come before it, are skipped.

        Raises:
            HTTPException: this is not HTTP.
            OSError: the answer has no whole head.
        """
        response = HTTPResponse(cast(socket.socket, self), method=method)
        while True:
            response.begin()
            if self._has_ended:  # a head that is cut is a whole one to HTTPResponse
                raise ConnectionResetError
            if response.status == 101 or response.status >= 200:
                return response
            response.headers = cast(Any, None)  # so that it begins again


def send_all(connection: socket.socket, content: bytes, deadline: Deadline) -> None:
    """Sends bytes. ``sendall`` of TLS would wait the time limit for each piece."""
    rest = memoryview(content)
    while rest:
        connection.settimeout(deadline.left())
        rest = rest[connection.send(rest[:_PIECE]) :]


# Addresses.


class ResolvedAddress(NamedTuple):
    family: socket.AddressFamily
    place: tuple[Any, ...]
    address: Address


def resolved(host: str, port: int, deadline: Deadline) -> list[ResolvedAddress]:
    """The addresses of a host. A resolver may take minutes, so that a thread waits for it.

    Raises:
        DeliveryError: it has none, or they were not found in time.
        TimeoutError: the deadline is over.
    """
    known = literal(host)
    if known is not None:
        family = socket.AF_INET if known.version == 4 else socket.AF_INET6
        return [ResolvedAddress(family, (host, port), known)]
    answers: list[list[Any] | Exception] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP))
        except Exception as error:  # noqa: BLE001  the thread that waits raises it
            answers.append(error)

    thread = threading.Thread(target=ask, name="hammerwork-resolver", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not answers:
        raise DeliveryError(f"The name {host} was not resolved in time.")
    if isinstance(answers[0], OSError):
        raise DeliveryError(f"The name {host} cannot be resolved: {answers[0].strerror}.")
    if isinstance(answers[0], Exception):
        raise DeliveryError(f"The name {host} cannot be resolved.")
    found = [ResolvedAddress(family, place, ip_address(place[0])) for family, _, _, _, place in answers[0]]
    return list(dict.fromkeys(found))


def _reachable(
    receiver: Receiver, deadline: Deadline, allowed: Allowed, *, allow_private: bool, insecure: bool
) -> list[ResolvedAddress]:
    """The addresses that a request may go to: the webhook has to ask for some of them, and the host to allow it."""
    found = resolved(receiver.host, receiver.port, deadline)
    kinds = {endpoint: kind_of(endpoint.address) for endpoint in found}
    reachable = [endpoint for endpoint in found if kinds[endpoint] is None]
    if not reachable:
        first, kind = found[0], kinds[found[0]] or ""
        if not allow_private:
            raise DeliveryError(
                f"{receiver.host} is at {first.address}, which is not a public address ({kind}).",
                hint="The option --allow-private permits it.",
            )
        allowed.check_private(receiver.host, kind)
    if allow_private and allowed.private_addresses:
        reachable = found
    if not receiver.is_tls and (local := [one for one in reachable if kinds[one] == LOOPBACK]):
        reachable = local
    elif not receiver.is_tls:
        if not insecure:
            raise DeliveryError(
                f"{receiver.host} is another machine, and http: is not encrypted.",
                hint="Use https:, or the option --insecure.",
            )
        allowed.check_insecure(receiver.host)
    return reachable[:MOST_ADDRESSES]


def _opened(endpoints: list[ResolvedAddress], deadline: Deadline) -> socket.socket:
    """Connects to the first of some addresses that accepts it; one that is silent leaves time for the others."""
    for number, (family, place, _) in enumerate(endpoints, 1):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(deadline.left() / (len(endpoints) - number + 1))
            connection.connect(place)
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError) or number == len(endpoints):
                raise
        else:
            return connection
    raise AssertionError("there is an address")


# Proxies.


class _Proxy(NamedTuple):
    host: str
    port: int
    authorization: str | None


def _proxy(receiver: Receiver) -> _Proxy | None:
    """The proxy that ``HTTPS_PROXY`` and ``NO_PROXY`` name for a receiver."""
    if not receiver.is_tls or receiver.is_local:
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    url = getproxies_environment().get("https")
    if not url or proxy_bypass(receiver.authority):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        raise DeliveryError("HTTPS_PROXY names no proxy.", hint="Write http://HOST:PORT.")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode()}"
    return _Proxy(host, port, authorization)


def _tunnel(proxy: _Proxy, host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connects to a receiver through a proxy."""
    try:
        connection = _opened(resolved(proxy.host, proxy.port, deadline)[:MOST_ADDRESSES], deadline)
    except OSError as error:
        raise DeliveryError(f"No connection to the proxy {proxy.host}:{proxy.port}: {said(error)}.") from None
    try:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        fields = {"Host": place}
        if proxy.authorization is not None:
            fields["Proxy-Authorization"] = proxy.authorization
        send_all(connection, headers.head(f"CONNECT {place} HTTP/1.1", fields), deadline)
        status = Wire(connection, deadline, LARGEST_HEAD).answered("CONNECT").status
        if not 200 <= status < 300:
            raise DeliveryError(f"The proxy {proxy.host}:{proxy.port} refuses to connect to {host}: {status}.")
    except BaseException:
        connection.close()
        raise
    return connection


# TLS.


@lru_cache(maxsize=4)
def _trusting(*_variables: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # some systems leave it open
    context.set_alpn_protocols(["http/1.1"])
    return context


def default_context() -> ssl.SSLContext:
    """The authorities that OpenSSL trusts; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name others."""
    return _trusting(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def _secured(
    connection: socket.socket, receiver: Receiver, context: ssl.SSLContext | None, deadline: Deadline
) -> socket.socket:
    trusted = context or default_context()
    wrapped = trusted.wrap_socket(connection, server_hostname=receiver.host, do_handshake_on_connect=False)
    try:
        wrapped.settimeout(deadline.left())
        wrapped.do_handshake()
    except BaseException:
        wrapped.close()
        raise
    return wrapped


@contextmanager
def connected(
    receiver: Receiver,
    deadline: Deadline,
    allowed: Allowed,
    *,
    allow_private: bool,
    insecure: bool,
    context: ssl.SSLContext | None = None,
) -> Iterator[socket.socket]:
    """Connects to a receiver.

    The name is resolved once, and the connection goes to an address that was checked. A proxy is asked for that
    address, too; only with ``allow_private`` it gets the name, and reaches what it likes.

    Args:
        allowed: what the host allows of that for which a webhook asks.
        allow_private: whether the webhook asks for addresses that are not public.
        insecure: whether it asks for http: beyond this machine.

    Raises:
        NotAllowedError: the host does not allow it.
        DeliveryError: no address may be reached, the name cannot be resolved, or the proxy refuses.
        OSError: the connection or TLS failed.
    """
    proxy = _proxy(receiver)
    if proxy is None:
        reachable = _reachable(receiver, deadline, allowed, allow_private=allow_private, insecure=insecure)
        connection = _opened(reachable, deadline)
    elif allow_private and allowed.private_addresses:
        connection = _tunnel(proxy, receiver.host, receiver.port, deadline)
    else:
        reachable = _reachable(receiver, deadline, allowed, allow_private=allow_private, insecure=insecure)
        chosen = min(reachable, key=lambda endpoint: endpoint.address.version)  # a proxy may have no IPv6
        connection = _tunnel(proxy, str(chosen.address), receiver.port, deadline)
    try:
        if receiver.is_tls:
            connection = _secured(connection, receiver, context, deadline)
        yield connection
    finally:
        connection.close()


def said(error: OSError) -> str:
    """What an error of a connection says, without its number."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return error.strerror or type(error).__name__

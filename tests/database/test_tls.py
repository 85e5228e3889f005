"""TLS: who is believed to be the server, and who gets the password."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from chaos.servers import CrashingServer
from hammerwork_cli.database import connect
from hammerwork_cli.errors import ConfigError, UnreachableError
from tests.conftest import Outcome

Run = Callable[..., Outcome]
SECRET = "s3cr3t-w0rd"
CAPABILITIES = 0x003B_A209
WITH_TLS = 0x800


@pytest.mark.mysql
@pytest.mark.parametrize(
    ("options", "cipher"),
    [
        ("ssl_ca={}/ca.pem", True),
        ("ssl-ca={}/ca.pem&sslmode=verify-full", True),
        ("ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", True),
        ("ssl-mode=REQUIRED", True),
        ("sslmode=prefer", True),
        ("", True),
        ("ssl-mode=DISABLED", False),
    ],
)
def test_a_session_has_a_cipher_unless_the_url_declines_it(
    own_server: Callable[[str], CrashingServer], certificates: Path, options: str, cipher: bool
) -> None:
    url = f"{own_server('mysql').url}?{options.format(certificates)}"
    with contextlib.closing(connect(url)) as database:
        assert bool(database.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]) == cipher
        database._abort()  # connects with the same options


@pytest.mark.mysql
def test_a_server_that_another_ca_signed_or_that_has_another_name_is_refused(
    own_server: Callable[[str], CrashingServer], certificates: Path, run: Run
) -> None:
    url = own_server("mysql").url
    elsewhere = url.replace("127.0.0.1", "localhost")
    for refused in (f"{url}?ssl_ca={certificates}/other.pem", f"{elsewhere}?ssl_ca={certificates}/ca.pem"):
        with pytest.raises(UnreachableError, match="TLS failed"):
            connect(refused)
        done = run("job", "list", url=refused)
        assert (done.exit_code, done.stdout) == (4, "")
        assert "TLS failed" in done.stderr
    connect(f"{elsewhere}?ssl_ca={certificates}/ca.pem&ssl-mode=VERIFY_CA").close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ssl_ca=/no/such/ca.pem", "/no/such/ca.pem cannot be read"),
        ("ssl-mode=VERIFY_CA", "needs a CA"),
        ("ssl-mode=strict", "'strict' is not known"),
        ("ssl_ca={}/ca.pem&ssl-mode=REQUIRED", "would verify nothing"),
    ],
)
def test_options_that_would_not_do_what_they_say_are_refused(certificates: Path, options: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        connect(f"mysql://me@127.0.0.1:1/jobs?{options.format(certificates)}")


# Servers that are not what they seem.


def send(connection: socket.socket, number: int, payload: bytes) -> None:
    connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def receive(connection: socket.socket) -> tuple[int, bytes]:
    head = connection.recv(4, socket.MSG_WAITALL)
    return head[3], connection.recv(int.from_bytes(head[:3], "little"), socket.MSG_WAITALL)


def ask_for_the_password(connection: socket.socket, tls: ssl.SSLContext | None) -> bytes:
    """What a server does that has caching_sha2_password and does not know the user's password yet."""
    capabilities = CAPABILITIES | (WITH_TLS if tls else 0)
    low, high = capabilities & 0xFFFF, capabilities >> 16
    nonce, plugin = b"12345678abcdefghijkl", b"caching_sha2_password\0"
    head = b"\x0a8.4.0\0" + struct.pack("<I", 7) + nonce[:8] + b"\0"
    send(connection, 0, head + struct.pack("<HBHHB", low, 45, 2, high, 21) + bytes(10) + nonce[8:] + b"\0" + plugin)
    number, answer = receive(connection)
    if not (tls and len(answer) == 32):
        return full_authentication(connection, number)
    with tls.wrap_socket(connection, server_side=True) as secured:
        return full_authentication(secured, secured.recv(65536)[3])


def full_authentication(connection: socket.socket, number: int) -> bytes:
    send(connection, number + 1, b"\x01\x04")
    return connection.recv(4) + connection.recv(65536)


@contextlib.contextmanager
def impostor(tls: ssl.SSLContext | None) -> Iterator[tuple[str, list[bytes]]]:
    """The host of one that waits for passwords, and what it heard."""
    heard: list[bytes] = []

    def serve(door: socket.socket) -> None:
        with contextlib.suppress(OSError, IndexError, struct.error):
            connection = door.accept()[0]
            connection.settimeout(5)
            with connection:
                heard.append(ask_for_the_password(connection, tls))

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = Thread(target=serve, args=[door])
        thread.start()
        yield f"127.0.0.1:{door.getsockname()[1]}", heard
        thread.join()


@pytest.mark.parametrize(
    ("options", "has_tls", "gets_it"),
    [
        ("ssl_ca={}/ca.pem", True, False),
        ("ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", True, False),
        ("ssl_ca={}/ca.pem", False, False),
        ("ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", False, False),
        ("ssl-mode=REQUIRED", False, False),
        ("ssl-mode=REQUIRED", True, True),  # whoever names no CA believes everybody: docs/connecting.md says so
    ],
)
def test_an_impostor_gets_the_password_only_where_no_ca_is_named(
    certificates: Path, options: str, has_tls: bool, gets_it: bool
) -> None:
    tls: Any = None
    if has_tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates / "other.pem", certificates / "other.key")
    with impostor(tls) as (host, heard), pytest.raises(UnreachableError):
        connect(f"mysql://me:{SECRET}@{host}/jobs?{options.format(certificates)}")
    assert any(SECRET.encode() in words for words in heard) == gets_it


@contextlib.contextmanager
def without_its_tls(url: str) -> Iterator[str]:
    """The URL of a server by a way on which somebody strikes out that it has TLS."""
    parts = urlsplit(url)

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(door: socket.socket) -> None:
        client = door.accept()[0]
        with client, socket.create_connection((parts.hostname, parts.port)) as server:
            number, greeting = receive(server)
            flags = greeting.index(b"\0", 1) + 1 + 4 + 8 + 1
            low = int.from_bytes(greeting[flags : flags + 2], "little") & ~WITH_TLS
            send(client, number, greeting[:flags] + struct.pack("<H", low) + greeting[flags + 2 :])
            back = Thread(target=carry, args=[server, client])
            back.start()
            carry(client, server)
            back.join()

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = Thread(target=serve, args=[door])
        thread.start()
        user = parts.netloc.rpartition("@")[0]
        yield parts._replace(netloc=f"{user}@127.0.0.1:{door.getsockname()[1]}").geturl()
        thread.join()


@pytest.mark.mysql
def test_a_session_whose_tls_somebody_struck_out_is_not_used(
    own_server: Callable[[str], CrashingServer], certificates: Path
) -> None:
    server = own_server("mysql").url
    for options in (
        "ssl-mode=REQUIRED",
        f"ssl_ca={certificates}/ca.pem",
        f"ssl_ca={certificates}/ca.pem&ssl-mode=VERIFY_CA",
    ):
        with without_its_tls(server) as url, pytest.raises(UnreachableError, match="the server has none"):
            connect(f"{url}?{options}")


@pytest.mark.postgres
def test_postgresql_without_tls_is_told_apart_from_no_server(new_database: Callable[..., str], run: Run) -> None:
    url = new_database("postgres")
    for mode in ("require", "verify-full"):
        done = run("job", "list", url=f"{url}?sslmode={mode}")
        assert (done.exit_code, done.stdout) == (4, "")
        assert "asks for TLS, and the server has none" in done.stderr

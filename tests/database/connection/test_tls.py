"""TLS: who is believed to be the server, and who gets the password."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from chaos.servers import CrashingServer
from hammerwork_cli.database import connect
from hammerwork_cli.errors import ConfigError, UnreachableError
from tests.conftest import Outcome, each_row

Run = Callable[..., Outcome]
SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
HAS_CIPHER = {
    "postgres": ("SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()", 0),
    "mysql": ("SHOW SESSION STATUS LIKE 'Ssl_cipher'", 1),
}
CA = {"postgres": "sslrootcert", "mysql": "ssl_ca"}
ANY_HOST = {"postgres": "sslmode=verify-ca", "mysql": "ssl-mode=VERIFY_CA"}
SECRET = "s3cr3t-w0rd"
CAPABILITIES = 0x003B_A209
WITH_TLS = 0x800
TLS_WANTED, GSS_WANTED = 80877103, 80877104


@pytest.mark.parametrize(
    ("kind", "options", "cipher"),
    [
        pytest.param(kind, options, cipher, marks=getattr(pytest.mark, kind))
        for kind, options, cipher in [
            ("mysql", "ssl_ca={}/ca.pem", True),
            ("mysql", "ssl-ca={}/ca.pem&sslmode=verify-full", True),
            ("mysql", "ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", True),
            ("mysql", "ssl-mode=REQUIRED", True),
            ("mysql", "sslmode=prefer", True),
            ("mysql", "", True),
            ("mysql", "ssl-mode=DISABLED", False),
            ("postgres", "sslrootcert={}/ca.pem", True),
            ("postgres", "sslrootcert={}/ca.pem&sslmode=verify-full", True),
            ("postgres", "sslrootcert={}/ca.pem&sslmode=verify-ca", True),
            ("postgres", "sslrootcert={}/ca.pem&sslmode=require", True),
            ("postgres", "sslmode=require", True),
            ("postgres", "ssl=true", True),
            ("postgres", "", True),
            ("postgres", "sslmode=disable", False),
        ]
    ],
)
def test_a_session_has_a_cipher_unless_the_url_declines_it(
    own_server: Callable[[str], CrashingServer], certificates: Path, kind: str, options: str, cipher: bool
) -> None:
    url = f"{own_server(kind).url}?{options.format(certificates)}"
    with contextlib.closing(connect(url)) as database:
        statement, column = HAS_CIPHER[kind]
        assert bool(database.query(statement)[0][column]) == cipher
        if kind == "mysql":
            database.cancel()  # connects with the same options


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_another_ca_signed_or_that_has_another_name_is_refused(
    own_server: Callable[[str], CrashingServer], certificates: Path, run: Run, kind: str
) -> None:
    url = own_server(kind).url
    elsewhere = url.replace("127.0.0.1", "localhost")
    for refused in (f"{url}?{CA[kind]}={certificates}/other.pem", f"{elsewhere}?{CA[kind]}={certificates}/ca.pem"):
        with pytest.raises(UnreachableError, match="TLS failed"):
            connect(refused)
        done = run("job", "list", url=refused)
        assert (done.exit_code, done.stdout) == (4, "")
        assert "TLS failed" in done.stderr
    if kind == "mysql":
        assert (
            "the CA in ssl_ca did not sign the server's certificate, or the certificate is for another host"
            in done.stderr
        )
    connect(f"{elsewhere}?{CA[kind]}={certificates}/ca.pem&{ANY_HOST[kind]}").close()


@pytest.mark.postgres
def test_without_a_ca_nobody_is_advised_to_verify_nothing(
    own_server: Callable[[str], CrashingServer], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run("job", "list", url=f"{own_server('postgres').url}?sslmode=verify-full")
    assert done.exit_code == 4
    assert "TLS failed: there is no CA: sslrootcert is not set, and " in done.stderr
    assert f"{tmp_path}/.postgresql/root.crt does not exist." in done.stderr
    assert "disable" not in done.stderr


def test_an_option_that_is_not_known_is_named_with_those_that_are(run: Run) -> None:
    done = run("job", "list", url="postgresql://me@127.0.0.1:1/jobs?ssl_ca=ca.pem")
    assert done.exit_code == 3
    assert "sslrootcert" in done.stderr


@pytest.mark.postgres
def test_of_several_hosts_the_one_that_the_ca_signed_is_used(
    own_server: Callable[[str], CrashingServer], certificates: Path
) -> None:
    url = own_server("postgres").url
    with impostor("postgres", other(certificates)) as (host, heard):
        several = f"{url.replace('@', f'@{host},')}?sslrootcert={certificates}/ca.pem"
        with contextlib.closing(connect(several)) as database:
            assert database.query("SELECT 1") == [(1,)]
    assert heard == []


@each_row(
    ("url", "said"),
    [
        ("mysql://me@127.0.0.1:1/jobs?ssl_ca=/no/such/ca.pem", "'/no/such/ca.pem' cannot be read"),
        ("mysql://me@127.0.0.1:1/jobs?ssl_ca={}/ca.key", "ca.key' contains a key, not a certificate"),
        ("mysql://me@127.0.0.1:1/jobs?ssl_ca=/dev/null", "it is not a regular file"),
        ("mysql://me@127.0.0.1:1/jobs?ssl-mode=VERIFY_CA", "needs a CA"),
        ("postgresql://me@127.0.0.1:1/jobs?sslrootcert={}/ca.key", "ca.key' contains a key, not a certificate"),
        ("postgresql://me@127.0.0.1:1/jobs?ssl_ca={}/ca.pem", "The URL option 'ssl_ca' is not known for PostgreSQL"),
        ("mysql://me@127.0.0.1:1/jobs?ssl-mode=strict", "'strict' is not known"),
        ("mysql://me@127.0.0.1:1/jobs?ssl_ca={}/ca.pem&ssl-mode=REQUIRED", "would not verify the certificate"),
        *(
            (f"postgresql://me@127.0.0.1:1/jobs?{options}", said)
            for options, said in [
                ("sslrootcert=/no/such/ca.pem", "sslrootcert: '/no/such/ca.pem' cannot be read"),
                ("sslrootcert=/no/such/ca.pem&sslmode=require", "cannot be read"),
                ("sslrootcert=", "sslrootcert: '' cannot be read"),
                ("sslcert=/no/such/me.pem", "sslcert: '/no/such/me.pem' cannot be read"),
                ("sslkey=/no/such/me.key", "sslkey: '/no/such/me.key' cannot be read"),
                ("sslcrl=/no/such/crl.pem", "sslcrl: '/no/such/crl.pem' cannot be read"),
                ("sslcrldir=/no/such", "sslcrldir: '/no/such' cannot be read"),
                ("sslmode=strict", "'strict' is not known"),
                ("sslrootcert={}/ca.pem&sslmode=disable", "would not verify the certificate"),
                ("sslrootcert={}/ca.pem&sslmode=allow", "would not verify the certificate"),
                ("sslrootcert={}/ca.pem&sslmode=prefer", "would not verify the certificate"),
            ]
        ),
    ],
)
def test_options_that_would_not_do_what_they_say_are_refused(certificates: Path, url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        connect(url.format(certificates))


@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_a_mode_of_the_environment_is_refused_where_a_ca_is_named(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("PGSSLMODE", mode)
    with pytest.raises(ConfigError, match=f"sslmode={mode} would not verify the certificate"):
        connect(f"postgresql://me@127.0.0.1:1/jobs?sslrootcert={certificates}/ca.pem")


# Servers that are not what they seem.


def send(connection: socket.socket, number: int, payload: bytes) -> None:
    connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def receive(connection: socket.socket) -> tuple[int, bytes]:
    head = connection.recv(4, socket.MSG_WAITALL)
    return head[3], connection.recv(int.from_bytes(head[:3], "little"), socket.MSG_WAITALL)


def ask_as_mysql(connection: socket.socket, tls: ssl.SSLContext | None) -> bytes:
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


def ask_as_postgresql(connection: socket.socket, tls: ssl.SSLContext | None) -> bytes:
    """What a server does whose pg_hba.conf says ``password``."""
    code = struct.unpack(">II", connection.recv(8, socket.MSG_WAITALL))[1]
    if code == GSS_WANTED or (code == TLS_WANTED and not tls):
        connection.sendall(b"N")
        return ask_as_postgresql(connection, tls)
    if code == TLS_WANTED and tls:
        connection.sendall(b"S")
        with tls.wrap_socket(connection, server_side=True) as secured:
            return clear_text(secured)
    return clear_text(connection)


def clear_text(connection: socket.socket) -> bytes:
    """What is sent, at first the user's name perhaps, and after that the password."""
    connection.settimeout(5)
    connection.recv(65536)
    connection.sendall(b"R" + struct.pack(">II", 8, 3))
    return connection.recv(65536)


ASK = {"postgres": ask_as_postgresql, "mysql": ask_as_mysql}
SCHEME = {"postgres": "postgresql", "mysql": "mysql"}


def other(certificates: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has reason to believe."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "other.pem", certificates / "other.key")
    return tls


@contextlib.contextmanager
def impostor(kind: str, tls: ssl.SSLContext | None) -> Iterator[tuple[str, list[bytes]]]:
    """The host of one that waits for passwords, however often one comes, and what it heard."""
    heard: list[bytes] = []

    def serve(door: socket.socket) -> None:
        while True:
            try:
                connection = door.accept()[0]
            except OSError:
                return
            connection.settimeout(5)
            with connection, contextlib.suppress(OSError, IndexError, struct.error):
                heard.append(ASK[kind](connection, tls))

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = Thread(target=serve, args=[door])
        thread.start()
        try:
            yield f"127.0.0.1:{door.getsockname()[1]}", heard
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("kind", "options", "has_tls", "gets_it"),
    [
        ("mysql", "ssl_ca={}/ca.pem", True, False),
        ("mysql", "ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", True, False),
        ("mysql", "ssl_ca={}/ca.pem", False, False),
        ("mysql", "ssl_ca={}/ca.pem&ssl-mode=VERIFY_CA", False, False),
        ("mysql", "ssl-mode=REQUIRED", False, False),
        (
            "mysql",
            "ssl-mode=REQUIRED",
            True,
            True,
        ),  # without a CA, anybody is believed
        ("postgres", "sslrootcert={}/ca.pem", True, False),
        ("postgres", "sslrootcert={}/ca.pem", False, False),
        ("postgres", "sslrootcert={}/ca.pem&sslmode=require", True, False),
        ("postgres", "sslrootcert={}/ca.pem&sslmode=require", False, False),
        ("postgres", "sslrootcert={}/ca.pem&sslmode=verify-ca", True, False),
        ("postgres", "sslrootcert={}/ca.pem&sslmode=verify-full", False, False),
        ("postgres", "sslmode=verify-full", True, False),
        ("postgres", "sslmode=require", False, False),
        ("postgres", "sslmode=require", True, True),
    ],
)
def test_an_impostor_gets_the_password_only_where_no_ca_is_named(
    certificates: Path, kind: str, options: str, has_tls: bool, gets_it: bool
) -> None:
    with impostor(kind, other(certificates) if has_tls else None) as (host, heard), pytest.raises(UnreachableError):
        connect(f"{SCHEME[kind]}://me:{SECRET}@{host}/jobs?{options.format(certificates)}")
    assert any(SECRET.encode() in words for words in heard) == gets_it


@pytest.mark.parametrize("place", ["environment", "service"])
@pytest.mark.parametrize("has_tls", [True, False])
def test_an_impostor_gets_no_password_where_the_environment_or_a_service_names_the_ca(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, has_tls: bool
) -> None:
    options = ""
    if place == "environment":
        monkeypatch.setenv("PGSSLROOTCERT", f"{certificates}/ca.pem")
    else:
        (tmp_path / "services").write_text(f"[jobs]\nsslrootcert={certificates}/ca.pem\n")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        options = "service=jobs"
    tls = other(certificates) if has_tls else None
    with impostor("postgres", tls) as (host, heard), pytest.raises(UnreachableError):
        connect(f"postgresql://me:{SECRET}@{host}/jobs?{options}")
    assert heard == []


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
        with without_its_tls(server) as url, pytest.raises(UnreachableError, match="the server does not offer"):
            connect(f"{url}?{options}")


@pytest.mark.postgres
def test_postgresql_without_tls_and_no_server_are_different_errors(new_database: Callable[..., str], run: Run) -> None:
    url = new_database("postgres")
    for mode in ("require", "verify-full"):
        done = run("job", "list", url=f"{url}?sslmode={mode}")
        assert (done.exit_code, done.stdout) == (4, "")
        assert "requires TLS, which the server does not offer" in done.stderr

"""A receiver that answers by script, on a real socket, and authorities of its own."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE = 20

Script = bytes | Callable[[socket.socket], None]


class Arrived(NamedTuple):
    start: str
    headers: Mapping[str, str]
    body: bytes


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class Receiving:
    """Answers each connection with the next script, and the last one again and again.

    Attributes:
        arrived: the requests.
        closed: the connections that the sender has closed, or the script.
        connections: how many there were.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None, reads: bool = True) -> None:
        self.scripts, self._context, self._reads = list(scripts or [answer()]), context, reads
        self.arrived: list[Arrived] = []
        self.connections = 0
        self.over = threading.Event()  # ends scripts that wait
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}/hook"

    def __enter__(self) -> "Receiving":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            thread = threading.Thread(target=self._talk, args=(connection, script))
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket, script: Script) -> None:
        connection.settimeout(PATIENCE)
        with connection, suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                if self._reads and (arrived := read(connection)):
                    self.arrived.append(arrived)
                if callable(script):
                    script(connection)
                else:
                    connection.sendall(script)
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(PATIENCE)
                    while connection.recv(1 << 16):
                        pass


def read(connection: socket.socket) -> Arrived | None:
    """Reads a request as a server would, by its Content-Length."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(1 << 16)
        if not piece:
            return None
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in headers
        headers[name.lower()] = value
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(1 << 16)
    return Arrived(start, headers, body)


class Authority:
    """Issues certificates."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])
        self._folder = folder
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = self._builder(self._name, self._key.public_key()).add_extension(constraints, critical=True)
        made = made.add_extension(_signing(), critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def serving(self, *names: str) -> ssl.SSLContext:
        """What a server of these names or addresses has."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName(
            [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        )
        made = self._builder(subject, key.public_key()).add_extension(alternatives, critical=False)
        file = self._folder / f"{names[0]}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trusting(self) -> ssl.SSLContext:
        """What a sender has that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.file))


def _signing() -> x509.KeyUsage:
    """What an authority may do, without which newer versions of Python do not trust it."""
    others = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(key_cert_sign=True, **dict.fromkeys(others.split(), False))

"""A broker that asks for a password and says what the user may do, which librdkafka's cluster does not.

It answers the requests before the first event, in the versions of Kafka's protocol that it names.
"""

import socket
import socketserver
import ssl
import struct
import threading
from typing import Any, Self

METADATA, HANDSHAKE, VERSIONS, AUTHENTICATE = 3, 17, 18, 36
NAMED = {METADATA: (0, 8), HANDSHAKE: (0, 1), VERSIONS: (0, 0), AUTHENTICATE: (0, 0), 0: (3, 7), 1: (4, 11), 22: (0, 1)}
"""Requests, with the oldest and the newest version."""
FAILED, OLD_VERSION = 58, 35
READ, WRITE, DESCRIBE = 3, 4, 8
PASSWORD = "right"


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


class Broker(socketserver.ThreadingTCPServer):
    """A running broker with one topic.

    Args:
        allowed: codes of operations on the topic.
        context: of TLS; without one, connections are plain.
    """

    daemon_threads = True

    def __init__(self, *allowed: int, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.context = context
        self.operations = sum(1 << code for code in allowed)
        self.port = self.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.context:  # its thread shakes hands, when it reads
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: object) -> None:
        """A client that breaks off a connection is no news."""


class _Connection(socketserver.StreamRequestHandler):
    server: Broker

    def handle(self) -> None:
        while size := self.rfile.read(4):
            request = self.rfile.read(*struct.unpack(">i", size))
            api, version, number, name = struct.unpack(">hhih", request[:10])
            answer = struct.pack(">i", number) + self._answer(api, version, request[10 + max(0, name) :])
            self.wfile.write(struct.pack(">i", len(answer)) + answer)

    def _answer(self, api: int, version: int, body: bytes) -> bytes:
        if api == VERSIONS:
            named = b"".join(struct.pack(">hhh", key, *versions) for key, versions in NAMED.items())
            return struct.pack(">hi", OLD_VERSION if version else 0, len(NAMED)) + named
        if api == HANDSHAKE:
            return struct.pack(">hi", 0, 1) + text("PLAIN")
        if api == AUTHENTICATE:
            if body.endswith(f"\0{PASSWORD}".encode()):
                return struct.pack(">hhi", 0, -1, 0)
            return struct.pack(">h", FAILED) + text("Authentication failed: Invalid username or password") + bytes(4)
        assert api == METADATA
        return self._metadata(version)

    def _metadata(self, version: int) -> bytes:
        assert version == 8
        broker = struct.pack(">iii", 0, 1, 1) + text("127.0.0.1") + struct.pack(">ih", self.server.port, -1)
        partition = struct.pack(">hiiiiiiii", 0, 0, 1, 0, 1, 1, 1, 1, 0)
        topic = struct.pack(">h", 0) + text("events") + struct.pack(">bi", 0, 1) + partition
        rights = struct.pack(">i", self.server.operations)
        return broker + text("cluster") + struct.pack(">ii", 1, 1) + topic + rights + struct.pack(">i", -(2**31))


def target(port: int) -> dict[str, Any]:
    config = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    secrets = {"sasl.username": "ada", "sasl.password": "env:STREAM_PASSWORD"}
    return {"brokers": f"127.0.0.1:{port}", "topic": "events", "config": config | secrets}

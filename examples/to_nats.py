r"""Publishes the events of a stream to JetStream of NATS, without a library of it.

```sh
hammerwork config set allowed_programs "python3 examples/to_nats.py jobs"  # where workers run
hammerwork streaming add --name lake --backend command --command "python3 examples/to_nats.py jobs"
```

The subject of an event is `jobs.job.completed`, say, and a stream of JetStream with the subjects `jobs.>` keeps it.
JetStream drops the copy of an event that it has got in the last two minutes.
"""

import json
import socket
import sys
from typing import BinaryIO

from hammerwork_cli import events


def main(subject: str, host: str = "127.0.0.1", port: str = "4222") -> None:
    """Publishes each event of the input, and waits until JetStream has stored it."""
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        answers.readline()  # what the server says about itself
        connection.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB inbox 1\r\n')
        for event in events():
            head = f"NATS/1.0\r\nNats-Msg-Id: {event.record['id']}\r\n\r\n".encode()
            body = json.dumps(event.record).encode()
            sizes = f"{len(head)} {len(head) + len(body)}"
            connection.sendall(
                f"HPUB {subject}.{event.record['type']} inbox {sizes}\r\n".encode() + head + body + b"\r\n"
            )
            answer = _answer(connection, answers)
            if "error" in answer:
                event.refuse(answer["error"]["description"])


def _answer(connection: socket.socket, answers: BinaryIO) -> dict[str, dict[str, str]]:
    while words := answers.readline().split():
        match words[0]:
            case b"PING":
                connection.sendall(b"PONG\r\n")
            case b"MSG":
                answer: dict[str, dict[str, str]] = json.loads(answers.read(int(words[-1]) + 2))
                return answer
            case b"HMSG":
                answers.read(int(words[-1]) + 2)
                return {"error": {"description": "no stream of JetStream has the subject"}}
            case b"-ERR":
                sys.exit(b" ".join(words).decode())
    sys.exit("NATS closed the connection.")


if __name__ == "__main__":
    main(*sys.argv[1:])

r"""Writes the events of a stream into a stream of Redis, with `XADD`, without a library of it.

```sh
hammerwork config set allowed_programs "python3 examples/to_redis.py job-events"  # where workers run
hammerwork streaming add --name lake --backend command --command "python3 examples/to_redis.py job-events"
```

hammerwork starts it, and starts it again after it has ended. An event is acknowledged when the loop asks for the next
one.
"""

import json
import socket
import sys

from hammerwork_cli import events


def main(stream: str, host: str = "127.0.0.1", port: str = "6379") -> None:
    """Adds each event of the input, with its id, which tells a copy from the first one."""
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        for event in events():
            record = event.record
            words = ["XADD", stream, "*", "id", record["id"], "type", record["type"], "event", json.dumps(record)]
            encoded = [word.encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
            answer = answers.readline()
            if answer.startswith(b"$"):
                answers.readline()  # the id that Redis gave it
            elif answer:
                event.refuse(answer.decode().strip())
            else:
                sys.exit("Redis closed the connection.")


if __name__ == "__main__":
    main(*sys.argv[1:])

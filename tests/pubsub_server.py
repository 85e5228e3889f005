"""A server of Pub/Sub that takes messages: Google's own messages over gRPC, in a process of its own.

``python -m tests.pubsub_server`` prints its port and obeys the lines of its input.
"""

import contextlib
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
from google.iam.v1 import iam_policy_pb2 as iam
from google.pubsub_v1 import types

from tests.servers import frozen

ROOT = Path(__file__).parent.parent


class PubsubServer:
    """A running server, with the topic ``projects/shop/topics/events``.

    Attributes:
        address: of it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.pubsub_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = f"127.0.0.1:{self._heard()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def frozen(self) -> contextlib.AbstractContextManager[None]:
        """Connections stay, and nobody answers."""
        return frozen(self._process)

    def refuse(self, share: float, *codes: str) -> None:
        """Answers a share of the requests to publish with one of these codes, after it has stored some of those."""
        self._ask("refuse", share, codes)

    def allow(self, *permissions: str) -> None:
        """What an account may do, which it says from now on."""
        self._ask("allow", permissions)

    def read(self) -> list[dict[str, Any]]:
        """The messages that it has, which it forgets: each has ``key``, ``body`` and ``attributes``."""
        found: list[dict[str, Any]] = self._ask("read")
        return found

    def _ask(self, *words: object) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


class Rules:
    """What the server has, and how it answers."""

    topic = "projects/shop/topics/events"

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.share, self.codes = 0.0, ["OK"]
        self.allowed: list[str] | None = None
        self._chance = random.Random(30)

    def publish(self, request: Any, context: Any) -> types.PublishResponse:
        self._need_topic(request.topic, context)
        refused = self._chance.random() < self.share
        if not refused or (self._chance.random() < 0.3 and "UNAVAILABLE" in self.codes):  # then its answer is lost
            self.stored.extend(
                {"key": message.ordering_key, "body": message.data.decode(), "attributes": dict(message.attributes)}
                for message in request.messages
            )
        if refused:
            context.abort(grpc.StatusCode[self._chance.choice(self.codes)], "as the test wants it")
        return types.PublishResponse(message_ids=[str(number) for number in range(len(request.messages))])

    def get_topic(self, request: Any, context: Any) -> types.Topic:
        if self.allowed is not None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "User not authorized to perform this action.")
        self._need_topic(request.topic, context)
        return types.Topic(name=self.topic)

    def permissions(self, request: Any, context: Any) -> Any:
        if self.allowed is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "as in an emulator")
        allowed = self.allowed or [] if request.resource == self.topic else []
        return iam.TestIamPermissionsResponse(permissions=[name for name in request.permissions if name in allowed])

    def obey(self, order: Any) -> object:
        match order:
            case "refuse", share, codes:
                self.share, self.codes = share, codes
            case "allow", permissions:
                self.allowed = permissions
            case _:
                found, self.stored = self.stored, []
                return found
        return None

    def _need_topic(self, name: str, context: Any) -> None:
        if name != self.topic:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.split('/')[-1]}).")


def main() -> None:
    """Serves until the input ends."""
    rules, server, method = Rules(), grpc.server(ThreadPoolExecutor(8)), grpc.unary_unary_rpc_method_handler
    publish, topic, rights = types.PublishRequest, types.GetTopicRequest, iam.TestIamPermissionsRequest
    methods = {
        "google.pubsub.v1.Publisher": {
            "Publish": method(rules.publish, publish.deserialize, types.PublishResponse.serialize),
            "GetTopic": method(rules.get_topic, topic.deserialize, types.Topic.serialize),
        },
        "google.iam.v1.IAMPolicy": {
            "TestIamPermissions": method(
                rules.permissions, rights.FromString, iam.TestIamPermissionsResponse.SerializeToString
            ),
        },
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(*item) for item in methods.items()])
    _say(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    for line in sys.stdin:
        _say(rules.obey(json.loads(line)))
    server.stop(None)


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201  the other process reads it


if __name__ == "__main__":
    main()

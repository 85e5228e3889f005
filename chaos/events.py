"""A stream and a webhook of a run: what arrived is compared with what happened."""

import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from chaos import sink
from chaos.sink import AWAY, STREAMED
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.runtime.delivery.webhooks import signature

RECEIVED = "received"
SECRET = "a secret of this run"  # noqa: S105
TIMEOUT = 2
"""Seconds that a receiver has."""
CENTURY = timedelta(days=36_500)
"""Clocks are wrong by years: who is signed for a moment that is far away is signed all the same."""
FAILURES = (EventType.JOB_DEAD, EventType.JOB_FAILED, EventType.JOB_TIMED_OUT, EventType.JOB_CANCELLED)
ENDS = {*FAILURES, EventType.JOB_COMPLETED}
TREES = (EventType.TREE_COMPLETED, EventType.TREE_FAILED)
OF_STATUS = {"Completed": EventType.JOB_COMPLETED, "Dead": EventType.JOB_DEAD, "Failed": EventType.JOB_FAILED}


class Receiver:
    """Gets deliveries at one port, however often it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: BaseProcess | None = None
        with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
            self.port = server.server_address[1]

    def begin(self) -> None:
        self._process = get_context("spawn").Process(target=receive, args=(self.port, self.folder), daemon=True)
        self._process.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


def receive(port: int, folder: Path) -> None:
    """Answers requests: most of them well, some late, and some not at all."""
    file = os.open(folder / RECEIVED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            drawn = random.random()
            if drawn < 0.1 or (folder / AWAY).exists():
                self._answer(503)
                return
            try:
                signature.verify(dict(self.headers), body, SECRET, datetime.now(UTC), CENTURY)
                said = json.loads(body)
            except HammerworkError as error:
                said = {"type": f"not signed: {error.message}", "data": {}}
            line = {"delivery": self.headers["webhook-id"], **said}
            os.write(file, f"{json.dumps(line)}\n".encode())
            if drawn < 0.15:
                time.sleep(TIMEOUT + 0.5)
            if drawn > 0.05:
                self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            del arguments

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def command(folder: Path) -> list[str]:
    """The program of the stream."""
    return [sys.executable, sink.__file__, str(folder)]


def begin(url: str, folder: Path, receiver: Receiver) -> None:
    """Adds a stream of all events and a webhook for ends to a migrated database, and starts the receiver."""
    database = connect(url)
    now = database.now()
    every = tuple(EventType)
    streams.add(
        database, Stream(new_id(), "chaos", Backend.COMMAND, {"command": command(folder)}, every), by="chaos", now=now
    )
    wanted = Webhook(new_id(), "chaos", f"http://127.0.0.1:{receiver.port}/", events=(*FAILURES, *TREES))
    wanted = wanted._replace(secret=SECRET, allow_private=True, timeout_seconds=TIMEOUT, max_retries=50)
    webhooks.add(database, wanted, by="chaos", now=now)
    database.close()
    for name in (STREAMED, RECEIVED):
        (folder / name).touch()
    receiver.begin()


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file; one that a kill has cut is left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def check(
    folder: Path, ends: Mapping[str, str], changes: Iterable[tuple[str, str]], exempt: Collection[str], *, repeats: bool
) -> Iterator[tuple[str, str]]:
    """Yields what is wrong, as a word and a text.

    Args:
        ends: job id -> its status in the end.
        changes: (job id, status that it got) of each change of a status.
        exempt: ids of jobs that other programs have ended.
        repeats: what the database forgot has happened again.
    """
    events = [line["event"] for line in lines(folder / STREAMED)]
    received = list(lines(folder / RECEIVED))
    yield from (("wrong", one["type"]) for one in received if one["type"].startswith("not signed"))
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    seen: set[str] = set()
    for event in events:
        if event["id"] not in seen and event["type"].startswith("job."):
            told[event["data"]["id"]].append(event)
        seen.add(event["id"])
    delivered = {(one["type"], one["data"].get("id")) for one in received}
    for job, status in ends.items():
        kinds = {event["type"] for event in told.get(job, ())}
        wanted = OF_STATUS.get(status)
        if wanted is None or job in exempt:
            continue
        if wanted not in kinds and not (wanted is EventType.JOB_FAILED and EventType.JOB_CANCELLED in kinds):
            yield "lost", f"the stream got {sorted(kinds)} of {job}, which is {status}"
        if wanted is EventType.JOB_DEAD and (wanted, job) not in delivered:
            yield "lost", f"the webhook did not hear that {job} is {status}"
    if not repeats:
        yield from _once(events)
        yield from _in_order(told)
        yield from _without_change(told, changes)


def _once(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A tree ends once: nobody retries a job here. The same event may be sent again."""
    ends = Counter({event["id"]: event["data"]["id"] for event in events if event["type"] in TREES}.values())
    for tree, number in ends.items():
        if number > 1:
            yield "doubled", f"{number} events tell of an end of the tree {tree}"


def _in_order(told: Mapping[str, list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    for job, events in told.items():
        has_started = has_ended = False
        for event in events:
            kind = event["type"]
            if kind == EventType.JOB_STARTED:
                if has_ended:
                    yield "wrong", f"{job} started after its end, by the stream: {[one['type'] for one in events]}"
                has_started = True
            elif kind == EventType.JOB_RETRIED:
                has_ended = False
            elif kind in ENDS:
                if kind in {EventType.JOB_COMPLETED, EventType.JOB_DEAD} and not has_started:
                    yield "wrong", f"{job} ended before it started: {[one['type'] for one in events]}"
                has_ended = not event["data"].get("recurring", False) and event["data"]["status"] != "Pending"


def _without_change(
    told: Mapping[str, list[dict[str, Any]]], changes: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    made = Counter(changes)
    for job, events in told.items():
        for status, kind in OF_STATUS.items():
            number = sum(event["type"] == kind and event["data"]["status"] == status for event in events)
            if number > made[job, status]:
                yield "wrong", f"{number} events say that {job} became {status}, which it did {made[job, status]} times"

"""Server-sent events: one poller looks for changes, and sends them to all watchers."""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, RetryableError
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.spawn.queries.revisions import ChangeWatch, RevisionChanges
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.views.json import NODE
from hammerwork_cli.view import json, key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.sending import PIECE

Found = TypeVar("Found")

MEDIA_TYPE = "text/event-stream"
_REACHABLE = Shape[Any]({"reachable": key.flag("Whether the database answers")})
_JOBS = Shape[Any]({"jobs": key.list_of(NODE)})
_QUEUES = Shape[Any]({"reason": key.text("", "pauses")})
_RESET = Shape[Any]({"reason": key.text("", "too_many", "too_large", "too_slow")})
DATA = Shape[Any](
    {
        "ready": _REACHABLE.key("The first event: read now, answers from before may be out of date"),
        "jobs": _JOBS.key("Jobs that are new or have changed"),
        "queues": _QUEUES.key("A queue was paused or resumed"),
        "reset": _RESET.key("Read again: changes were left out"),
        "database": _REACHABLE.key("The database went away or came back"),
    }
)
"""The data of an event, by the event's name."""

MOST_WATCHERS = 500
MOST_TREES = 50
LARGEST_TREE = 100_000
JOBS_AN_EVENT = 200
LARGEST_EVENT = 1 << 20
"""Characters. A client must fetch a job that is larger, because of its spawn configuration, by itself."""
WAITING_EVENTS = 50
"""Events that wait for a slow client. After more, it gets a single event that asks it to read again."""
POLL_SECONDS = 1.0
SHARE = 10
"""Least ratio between the pause after a poll and the time that the poll took, to spare a busy database."""
SILENCE_SECONDS = 15.0
RETRY_MS = 2000


@dataclass(eq=False, slots=True)
class Watcher:
    """A client that follows the stream of events."""

    client: str = ""  # its address
    queues: tuple[str, ...] = ()  # sends only jobs in these queues; without any, in all
    tree: "Tree | None" = None  # sends only jobs in this tree
    # Events that wait for the client; `None` closes the stream.
    events: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(WAITING_EVENTS))

    def send(self, event: str) -> None:
        """Queues an event. For a client that is too slow, one ``reset`` replaces all waiting events."""
        if self.events.full():
            while not self.events.empty():
                self.events.get_nowait()
            event = written("reset", {"reason": "too_slow"})
        self.events.put_nowait(event)

    def close(self) -> None:
        """Lets the stream end after the waiting events."""
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait(None)


@dataclass(eq=False, slots=True)
class Tree:
    """A watched tree: the ids of its jobs, to which the poller adds spawned jobs."""

    root: str
    jobs: set[str] = field(default_factory=set)
    watchers: int = 0

    def take(self, nodes: Sequence[TreeNode]) -> list[TreeNode]:
        """Adds the jobs that belong to the tree, and returns those of ``nodes`` that are in it."""
        # A job may come before its parent in ``nodes``, so repeat until no job joins.
        fresh = True
        while fresh:
            joining = [node for node in nodes if node.id not in self.jobs and not self.jobs.isdisjoint(node.depends_on)]
            self.jobs.update(node.id for node in joining)
            fresh = bool(joining) and len(self.jobs) < LARGEST_TREE
        return [node for node in nodes if node.id in self.jobs]


class Ask(Protocol):
    def __call__(self, work: Callable[[Database], Found]) -> Awaitable[Found]:
        """Calls ``work`` with a connection in a thread, and returns its result."""


class Hub:
    """All watchers, and the poller that runs while there are any.

    All of it runs in the event loop; only the queries run in threads.

    Args:
        on_change: called before a change is sent.
        record: turns a job into its JSON record.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        most: int = MOST_WATCHERS,
        on_change: Callable[[], None],
        record: Callable[[TreeNode], json.Record],
        report: Callable[[str], None],
    ) -> None:
        self.watchers: dict[Watcher, None] = {}  # the oldest first
        self._ask = ask
        self._on_change = on_change
        self._record = record
        self._report = report
        self._most = most
        self._trees: dict[str, Tree] = {}
        self._watch = ChangeWatch()
        self._poller: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._is_reachable = True
        self._is_stopped = False
        self._number = 0

    async def watch(self, client: str, queues: tuple[str, ...], job: str | None) -> Watcher:
        """Adds a watcher, of some queues or of the tree of one job if they are given.

        Raises NotFoundError or DatabaseError if the job does not exist, or the database does not answer.
        """
        if self._is_stopped:
            raise RetryableError("The server is stopping.", hint="Try again in a moment.")
        if len(self.watchers) >= self._most and not self._make_room(client, self.watchers):
            raise RetryableError(
                f"Too many streams follow the events; {self._share(client, self.watchers)} of them are yours.",
                hint="Close some, or poll the other endpoints instead.",
            )
        watcher = Watcher(client, queues)
        self.watchers[watcher] = None
        try:
            await self._start()
            if job is not None:
                await self._join_tree(watcher, job)
        except BaseException:
            self.leave(watcher)
            raise
        # Changes before this event are not sent, so the client reads the current state now.
        watcher.send(written("ready", {"reachable": self._is_reachable}))
        return watcher

    async def _start(self) -> None:
        async with self._starting:
            if self._poller is None or self._poller.done():
                self._watch = ChangeWatch()
                await self._poll_once()
                self._poller = asyncio.create_task(self._poll())

    async def _join_tree(self, watcher: Watcher, job: str) -> None:
        found = await self._ask(
            lambda database: tree_queries.tree(database, listing.resolve(database, job), max_jobs=LARGEST_TREE)
        )
        root = found.roots[0]
        if root not in self._trees and len(self._trees) >= MOST_TREES:
            alone = [one for one in self.watchers if one.tree is not None and one.tree.watchers == 1]
            if not self._make_room(watcher.client, alone):
                raise RetryableError("Too many trees are being followed.", hint="Follow the events without a root.")
        tree = self._trees.setdefault(root, Tree(root))
        tree.jobs.update(found.nodes)
        tree.watchers += 1
        watcher.tree = tree

    def _make_room(self, client: str, held: Iterable[Watcher]) -> bool:
        """Closes the oldest stream of the client with the most of some streams; ``False`` if another one has no fewer.

        So nobody locks others out, and behind a proxy, where all have one address, they share all places.
        """
        shares = Counter(watcher.client for watcher in held)
        largest, share = max(shares.items(), key=lambda one: one[1], default=("", 0))
        if share <= shares[client] + 1:
            return False
        oldest = next(watcher for watcher in held if watcher.client == largest)
        oldest.close()
        self.leave(oldest)
        return True

    def _share(self, client: str, held: Iterable[Watcher]) -> int:
        return sum(watcher.client == client for watcher in held)

    def leave(self, watcher: Watcher) -> None:
        """Removes a watcher, and its tree if nobody else watches it."""
        self.watchers.pop(watcher, None)
        tree, watcher.tree = watcher.tree, None
        if tree is not None:
            tree.watchers -= 1
            if not tree.watchers:
                self._trees.pop(tree.root, None)

    def stop(self) -> None:
        self._is_stopped = True
        for watcher in self.watchers:
            watcher.close()
        if self._poller is not None:
            self._poller.cancel()

    async def _poll(self) -> None:
        try:
            while self.watchers:
                began = time.monotonic()
                await self._poll_once()
                await asyncio.sleep(max(POLL_SECONDS, SHARE * (time.monotonic() - began)))
        except Exception:  # noqa: BLE001  without the poller, open streams would stay silent; clients reconnect
            self._report(traceback.format_exc())
            for watcher in self.watchers:
                watcher.close()

    async def _poll_once(self) -> None:
        try:
            changes = await self._ask(self._watch.refresh)
        except HammerworkError:
            self._set_reachable(False)
            return
        self._set_reachable(True)
        if changes:
            self._on_change()
            self._send(changes)

    def _set_reachable(self, reachable: bool) -> None:
        if reachable != self._is_reachable:
            self._is_reachable = reachable
            self._on_change()
            for watcher in self.watchers:
                watcher.send(written("database", {"reachable": reachable}))

    def _send(self, changes: RevisionChanges) -> None:
        """Sends changes to all watchers, and writes each event once for all that watch the same jobs."""
        events: dict[tuple[tuple[str, ...], Tree | None], list[str]] = {}
        for watcher in self.watchers:
            key = watcher.queues, watcher.tree
            if key not in events:
                events[key] = list(self._events(changes, *key))
            for event in events[key]:
                watcher.send(event)

    def _events(self, changes: RevisionChanges, queues: tuple[str, ...], tree: Tree | None) -> list[str]:
        if changes.too_many:
            return [self._numbered("reset", {"reason": "too_many"})]
        nodes = [node for node in changes.jobs if not queues or node.queue in queues]
        if tree is not None:
            wanted = {node.id for node in tree.take(changes.jobs)}
            nodes = [node for node in nodes if node.id in wanted]
        events = [
            self._numbered("jobs", {"jobs": [self._record(node) for node in nodes[start : start + JOBS_AN_EVENT]]})
            for start in range(0, len(nodes), JOBS_AN_EVENT)
        ]
        if max(map(len, events), default=0) > LARGEST_EVENT:
            return [self._numbered("reset", {"reason": "too_large"})]
        if changes.pauses and tree is None:
            events.append(self._numbered("queues", {"reason": "pauses"}))
        return events

    def _numbered(self, name: str, data: json.Record) -> str:
        self._number += 1
        return written(name, data, self._number)


class EventStream(StreamingResponse):
    def __init__(self, hub: Hub, watcher: Watcher) -> None:
        # The header tells nginx not to buffer the stream.
        super().__init__(_written_for(watcher), headers={"x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        self._hub = hub
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the client or the server closes the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._watcher)


async def _written_for(watcher: Watcher) -> AsyncIterator[str]:
    """Yields the events of a watcher, and comments in between that keep the connection alive."""
    yield f"retry: {RETRY_MS}\n\n"
    while True:
        try:
            event = await asyncio.wait_for(watcher.events.get(), SILENCE_SECONDS)
        except TimeoutError:
            event = ": still here\n\n"
        if event is None:
            return
        for start in range(0, len(event), PIECE):
            yield event[start : start + PIECE]


def written(name: str, data: Any, number: int | None = None) -> str:
    """Writes an event in the format of the stream, whose JSON must not contain line ends."""
    place = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{place}data: {json.document(data)}\n\n"

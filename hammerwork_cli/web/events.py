"""Server-sent events: one poller looks for changes, and all who watch are told."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, RetryableError
from hammerwork_cli.models import TreeNode
from hammerwork_cli.queries.graph import tree as tree_queries
from hammerwork_cli.queries.job import listing
from hammerwork_cli.queries.revisions import Changes, ChangeWatch
from hammerwork_cli.render.formats import json
from hammerwork_cli.render.schemas.jobs import NODE
from hammerwork_cli.render.schemas.words import flag, list_of, record, text
from hammerwork_cli.web.sending import PIECE

Found = TypeVar("Found")

MEDIA_TYPE = "text/event-stream"
_REACHABLE = record({"reachable": flag("Whether the database answers")})
DATA = record(
    {
        "ready": {**_REACHABLE, "description": "The first event: read now"},
        "jobs": record({"jobs": list_of(record(NODE))}, "Jobs that are new or have changed"),
        "queues": record({"reason": text("", "pauses")}, "A queue was paused or resumed"),
        "reset": record({"reason": text("", "too_many", "too_large", "too_slow")}, "Read again: changes were left out"),
        "database": {**_REACHABLE, "description": "The database went away or came back"},
    },
    "The data of an event, by the event's name",
)

MOST_WATCHERS = 500
MOST_TREES = 50
LARGEST_TREE = 100_000
JOBS_AN_EVENT = 200
LARGEST_EVENT = 1 << 20
"""Characters; a job whose spawn configuration is as large is for those who ask for it."""
WAITING_EVENTS = 50
"""Events that a slow reader is given time for; then it is told to look anew instead."""
LOOK_SECONDS = 1.0
SHARE = 10
"""A look that takes long is followed by so many times that long without one."""
SILENCE_SECONDS = 15.0
RETRY_MS = 2000


@dataclass(eq=False, slots=True)
class Watcher:
    """One who watches.

    Attributes:
        queue: only jobs in this queue.
        tree: only jobs in this tree.
    """

    queue: str | None = None
    tree: "Tree | None" = None
    events: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(WAITING_EVENTS))

    def tell(self, event: str) -> None:
        """Hands an event over; who is too slow is told once that there were others."""
        if self.events.full():
            while not self.events.empty():
                self.events.get_nowait()
            event = written("reset", {"reason": "too_slow"})
        self.events.put_nowait(event)

    def end(self) -> None:
        """Lets the stream end after what was told already."""
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait(None)


@dataclass(eq=False, slots=True)
class Tree:
    """A tree that is watched: the ids of its jobs, which grow as jobs are spawned."""

    root: str
    jobs: set[str] = field(default_factory=set)
    watchers: int = 0

    def take(self, nodes: Sequence[TreeNode]) -> list[TreeNode]:
        """Those of the jobs that are in the tree."""
        fresh = True
        while fresh:
            joining = [node for node in nodes if node.id not in self.jobs and not self.jobs.isdisjoint(node.depends_on)]
            self.jobs.update(node.id for node in joining)
            fresh = bool(joining) and len(self.jobs) < LARGEST_TREE
        return [node for node in nodes if node.id in self.jobs]


class Ask(Protocol):
    """What asks the database, in a thread of its own."""

    def __call__(self, work: Callable[[Database], Found]) -> Awaitable[Found]:
        """What ``work`` returns for a connection."""


class Hub:
    """Everybody who watches, and the poller that works while there is somebody.

    Args:
        ask: asks the database.
        on_change: is called before anybody is told.
        record: a job as it is told.
        report: is told of what nobody foresaw.
        most: how many may watch.
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
        self.watchers: set[Watcher] = set()
        self._ask = ask
        self._on_change = on_change
        self._record = record
        self._report = report
        self._most = most
        self._trees: dict[str, Tree] = {}
        self._watch = ChangeWatch()
        self._poller: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._is_reachable = True
        self._is_stopped = False
        self._number = 0

    async def watch(self, queue: str | None, job: str | None) -> Watcher:
        """One more who wants to know, of one queue or of the tree of one job only.

        Raises:
            RetryableError: too many watch already.
            NotFoundError, DatabaseError: there is no such job, or it cannot be looked for.
        """
        if self._is_stopped:
            raise RetryableError("The server is ending.", hint="Try again in a moment.")
        if len(self.watchers) >= self._most:
            raise RetryableError("Too many are watching.", hint="Ask now and then instead.")
        watcher = Watcher(queue)
        self.watchers.add(watcher)
        try:
            await self._begin()
            if job is not None:
                await self._join_tree(watcher, job)
        except BaseException:
            self.leave(watcher)
            raise
        # What was asked for before is old now: whoever watches looks first.
        watcher.tell(written("ready", {"reachable": self._is_reachable}))
        return watcher

    async def _begin(self) -> None:
        async with self._beginning:
            if self._poller is None or self._poller.done():
                self._watch = ChangeWatch()
                await self._look()
                self._poller = asyncio.create_task(self._poll())

    async def _join_tree(self, watcher: Watcher, job: str) -> None:
        found = await self._ask(
            lambda database: tree_queries.tree(database, listing.resolve(database, job), max_jobs=LARGEST_TREE)
        )
        root = found.roots[0]
        if root not in self._trees and len(self._trees) >= MOST_TREES:
            raise RetryableError("Too many trees are being watched.", hint="Watch without a root.")
        tree = self._trees.setdefault(root, Tree(root))
        tree.jobs.update(found.nodes)
        tree.watchers += 1
        watcher.tree = tree

    def leave(self, watcher: Watcher) -> None:
        """Forgets one who has gone."""
        self.watchers.discard(watcher)
        tree, watcher.tree = watcher.tree, None
        if tree is not None:
            tree.watchers -= 1
            if not tree.watchers:
                self._trees.pop(tree.root, None)

    def stop(self) -> None:
        """Ends all streams."""
        self._is_stopped = True
        for watcher in self.watchers:
            watcher.end()
        if self._poller is not None:
            self._poller.cancel()

    async def _poll(self) -> None:
        try:
            while self.watchers:
                began = time.monotonic()
                await self._look()
                await asyncio.sleep(max(LOOK_SECONDS, SHARE * (time.monotonic() - began)))
        except Exception:  # noqa: BLE001  a bug must not leave people watching what nobody looks at
            self._report(traceback.format_exc())
            for watcher in self.watchers:
                watcher.end()

    async def _look(self) -> None:
        try:
            changes = await self._ask(self._watch.refresh)
        except HammerworkError:
            self._say_reachable(False)
            return
        self._say_reachable(True)
        if changes:
            self._on_change()
            self._tell(changes)

    def _say_reachable(self, reachable: bool) -> None:
        if reachable != self._is_reachable:
            self._is_reachable = reachable
            self._on_change()
            for watcher in self.watchers:
                watcher.tell(written("database", {"reachable": reachable}))

    def _tell(self, changes: Changes) -> None:
        """Tells everybody, writing each event once for all who watch the same."""
        events: dict[tuple[str | None, Tree | None], list[str]] = {}
        for watcher in self.watchers:
            what = watcher.queue, watcher.tree
            if what not in events:
                events[what] = list(self._events(changes, *what))
            for event in events[what]:
                watcher.tell(event)

    def _events(self, changes: Changes, queue: str | None, tree: Tree | None) -> list[str]:
        if changes.too_many:
            return [self._numbered("reset", {"reason": "too_many"})]
        nodes = [node for node in changes.jobs if queue is None or node.queue == queue]
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
    """What one who watches is sent."""

    def __init__(self, hub: Hub, watcher: Watcher) -> None:
        # A proxy that gathers what it passes on would keep the news to itself.
        super().__init__(_written_for(watcher), headers={"x-accel-buffering": "no"}, media_type=MEDIA_TYPE)
        self._hub = hub
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it until one of the two ends goes away."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._watcher)


async def _written_for(watcher: Watcher) -> AsyncIterator[str]:
    """Events, and a comment now and then, which keeps the connection alive."""
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
    """An event as the stream has it; the JSON holds no line ends."""
    place = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{place}data: {json.document(data)}\n\n"

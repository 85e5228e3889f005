"""The jobs of a run: what every job spawns follows from its name, so that anybody can say what there must be."""

from collections.abc import Collection, Iterator
from datetime import datetime
from random import Random
from typing import Any, Literal, NamedTuple, cast
from zlib import crc32

from chaos.poisons import ASYNC_POISONS, CRASHES, POISONS
from hammerwork_cli.core.payloads import due_time
from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.cron.model import CatchUp, Overlap

PASSING = "passing"
"""The kind of the roots whose trees are deleted some seconds after their end."""
PARENTS = frozenset({"fan", "chain", "diamond", "stream", "keys", "risky", "tick", PASSING, "gather", "claims"})
"""Kinds that spawn when they complete."""
DEADLY = frozenset({"doomed", "lostkeys", "poison", "asyncpoison", "crashes"})
"""Kinds that fail for good, in their second attempt at the latest."""
TOLD = "told"
"""The kind of the jobs that callbacks enqueue."""
EVENTS = ("complete", "success", "failure")
LIMITED, AT_ONCE = "limited", 2
"""A queue, and how many of its jobs may run at once."""
UNIQUE, CLIENTS = "unique", 3
"""The kind of the jobs of which one at a time holds the key, which is its name, and who enqueues it at once."""
JOINED = "joined"
"""The kind of the jobs that run after all others of a parent."""
FAIL_FIRST = frozenset({"flaky", "shared", "gather", JOINED, LIMITED, UNIQUE})
"""Kinds that fail in their first attempt or two."""
ASYNC = frozenset({"asyncpoison", "awaits"})
KINDS = PARENTS | DEADLY | {"leaf", "flaky", "awaits", "ttl", "forks", "shared", TOLD, LIMITED, UNIQUE, JOINED}
EXTRAS = (
    "poison",
    "processes",
    "forks",
    "rust",
    "rust3",
    "callbacks",
    "schedules",
    "retention",
    "limits",
    "joins",
    "unique",
    "events",
)
"""What a run may leave out: jobs that cannot succeed, workers whose handlers run in processes of their own and the jobs
that end such a process, handlers that fork, a program that works like a Rust worker, batches, trees and workflows
whose end enqueues a job, schedules that are due every second, policies that archive or delete trees at once, a queue
with a limit, jobs that run after all others of their parents, jobs of which one at a time holds a key, and a stream and
a webhook."""
DEEPEST = 2
STREAM_EVERY = 4
"""Waves."""


class Planned(NamedTuple):
    """A job as it must be.

    Attributes:
        name: of this job alone, in the whole database.
        kind: its queue.
        size: how many children, where that is no matter of its kind.
        after: names of the siblings that it waits for.
    """

    name: str
    kind: str
    size: int = 0
    after: tuple[str, ...] = ()

    def payload(self, parent: str | None) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "parent": parent, "after": self.after}


class Joined(NamedTuple):
    """A job that runs after all others of a parent.

    Attributes:
        scope: ``children`` or ``tree``.
        on_failure: ``fail`` or ``run``.
        breaks: one of those that it waits for fails.
    """

    job: Planned
    scope: Literal["children", "tree"]
    on_failure: Literal["fail", "run"]
    breaks: bool

    @property
    def fails(self) -> bool:
        """Whether it must fail, and never run."""
        return self.breaks and self.on_failure == "fail"

    def awaits(self, name: str) -> bool:
        """Whether it waits for the job with a name."""
        parent = self.job.name.removesuffix(JOIN)
        below = name.removeprefix(parent)
        if name == self.job.name or below == name:
            return False
        return below == "" or below[0] == "+" or (below[0] == "/" and (self.scope == "tree" or "/" not in below[1:]))


JOIN = "+join"
"""What the name of a job that runs after all others of a parent adds to that of the parent."""
_GATHERS = [
    f"{scope}:{on_failure}:{harm}"
    for harm in ("dead", "good", "deep")
    for scope in ("tree", "children")
    for on_failure in ("fail", "run")
]


class Watched(NamedTuple):
    """A batch, a tree or a workflow with a callback on every event.

    Attributes:
        subject: ``batch``, ``tree`` or ``workflow``.
        name: of this one alone; of a tree, that of its top.
        jobs: of the batch or the workflow; the top of the tree.
        events: those that happen.
        policy: of the workflow.
    """

    subject: str
    name: str
    jobs: tuple[Planned, ...]
    events: tuple[str, ...]
    policy: str | None = None

    def told(self, event: str) -> Planned:
        """The job of a callback."""
        return Planned(f"{self.name}!{event}", TOLD)

    @property
    def planned(self) -> list[Planned]:
        """Its jobs, and those of the callbacks that happen."""
        return [*self.jobs, *map(self.told, self.events)]

    def has(self, name: str) -> bool:
        """Whether a job is one of those that are counted."""
        if self.subject != "tree":
            return any(job.name == name for job in self.jobs)
        return name == self.name or name.startswith((f"{self.name}/", f"{self.name}+"))


class Scheduled(NamedTuple):
    """A schedule that is due every second.

    Attributes:
        name: of this one alone.
        kind: of its jobs.
        size: see :class:`Planned`.
    """

    name: str
    kind: str
    overlap: Overlap
    catch_up: CatchUp
    size: int = 0

    @property
    def payload(self) -> dict[str, Any]:
        """That of its jobs, to which the worker adds the due time."""
        return Planned(self.name, self.kind, self.size).payload(None)

    def run(self, due: datetime) -> Planned:
        """The job for a due time."""
        return Planned(_of_run(self.name, due), self.kind, self.size)


SCHEDULES = {
    scheduled.name: scheduled
    for scheduled in (
        Scheduled("schedule.all", "leaf", Overlap.ALLOW, CatchUp.ALL),
        Scheduled("schedule.last", "flaky", Overlap.SKIP, CatchUp.LAST),
        Scheduled("schedule.none", "fan", Overlap.SKIP_TREE, CatchUp.NONE, 2),
    )
}


def name_in(payload: dict[str, Any]) -> str:
    """The name of a job, which is that of its schedule and the due time if it has one."""
    due = due_time(payload)
    return str(payload["name"]) if due is None else _of_run(payload["name"], due)


def _of_run(schedule: str, due: datetime) -> str:
    return f"{schedule}#{rfc3339(due)}"


def children(kind: str, name: str, size: int) -> Iterator[Planned]:
    """What a job spawns when it completes."""
    if kind in ("fan", PASSING):
        yield from (_any(f"{name}/{number}") for number in range(size))
    elif kind == "chain":
        names = [f"{name}/{number}" for number in range(size)]
        for number, link in enumerate(names):
            yield Planned(link, "flaky" if number == 1 else "leaf", after=tuple(names[max(number - 1, 0) : number]))
    elif kind == "diamond":
        sides = (f"{name}/left", f"{name}/right")
        yield from (Planned(side, "leaf") for side in sides)
        yield Planned(f"{name}/join", "fan", 2, sides)
    elif kind in ("stream", "tick", "keys", "claims"):
        yield from (Planned(f"{name}/{number}", "leaf") for number in range(size))
    elif kind == "risky":
        yield Planned(f"{name}/dies", "doomed")
        yield Planned(f"{name}/fails", "leaf", after=(f"{name}/dies",))
        yield Planned(f"{name}/fails-too", "leaf", after=(f"{name}/fails",))
    elif kind == "gather":
        yield from _gathered(name)


def _gathered(name: str) -> Iterator[Planned]:
    yield Planned(f"{name}/leaf", "leaf")
    yield Planned(f"{name}/flaky", "flaky")
    yield Planned(f"{name}/fan", "fan", 2)
    if name.endswith(":dead"):
        yield Planned(f"{name}/dies", "doomed")
    if name.endswith(":deep"):
        yield Planned(f"{name}/risky", "risky")
    if ":tree:" in name and "/" not in name:
        yield Planned(f"{name}/in:children:fail:good", "gather")


def keyed(kind: str, name: str) -> list[Planned]:
    """What a job spawns by key, before it ends."""
    if kind not in ("keys", "lostkeys", "gather"):
        return []
    return [Planned(f"{name}+{number}", "leaf") for number in range(3)]


def joined(kind: str, name: str) -> Joined | None:
    """What runs after all others of a job."""
    if kind != "gather":
        return None
    scope, on_failure, harm = name.split(":")[-3:]
    breaks = harm == "dead" or (harm == "deep" and scope == "tree")
    return Joined(Planned(name + JOIN, JOINED), cast(Any, scope), cast(Any, on_failure), breaks)


def contested(kind: str, name: str) -> list[Planned]:
    """What a job spawns when it completes, unless another job holds the key."""
    return [Planned(name.replace("claims", "only"), UNIQUE)] if kind == "claims" else []


def forked(kind: str, name: str) -> list[Planned]:
    """What the processes enqueue that a job's handler forks."""
    return [Planned(f"{name}~{number}", "leaf") for number in range(2)] if kind == "forks" else []


def _any(name: str) -> Planned:
    drawn = Random(crc32(name.encode()))
    if name.count("/") >= DEEPEST:
        return Planned(name, drawn.choice(("leaf", "leaf", "flaky")))
    kind = drawn.choice(("leaf", "leaf", "leaf", "flaky", "fan", "chain", "diamond", "keys"))
    return Planned(name, kind, drawn.randint(2, 5))


def ends_in(kind: str, name: str) -> frozenset[str]:
    """The statuses that a job may have in the end."""
    if kind in DEADLY:
        return frozenset({"Dead"})
    if ".fail_fast/" in name and kind == "leaf":
        return frozenset({"Completed", "Failed"})
    if name.endswith(("/fails", "/fails-too")):
        return frozenset({"Failed"})
    if kind == JOINED:
        join = joined("gather", name.removesuffix(JOIN))
        assert join is not None
        return frozenset({"Failed"} if join.fails else {"Completed"})
    if kind == "tick":
        return frozenset({"Pending"})
    if kind == "ttl":
        return frozenset({"Completed", "Dead"})
    # What was spawned by a job that failed for good fails with it, unless it has run already.
    return frozenset({"Completed", "Failed"} if ".lostkeys" in name else {"Completed"})


def wave(number: int, seed: int, stream: int, extras: Collection[str] = ()) -> list[Planned]:
    """Some more roots.

    Args:
        number: of the wave.
        seed: the same seed gives the same roots.
        stream: children of a generator.
        extras: some of :data:`EXTRAS`.
    """
    drawn = Random(f"{seed}/{number}")
    roots = [
        *(("fan", drawn.randint(6, 12)) for _ in range(2)),
        *(("chain", drawn.randint(2, 6)) for _ in range(3)),
        *(("diamond", 0) for _ in range(5)),
        *(("keys", 2) for _ in range(4)),
        *(("risky", 0) for _ in range(2)),
        *(("lostkeys", 0) for _ in range(2)),
    ]
    made = [Planned(f"{number}.{kind}{place}", kind, size) for place, (kind, size) in enumerate(roots)]
    if number % STREAM_EVERY == 0:
        made.append(Planned(f"{number}.stream", "stream", stream))
        made.append(Planned(f"{number}.tick", "tick", 2))
    for place in range(8):
        parents = (f"{number}.one{place}", f"{number}.other{place}")
        made += [Planned(parent, "leaf") for parent in parents]
        made.append(Planned(f"{number}.both{place}", "fan", 2, parents))
    return made + list(_extras(number, extras))


def watched(number: int) -> Iterator[Watched]:
    """What has callbacks in a wave."""
    good, bad = ("complete", "success"), ("complete", "failure")
    for name, kinds, events in (("batch", ("leaf", "flaky", "leaf", "fan"), good), ("bad", ("leaf", "doomed"), bad)):
        jobs = tuple(Planned(f"{number}.{name}/{place}", kind, 2) for place, kind in enumerate(kinds))
        yield Watched("batch", f"{number}.{name}", jobs, events)
    for kind, events in (("fan", good), ("risky", bad)):
        top = f"{number}.tree:{kind}"
        yield Watched("tree", top, (Planned(top, kind, 6),), events)
    for name, policy, first, events in (
        ("flow", "fail_fast", "flaky", good),
        ("fail_fast", "fail_fast", "doomed", bad),
        ("go_on", "ignore_failures", "doomed", bad),
    ):
        begins, follows, other, joins = (f"{number}.{name}/{place}" for place in range(4))
        jobs = (
            Planned(begins, first),
            Planned(follows, "leaf", after=(begins,)),
            Planned(other, "leaf"),
            Planned(joins, "leaf", after=(follows, other)),
        )
        yield Watched("workflow", f"{number}.{name}", jobs, events, policy)


def _extras(number: int, extras: Collection[str]) -> Iterator[Planned]:
    if "poison" in extras:
        yield from (Planned(f"{number}.poison:{_turn(POISONS, 3 * number + place)}", "poison") for place in range(3))
        yield Planned(f"{number}.async:{_turn(ASYNC_POISONS, number)}", "asyncpoison")
        yield Planned(f"{number}.awaits", "awaits")
        yield Planned(f"{number}.ttl", "ttl")
    if "processes" in extras:
        yield Planned(f"{number}.crashes:{_turn(CRASHES, number)}", "crashes")
    if "forks" in extras:
        yield Planned(f"{number}.forks", "forks")
    if not {"rust", "rust3"}.isdisjoint(extras):
        yield from (Planned(f"{number}.shared{place}", "shared") for place in range(10))
    if "limits" in extras:
        yield from (Planned(f"{number}.{LIMITED}{place}", LIMITED) for place in range(6))
    if "joins" in extras:
        for place in range(2):
            yield Planned(f"{number}.gather{place}:{_turn(_GATHERS, 2 * number + place)}", "gather")
    if "unique" in extras:
        yield from (Planned(f"{number}.claims{place}", "claims", 2) for place in range(2))
    if "retention" in extras:
        yield Planned(f"{number}.{PASSING}", PASSING, 4)


def uniques(number: int) -> list[Planned]:
    """What several clients enqueue at once in a wave, while jobs spawn it."""
    return [child for place in range(2) for child in contested("claims", f"{number}.claims{place}")]


def _turn(names: Collection[str], number: int) -> str:
    return list(names)[number % len(names)]

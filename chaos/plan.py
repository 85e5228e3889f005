"""The jobs of a run: what every job spawns follows from its name, so that anybody can say what there must be."""

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

PARENTS = frozenset({"fan", "chain", "diamond", "stream", "keys", "risky", "tick"})
"""Kinds that spawn when they complete."""
DEADLY = frozenset({"doomed", "lostkeys"})
"""Kinds that fail for good in their second attempt."""
KINDS = PARENTS | DEADLY | {"leaf", "flaky"}
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


def children(kind: str, name: str, size: int) -> Iterator[Planned]:
    """What a job spawns when it completes."""
    if kind == "fan":
        yield from (_any(f"{name}/{number}") for number in range(size))
    elif kind == "chain":
        names = [f"{name}/{number}" for number in range(size)]
        for number, link in enumerate(names):
            yield Planned(link, "flaky" if number == 1 else "leaf", after=tuple(names[max(number - 1, 0) : number]))
    elif kind == "diamond":
        sides = (f"{name}/left", f"{name}/right")
        yield from (Planned(side, "leaf") for side in sides)
        yield Planned(f"{name}/join", "fan", 2, sides)
    elif kind in ("stream", "tick", "keys"):
        yield from (Planned(f"{name}/{number}", "leaf") for number in range(size))
    elif kind == "risky":
        yield Planned(f"{name}/dies", "doomed")
        yield Planned(f"{name}/fails", "leaf", after=(f"{name}/dies",))
        yield Planned(f"{name}/fails-too", "leaf", after=(f"{name}/fails",))


def keyed(kind: str, name: str) -> list[Planned]:
    """What a job spawns by key, before it ends."""
    if kind not in ("keys", "lostkeys"):
        return []
    return [Planned(f"{name}+{number}", "leaf") for number in range(3)]


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
    if name.endswith(("/fails", "/fails-too")):
        return frozenset({"Failed"})
    if kind == "tick":
        return frozenset({"Pending"})
    # What was spawned by a job that failed for good fails with it, unless it has run already.
    return frozenset({"Completed", "Failed"} if ".lostkeys" in name else {"Completed"})


def wave(number: int, seed: int, stream: int) -> list[Planned]:
    """Some more roots.

    Args:
        number: of the wave.
        seed: the same seed gives the same roots.
        stream: children of a generator.
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
    return made

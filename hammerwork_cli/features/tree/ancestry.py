"""The place of a job in its tree, and the limits of that tree."""

import json
from typing import NamedTuple, Self

from hammerwork_cli.core.input.spawn_config import SpawnConfig


class Ancestry(NamedTuple):
    """The place of a job in its tree, which workers write into the rows of the children that they spawn."""

    root: str  # id of the root of the tree
    occurrence: str = ""  # the occurrence of a recurring root that the job belongs to
    depth: int = 0  # generations above the job: 0 for a root
    max_depth: int | None = None  # the lowest `max_depth` that an ancestor has set
    max_descendants: int | None = None  # the lowest `max_descendants` that an ancestor has set
    spawner: str | None = None  # id of the parent of an early child. Such a child may run before its parent has ended.
    shared: bool = False  # whether other parents have spawned it too, so that it does not fail with its parent
    joins: tuple[str, ...] = ()  # ids of jobs that wait for it and for all jobs below it
    joined: tuple[str, ...] = ()  # ids of jobs that wait for it
    awaits: bool = False  # whether it waits for the other children of its parent, or for all jobs below it

    @classmethod
    def parse(cls, stored: str | None) -> Self | None:
        """Reads the column; ``None`` when it is empty or unreadable, or says nothing of the place."""
        found = cls.unplaced(stored)
        return found if found.root else None

    @classmethod
    def unplaced(cls, stored: str | None) -> Self:
        """Reads the column of a job that no worker has spawned, and that others wait for; it has an empty root."""
        try:
            values = json.loads(stored or "null")
        except (ValueError, RecursionError):
            return cls("")
        if not isinstance(values, dict):
            return cls("")
        known = {name: values[name] for name, kind in _KINDS.items() if type(values.get(name)) is kind}
        for name in known.keys() & {"joins", "joined"}:
            known[name] = tuple(known[name]) if all(isinstance(one, str) for one in known[name]) else ()
        return cls(**{"root": "", **known})

    def stored(self) -> str:
        values = {name: value for name in _KINDS if (value := getattr(self, name)) not in (None, "", False, ())}
        return json.dumps(values, separators=(",", ":"))

    def limited_by(self, config: SpawnConfig) -> Self:
        """Applies the limits of a configuration that are lower than the present ones."""
        return self._replace(
            max_depth=_tightest(self.max_depth, config.max_depth),
            max_descendants=_tightest(self.max_descendants, config.max_descendants),
        )

    def below(self, other: "Ancestry", generations: int) -> Self:
        """Moves this place to ``generations`` below another job, under the lower limits of both."""
        return self._replace(
            root=other.root,
            occurrence=other.occurrence,
            depth=other.depth + generations,
            max_depth=_tightest(self.max_depth, other.max_depth),
            max_descendants=_tightest(self.max_descendants, other.max_descendants),
        )

    def child(self, spawner: str | None = None) -> Self:
        """The place of a child; ``spawner`` is the id of its parent if it is an early child."""
        return self._replace(depth=self.depth + 1, spawner=spawner, shared=False, joined=(), awaits=False)


def _tightest(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


_KINDS = {
    "root": str,
    "occurrence": str,
    "depth": int,
    "max_depth": int,
    "max_descendants": int,
    "spawner": str,
    "shared": bool,
    "joins": list,
    "joined": list,
    "awaits": bool,
}
"""Field -> the type of its value in JSON."""

"""Where a job stands in its tree, and what limits that tree."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from hammerwork_cli.models.spawn_config import SpawnConfig


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Where a job stands, as its row says if a worker spawned it.

    Attributes:
        root: id of the root of the tree.
        occurrence: which run of the root this belongs to, where the root recurs.
        depth: generations above the job: 0 for a root.
        max_depth: the tightest limit of the generations in the tree that an ancestor has set.
        max_descendants: the tightest limit of the jobs below the root that an ancestor has set.
        spawner: id of the job that spawned this one before its own end; it need not have ended for this one to run.
    """

    root: str
    occurrence: str = ""
    depth: int = 0
    max_depth: int | None = None
    max_descendants: int | None = None
    spawner: str | None = None

    @classmethod
    def parse(cls, stored: str | None) -> Self | None:
        """Reads the column; ``None`` when it holds nothing that can be understood."""
        try:
            values = json.loads(stored or "null")
        except (ValueError, RecursionError):
            return None
        if not isinstance(values, dict) or not isinstance(values.get("root"), str):
            return None
        known = {name: values[name] for name in _READ if name in values and _READ[name](values[name])}
        return cls(**known)

    def stored(self) -> str:
        """The column."""
        values = {name: value for name in _READ if (value := getattr(self, name)) not in (None, "")}
        return json.dumps(values, separators=(",", ":"))

    def limited_by(self, config: SpawnConfig) -> Self:
        """The same with the limits of a configuration, where these are tighter."""
        return replace(
            self,
            max_depth=_tightest(self.max_depth, config.max_depth),
            max_descendants=_tightest(self.max_descendants, config.max_descendants),
        )

    def below(self, other: "Ancestry", generations: int) -> Self:
        """The same place and limits, seen from ``generations`` below another job."""
        return replace(
            self,
            root=other.root,
            occurrence=other.occurrence,
            depth=other.depth + generations,
            max_depth=_tightest(self.max_depth, other.max_depth),
            max_descendants=_tightest(self.max_descendants, other.max_descendants),
        )

    def child(self, spawner: str | None = None) -> Self:
        """That of a job that this one spawns; early by ``spawner``, or at its end."""
        return replace(self, depth=self.depth + 1, spawner=spawner)


def _tightest(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_READ: dict[str, Callable[[Any], bool]] = {
    "root": _is_text,
    "occurrence": _is_text,
    "depth": _is_number,
    "max_depth": _is_number,
    "max_descendants": _is_number,
    "spawner": _is_text,
}

"""Reads and writes webhooks and streams, which have their filters, names and switches in common."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from shlex import quote
from typing import Any, Generic, Protocol, TypeVar

from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Assignments, Names
from hammerwork_cli.errors import ConflictError, DuplicateError, NotFoundError
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.event.queries import READERS

_filters_of = attrgetter("events", "queues", "priorities")
"""The filters of a webhook or a stream: one that changes them wants other events."""


class EventReceiver(Protocol):
    """A webhook or a stream."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def updated_at(self) -> Timestamp: ...
    def _asdict(self) -> dict[str, Any]: ...


Kind = TypeVar("Kind", bound=EventReceiver)


class EventReceivers(Generic[Kind]):
    """Reads and writes all webhooks, or all streams.

    Args:
        group: their commands.
        thing: what one of them is called.
        statements: those that list, add, update, enable and disable them.
        columns: of one. People say what is between the id and ``enabled``.
        read: reads the row of one.
        values: what a row holds in place of fields that only webhooks or only streams have.
        enabled: what happens once one is enabled, in the same transaction.
        disabled: the same, once one is disabled.
    """

    def __init__(
        self,
        group: str,
        thing: str,
        statements: Sequence[str],
        columns: Names,
        read: Callable[[Sequence[Any]], Kind],
        values: Callable[[Database, Kind], Mapping[str, Any]],
        enabled: Callable[[Database, Kind, datetime], object] = lambda *_: None,
        disabled: Callable[[Database, Kind, datetime], object] = lambda *_: None,
    ) -> None:
        self._group, self._thing, self._read, self._values = group, thing, read, values
        self._enabled, self._disabled = enabled, disabled
        self._list, self._add, self._update, self._enable, self._disable = statements
        self._columns, self._said = columns, columns[1 : columns.index("enabled")]

    def listed(self, database: Database) -> list[Kind]:
        if not database.has_own_tables():
            return []
        return [self._read(row) for row in database.rows(self._list, columns=self._columns, id=None)]

    def named(self, database: Database, name: str) -> Kind:
        """The one with this name or id. Raises NotFoundError if there is none."""
        found = names.called(self.listed(database), name)
        if found is None:
            hint = f"To list them: hammerwork {self._group} list"
            raise NotFoundError(f"There is no {self._thing} {name[:60]!r}.", hint=hint)
        return found

    def by_id(self, database: Database, receiver: str) -> Kind | None:
        """The one with this id; ``None`` if somebody has removed it."""
        row = database.row(self._list, columns=self._columns, id=receiver)
        return self._read(row) if row else None

    def present(self, database: Database, receiver: str) -> Kind:
        """The one with this id. Raises NotFoundError if somebody has removed it."""
        found = self.by_id(database, receiver)
        if found is None:
            raise NotFoundError(f"Somebody else has removed the {self._thing}.")
        return found

    def add(self, database: Database, one: Kind, *, by: str, now: datetime) -> None:
        """Adds one. Raises ConflictError if there is another of this name."""
        self._write(database, self._add, one, by=by, now=now)

    def update(self, database: Database, one: Kind, *, by: str, now: datetime) -> None:
        """Changes one that exists. If it then wants other events, it gets none from before the change.

        Raises:
            ConflictError: another one has its name, or somebody has changed it since it was read.
        """
        before = self.by_id(database, one.id)
        others = before is not None and _filters_of(before) != _filters_of(one)
        if not self._write(database, self._update, one, by=by, now=now, others=others, seen=one.updated_at):
            present = self.by_id(database, one.id)
            if present is None or timestamp(present.updated_at) != now:  # else only the answer to the COMMIT was lost
                raise ConflictError(f"Somebody else has changed {one.name[:60]!r} meanwhile.", hint="Try again.")

    def _write(self, database: Database, statement: str, one: Kind, *, by: str, now: datetime, **more: Any) -> bool:
        fields = one._asdict()
        stored = {
            **fields,
            "events": json.dumps([str(event) for event in fields["events"]]),
            "queues": database.json(list(fields["queues"])),
            "priorities": json.dumps(list(fields["priorities"])),
            **self._values(database, one),
        }
        said = {name: stored[name] for name in self._said}
        values = {
            "id": one.id,
            "columns": Names(said),
            "values": [*said.values()],
            "said": Assignments(said),
            "enabled": fields["enabled"],
            "by": by[:LONGEST_NAME],
            "now": now,
            **more,
        }
        try:
            written = database.transaction(lambda: database.run(statement, **values))
        except DuplicateError:
            raise ConflictError(
                f"There is already a {self._thing} {one.name[:60]!r}.",
                hint=f"Change it with: hammerwork {self._group} update {quote(one.name)}",
            ) from None
        database.forget(READERS)
        return bool(written)

    def switch(
        self, database: Database, one: Kind, *, enabled: bool, by: str, now: datetime, reason: str | None = None
    ) -> bool:
        """Enables or disables one; returns whether that changed it. What waits stays."""
        values = {"id": one.id, "now": now, "by": by[:LONGEST_NAME]}

        def enable() -> int:
            changed = database.run(self._enable, **values)
            if changed:
                self._enabled(database, one, now)
            return changed

        def disable() -> int:
            changed = database.run(self._disable, reason=database.message(reason), **values)
            if changed:
                self._disabled(database, one, now)
            return changed

        changed = database.transaction(enable if enabled else disable)
        database.forget(READERS)
        return bool(changed)


def in_common(found: Any) -> dict[str, Any]:
    """The fields that webhooks and streams have in common, from what a row holds."""
    name = found.name
    return {
        "id": str(found.id),
        "name": name.decode() if isinstance(name, (bytes, bytearray)) else name,
        "events": tuple(EventType(word) for word in json.loads(str(found.events)) if word in set(EventType)),
        "queues": tuple(json.loads(str(found.queues))),
        "priorities": tuple(json.loads(str(found.priorities))),
        "include_payload": bool(found.include_payload),
        "enabled": bool(found.enabled),
    }

"""Jobs as the nodes of trees."""

import json
from datetime import timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from hammerwork_cli.core.input.names import stored_name
from hammerwork_cli.core.values import Timestamp, between, id_list, priority_word, status_of


class JobDate(NamedTuple):
    """Why a job was not to start at its creation."""

    scheduled_at: Timestamp  # the date before which it was not to start
    is_blocked: bool  # whether it waits for other jobs


class TreeNode(NamedTuple):
    """One job of a tree; the fields have the order of the columns in the statements with ``{node}``.

    A named tuple of raw values that the properties read, because a tree has up to 100,000 of them.
    """

    id: str
    queue: str
    stored_status: str  # the status as the row spells it; use `status`
    stored_priority: int | str
    attempts: int
    stored_parents: Any  # `depends_on` as the database spells it; use `depends_on`
    created_at: Timestamp
    started_at: Timestamp  # when the job was claimed
    completed_at: Timestamp
    failed_at: Timestamp
    error: str | None  # the first 500 characters of the error text
    stored_config: str | None  # JSON text of `payload._spawn_config`; `None` if the key is absent
    workflow_id: str | None
    workflow_name: str | None
    archived_at: Timestamp  # time when the job was copied to the archive table
    # When its handler began to run, where its worker has recorded that; else as `started_at`.
    run_started_at: Timestamp = None

    @property
    def status(self) -> str:
        """The status in its healthy spelling: see :func:`status_of`."""
        return status_of(self.stored_status)

    @property
    def priority(self) -> str:
        return priority_word(self.stored_priority)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Ids of the parents in stored order."""
        return id_list(self.stored_parents)

    @property
    def has_spawn_config(self) -> bool:
        """Whether the payload carries ``_spawn_config``, readable or not."""
        return self.stored_config is not None

    @property
    def spawn_config(self) -> dict[str, Any] | None:
        """``_spawn_config`` as it is stored; ``None`` if it is absent or not a JSON object."""
        if self.stored_config is None:
            return None
        try:
            config = json.loads(self.stored_config)
        except (ValueError, RecursionError):
            return None
        return config if isinstance(config, dict) else None

    @property
    def handler(self) -> str | None:
        """The spawn handler that the spawn configuration names."""
        config = self.spawn_config
        return stored_name(config.get("handler")) if config else None

    @property
    def operation_id(self) -> str | None:
        """The operation that the spawn configuration names."""
        config = self.spawn_config
        operation = config.get("operation_id") if config else None
        return operation if isinstance(operation, str) else None

    @property
    def run_start(self) -> Timestamp:
        """When the handler began to run, as far as that is known."""
        return self.run_started_at or self.started_at

    @property
    def run_time(self) -> timedelta | None:
        """How long the handler ran in the last attempt; ``None`` until it has ended."""
        return between(self.run_start, self.completed_at or self.failed_at)


class RecordedSpawn(NamedTuple):
    """A spawn as its worker recorded it."""

    id: str
    parent_id: str
    operation_id: str | None  # the id that the configuration names
    handler: str | None
    # `spawned`; `failed` if the parent completed without its children; `repeated` if the parent had spawned before and
    # was allowed to do so again.
    outcome: str
    children: int
    error: str | None  # the reason why there are no children
    hook_error: str | None  # the error of `on_spawn_complete`
    worker_id: str | None
    request_id: str | None  # id of the spawn request that it fulfilled
    started_at: Timestamp
    ended_at: Timestamp


oldest_first = itemgetter(TreeNode._fields.index("created_at"), 0)
"""Sorts jobs by their creation."""

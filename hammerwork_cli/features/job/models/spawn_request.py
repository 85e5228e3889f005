"""Spawn requests, which ask workers to spawn again for a job."""

from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp


class SpawnRequest(NamedTuple):
    """An operator's request that a completed job spawn again."""

    id: str
    job_id: str
    queue: str
    handler: str | None
    config: str | None  # JSON text that replaces the job's configuration
    state: str  # `pending`, `running`, `done` or `failed`
    requested_at: Timestamp
    requested_by: str | None
    claimed_by: str | None
    ended_at: Timestamp
    children: int | None
    error: str | None

    @property
    def is_open(self) -> bool:
        """Whether the request waits for a worker or is being fulfilled."""
        return self.state in {"pending", "running"}

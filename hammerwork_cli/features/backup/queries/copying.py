"""Copies a database into another one, of any kind."""

from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, cast

from hammerwork_cli.core.values import RUNNING_SPELLINGS, numbered
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.backup.models.tables import TABLES
from hammerwork_cli.features.backup.queries.backups import Extent, create
from hammerwork_cli.features.backup.queries.restoring import BackupRestore, Existing, RestoreOptions, refuse_workers
from hammerwork_cli.features.backup.queries.rows import Rows
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.streaming import queries as streams

SHOWN = 3
FORCE = "To copy nevertheless: --force"


def refuse_busy(source: Database) -> None:
    """Refuses to copy a database in which jobs may change meanwhile, as far as that can be seen."""
    refuse_workers(source, FORCE)
    running = int(source.value("backup.running", statuses=RUNNING_SPELLINGS))
    if running:
        raise ConflictError(
            f"{numbered(running, 'job of the source is', 'jobs of the source are')} Running;"
            " Rust workers do not register.",
            hint=f"Wait for them, or: hammerwork spawn doctor --older-than 1h --fix. {FORCE}",
        )
    paused = queues.pauses(source)
    open_queues = sorted(name for (name,) in source.rows("backup.queues") if name not in paused)
    if open_queues:
        named = ", ".join(name[:60] for name in open_queues[:SHOWN]) + (" and more" if open_queues[SHOWN:] else "")
        raise ConflictError(
            f"{numbered(len(open_queues), 'queue of the source is', 'queues of the source are')} not paused: {named}.",
            hint=f"Pause them: hammerwork queue pause --all --yes. {FORCE}",
        )
    if waiting := unsent(source):
        named = ", ".join(f"{name[:60]} {number:,}" for name, number in [*waiting.items()][:SHOWN])
        raise ConflictError(
            f"Events of streams wait to be sent, and are not copied: {named}.",
            hint=f"Let a worker send them: hammerwork worker start --upkeep-only. {FORCE}",
        )


def unsent(source: Database) -> dict[str, int]:
    """Stream -> how many of its events wait: they belong to the database that has written them."""
    if "hammerwork_stream_events" not in source.schema:
        return {}
    return {one.stream.name: one.backlog for one in streams.states(source, source.now()) if one.backlog}


def refuse_target(target: Database, *, merge: bool) -> None:
    """Refuses to copy beside workers, or into a database that has records.

    Args:
        merge: whether it may have records.
    """
    refuse_workers(target, "Resume them when the copy is complete.")
    if merge:
        return
    filled = [word for word in Rows.words(target, copied=True) if Rows(target, word).count()]
    if filled:
        raise ConflictError(
            f"The target has {', '.join(TABLES[word].name for word in filled[:SHOWN])} with rows.",
            hint="Add --merge to copy beside them; records that exist stay as they are.",
        )


class Copy:
    """A copy, which is read and checked against the limits of the target when this is entered."""

    def __init__(
        self, source: Database, target: Database, now: datetime, *, merge: bool, without: tuple[str, ...] = ()
    ) -> None:
        self._source, self._target, self._now = source, target, now
        # Unnamed and for its owner alone; it goes when it is closed, whatever happens.
        self._file = cast("IO[bytes]", TemporaryFile())  # noqa: SIM115  closed by close()
        try:
            create(source, self._file, now, Extent(), without, copied=True)
            existing = Existing.SKIP if merge else Existing.FAIL
            options = RestoreOptions(existing=existing, keep_running=True, copied=True)
            self.restore = BackupRestore(target, self._file, options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

"""``worker start --reload``: a worker that starts again when a source file of its application changes."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hammerwork_cli.database.url import redact
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.runtime.host.sources import Sources

if TYPE_CHECKING:
    from hammerwork_cli.runtime.worker.worker import Worker, WorkerReport

GRACE = 5.0
"""Seconds that running jobs have to finish, without ``--grace``: who edits a handler waits for the new one."""
log = logging.getLogger("hammerwork")


def run(make: "Callable[[], Worker]", folder: Path, begin_log: Callable[[], None]) -> "WorkerReport | None":
    """Runs a worker until it ends or a source file changes.

    Args:
        make: loads the application, and makes its worker.
        begin_log: for an application that could not be loaded.

    Returns:
        Its report; ``None`` if an error of the application ended it, and a source file has changed since.
    """
    sources = Sources(folder)
    with sources.recorded():
        try:
            return _watched(make(), sources)
        except (ConfigError, UsageError) as error:
            begin_log()
            hint = f" {error.hint}" if error.hint else ""
            log.error("%s%s", redact(error.message), redact(hint), exc_info=error)
            log.info("Waiting for a change of its source files.")
            _log_change(sources.wait())
            return None


def _watched(worker: "Worker", sources: Sources) -> "WorkerReport":
    ended = threading.Event()

    def restart(names: Sequence[str]) -> None:
        _log_change(names)
        worker.restart(grace=GRACE)

    watch = threading.Thread(target=sources.watch, args=(restart, ended), name="hammerwork-sources", daemon=True)
    watch.start()
    try:
        return worker.run()
    finally:
        ended.set()


def _log_change(names: Sequence[str]) -> None:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    log.info("%s%s changed: starting again.", names[0], more)

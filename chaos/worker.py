"""A worker's process that dies, or stands still, at a named step.

The steps are watched from outside: the product knows nothing of them.
"""

import faulthandler
import logging
import os
import random
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from math import ceil
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any, NamedTuple

from chaos import events
from chaos.handlers import EFFECTS
from chaos.plan import KINDS
from hammerwork_cli import RetryStrategy, Worker
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConnectionLostError, RetryableError, UnreachableError
from hammerwork_cli.features.archive.queries import retention
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.queries import schedules, ticks
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.worker.models import worker as worker_models
from hammerwork_cli.features.worker.queries import claim, finish, registry, spawn
from hammerwork_cli.features.workflow.queries import endings
from hammerwork_cli.runtime import clock
from hammerwork_cli.runtime.delivery.webhooks import verdicts
from hammerwork_cli.runtime.execution.attempt_runner import AttemptRunner
from hammerwork_cli.runtime.worker import deliveries, streams
from hammerwork_cli.runtime.worker import retention as retention_thread

ANY_MOMENT = "any moment"
NAMED = ("claimed", "handler done", "first batch inserted", "all inserted", "before commit", "after commit")
"""The steps of a parent that spawns, in their order."""
OTHERS = (
    "claim: before commit",
    "parent completed",
    "end: before commit",
    "end: after commit",
    "child by key: before commit",
    "child by key: after commit",
    "taking a lost worker's jobs: before commit",
    "taking a lost worker's jobs: after commit",
    "callback: before commit",
    "callback: after commit",
    "end of a workflow: before commit",
    "end of a workflow: after commit",
    "tick of a schedule: before commit",
    "tick of a schedule: after commit",
    "retention: before commit",
    "retention: after commit",
)
STEPS = (*NAMED, *OTHERS)
_TRANSACTIONS: dict[str, Callable[..., Any]] = {
    "claim: ": claim.claim,
    "end: ": finish.finish,
    "": spawn.complete,
    "child by key: ": spawn.spawn_now,
    "taking a lost worker's jobs: ": registry.rescue,
    "callback: ": callbacks.fire,
    "end of a workflow: ": endings._close,
    "tick of a schedule: ": ticks.tick,
    "retention: ": retention._run_policy,
}
"""What the steps of a transaction begin with, and the function that runs it."""
_STATEMENTS = {
    "worker.finish.complete": (False, "parent completed"),
    "worker.spawn.record": (True, "all inserted"),
}
"""Statements of a spawn -> whether the step is before the statement, and its name."""


UNREACHABLE = 4
"""Exit code of a worker that began while its server went down."""
JOB_LEASES = 5
"""Leases that version 3 of hammerwork (Rust) waits for a silent worker."""
UNANSWERED = 0.02
"""How many of the watched transactions lose their connection: half of them before the commit, half after it."""


class Fate(NamedTuple):
    """What is to become of a worker.

    Attributes:
        step: where, or :data:`ANY_MOMENT`.
        number: which time that it gets there.
        freezes: it stands still for a while instead of dying.
    """

    step: str
    number: int = 1
    freezes: bool = False


def work(url: str, folder: Path, lease: float, fate: Fate | None, *, isolated: bool) -> None:
    """Runs a worker until it is told to end, or meets its fate.

    Args:
        url: of the database.
        folder: for its log and its effects.
        lease: seconds.
        fate: what is to become of it.
        isolated: its handlers run in processes of their own.
    """
    os.setsid()
    log_to(folder, "worker")
    end_with_parent()
    _watch(fate or Fate(ANY_MOMENT), folder)
    # Whoever takes a callback or the policies and dies keeps nobody waiting for minutes, nor does a slow count.
    verdicts.FIRST_PAUSE, verdicts.LONGEST_PAUSE = timedelta(seconds=0.2), timedelta(seconds=2)
    deliveries.BETWEEN_LOOKS, streams.LONGEST_FAILURE_PAUSE, streams.LEASE_SECONDS = 1.0, 1.0, 2 * lease + 3
    setattr(streams, "TIMEOUT_SECONDS", 1.0)  # noqa: B010  what it imports
    callbacks.LEASE = callbacks.LONGEST = retention_thread.LEASE = timedelta(seconds=2 * lease)
    schedules.DUTY_SECONDS, clock.STEADY_SECONDS, clock.PROVEN_SECONDS = 2 * lease, 5 * lease, 2 * lease
    # Version 3 of hammerwork (Rust) is to wait for some leases, not for minutes.
    worker_models.LEAST_JOB_LEASE = ceil(JOB_LEASES * lease)
    retention_thread.CHECK_SECONDS, retention_thread.REST = 1.0, timedelta(seconds=1)
    retry = RetryStrategy.fixed(timedelta(milliseconds=30))
    os.environ[EFFECTS] = str(folder / "effects")
    queues = sorted(KINDS if isolated else KINDS - {"crashes"})
    try:
        Worker(
            url,
            "chaos.handlers:app",
            queues=queues,
            concurrency=2 if isolated else 3,
            isolation="process" if isolated else "thread",
            lease=lease,
            poll_interval=0.1,
            retry=retry,
            allowed_programs=[shlex.join(events.command(folder))],
            allow_private_addresses=True,
        ).run()
    except (UnreachableError, ConnectionLostError, RetryableError) as error:
        logging.error("%r", error, exc_info=True)
        sys.exit(UNREACHABLE)
    except Exception as error:
        logging.exception("The worker ends by itself.")
        logging.error("%r", error)
        raise


def log_to(folder: Path, name: str) -> None:
    """Each process has a log of its own, and on SIGUSR1 a file that says what its threads do."""
    faulthandler.register(signal.SIGUSR1, (folder / f"{name}-{os.getpid()}.stacks").open("w", encoding="utf-8"))
    logging.basicConfig(
        filename=folder / f"{name}-{os.getpid()}.log",
        encoding="utf-8",
        errors="backslashreplace",
        level=logging.INFO,
        format="%(asctime)s %(threadName)s %(message)s",
    )


def last_words(folder: Path, pid: int) -> str:
    """The last line that a worker wrote into its log."""
    lines = _log(folder, pid)
    return lines[-1] if lines else "without a word"


def has_begun(folder: Path, pid: int) -> bool:
    """Whether a worker has got through its start, and must not end by itself any more."""
    return any(" serves " in line for line in _log(folder, pid))


def _log(folder: Path, pid: int) -> list[str]:
    log = folder / f"worker-{pid}.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def end_with_parent() -> None:
    """Whatever becomes of the process that started this one, it does not stay."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class _Watch(threading.local):
    """Which transaction a thread is in."""

    transaction: str | None = None


def _watch(fate: Fate, folder: Path) -> None:
    watch, left, counting = _Watch(), fate.number, threading.Lock()
    ends = signal.SIGSTOP if fate.freezes else signal.SIGKILL

    def reached(step: str) -> None:
        nonlocal left
        if step == fate.step:
            with counting:
                left -= 1
                if left == 0:
                    logging.getLogger("hammerwork").info("Now: %s.", fate)
                    os.kill(os.getpid(), ends)

    _watch_transactions(watch, reached, folder / "unanswered")
    _watch_statements(watch, reached)
    _wrap(enqueue, "insert", after=lambda _: reached("first batch inserted") if watch.transaction == "" else None)
    _wrap(AttemptRunner, "_call", after=lambda _: reached("handler done"))
    _wrap(claim, "claim", after=lambda jobs: reached("claimed") if jobs else None)


def _watch_transactions(watch: _Watch, reached: Callable[[str], None], unanswered: Path) -> None:
    @contextmanager
    def within(name: str) -> Iterator[None]:
        watch.transaction = name
        try:
            yield
        finally:
            watch.transaction = None

    for name, function in _TRANSACTIONS.items():
        _wrap(sys.modules[function.__module__], function.__name__, around=partial(within, name))
    original = Database.transaction

    def transaction(self: Database, work: Callable[[], Any], **options: Any) -> Any:
        name = watch.transaction
        if name is None or self._in_transaction:
            return original(self, work, **options)

        def watched() -> Any:
            result = work()
            if result:
                reached(f"{name}before commit")
                lose(self, f"{name}before commit")
            return result

        result = original(self, watched, **options)
        if result:
            reached(f"{name}after commit")
            lose(self, f"{name}after commit")
        return result

    def lose(database: Database, step: str) -> None:
        if random.random() < UNANSWERED / 2:
            with unanswered.open("a", encoding="ascii") as file:
                file.write(f"{step}\n")
            database._roll_back()
            database.close()
            raise ConnectionLostError("The connection was lost.")

    Database.transaction = transaction  # type: ignore[method-assign]


def _watch_statements(watch: _Watch, reached: Callable[[str], None]) -> None:
    original = Database.run

    def run(self: Database, statement: str, /, **values: Any) -> int:
        before, step = _STATEMENTS.get(statement, (False, "")) if watch.transaction == "" else (False, "")
        if before:
            reached(step)
        changed = original(self, statement, **values)
        if step and not before:
            reached(step)
        return changed

    Database.run = run  # type: ignore[method-assign]


def _wrap(
    owner: Any, name: str, *, around: Callable[[], Any] | None = None, after: Callable[[Any], None] | None = None
) -> None:
    original = getattr(owner, name)

    def wrapper(*arguments: Any, **options: Any) -> Any:
        if around is not None:
            with around():
                return original(*arguments, **options)
        result = original(*arguments, **options)
        if after is not None:
            after(result)
        return result

    setattr(owner, name, wrapper)

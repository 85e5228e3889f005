"""Enqueues jobs from Python."""

import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from uuid import UUID
from weakref import finalize

from hammerwork_cli import app_path
from hammerwork_cli.core.codecs import Codec, Codecs
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.fields import full_id
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.operator import operator
from hammerwork_cli.core.values import WAITING, JobStatus, statuses_of, timestamp
from hammerwork_cli.database import Database, DatabaseUrl, Timeouts, connect
from hammerwork_cli.database.batches import batched
from hammerwork_cli.database.borrowed import AGAIN, Facts
from hammerwork_cli.database.borrowing import Connection, borrow
from hammerwork_cli.errors import DuplicateError, JobNotFoundError, RetryableError, TimedOutError, UsageError
from hammerwork_cli.features.batch.model import NewBatch
from hammerwork_cli.features.batch.queries import enqueue as batches
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.job.models.job import EnqueuedJob, JobFilter
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import changes, enqueue, listing, notifications, results
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds, Subtrees
from hammerwork_cli.features.job.views.changes import raise_refusal
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue import queries as pausing
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries import tree as trees
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import limits
from hammerwork_cli.features.workflow.model import NewWorkflow
from hammerwork_cli.features.workflow.queries import create as creating
from hammerwork_cli.features.workflow.queries.create import Created
from hammerwork_cli.runtime.api import importing
from hammerwork_cli.runtime.api.absent import Translated
from hammerwork_cli.runtime.api.callbacks import callbacks_of
from hammerwork_cli.runtime.api.encryption import EncryptionKeys
from hammerwork_cli.runtime.api.job import Job, checked, takes_a_job
from hammerwork_cli.runtime.api.stored_jobs import result_of, stored_job, stored_jobs
from hammerwork_cli.runtime.api.transaction import Transaction, Write
from hammerwork_cli.runtime.api.waiting import JobWait
from hammerwork_cli.runtime.api.workflow import Workflow
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections, timeouts_of
from hammerwork_cli.runtime.outages import Outages
from hammerwork_cli.view.text import duration

Result = TypeVar("Result")
JobId = Job | str | UUID
CodecsOfQueues: TypeAlias = Mapping[str, Codec | Sequence[Codec]]
IN_MEMORY = "sqlite:///:memory:"
PATIENCE = 30.0
PAGE = 500
"""Jobs that are read together."""
CLOCK_SECONDS = 60.0
"""How long this process carries on the server's clock before it asks again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was enqueued.

    Attributes:
        id: a UUID.
        name: for people.
        created: whether it was inserted; otherwise it existed before.
        jobs: its jobs as they are now; empty if it existed before.
    """

    id: str
    name: str
    created: bool
    jobs: tuple[Job, ...]


class Queue(Translated):
    """The queues of one database. Threads and forked processes may share it.

    Whatever asks the database raises UnreachableError, ConnectionLostError or RetryableError as :meth:`enqueue` does;
    :meth:`migrate` tries only once.

    Args:
        url: ``postgresql://``, ``mysql://``, ``mariadb://`` or ``sqlite:///path``; ``sqlite:///:memory:`` is a database
            for tests, which :meth:`migrate` makes and :meth:`close` removes.
        pool_size: maximum number of open connections.
        patience: seconds to keep trying while no server answers, and to wait for locks and connections; 0 tries once. A
            single try ends within that time or within a few seconds, whichever is less.
        encryption: keys that encrypt the payloads of jobs that ask for it, and decrypt those that the queue reads; a
            :class:`Worker` of this queue uses them too.
        refuse_plaintext: refuses plaintext jobs in queues that hold encrypted jobs, including children that a
            :class:`Worker` of this queue writes.
        codecs: queue -> a :class:`Codec` that encodes its payloads and results, or several, of which the first one
            encodes and all decode; a :class:`Worker` of this queue uses them too.

    Raises:
        UsageError: an argument is out of range.
    """

    _remove: "finalize[..., Any] | None" = None

    def __init__(
        self,
        url: str | DatabaseUrl,
        *,
        pool_size: int = 4,
        patience: float = PATIENCE,
        encryption: EncryptionKeys | None = None,
        refuse_plaintext: bool = False,
        codecs: CodecsOfQueues | None = None,
    ) -> None:
        fields.whole_number(pool_size, "pool_size", 1, LARGEST_INTEGER)
        fields.seconds(patience, "patience", zero=True)
        known = self._temporary() if url == IN_MEMORY else url_of(url)
        known_codecs = known.codecs if codecs is None else Codecs(codecs)
        where = replace(with_keys(known, encryption), refuse_plaintext=refuse_plaintext, codecs=known_codecs)
        self._set_up(Connections(where, pool_size, timeouts=timeouts_of(patience, len(where.hosts))), patience)

    def _temporary(self) -> DatabaseUrl:
        """An empty file, since a worker's threads and processes have connections of their own."""
        with app_path.without():
            from tempfile import mkdtemp
        folder = Path(mkdtemp(prefix="hammerwork-"))
        (folder / "jobs.db").touch()
        self._remove = finalize(self, _remove, folder, os.getpid())
        return DatabaseUrl.of_file(folder / "jobs.db")

    def _set_up(self, connections: Connections, patience: float) -> None:
        self._connections, self._patience = connections, patience
        # Any thread writes these. Two may both ask the server: either answer will do.
        self._clock, self._clock_set = ServerClock(), -math.inf
        self._facts: Facts | None = None

    @classmethod
    def _of_worker(cls, url: str | DatabaseUrl, outages: Outages | None = None) -> Self:
        """The queue that handlers have. Another try follows when the server does not answer for :data:`PATIENCE`."""
        queue = cls.__new__(cls)
        queue._set_up(Connections(url, 4, timeouts=Timeouts(network=PATIENCE), outages=outages), 2 * PATIENCE)
        return queue

    @property
    def url(self) -> DatabaseUrl:
        """The URL of the database."""
        return self._connections.url

    @takes_a_job
    def enqueue(self, job: Job, *, connection: Connection | None = None) -> Job:
        """Writes a job. A job with the same id that already exists stays unchanged.

        If another job holds its unique key, that one is returned: see :meth:`Job.with_unique`.

        Args:
            connection: writes it in a transaction of yours, tries once, and never begins, commits or sets anything:
                a connection of psycopg, mysql-connector-python, PyMySQL or ``sqlite3``, a ``Session`` or
                ``Connection`` of SQLAlchemy, or ``django.db.connection``. Without a transaction, the job must have no
                dependencies, callbacks, workflow or unique key.

        Returns:
            The job as it is now: ``created`` says whether this call wrote it, and it has its present ``status``.

        Raises:
            UsageError: it has no queue, a payload that JSON cannot hold, or a schedule that is never due.
            NotFoundError, ConflictError: it depends on a job that does not exist or failed, or another job has its id.
            ConfigError: the connection leads to another database.
            RefusedValueError: the database cannot hold it.
            UnreachableError, ConnectionLostError: no server answered within the queue's ``patience``, or the SQLite
                file does not exist.
            RetryableError: others held locks, or all connections, for that long.
        """
        needs_more = bool(checked(job).dependencies or job.callbacks or job.workflow_id or job.unique)
        return self._one(job, self._writing(connection, one_statement=not needs_more))

    def _one(self, job: Job, write: Write) -> Job:
        tries: list[NewJob] = []

        def unit(database: Database) -> _Placed:
            tries.append(replace(tries[0], is_new=False) if tries else job._new_job(self._now(database)))
            return _Placed.of(database, {job.id: _write_one(database, tries[-1])})

        placed: _Placed = write(unit)
        return placed.job(job, tries[0] if len(tries) > 1 else None)

    @takes_a_job
    def enqueue_many(self, jobs: Iterable[Job], *, connection: Connection | None = None) -> list[Job]:
        """Writes many jobs, all or none. They may depend on each other, and on jobs that exist.

        A job with the same id that already exists stays unchanged.

        Args:
            connection: with an open transaction of yours: see :meth:`enqueue`.

        Returns:
            The jobs as they are now, in the same order: see :meth:`enqueue`.

        Raises:
            UsageError, NotFoundError, ConflictError, RefusedValueError: see :meth:`enqueue`.
        """
        return self._many(list(map(checked, jobs)), self._writing(connection))

    def _many(self, many: list[Job], write: Write) -> list[Job]:
        tries: list[list[NewJob]] = []

        def unit(database: Database) -> _Placed:
            if tries:
                tries.append([replace(new, is_new=False) for new in tries[0]])
            else:
                now = self._now(database)
                tries.append([job._new_job(now) for job in many])
            placed = enqueue.many(database, tries[-1])
            notifications.notify(database, {job.queue for job in tries[0]})
            return _Placed.of(database, placed)

        placed: _Placed = write(unit)
        again = len(tries) > 1
        return [placed.job(job, new if again else None) for job, new in zip(many, tries[0], strict=True)]

    def enqueue_batch(
        self,
        name: str,
        jobs: Iterable[Job],
        *,
        id: str | UUID | None = None,
        on_complete: Job | None = None,
        on_success: Job | None = None,
        on_failure: Job | None = None,
        connection: Connection | None = None,
    ) -> Batch:
        """Writes a batch with its jobs, all or none. They may depend on each other, and on jobs that exist.

        Args:
            name: of the batch, for people.
            jobs: at most 100,000, none of which exists.
            id: a UUID; a batch with this id, the same name and as many jobs stays unchanged.
            on_complete: enqueued once, when all jobs have ended.
            on_success: enqueued once, when all have completed, even if failed ones had to be retried.
            on_failure: enqueued once, when the first job has failed for good or was cancelled.
            connection: with an open transaction of yours: see :meth:`enqueue`.

        Raises:
            UsageError, NotFoundError, ConflictError, RefusedValueError: see :meth:`enqueue`; or there are no jobs,
                too many, or one twice, or the id belongs to another batch.
        """
        batch, many = NewBatch.of(name, id), list(map(checked, jobs))
        callbacks = callbacks_of(on_complete, on_success, on_failure)
        tries: list[list[NewJob]] = []

        def unit(database: Database) -> dict[str, EnqueuedJob]:
            now = self._now(database)
            tries.append(tries[0] if tries else [job._new_job(now) for job in many])
            return batches.enqueue(database, batch, tries[0], now, callbacks)

        placed: dict[str, EnqueuedJob] = self._writing(connection)(unit)
        if not placed and len(tries) > 1:  # the answer to an earlier try may be lost
            placed = self._run(lambda database: batches.written(database, batch, tries[0]))
        written = [_as_it_is(job, placed[job.id], new) for job, new in zip(many, tries[0], strict=True) if placed]
        return Batch(batch.id, batch.name, created=bool(placed), jobs=tuple(written))

    def enqueue_workflow(self, workflow: Workflow, *, connection: Connection | None = None) -> dict[str, Job]:
        """Writes a workflow with its jobs, all or none. The same one that already exists stays unchanged.

        Args:
            connection: with an open transaction of yours: see :meth:`enqueue`.

        Returns:
            Key -> the job as it is now: see :meth:`enqueue`. Empty if the workflow existed before.

        Raises:
            UsageError, NotFoundError, ConflictError, RefusedValueError: see :meth:`enqueue`; or a job waits for one
                that is not there, or for itself through others, or another workflow has the id.
        """
        fields.an(workflow, Workflow, "A workflow must be a Workflow with jobs in it")
        tries: list[tuple[NewWorkflow, list[NewJob]]] = []

        def unit(database: Database) -> Created:
            now = self._now(database)
            tries.append(tries[0] if tries else workflow._new_jobs(now))
            return creating.create(database, *tries[0], now, workflow._callbacks)

        placed: dict[str, EnqueuedJob] = self._writing(connection)(unit).jobs
        if not placed and len(tries) > 1:  # the answer to an earlier try may be lost
            placed = self._run(lambda database: enqueue.many(database, tries[0][1]))
        made = zip(workflow.jobs.items(), tries[0][1], strict=True)
        return {key: _as_it_is(replace(job, id=new.id), placed[new.id], new) for (key, job), new in made if placed}

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begins a transaction for jobs and rows of yours, on a connection of the queue.

        It commits when the ``with`` block ends, and rolls back when an exception leaves it. Only its beginning is tried
        again.

        Raises:
            UnreachableError, ConnectionLostError: no server answered; or the connection broke, and it is unknown
                whether the commit took place.
            RetryableError: the database rolled it back, or all connections were in use.
        """
        importing.check(importing.ENQUEUE)
        self.url.check_file()
        with self._connections.lend(self._patience) as database, database.held():
            transaction = Transaction(database, self._one, self._many)
            try:
                yield transaction
            finally:
                transaction._end()

    # Reading.

    def find(self, job: JobId) -> Job | None:
        """The job with this id as it is now, with its result; ``None`` when there is none.

        An archived job has no workflow and no limits of its result, and its payload is ``None`` if that is unreadable.
        To read an encrypted payload, the queue needs its key, and its codec for an encoded payload or result: without
        it, ``job.payload`` or ``job.result`` raises an error.

        Raises:
            UsageError: that is not an id.
        """
        wanted = id_of(job)
        return self._run(lambda database: stored_job(database, wanted))

    def get(self, job: JobId) -> Job:
        """The job with this id as it is now: see :meth:`find`.

        Raises:
            UsageError: that is not an id.
            JobNotFoundError: there is no such job.
        """
        found = self.find(job)
        if found is None:
            raise JobNotFoundError(id_of(job))
        return found

    def jobs(
        self,
        queue: str | None = None,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] = (),
        tree: JobId | None = None,
    ) -> Iterator[Job]:
        """Jobs as they are now, newest first, or parents first with ``tree``. Reads them page by page.

        Jobs that are added or change meanwhile may be missing. Archived jobs are found only in a tree.

        Args:
            queue: only jobs of this queue.
            status: only jobs with one of these statuses.
            tree: only this job and everything below it.

        Raises:
            UsageError: that is not an id, or not a status.
            JobNotFoundError: there is no job ``tree``.
        """
        given = (status,) if isinstance(status, str) else tuple(status)
        wanted = JobFilter(queues=() if queue is None else (queue,), statuses=tuple(statuses_of(given)))
        ids = self._listed(wanted) if tree is None else self._below(id_of(tree), wanted)
        return self._as_they_are(ids)

    def children(self, job: JobId) -> Iterator[Job]:
        """The jobs that were spawned by a job or depend on it, as they are now.

        Raises:
            UsageError: that is not an id.
            JobNotFoundError: there is no such job.
        """
        wanted = id_of(job)

        def read(database: Database) -> list[str]:
            relatives = Relatives(database)
            relatives.job(wanted)
            return list(dict.fromkeys(child.id for child in relatives.children([wanted])))

        return self._as_they_are(self._run(read))

    def wait(self, job: JobId, *, timeout: timedelta | None = None, tree: bool = False) -> Job:
        """Waits until a job has ended. It reads little at a time, and survives a restart of the server.

        Args:
            timeout: how long to wait at most; ``None`` for no limit.
            tree: waits for everything below the job too, or until what is left can never run.

        Returns:
            The job as it is then.

        Raises:
            UsageError: that is not an id, or the timeout is negative.
            JobNotFoundError: there is no such job.
            TimedOutError: it has not ended in time.
        """
        return self._wait(job, timeout, tree=tree)

    def _wait(
        self, job: JobId, timeout: timedelta | None, *, tree: bool, stopped: Callable[[], bool] = lambda: False
    ) -> Job:
        wanted, what = id_of(job), "job and everything below it" if tree else "job"
        limit = None if timeout is None else fields.duration(timeout, "timeout").total_seconds()
        self.get(wanted)
        with closing(JobWait(self.url, self._connections.timeouts, limit, stopped)) as wait:
            ended = wait.tree(wanted, self._run(self._now)) if tree else wait.job(wanted)
        if not ended:
            raise TimedOutError(f"The {what} did not end within {duration(timeout)}: {wanted}.")
        return self.get(wanted)

    def results(self, jobs: Iterable[JobId]) -> dict[str, Any]:
        """The results of jobs by their ids, those of archived jobs included.

        The result is ``None`` if the job returned nothing, has not completed, or its result has expired; a job that
        does not exist is missing.

        Raises:
            UsageError: one of them is not an id.
            CodecError: a result needs a codec that the queue lacks.
        """
        ids = list(dict.fromkeys(map(id_of, jobs)))
        texts = self._run(lambda database: results.texts(database, ids))
        return {job: result_of(texts[job], self.url.codecs) for job in ids if job in texts}

    # Changing.

    def cancel(self, job: JobId, reason: str = "", *, tree: bool = False, force: bool = False) -> int:
        """Cancels a job that has not started, and with it the jobs that wait for it.

        Args:
            reason: text to add to the error of each job.
            tree: also cancels everything below the job, except what runs or has ended.
            force: cancels it even if it runs: its worker interrupts a coroutine or a process, but not a thread.

        Returns:
            The number of cancelled jobs, without those that only waited for them.

        Raises:
            UsageError: that is not an id.
            NotFoundError: there is no such job.
            ConflictError: it cannot be cancelled, since it has ended or runs.
        """
        by = operator()
        return self._change(
            job,
            lambda now: CancelJobs(now, by=by, reason=reason or None, force=force),
            {JobStatus.CANCELLED},
            tree=tree,
        )

    def retry(
        self,
        job: JobId,
        *,
        tree: bool = False,
        cancelled: bool = False,
        respawn: bool = False,
        force: bool = False,
        now: bool = False,
    ) -> int:
        """Lets a job that has failed or was cancelled run again.

        One that was cancelled before it was due is due when it was.

        Args:
            tree: also retries what has failed below the job.
            cancelled: with ``tree``, also retries cancelled jobs.
            respawn: lets a job that has spawned spawn again when it completes.
            force: retries it even if it runs, has completed, or depends on a job that failed.
            now: runs it at once, even if it was cancelled before it was due.

        Returns:
            The number of retried jobs, without those that had only failed with them.

        Raises:
            UsageError: that is not an id.
            NotFoundError: there is no such job.
            ConflictError: it cannot be retried.
        """
        return self._change(
            job,
            lambda at: RetryJobs(at, force=force, respawn=respawn, cancelled=cancelled or not tree, at_once=now),
            {*WAITING, JobStatus.RUNNING},
            tree=tree,
        )

    def pause(self, queue: str, reason: str = "") -> None:
        """Pauses a queue: no worker starts its jobs until it is resumed. A paused queue gets the new reason.

        Args:
            queue: the queue, which need not have jobs.
            reason: to show to others; empty for none.

        Raises:
            UsageError: no queue can have that name.
        """
        by = operator()
        self._manage(lambda database: pausing.pause(database, queue, by=by, now=database.now(), reason=reason or None))

    def resume(self, queue: str) -> None:
        """Resumes a queue; does nothing if it is not paused.

        Raises:
            UsageError: no queue can have that name.
            ConflictError: all queues are paused together.
        """
        self._manage(lambda database: pausing.resume(database, queue))

    def limit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, per: str | None = None
    ) -> None:
        """Limits the jobs of a queue over all workers of the database. A new limit replaces the old one.

        A job that may not start yet waits and uses no attempt. Workers of hammerwork (Rust) do not know limits: their
        running jobs count, but nothing limits them.

        Args:
            queue: the queue.
            concurrency: the most jobs that run at once.
            rate: the most jobs that start within a period: ``10/s``, ``100/m``, ``5/30s``.
            per: a key of payloads, such as ``tenant`` or ``customer.id``: each of its values has the limit. Jobs
                without one, and those with encrypted or encoded payloads, share it with each other.

        Raises:
            UsageError: something is not valid, or nothing is limited.
        """
        limit, name = QueueLimit.of(queue, concurrency, rate, per), operator()
        self._manage(lambda database: limits.set_limit(database, limit, by=name, now=database.now()))

    def remove_limit(self, queue: str) -> bool:
        """Removes the limit of a queue; returns whether it had one."""
        return self._manage(lambda database: limits.remove(database, queue)) is not None

    def migrate(self) -> list[str]:
        """Creates the tables, or brings them up to date. Several programs may do so at the same time.

        Returns:
            The names of the migrations that it applied.

        Raises:
            ConflictError: another program has not finished doing so within ten minutes.
            DatabaseError: a statement failed. The finished steps stay, and the next call continues.
        """
        importing.check(importing.ENQUEUE)
        with closing(connect(self.url)) as database:  # a statement may take long
            return [migration.id for migration in migrations.run(database)]

    def _change(self, job: JobId, change: Callable[[datetime], Change], made: Collection[str], *, tree: bool) -> int:
        """Changes a job, or what is below it too; how many.

        ``made`` are the statuses of a job that was changed, perhaps by a try whose answer was lost.
        """
        wanted, tries = id_of(job), 0

        def unit(database: Database) -> int:
            nonlocal tries
            tries += 1
            change_now = change(database.now())
            selection = Subtrees([wanted], change_now.in_trees) if tree else ByIds([wanted])
            outcome = changes.run(database, selection, change_now)
            refusal = changes.refused(database, change_now, outcome)
            if refusal is not None and tries > 1 and refusal.reason in made:
                return 1
            raise_refusal(refusal)
            return outcome.changed

        return self._manage(unit)

    def _manage(self, unit: Callable[[Database], Result]) -> Result:
        def checked_unit(database: Database) -> Result:
            database.check_current()
            return unit(database)

        return self._write(checked_unit)

    def _listed(self, wanted: JobFilter) -> Iterator[str]:
        cursor: str | None = None
        while True:
            page = self._run(partial(listing.find, wanted=wanted, limit=PAGE, cursor=cursor))
            yield from (job.node.id for job in page.jobs)
            if (cursor := page.cursor) is None:
                return

    def _below(self, job: str, wanted: JobFilter) -> Iterator[str]:
        found = self._run(lambda database: trees.tree(database, job, whole=False))
        for node in found.nodes.values():
            if (not wanted.queues or node.queue in wanted.queues) and (
                not wanted.statuses or node.status in wanted.statuses
            ):
                yield node.id

    def _awaited(self, job: Job) -> list[str]:
        """The jobs that a job depends on; for one that ran after all others, those others."""
        row = getattr(job, "_row", None)
        if row is None or not joins.is_join(row.ancestry):
            return list(job.dependencies)
        parent = job.dependencies[0]
        return self._run(lambda database: [one for one, _ in joins.awaited(database, job.id, parent)])

    def _as_they_are(self, ids: Iterable[str], at_once: int = PAGE) -> Iterator[Job]:
        for part in batched(ids, at_once):
            yield from self._run(partial(stored_jobs, jobs=part)).values()

    def _write(self, unit: Callable[[Database], Result]) -> Result:
        importing.check(importing.ENQUEUE)
        return self._run(unit)

    def _writing(self, connection: Connection | None, *, one_statement: bool = False) -> Write:
        """What writes jobs: :meth:`_write`, or the connection of an application.

        If only ``one_statement`` changes something, that needs no transaction.
        """
        if connection is None:
            return self._write

        def write(unit: Callable[[Database], Result]) -> Result:
            importing.check(importing.ENQUEUE)
            borrowed = borrow(connection, self._facts_now())
            if not one_statement and borrowed.commits_each_statement:
                raise UsageError(
                    "The connection commits each statement by itself, and this takes several.",
                    hint="Begin a transaction first.",
                )
            try:
                return unit(borrowed)
            except DuplicateError as error:  # the transaction could not see it yet
                raise RetryableError(
                    "Another transaction has enqueued one of the jobs meanwhile.", hint=AGAIN
                ) from error

        return write

    def _facts_now(self) -> Facts:
        """Facts of the database that are as fresh as its clock, which is set meanwhile."""
        if self._facts is None or time.monotonic() - self._clock_set > CLOCK_SECONDS:

            def learn(database: Database) -> Facts:
                self._now(database)
                events.readers(database)
                return Facts(database)

            self._facts = self._run(learn)
        return self._facts

    def _run(self, unit: Callable[[Database], Result]) -> Result:
        self.url.check_file()
        return self._connections.run(unit, patience=self._patience)

    def _now(self, database: Database) -> datetime:
        # By a producer's clock that is minutes ahead, jobs would start minutes late.
        if time.monotonic() - self._clock_set > CLOCK_SECONDS:
            self._clock.set(database.now())
            self._clock_set = time.monotonic()
        return self._clock.now()

    def close(self) -> None:
        """Closes its connections, and removes a database in memory."""
        self._connections.close()
        if self._remove is not None:
            self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):
            self.close()


class _Placed(NamedTuple):
    """Jobs as they were enqueued."""

    rows: dict[str, EnqueuedJob]  # by the ids of the jobs that were to be written
    holders: dict[str, Job | None]  # the jobs that hold their unique keys, by their own ids; `None` if deleted since

    @classmethod
    def of(cls, database: Database, rows: dict[str, EnqueuedJob]) -> Self:
        others = {row.id for wanted, row in rows.items() if row.id != wanted}
        found = stored_jobs(database, sorted(others)) if others else {}
        return cls(rows, {holder: found.get(holder) for holder in others})

    def job(self, job: Job, tried: NewJob | None) -> Job:
        """A job as it is now, or the holder of its key; ``tried``: see :func:`_as_it_is`."""
        row = self.rows[job.id]
        if not self.holders:
            return _as_it_is(job, row, tried)
        if row.id == job.id:
            now = _as_it_is(job, row, tried)
            if now.created:  # on the holder of a key, in place of a job that was not written
                now.dependencies = row.depends_on
            return now
        found = self.holders[row.id]
        holder = copy(found) if found else replace(job, id=row.id, status=row.status)
        holder.created = row.created
        return holder


def _as_it_is(job: Job, placed: EnqueuedJob, tried: NewJob | None) -> Job:
    """A copy of an enqueued job, as it is now; ``tried`` is the row of an earlier try whose answer may be lost."""
    now = copy(job)
    now.status = placed.status
    now.created = placed.created or (tried is not None and timestamp(placed.scheduled_at) == tried.scheduled_at)
    return now


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in one that was forked
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)


def url_of(given: object) -> DatabaseUrl:
    """The URL of a database, parsed.

    Raises:
        UsageError: it is neither text nor a URL.
        ConfigError: the text is not the URL of a database.
    """
    if isinstance(given, DatabaseUrl):
        return given
    return DatabaseUrl.parse(fields.an(given, str, "The database must be a URL such as sqlite:///jobs.db"))


def with_keys(url: DatabaseUrl, keys: object) -> DatabaseUrl:
    """The URL with keys for encrypted payloads.

    Raises:
        UsageError: they are none.
    """
    if keys is None:
        return url
    return replace(url, keys=fields.an(keys, EncryptionKeys, "encryption must be EncryptionKeys"))


def id_of(job: JobId) -> str:
    """The id of a job, in full.

    Raises:
        UsageError: it is not an id.
    """
    return job.id if isinstance(job, Job) else full_id(job)


def _write_one(database: Database, job: NewJob) -> EnqueuedJob:
    def work() -> EnqueuedJob:
        placed = enqueue.once(database, job)
        if not (placed.created and "borrowed" in database.tags):  # its insert does so
            notifications.notify(database, [job.queue])
        return placed

    return database.transaction(work)

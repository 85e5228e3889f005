"""A queue for coroutines."""

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar
from uuid import UUID

from hammerwork_cli import app_path
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.values import FINISHED, JobStatus
from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import JobNotFoundError, TimedOutError, UsageError
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.runtime.api.encryption import EncryptionKeys
from hammerwork_cli.runtime.api.job import Job, takes_a_job
from hammerwork_cli.runtime.api.queue import PATIENCE, Batch, CodecsOfQueues, JobId, Queue, id_of
from hammerwork_cli.runtime.api.waiting import INTERVAL
from hammerwork_cli.runtime.api.workflow import Workflow
from hammerwork_cli.view.text import duration

if TYPE_CHECKING:
    import asyncio

    _Awaited = dict[str, set[asyncio.Future[None]]]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PAGE = 500
"""Jobs that are fetched together."""


class AsyncQueue:
    """The methods of a :class:`Queue` for coroutines, which do not block the event loop.

    Each call runs in a thread, one for each connection. A call that is cancelled goes on there, so its job may be
    written; with an id of your own, you can enqueue it again. To enqueue in a transaction of an asynchronous driver,
    see :func:`statement`. Each method raises what the same method of
    :class:`Queue` raises, and UsageError after :meth:`close`.

    Args:
        url: see :class:`Queue`, as for the other arguments.
        pool_size: maximum number of open connections, and of calls that run at once.
        patience: seconds to keep trying.
        encryption: keys for encrypted payloads.
        refuse_plaintext: refuses plaintext jobs in queues that hold encrypted jobs.
        codecs: encode payloads and results.

    Raises:
        UsageError: an argument is out of range.
    """

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
        self._queue = Queue(
            url,
            pool_size=pool_size,
            patience=patience,
            encryption=encryption,
            refuse_plaintext=refuse_plaintext,
            codecs=codecs,
        )
        self._threads = ThreadPoolExecutor(pool_size, "hammerwork-async")
        self._is_closed = False
        # Coroutines of one loop, the last that waited, use these.
        self._awaited: _Awaited = {}
        self._looking: asyncio.Task[None] | None = None

    async def _call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        with app_path.without():
            import asyncio
        self._check_open()
        call = partial(copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError("The queue is closed.", hint="Make another AsyncQueue.")

    @takes_a_job
    async def enqueue(self, job: Job) -> Job:
        """See :meth:`Queue.enqueue`."""
        return await self._call(self._queue.enqueue, job)

    @takes_a_job
    async def enqueue_many(self, jobs: Iterable[Job]) -> list[Job]:
        """See :meth:`Queue.enqueue_many`."""
        return await self._call(self._queue.enqueue_many, list(jobs))

    async def enqueue_batch(
        self,
        name: str,
        jobs: Iterable[Job],
        *,
        id: str | UUID | None = None,
        on_complete: Job | None = None,
        on_success: Job | None = None,
        on_failure: Job | None = None,
    ) -> Batch:
        """See :meth:`Queue.enqueue_batch`."""
        callbacks: Any = {"on_complete": on_complete, "on_success": on_success, "on_failure": on_failure}
        return await self._call(self._queue.enqueue_batch, name, list(jobs), id=id, **callbacks)

    async def enqueue_workflow(self, workflow: Workflow) -> dict[str, Job]:
        """See :meth:`Queue.enqueue_workflow`."""
        return await self._call(self._queue.enqueue_workflow, workflow)

    async def find(self, job: JobId) -> Job | None:
        """See :meth:`Queue.find`."""
        return await self._call(self._queue.find, job)

    async def get(self, job: JobId) -> Job:
        """See :meth:`Queue.get`."""
        return await self._call(self._queue.get, job)

    def jobs(
        self,
        queue: str | None = None,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] = (),
        tree: JobId | None = None,
    ) -> AsyncIterator[Job]:
        """See :meth:`Queue.jobs`."""
        return self._pages(partial(self._queue.jobs, queue, status=status, tree=tree))

    def children(self, job: JobId) -> AsyncIterator[Job]:
        """See :meth:`Queue.children`."""
        return self._pages(partial(self._queue.children, job))

    async def _pages(self, find: Callable[[], Iterator[Job]]) -> AsyncIterator[Job]:
        found = await self._call(find)
        while page := await self._call(lambda: list(islice(found, PAGE))):
            for job in page:
                yield job

    async def results(self, jobs: Iterable[JobId]) -> dict[str, Any]:
        """See :meth:`Queue.results`."""
        return await self._call(self._queue.results, list(jobs))

    async def wait(self, job: JobId, *, timeout: timedelta | None = None, tree: bool = False) -> Job:
        """Waits until a job has ended: see :meth:`Queue.wait`.

        However many jobs are awaited, one statement looks at all of them. With ``tree``, each call has its own thread
        and connection.
        """
        if tree:
            return await self._in_thread(job, timeout)
        with app_path.without():
            import asyncio
        wanted = id_of(job)
        limit = None if timeout is None else fields.duration(timeout, "timeout").total_seconds()
        loop = asyncio.get_running_loop()
        if limit is not None and limit <= 2 * INTERVAL:
            # A look at all jobs may come too late.
            found = await self.get(wanted)
            if found.status in FINISHED:
                return found
        if self._looking is not None and self._looking.get_loop() is not loop:
            # The other loop may be closed: what waits there goes on by itself, or never.
            self._looking, self._awaited = None, {}
        awaited, ended = self._awaited, loop.create_future()
        awaited.setdefault(wanted, set()).add(ended)
        if self._looking is None:
            self._looking = loop.create_task(self._look(awaited))
        try:
            await asyncio.wait_for(ended, limit)
        except TimeoutError:
            raise TimedOutError(f"The job did not end within {duration(timeout)}: {wanted}.") from None
        finally:
            _forget(awaited, wanted, ended)
        return await self.get(wanted)

    async def _look(self, awaited: "_Awaited") -> None:
        """Looks at the awaited jobs of a loop until none is left."""
        with app_path.without():
            import asyncio
        try:
            while awaited:
                jobs = list(awaited)
                over: dict[str, Exception | None]
                try:
                    over = await self._call(self._queue._run, partial(_over, jobs=jobs))
                except Exception as error:  # noqa: BLE001  all who wait get it
                    over = dict.fromkeys(jobs, error)
                for job, failure in over.items():
                    for ended in awaited.pop(job, set()):
                        if failure is not None and not ended.done():
                            ended.set_exception(failure)
                        elif not ended.done():
                            ended.set_result(None)
                await asyncio.sleep(INTERVAL)
        finally:
            if self._awaited is awaited:
                self._looking = None

    async def _in_thread(self, job: JobId, timeout: timedelta | None) -> Job:
        """Waits for a tree. A thread that nobody waits for any longer stops soon."""
        with app_path.without():
            import asyncio
        self._check_open()
        stopped, thread = threading.Event(), ThreadPoolExecutor(1, "hammerwork-async-wait")
        call = partial(self._queue._wait, job, timeout, tree=True, stopped=stopped.is_set)
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, copy_context().run, call)
        finally:
            stopped.set()
            thread.shutdown(wait=False)

    async def cancel(self, job: JobId, reason: str = "", *, tree: bool = False, force: bool = False) -> int:
        """See :meth:`Queue.cancel`."""
        return await self._call(self._queue.cancel, job, reason, tree=tree, force=force)

    async def retry(
        self, job: JobId, *, tree: bool = False, cancelled: bool = False, respawn: bool = False, force: bool = False
    ) -> int:
        """See :meth:`Queue.retry`."""
        return await self._call(self._queue.retry, job, tree=tree, cancelled=cancelled, respawn=respawn, force=force)

    async def pause(self, queue: str, reason: str = "") -> None:
        """See :meth:`Queue.pause`."""
        await self._call(self._queue.pause, queue, reason)

    async def resume(self, queue: str) -> None:
        """See :meth:`Queue.resume`."""
        await self._call(self._queue.resume, queue)

    async def limit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, per: str | None = None
    ) -> None:
        """See :meth:`Queue.limit`."""
        await self._call(self._queue.limit, queue, concurrency=concurrency, rate=rate, per=per)

    async def remove_limit(self, queue: str) -> bool:
        """See :meth:`Queue.remove_limit`."""
        return await self._call(self._queue.remove_limit, queue)

    async def migrate(self) -> list[str]:
        """See :meth:`Queue.migrate`."""
        return await self._call(self._queue.migrate)

    async def close(self) -> None:
        """Closes its connections, once the calls that run have ended. Coroutines that wait for a job get an error."""
        with app_path.without():
            import asyncio
        self._is_closed = True
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._queue.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _forget(awaited: "_Awaited", job: str, ended: "asyncio.Future[None]") -> None:
    others = awaited.get(job, set())
    others.discard(ended)
    if not others:
        awaited.pop(job, None)


def _over(database: Database, jobs: list[str]) -> dict[str, Exception | None]:
    """Those of some jobs for which nobody has to wait any longer: no error for one that has ended."""
    found = {node.id: node.status for node in Relatives(database).jobs(jobs)}
    gone: dict[str, Exception | None] = {job: JobNotFoundError(job) for job in jobs if job not in found}
    return gone | {job: None for job, status in found.items() if status in FINISHED}

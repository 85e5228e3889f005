"""A job that spawns, in its run or again because of a request: where it stands, and its children before the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from hammerwork_cli.cached import cached
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import Ancestry, SpawnConfig
from hammerwork_cli.queries import ancestry, spawning
from hammerwork_cli.queries.ancestry import LimitError, Spawner
from hammerwork_cli.queries.claims import Claimed
from hammerwork_cli.runtime.children import drain
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.job import Job
from hammerwork_cli.runtime.pulse import ServerClock
from hammerwork_cli.runtime.spawning import SpawnLimitError

LONGEST_KEY = 255


class Parent:
    """A job that spawns.

    Args:
        connections: to write its children by, and to find out where it stands.
        clock: the server's.
        job: as its worker got it.
        config: what it says about its children.
        request: id of the request that it spawns again for.
        over: whether its run counts no longer, so that nothing is tried again.
    """

    def __init__(
        self,
        connections: Connections,
        clock: ServerClock,
        job: Claimed,
        config: SpawnConfig,
        request: str | None,
        over: Callable[[], bool],
    ) -> None:
        self._connections, self._clock = connections, clock
        self._job, self._config, self._request, self._over = job, config, request, over

    @cached
    def place(self) -> Ancestry:
        """Where the job stands in its tree."""
        return ancestry.known(self._job) or self._connections.run(
            lambda database: ancestry.of(database, self._job), over=self._over
        )

    @cached
    def spawner(self) -> Spawner:
        """The job with the limits of its tree."""
        return Spawner.of(self._job, self.place, self._config, self._request)

    @cached
    def _as_job(self) -> Job:
        return Job.of(self._job)

    def check_depth(self) -> None:
        """Refuses what would be spawned too deep.

        Raises:
            SpawnLimitError: it would.
        """
        with named_limits():
            self.spawner.check_depth()

    def spawn(self, job: Job, *, key: str) -> Job:
        """Writes a child at once: ``context.spawn``.

        Raises:
            UsageError: the key is none.
            SpawnLimitError: the child is one too many.
            ConflictError, NotFoundError, RefusedValueError: it cannot be written; see :func:`spawning.spawn_now`.
        """
        _check_key(key)
        self.check_depth()
        now = self._clock.now()
        unlimited = replace(self._config, max_spawn_count=None, spawn_delay=None)
        with drain(self._as_job, unlimited, [job], now) as children:
            new = next(iter(children.batches()))[0]

        def unit(database: Database) -> str:
            return spawning.spawn_now(database, self.spawner, key, new, now=now)[0]

        with named_limits():
            return replace(job, id=self._connections.run(unit, over=self._over), queue=new.queue)


@contextmanager
def named_limits() -> Iterator[None]:
    """Tells handlers of limits in the error that they know."""
    try:
        yield
    except LimitError as error:
        raise SpawnLimitError(error.limit, error.value, error.attempted, error.root) from None


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise UsageError(f"The key of a child is text of 1 to {LONGEST_KEY} characters, not {key!r:.60}.")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The key of a child cannot be stored, since it is no Unicode text: {key!a:.60}.") from error
    if "\0" in key:
        raise UsageError("The key of a child cannot hold the character NUL.")

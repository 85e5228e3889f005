"""Checks what is wrong now, at a cost that does not grow with the table."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from hammerwork_cli.cached import cached
from hammerwork_cli.core.clock import is_behind, latest
from hammerwork_cli.core.values import WAITING_SPELLINGS, between, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import DatabaseError, MissingTablesError
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.queries import ahead, schedules, ticks
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.migration.model import MigrationState
from hammerwork_cli.features.monitor.models.health import (
    Check,
    CheckName,
    HealthReport,
    Level,
    MonitorLimits,
    ReadyJobs,
    RunningJobs,
    Trouble,
)
from hammerwork_cli.features.monitor.queries import ping
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import EndedJobs, HealthLimits, Measure, Pauses
from hammerwork_cli.features.spawn.queries import growth
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.worker.models.counts import Unwritten
from hammerwork_cli.features.worker.models.worker import RegisteredWorker
from hammerwork_cli.features.worker.queries import duties, registry, rescue

WINDOW = queues.HEALTH_WINDOW
"""How far back failures and lost workers are looked at."""
UNSERVED_FOR = timedelta(minutes=1)
"""For less than this, a queue without a worker is a warning: a worker may be restarting."""
RUST_FOR = timedelta(minutes=5)
"""A queue of which a Rust worker started or completed a job within this time is served."""
STOPPING_FOR = timedelta(minutes=5)
"""A worker that stops, claimed nothing in this time and still has jobs may never end."""
CLOCK = "clock"
"""What the check of times in the future is about when the clock is behind."""
SET_CLOCK = "Set the clock of the server, or of the host of an SQLite file."
DO_UPKEEP = "worker start --upkeep-only"
RETENTION_FOR = timedelta(days=1)
"""A policy that no worker has carried out in this time is reported."""
FAILING_FOR = timedelta(hours=1)
"""A webhook that fails for longer is a warning: a deploy of its receiver is over by then. Before, it is only named."""
SLOW_ANSWER = timedelta(seconds=1)
MOST_QUEUES = 500
MOST_READY = 10_000
"""Ready jobs of a queue that are counted where there is no limit."""
MOST_RUNNING = 10_000
MOST_WAITING = 1000
MOST_ENDED = 1_000_000
"""Jobs of the last hour that are read for rates of failures."""
MOST_OVERDUE = 100
MOST_LACKING = 5
"""Objects that recorded migrations lack, and that are named."""
OF_WORKERS = frozenset(
    {
        CheckName.WORKERS,
        CheckName.LOST_WORKERS,
        CheckName.STALLED_WORKERS,
        CheckName.STOPPING_WORKERS,
        CheckName.HELD_SLOTS,
        CheckName.UNWRITTEN_OUTCOMES,
        CheckName.UPKEEP,
        CheckName.UNSERVED_QUEUES,
        CheckName.OVERDUE_SCHEDULES,
        CheckName.GROWING_TREES,
        CheckName.RETENTION,
        CheckName.WEBHOOKS,
        CheckName.STREAMS,
        CheckName.CLOCKS,
    }
)
"""Checks of what workers of hammerwork-cli write: of the tables of hammerwork (Rust) alone they say nothing."""

OF_QUEUES = frozenset(
    {
        CheckName.UNSERVED_QUEUES,
        CheckName.PAUSED_QUEUES,
        CheckName.PENDING,
        CheckName.PENDING_AGE,
        CheckName.RUNNING_AGE,
        CheckName.WAITING_AGE,
        CheckName.LOST_JOBS,
        CheckName.UNCLAIMED_JOBS,
        CheckName.RETRYING,
        CheckName.FAILED,
        CheckName.FAILURE_RATE,
    }
)
"""Checks that say of which queues they are."""

Amount = TypeVar("Amount", int, float, timedelta)


def health(
    connect: Callable[[], Database],
    limits: MonitorLimits,
    *,
    now: Callable[[Database], datetime],
    only: Collection[str] = tuple(CheckName),
    queue: Sequence[str] = (),
) -> HealthReport:
    """Makes checks, of some queues or of all. A database that does not answer is an outcome, not an error."""
    at = datetime.now(UTC)
    try:
        database = connect()
        at = now(database)
        return report(database, limits, now=at, only=only, queue=queue)
    except MissingTablesError as error:
        return HealthReport(at, [_failed(CheckName.MIGRATIONS, error)])
    except DatabaseError as error:
        return HealthReport(at, [_failed(CheckName.DATABASE, error)])


def report(
    database: Database,
    limits: MonitorLimits,
    *,
    now: datetime,
    only: Collection[str] = tuple(CheckName),
    queue: Sequence[str] = (),
) -> HealthReport:
    """Makes checks with a connection; errors of the connection are raised."""
    return HealthReport(now, list(_made(_HealthReading(database, limits, now, queue), only)))


def _made(reading: "_HealthReading", only: Collection[str]) -> Iterator[Check]:
    database = reading.database
    _ = database.tags  # the first statement of a connection reads the tables
    began = time.monotonic()
    ping.check(database)
    took = timedelta(seconds=time.monotonic() - began)
    if CheckName.DATABASE in only:
        yield Check(CheckName.DATABASE, _over(took, SLOW_ANSWER, Level.WARNING), took, SLOW_ANSWER)
    for name, check in _CHECKS.items():
        if name in only:
            is_known = name not in OF_WORKERS or database.is_current
            yield _outcome(name, check, reading, only) if is_known else Check(name, Level.UNKNOWN)


def _outcome(
    name: CheckName, check: Callable[["_HealthReading"], Check], reading: "_HealthReading", only: Collection[str]
) -> Check:
    try:
        return check(reading)
    except MissingTablesError:
        if CheckName.MIGRATIONS not in only:  # which names the table that somebody dropped
            raise
        return Check(name, Level.UNKNOWN)


def has_lost_jobs(database: Database, *, now: datetime) -> bool:
    """Whether jobs have been running for longer than :data:`WINDOW` although no worker is known to run them."""
    running = _HealthReading(database, MonitorLimits(HealthLimits()), now).running
    starts = (start for jobs in running for start in (jobs.lost_since, jobs.last_unclaimed))
    return any(start is not None and now - start > WINDOW for start in starts)


def worker_health(database: Database, name: str, *, now: datetime) -> HealthReport:
    """Checks one worker by reading one row; of several running ones with the name, the worst counts.

    Raises NotFoundError if there is no such worker.

    Args:
        name: its name, or the beginning of its id, for which it reads more rows.
    """
    # Others may have had the name before, even in the same process of a container that was started again.
    places = {(one.host, one.pid): one for one in reversed(registry.listed(database, alive=True, name=name))}
    found = list(places.values()) or [registry.resolve(database, name)]
    made = [_worker_check(worker) for worker in found]
    return HealthReport(now, [max(made, key=lambda check: check.status.severity)])


def _worker_check(worker: RegisteredWorker) -> Check:
    status = Level.HEALTHY if worker.state == "running" else Level.WARNING if worker.is_alive else Level.CRITICAL
    if worker.state == "stalled":
        status = _level_of_stalled(worker)
    status = max(status, _level_of_unwritten(worker), key=lambda level: level.severity)
    silent, lease = timedelta(seconds=max(worker.silent_for, 0)), timedelta(seconds=worker.lease)
    return Check("worker", status, silent, lease, (worker.name, worker.state), unwritten=worker.unwritten)


def _failed(name: CheckName, error: DatabaseError) -> Check:
    return Check(name, Level.CRITICAL, error=error.message, advice=error.hint)


class _HealthReading:
    """What the checks look at; each part is read once, by the first check that needs it."""

    def __init__(self, database: Database, limits: MonitorLimits, now: datetime, queue: Sequence[str] = ()) -> None:
        self.database, self.limits, self.now = database, limits, now
        self.queues = queue  # only these; all if it is empty

    def looks_at(self, queue: str) -> bool:
        return not self.queues or queue in self.queues

    @cached
    def migrations(self) -> list[MigrationState]:
        return migrations.known(self.database)

    @cached
    def paused(self) -> Pauses:
        return queues.pauses(self.database)

    @cached
    def with_ready(self) -> list[str]:
        """Queues with ready jobs, due or not, and on MySQL any others."""
        if self.queues:
            return [*self.queues]
        return [
            str(queue) for (queue,) in self.database.rows("monitor.health.queues_with_ready_jobs", limit=MOST_QUEUES)
        ]

    @cached
    def all_ready(self) -> list[ReadyJobs]:
        """Queues with due jobs, paused ones too."""
        limit = self.limits.queues.pending
        most = MOST_READY if limit is None else limit
        found = self.database.rows_for_each(
            "monitor.health.ready", "queue", self.with_ready, now=self.now, limit=most + 1
        )
        # The sum of two counts, each up to the limit.
        return [ReadyJobs(queue, min(int(jobs), most + 1), timestamp(since)) for queue, (jobs, since) in found if jobs]

    @cached
    def ready(self) -> list[ReadyJobs]:
        """Queues with due jobs that are not paused."""
        return [jobs for jobs in self.all_ready if jobs.queue not in self.paused]

    @cached
    def running(self) -> list[RunningJobs]:
        rows = self.database.rows("monitor.health.running", limit=MOST_RUNNING, now=self.now)
        return [
            RunningJobs(
                queue,
                int(jobs),
                timestamp(since),
                timestamp(first),
                timestamp(last),
                timestamp(by_rust),
                int(lost),
                timestamp(lost_since),
            )
            for queue, jobs, since, first, last, by_rust, lost, lost_since in rows
            if self.looks_at(queue)
        ]

    @cached
    def ended(self) -> list[EndedJobs]:
        """Jobs that ended in the window, by queue."""
        return list(queues.ended(self.database, since=self.now - WINDOW, queues=self.queues, limit=MOST_ENDED).values())

    @cached
    def workers(self) -> list[RegisteredWorker]:
        """Workers that have not stopped, or did so lately."""
        return registry.listed(self.database, since=self.now - WINDOW, now=self.now)

    @property
    def alive(self) -> list[RegisteredWorker]:
        return [worker for worker in self.workers if worker.is_alive]

    @property
    def serving(self) -> list[RegisteredWorker]:
        """Workers that claim jobs."""
        return [worker for worker in self.workers if worker.is_serving]

    @cached
    def has_upkeep(self) -> bool:
        return schedules.upkeep_is_running(self.database, self.now)

    @property
    def served_by_rust(self) -> set[str]:
        """Queues of which a Rust worker started or completed a job just now: these workers do not register."""
        lately = self.now - RUST_FOR
        ended = {jobs.queue for jobs in self.ended if jobs.last_by_rust and jobs.last_by_rust >= lately}
        return ended | {jobs.queue for jobs in self.running if jobs.last_by_rust and jobs.last_by_rust >= lately}

    @cached
    def are_workers_known(self) -> bool:
        """Whether any worker of hammerwork-cli has ever worked here: if not, Rust workers may do all the work."""
        return bool(self.workers or registry.listed(self.database))

    def age(self, since: datetime | None) -> timedelta | None:
        return between(since, self.now)


def _over(value: Amount | None, limit: Amount | None, worst: Level) -> Level:
    return worst if value is not None and limit is not None and value > limit else Level.HEALTHY


def _worst(
    name: CheckName, values: Mapping[str, Amount | None], limit: Amount | None, level: Level, *, most: int | None = None
) -> Check:
    """A check of the things that are over the limit, the worst first, or else of the one with the largest value."""
    known = sorted(((value, thing) for thing, value in values.items() if value is not None), key=lambda one: one[1])
    known.sort(key=lambda one: one[0], reverse=True)
    if not known:
        return Check(name, Level.HEALTHY, None, limit)
    over = [(value, thing) for value, thing in known if limit is not None and value > limit]
    about = over or known[:1]
    numbers: list[int] = [value for value, _ in about if isinstance(value, int)]  # type: ignore[misc]  # all or none are
    value: Measure = sum(numbers) if numbers else about[0][0]
    status = level if over else Level.HEALTHY
    return Check(name, status, value, limit, tuple(thing for _, thing in about), more=about[0][0] == most)


# The checks.


def _writes(reading: _HealthReading) -> Check:
    """Whether the database takes writes: the state of a server, the lock of a file."""
    database = reading.database
    try:
        if database.dialect == "sqlite":
            database.transaction(lambda: None, tries=1)
            return Check(CheckName.WRITES, Level.HEALTHY)
        takes = bool(database.plain_rows("monitor.health.takes_writes")[0][0])
    except DatabaseError as error:
        return _failed(CheckName.WRITES, error)
    if takes:
        return Check(CheckName.WRITES, Level.HEALTHY)
    advice = "Give the URL of the primary, or let it take writes."
    return Check(CheckName.WRITES, Level.CRITICAL, error="The server is read-only.", advice=advice)


def _migrations(reading: _HealthReading) -> Check:
    """Migrations of hammerwork (Rust) are necessary; without ours, its tables are read and nothing is changed."""
    unapplied = [state for state in reading.migrations if not state.applied]
    needed = any(state.migration.owner == "upstream" or state.missing for state in unapplied)
    status = Level.CRITICAL if needed else Level.WARNING if unapplied else Level.HEALTHY
    ids = tuple(state.migration.id for state in unapplied)
    lacking = tuple(one for state in unapplied for one in state.missing)
    return Check(CheckName.MIGRATIONS, status, len(unapplied), 0, ids, lacking=lacking[:MOST_LACKING])


def _workers(reading: _HealthReading) -> Check:
    alive = [worker for worker in reading.alive if worker.serves(())]
    status = Level.HEALTHY if alive else Level.WARNING
    if not alive and reading.are_workers_known and _unserved(reading):
        status = Level.CRITICAL
    return Check(CheckName.WORKERS, status, len(alive), about=tuple(worker.name for worker in alive))


def _lost_workers(reading: _HealthReading) -> Check:
    gone = [worker for worker in reading.workers if worker.state in {"silent", "lost"} and worker.serves(())]
    status = Level.WARNING if gone else Level.HEALTHY
    return Check(CheckName.LOST_WORKERS, status, len(gone), 0, tuple(dict.fromkeys(worker.name for worker in gone)))


def _stood(worker: RegisteredWorker) -> timedelta:
    return max(worker.stalled.values(), default=timedelta())


def _level_of_stalled(worker: RegisteredWorker) -> Level:
    """A worker gives up a call that is not answered for a lease: one that stands for longer does not help itself."""
    return Level.CRITICAL if _stood(worker) > timedelta(seconds=2 * worker.lease) else Level.WARNING


def _stalled_workers(reading: _HealthReading) -> Check:
    stalled = sorted((worker for worker in reading.workers if worker.state == "stalled"), key=_stood, reverse=True)
    status = _level_of_stalled(stalled[0]) if stalled else Level.HEALTHY
    return Check(CheckName.STALLED_WORKERS, status, len(stalled), 0, tuple(worker.name for worker in stalled))


def _stopping_workers(reading: _HealthReading) -> Check:
    """Workers that stop and do not end: they claimed no job for long, and still have some."""
    stopping = {worker.id: worker for worker in reading.alive if worker.stored_state == "stopping"}
    since: dict[str, timedelta | None] = {}
    if stopping:
        claims = {str(one): at for one, _, at in reading.database.rows("monitor.health.claims", workers=[*stopping])}
        since = {
            worker.name: reading.age(timestamp(claims.get(worker.id) or worker.started_at))
            for worker in stopping.values()
            if worker.id in claims or worker.held
        }
    return _worst(CheckName.STOPPING_WORKERS, since, STOPPING_FOR, Level.WARNING)


def _held_slots(reading: _HealthReading) -> Check:
    """Slots whose handlers have not returned although their attempts are over."""
    holding = [worker for worker in reading.alive if worker.held]
    status = Level.WARNING if holding else Level.HEALTHY
    if any((worker.held or 0) >= worker.concurrency for worker in holding):
        status = Level.CRITICAL
    holding.sort(key=lambda worker: ((worker.held or 0) < worker.concurrency, worker.name))
    names = tuple(dict.fromkeys(worker.name for worker in holding))
    return Check(CheckName.HELD_SLOTS, status, sum(worker.held or 0 for worker in holding), 0, names)


def _level_of_unwritten(worker: RegisteredWorker) -> Level:
    if worker.unwritten is None:
        return Level.HEALTHY
    return Level.CRITICAL if worker.unwritten.seconds > 2 * worker.lease else Level.WARNING


def _unwritten_outcomes(reading: _HealthReading) -> Check:
    """Outcomes that workers hold because they cannot write them."""
    found = [(worker, worker.unwritten) for worker in reading.alive if worker.unwritten]
    found.sort(key=lambda one: -one[1].seconds)
    together = Unwritten(sum(one.outcomes for _, one in found), *found[0][1][1:]) if found else None
    levels = [Level.HEALTHY, *(_level_of_unwritten(worker) for worker, _ in found)]
    names = tuple(dict.fromkeys(worker.name for worker, _ in found))
    number, status = together.outcomes if together else 0, max(levels, key=lambda level: level.severity)
    return Check(CheckName.UNWRITTEN_OUTCOMES, status, number, 0, names, unwritten=together)


def _upkeep(reading: _HealthReading) -> Check:
    """Whether a worker enqueues the jobs of schedules and callbacks, where there are any."""
    database = reading.database
    if reading.has_upkeep:
        return Check(CheckName.UPKEEP, Level.HEALTHY)
    needs = {
        "schedules": database.row("monitor.health.enabled_schedules"),
        "callbacks": database.row("monitor.health.open_callbacks"),
    }
    waiting = tuple(name for name, row in needs.items() if row)
    return Check(CheckName.UPKEEP, Level.WARNING if waiting else Level.HEALTHY, about=waiting)


def _unserved(reading: _HealthReading) -> list[ReadyJobs]:
    served = {queue for worker in reading.serving for queue in worker.queue_names}
    served.add(DELIVERIES)  # the check of webhooks says what to do about it
    found = [jobs for jobs in reading.ready if jobs.queue not in served]
    if found:
        found = [jobs for jobs in found if jobs.queue not in reading.served_by_rust]
    return sorted(found, key=lambda jobs: (jobs.since is None, jobs.since))


def _unserved_queues(reading: _HealthReading) -> Check:
    unserved = _unserved(reading)
    for_long = any((reading.age(jobs.since) or timedelta()) > UNSERVED_FOR for jobs in unserved)
    status = Level.HEALTHY
    if unserved:
        status = Level.CRITICAL if for_long and reading.are_workers_known else Level.WARNING
    return Check(CheckName.UNSERVED_QUEUES, status, len(unserved), 0, tuple(jobs.queue for jobs in unserved))


def _paused_queues(reading: _HealthReading) -> Check:
    held = sorted(jobs.queue for jobs in reading.all_ready if jobs.queue in reading.paused) if reading.paused else []
    return Check(CheckName.PAUSED_QUEUES, Level.WARNING if held else Level.HEALTHY, len(held), 0, tuple(held))


def _pending(reading: _HealthReading) -> Check:
    limit = reading.limits.queues.pending
    numbers = {jobs.queue: jobs.jobs for jobs in reading.ready}
    most = (MOST_READY if limit is None else limit) + 1
    return _worst(CheckName.PENDING, numbers, limit, Level.CRITICAL, most=most)


def _pending_age(reading: _HealthReading) -> Check:
    ages = {jobs.queue: reading.age(jobs.since) for jobs in reading.ready}
    return _worst(CheckName.PENDING_AGE, ages, reading.limits.queues.pending_age, Level.CRITICAL)


def _running_age(reading: _HealthReading) -> Check:
    ages = {jobs.queue: reading.age(jobs.since) for jobs in reading.running}
    return _worst(CheckName.RUNNING_AGE, ages, reading.limits.queues.running_age, Level.WARNING)


def _waiting_age(reading: _HealthReading) -> Check:
    rows = reading.database.rows("monitor.health.waiting", limit=MOST_WAITING)
    ages = {
        queue: reading.now - since
        for queue, at in rows
        if reading.looks_at(queue) and (since := timestamp(at)) and since <= reading.now
    }
    return _worst(CheckName.WAITING_AGE, ages, reading.limits.queues.waiting_age, Level.WARNING)


def _lost_jobs(reading: _HealthReading) -> Check:
    """Jobs of workers that are gone: another worker rescues them, unless none runs."""
    if "leases" not in reading.database.tags:
        return Check(CheckName.LOST_JOBS, Level.UNKNOWN)
    lost = {jobs.queue: jobs for jobs in reading.running if jobs.lost}
    limit = reading.limits.queues.running_age
    ages = [reading.age(jobs.lost_since) for jobs in lost.values()]
    status = Level.WARNING if lost else Level.HEALTHY
    if any(_over(age, limit, Level.CRITICAL) is Level.CRITICAL for age in ages):
        status = Level.CRITICAL
    number = sum(jobs.lost for jobs in lost.values())
    return Check(CheckName.LOST_JOBS, status, number, 0, tuple(sorted(lost)))


def _unclaimed_jobs(reading: _HealthReading) -> Check:
    """Jobs of Rust workers that keep no lease: nobody gives a job back whose worker was stopped or killed."""
    if "leases" not in reading.database.tags:
        return Check(CheckName.UNCLAIMED_JOBS, Level.UNKNOWN)
    ages = {jobs.queue: reading.age(jobs.first_unclaimed) for jobs in reading.running if jobs.first_unclaimed}
    return _worst(CheckName.UNCLAIMED_JOBS, ages, reading.limits.queues.running_age, Level.WARNING)


def _overdue_jobs(reading: _HealthReading) -> Check:
    limit = reading.limits.overdue
    if limit is None:
        return Check(CheckName.OVERDUE_JOBS, Level.HEALTHY)
    before = reading.now - limit
    rows = reading.database.rows("monitor.health.overdue", before=before, pending=WAITING_SPELLINGS, limit=MOST_OVERDUE)
    late = {str(job): reading.age(timestamp(at)) for job, at in rows}
    return _worst(CheckName.OVERDUE_JOBS, late, limit, Level.CRITICAL)


def _overdue_schedules(reading: _HealthReading) -> Check:
    """Schedules whose jobs no worker enqueues, or the database refuses."""
    limit = reading.limits.overdue
    if limit is None:
        return Check(CheckName.OVERDUE_SCHEDULES, Level.HEALTHY)
    found = ticks.upcoming(reading.database, reading.now - limit, MOST_OVERDUE)
    late = {schedule.name: reading.age(schedule.due) for schedule in found}
    check = _worst(CheckName.OVERDUE_SCHEDULES, late, limit, Level.CRITICAL)
    return check if reading.has_upkeep else check._replace(command=DO_UPKEEP)


def _growing_trees(reading: _HealthReading) -> Check:
    """Trees that may grow without an end."""
    found = growth.growing(reading.database, reading.now)
    troubles = tuple(Trouble(tree.root, "growing", tree.said) for tree in found)
    status, about = Level.WARNING if found else Level.HEALTHY, tuple(tree.root for tree in found)
    stop = found[0].stop if found else None
    return Check(CheckName.GROWING_TREES, status, len(found), 0, about, troubles=troubles, command=stop)


def _retrying(reading: _HealthReading) -> Check:
    rows = reading.database.rows("monitor.health.retrying", queues=reading.queues, most_pending=MOST_READY)
    numbers = {queue: int(jobs) for queue, jobs in rows}
    return _worst(CheckName.RETRYING, numbers, reading.limits.queues.retrying, Level.WARNING, most=MOST_READY)


def _failures(reading: _HealthReading) -> Check:
    numbers = {ended.queue: ended.failed_in_window for ended in reading.ended if ended.failed_in_window}
    check = _worst(CheckName.FAILED, numbers, reading.limits.queues.failed, Level.WARNING)
    return check._replace(more=sum(numbers.values()) >= MOST_ENDED)


def _failure_rate(reading: _HealthReading) -> Check:
    """The rate of queues with more failures than the limit: one failure of one job is a rate of 100%."""
    least = reading.limits.queues.failed or 0
    rates = {ended.queue: ended.failure_rate for ended in reading.ended if ended.failed_in_window > least}
    check = _worst(CheckName.FAILURE_RATE, rates, reading.limits.queues.failure_rate, Level.CRITICAL)
    since = max((ended.since for ended in reading.ended), default=None)
    return check._replace(since=since if since and since > reading.now - WINDOW else None)


def _retention(reading: _HealthReading) -> Check:
    """Policies that failed, and those that no worker carries out."""
    before = reading.now - RETENTION_FOR
    failing = tuple(queue for (queue,) in reading.database.rows("monitor.health.retention", before=before))
    return Check(CheckName.RETENTION, Level.WARNING if failing else Level.HEALTHY, len(failing), 0, failing)


def _webhooks(reading: _HealthReading) -> Check:
    """Webhooks that get nothing, and deliveries that nobody makes."""
    found = webhooks.listed(reading.database)
    off = [one for one in found if not one.enabled and one.updated_by == webhooks.DISABLED_BY]
    troubles = [Trouble(one.name, "disabled", one.disabled_reason) for one in off]
    failing = sorted(
        ((age, one) for one in found if one.enabled and (age := reading.age(timestamp(one.failing_since))) is not None),
        key=lambda pair: pair[0],
        reverse=True,
    )
    reported: list[Trouble] = []
    briefly: list[Trouble] = []
    for age, one in failing:
        trouble = Trouble(one.name, "failing", one.last_answer, age)
        (reported if age > FAILING_FOR or one.cannot_send else briefly).append(trouble)
    troubles += reported
    status = Level.CRITICAL if off else Level.WARNING if troubles else Level.HEALTHY
    waited = _undelivered(reading) if any(one.enabled for one in found) else None
    if waited is not None and waited > UNSERVED_FOR:
        troubles.append(Trouble(DELIVERIES, "undelivered", length=waited))
        status = max(status, Level.WARNING, key=lambda level: level.severity)
    told = (*troubles, *briefly)
    return Check(CheckName.WEBHOOKS, status, len(troubles), 0, tuple(trouble.name for trouble in told), troubles=told)


def _undelivered(reading: _HealthReading) -> timedelta | None:
    """For how long deliveries have been due that nobody makes."""
    if any(DELIVERIES in worker.queue_names for worker in reading.serving):
        return None
    return next((reading.age(jobs.since) for jobs in reading.ready if jobs.queue == DELIVERIES), None)


def _streams(reading: _HealthReading) -> Check:
    """Streams whose events are not sent, or will be dropped."""
    states = [one for one in streams.states(reading.database, reading.now) if one.problem]
    states.sort(key=lambda one: not one.is_nearly_full)
    status = Level.WARNING if states else Level.HEALTHY
    if states and states[0].is_nearly_full:
        status = Level.CRITICAL
    about = tuple(one.stream.name for one in states)
    troubles = tuple(Trouble(one.stream.name, "unsent", one.problem) for one in states)
    return Check(CheckName.STREAMS, status, len(about), 0, about, troubles=troubles)


def _clocks(reading: _HealthReading) -> Check:
    """Hosts of workers whose clocks are not that of the server."""
    wrong = sorted({worker.host for worker in reading.alive if worker.has_wrong_clock})
    return Check(CheckName.CLOCKS, Level.WARNING if wrong else Level.HEALTHY, len(wrong), 0, tuple(wrong))


def in_the_future(database: Database, now: datetime) -> Iterator[str]:
    """Yields what has a time that only a clock that was ahead can have stored, jobs first.

    Such as ``jobs of mail``, ``schedule report``, ``duty workflows``.
    """
    jobs = {job.queue for job in jobs_ahead.found(database, now)}
    if database.is_current and "rust_3" in database.tags:  # without, no index would find a lease, and there is none
        jobs |= {lease.queue for lease in rescue.leases_ahead(database, now)}
    yield from (f"jobs of {queue}" for queue in sorted(jobs))
    for put_off in ahead.found(database, now):
        kind = "recurring job" if put_off.schedule.is_in_place else "schedule"
        yield f"{kind} {put_off.schedule.name}"
    if not database.is_current:
        return
    if callbacks.count_ahead(database, now):
        yield "callbacks"
    yield from (f"duty {name}" for name, at in duties.times(database).items() if at > latest(now, duties.LONGEST))
    rows = database.rows("monitor.health.policies_ahead", latest=latest(now))
    yield from (f"policy {queue}" for (queue,) in rows)


def _times_in_the_future(reading: _HealthReading) -> Check:
    """What a clock that was ahead has put off, until a worker that does upkeep corrects it.

    By a clock that is behind, all times would be among them: then only the clock is.
    """
    if is_behind(reading.now, migrations.newest(reading.migrations)):
        return Check(CheckName.TIMES_IN_THE_FUTURE, Level.WARNING, 1, 0, (CLOCK,), advice=SET_CLOCK)
    found = tuple(in_the_future(reading.database, reading.now))
    return Check(CheckName.TIMES_IN_THE_FUTURE, Level.WARNING if found else Level.HEALTHY, len(found), 0, found)


_CHECKS: Mapping[CheckName, Callable[[_HealthReading], Check]] = {
    CheckName.WRITES: _writes,
    CheckName.MIGRATIONS: _migrations,
    CheckName.WORKERS: _workers,
    CheckName.LOST_WORKERS: _lost_workers,
    CheckName.STALLED_WORKERS: _stalled_workers,
    CheckName.STOPPING_WORKERS: _stopping_workers,
    CheckName.HELD_SLOTS: _held_slots,
    CheckName.UNWRITTEN_OUTCOMES: _unwritten_outcomes,
    CheckName.UPKEEP: _upkeep,
    CheckName.UNSERVED_QUEUES: _unserved_queues,
    CheckName.PAUSED_QUEUES: _paused_queues,
    CheckName.PENDING: _pending,
    CheckName.PENDING_AGE: _pending_age,
    CheckName.RUNNING_AGE: _running_age,
    CheckName.WAITING_AGE: _waiting_age,
    CheckName.LOST_JOBS: _lost_jobs,
    CheckName.UNCLAIMED_JOBS: _unclaimed_jobs,
    CheckName.OVERDUE_JOBS: _overdue_jobs,
    CheckName.OVERDUE_SCHEDULES: _overdue_schedules,
    CheckName.GROWING_TREES: _growing_trees,
    CheckName.RETRYING: _retrying,
    CheckName.FAILED: _failures,
    CheckName.FAILURE_RATE: _failure_rate,
    CheckName.RETENTION: _retention,
    CheckName.WEBHOOKS: _webhooks,
    CheckName.STREAMS: _streams,
    CheckName.CLOCKS: _clocks,
    CheckName.TIMES_IN_THE_FUTURE: _times_in_the_future,
}

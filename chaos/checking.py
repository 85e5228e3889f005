"""What must be true of a database after a run, whatever died when.

It reads with statements of its own, not with those of the product, and compares with the plan and with the notes of
triggers.
"""

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from chaos import duties, events, plan
from chaos.plan import Planned, Watched
from chaos.rust import QUEUE
from chaos.sink import STREAMED
from hammerwork_cli.cached import cached
from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.core.values import id_list
from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.url import DatabaseUrl
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.worker.queries.finish import TAKEN
from hammerwork_cli.features.worker.queries.spawn import MOST_SPAWNS
from tests.rust3.runs import REAPED

HOUR = timedelta(hours=1)
_REAPED = f"error_message = '{REAPED}'"
UNFINISHED = ("Pending", "Running", "Retrying")
_REMEMBERED_ENDS = (
    "SELECT j.id FROM hammerwork_jobs j JOIN hammerwork_attempts a ON a.job_id = j.id AND a.started_at = j.started_at"
)
"""The live jobs whose last attempt is in their history."""


LIVE, ARCHIVED, DELETED = "live", "archived", "deleted"
"""Where a job is."""
_PLACES = {
    LIVE: "SELECT id, queue_name, status, payload, depends_on, dependency_status, result_data, attempts, max_attempts,"
    f" cron_schedule IS NOT NULL, claimed_by FROM hammerwork_jobs WHERE queue_name <> '{DELIVERIES}'",
    ARCHIVED: "SELECT id, queue_name, status, payload, depends_on, dependency_status, result, attempts, max_attempts"
    f" FROM hammerwork_jobs_archive WHERE queue_name <> '{DELIVERIES}'",
    DELETED: f"SELECT * FROM chaos_deleted WHERE queue_name <> '{DELIVERIES}'",
}


class Row(NamedTuple):
    """A job as it is, or as it was when it was deleted."""

    place: str
    id: str
    kind: str
    status: str
    payload: str
    depends_on: Any
    dependency_status: str | None
    result: str | None
    attempts: int
    most_attempts: int
    recurring: Any = False
    claimed_by: str | None = None

    @property
    def name(self) -> str:
        return plan.name_in(self.content)

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.payload)
        return content


@dataclass
class Findings:
    """What is wrong, and how much there was.

    Attributes:
        jobs: in the database.
        lost: children that are not there, completions that wrote no result, recorded spawns that are not there.
        doubled: children that are there twice or should not be there, completions that happened twice.
        stuck: jobs that have not ended although nothing happens any more.
        wrong: whatever else is not as it should be.
        runs: of handlers; each job may have several, since handlers' own effects are at least once.
    """

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    runs: int = 0

    @property
    def problems(self) -> list[str]:
        return [
            f"{word}: {text}"
            for word, texts in (
                ("wrong", self.wrong),
                ("lost", self.lost),
                ("doubled", self.doubled),
                ("stuck", self.stuck),
            )
            for text in texts
        ]


_UNFINISHED = (
    "hammerwork_jobs WHERE status IN ('Pending', 'Running', 'Retrying') AND cron_schedule IS NULL",
    # The success of what has failed is waited for, because somebody may retry it.
    "hammerwork_watches WHERE state = 'open' AND (event <> 'success' OR ended_at IS NULL)",
    "hammerwork_workflows WHERE status = 'running'",
    "hammerwork_stream_events WHERE sent_at IS NULL",
)


_RECURS = "(cron_schedule IS NOT NULL AND (status <> 'Pending' OR scheduled_at < '2037-01-01 00:00:00'))"
"""A recurring job that still has to run, or to be parked."""


def unfinished(database: Database) -> int:
    """How many jobs, callbacks and workflows are yet to end."""
    counts = (database.query(f"SELECT COUNT(*) FROM {rows}") for rows in _UNFINISHED)
    return sum(int(number) for [[number]] in counts)


_SESSIONS = {
    "mysql": "SELECT p.id, p.command, p.time, p.state, p.info, t.trx_state, t.trx_started, t.trx_wait_started,"
    " t.trx_rows_locked, t.trx_query FROM information_schema.processlist p"
    " LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id",
    "postgresql": "SELECT pid, state, xact_start, wait_event, pg_blocking_pids(pid), query FROM pg_stat_activity"
    " WHERE datname = current_database()",
}


def sessions(url: str) -> list[str]:
    """What the sessions of a server do, and for which locks they wait."""
    if DatabaseUrl.parse(url).dialect not in _SESSIONS:
        return []
    with contextlib.closing(connect(url)) as database:
        rows = database.query(_SESSIONS[database.dialect])
        return [f"session: {row}" for row in rows] + [f"the clock of the server shows {database.now()}"]


def stuck_rows(database: Database) -> list[str]:
    """Some jobs that have not ended, with all that decides whether a worker claims them."""
    columns = (
        "id, queue_name, status, dependency_status, scheduled_at, started_at, attempts, claimed_by, claim_losses,"
        " last_heartbeat_at, lease_expires_at, error_message, next_run_at, created_at, claim_token"
    )
    waiting = f"{_UNFINISHED[0]} OR {_RECURS}"
    rows = database.query(f"SELECT {columns} FROM {waiting} LIMIT 5")
    free = {str(row[0]) for row in rows}
    if database.dialect != "sqlite":
        free = {str(job) for (job,) in database.query(f"SELECT id FROM {waiting} FOR UPDATE SKIP LOCKED")}
    workers = database.query("SELECT name, queues, request, ended_at, heartbeat_at FROM hammerwork_workers")
    names = columns.split(", ")
    return [
        *(
            f"{'free' if str(row[0]) in free else 'LOCKED'}: {dict(zip(names, map(str, row), strict=True))}"
            for row in rows
        ),
        *(f"worker: {row}" for row in workers if row[3] is None),
        *(f"watch: {row}" for row in database.query(f"SELECT * FROM {_UNFINISHED[1]}")),
        *(f"workflow: {row}" for row in database.query(f"SELECT id, status FROM {_UNFINISHED[2]}")),
        *(f"schedule: {row}" for row in database.query(f"SELECT name, next_run_at FROM {duties.ENABLED}")),
        f"the clock of the server shows {database.now()}",
    ]


def spoil(database: Database) -> None:
    """Writes what another program may have written, and our builders refuse: results kept for ever and a day."""
    database.script(
        "UPDATE hammerwork_jobs SET result_storage_type = 'database', result_ttl_seconds = 259200000000"
        " WHERE queue_name = 'ttl' AND status = 'Pending' AND result_ttl_seconds IS NULL"
    )


def _retry_for_rust(database: Database) -> None:
    """Retries, as an operator would, what a Rust worker put off by a wrong clock: nothing in the row tells of that."""
    now = database.now()
    database.script(
        f"UPDATE hammerwork_jobs SET scheduled_at = '{now:%Y-%m-%dT%H:%M:%S}' WHERE queue_name = '{QUEUE}'"
        f" AND status = 'Pending' AND attempts > 0 AND scheduled_at > '{now + HOUR:%Y-%m-%dT%H:%M:%S}'"
    )


def end_recurring(database: Database) -> bool:
    """Puts off the next runs of recurring jobs; whether all of them wait.

    One that a wrong clock put off by a day or less waits for so long: see ``DOUBTED`` of cron/queries/ahead.py.
    """
    _retry_for_rust(database)
    now = database.now()
    database.script(
        "UPDATE hammerwork_jobs SET scheduled_at = '2037-01-01 00:00:00' WHERE cron_schedule IS NOT NULL"
        f" AND status = 'Pending' AND (attempts = 0 OR scheduled_at > '{now + HOUR:%Y-%m-%dT%H:%M:%S}'"
        f" AND scheduled_at < '{now + 25 * HOUR:%Y-%m-%dT%H:%M:%S}')"
    )
    rows = database.query(f"SELECT COUNT(*) FROM hammerwork_jobs WHERE {_RECURS}")
    return not rows[0][0]


def check(
    url: str,
    roots: Iterable[Planned],
    effects: Path,
    *,
    watched: Iterable[Watched] = (),
    forgot: bool = False,
    repeats: bool = False,
) -> Findings:
    """Looks at everything once nothing happens any more.

    Args:
        url: of the database.
        roots: the jobs that were enqueued.
        effects: what the handlers wrote.
        watched: what has callbacks.
        forgot: a server forgot what workers who lived on had been told: children that a job wrote before its end.
        repeats: what a database forgot has happened again.
    """
    database = connect(url)
    try:
        return _Checking(database, roots, effects, watched=watched, forgot=forgot, repeats=repeats).findings()
    finally:
        database.close()


class _Checking:
    def __init__(
        self,
        database: Database,
        roots: Iterable[Planned],
        effects: Path,
        *,
        watched: Iterable[Watched] = (),
        forgot: bool = False,
        repeats: bool = False,
    ) -> None:
        self.database, self.forgot, self.repeats, self.folder = database, forgot, repeats, effects.parent
        self.runs = duties.runs(database)
        self.roots = [*roots, *(run.planned for run in self.runs if run.outcome == "enqueued")]
        self.watched = list(watched)
        self.rows = list(_rows(database))
        self.by_name: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            self.by_name[row.name].append(row)
        lines = [line.split()[0] for line in effects.read_text(encoding="ascii").splitlines()]
        self.ran, self.first = Counter(lines), {job: place for place, job in reversed([*enumerate(lines)])}
        self.last = {job: place for place, job in enumerate(lines)}
        self.found = Findings(len(self.rows), runs=self.ran.total())

    def findings(self) -> Findings:
        self._children()
        self._ends()
        self._completions()
        self._operations()
        self._keys()
        self._history()
        self._callbacks()
        self._schedules()
        self._retention()
        self._limits()
        self._joins()
        self._uniques()
        self._events()
        return self.found

    def _events(self) -> None:
        """What happened was told, in its order, and nothing else."""
        if not (self.folder / STREAMED).exists():
            return
        reaped = self.database.query(f"SELECT id FROM hammerwork_jobs WHERE {_REAPED}")
        exempt = {row.id for row in self.rows if row.kind == "shared"} | {str(job) for (job,) in reaped}
        ends = {row.id: row.status for row in self.rows if not row.recurring}
        changes = [(job, became) for job, _, became, _ in self._changes]
        for word, text in events.check(self.folder, ends, changes, exempt, repeats=self.repeats):
            getattr(self.found, word).append(text)

    @cached
    def occurrences(self) -> Mapping[str, set[str]]:
        """Recurring parent's name -> the names that its runs gave their children, without the last part."""
        found: dict[str, set[str]] = defaultdict(set)
        for name in self.by_name:
            if "@" in name:
                found[name.partition("@")[0]].add(name.rpartition("/")[0])
        return found

    def _children(self) -> None:
        """Every parent that has completed has the children that it must have, once, and no other job has any."""
        there = {name: len(rows) for name, rows in self.by_name.items()}
        for wanted, may_miss in self._wanted():
            number = there.pop(wanted.name, 0)
            if not number and not may_miss:
                self.found.lost.append(f"{wanted.name} ({wanted.kind}) is not there")
            if number > 1 and wanted.kind != plan.UNIQUE:  # one after the other
                self.found.doubled.append(f"{wanted.name} ({wanted.kind}) is there {number} times")
        self.found.doubled += [f"{name} is there and should not be" for name in there]

    def _wanted(self) -> Iterator[tuple[Planned, bool]]:
        todo = [(root, False) for root in self.roots]
        while todo:
            planned, may_miss = todo.pop()
            yield planned, may_miss
            rows = self.by_name.get(planned.name, [])
            if any(row.kind != planned.kind for row in rows):
                self.found.wrong.append(f"{planned.name} is {rows[0].kind}, not {planned.kind}")
            completed = any(row.status == "Completed" for row in rows)
            before_end = [*plan.keyed(planned.kind, planned.name), *plan.forked(planned.kind, planned.name)]
            if join := plan.joined(planned.kind, planned.name):
                before_end.append(join.job)
            todo += [(child, self.forgot or not completed) for child in before_end]
            if rows and rows[0].recurring:
                for name in sorted(self.occurrences.get(planned.name, ())):
                    todo += [(child, False) for child in plan.children(planned.kind, name, planned.size)]
            elif completed:
                todo += [(child, False) for child in plan.children(planned.kind, planned.name, planned.size)]

    def _ends(self) -> None:
        """Every job has ended as it must, waits for nobody, and hangs on the jobs that it must hang on."""
        alive = self._living_workers()
        for row in self.rows:
            if row.status in UNFINISHED and not row.recurring:
                lease = "" if row.status != "Running" else f", its worker alive: {row.claimed_by in alive}"
                self.found.stuck.append(f"{row.name} ({row.id}) is {row.status}, {row.dependency_status}{lease}")
            elif row.recurring and row.status != "Pending":
                self.found.stuck.append(f"{row.name} ({row.id}) recurs and is {row.status}")
            elif row.dependency_status == "waiting":
                self.found.stuck.append(f"{row.name} ({row.id}) is {row.status} and waits")
            elif row.status not in plan.ends_in(row.kind, row.name):
                self.found.wrong.append(f"{row.name} ({row.id}) is {row.status}")
            if row.attempts > row.most_attempts:
                self.found.wrong.append(f"{row.name} ({row.id}) had {row.attempts} of {row.most_attempts} attempts")
            self._hangs(row)

    def _living_workers(self) -> set[str]:
        return {str(row[0]) for row in self.database.query("SELECT id FROM hammerwork_workers WHERE ended_at IS NULL")}

    def _hangs(self, row: Row) -> None:
        content, parents = row.content, set(id_list(row.depends_on))
        wanted = {other.id for name in content["after"] for other in self.by_name[name]}
        if content["parent"] and not wanted:
            wanted = {content["parent"]}
        if parents != wanted:
            self.found.wrong.append(f"{row.name} depends on {len(parents)} jobs, and not on those that it should")

    def _completions(self) -> None:
        """No job has completed twice, or without a run and its result; nothing that had ended was begun again."""
        completed: Counter[str] = Counter()
        for job, was, became, _ in self._changes:
            if became == "Completed":
                completed[job] += 1
            if was not in UNFINISHED or (became == "Completed" and was != "Running"):
                self.found.wrong.append(f"{job} became {became} after it had been {was}")
        for row in self.rows:
            number = completed[row.id]
            if number > 1:
                self.found.doubled.append(f"{row.name} ({row.id}) completed {number} times")
            if row.status != "Completed":
                continue
            if not number or not self.ran[row.id]:
                self.found.wrong.append(f"{row.name} ({row.id}) is Completed and was never run")
            if row.kind == "shared" and row.result is None:
                continue  # a Rust worker writes it in a separate statement, which an outage may prevent
            if row.result is None or json.loads(row.result) != {"name": row.name}:
                self.found.lost.append(f"the result of {row.name} ({row.id}): it is {row.result}")

    @cached
    def _changes(self) -> list[tuple[str, str, str, int]]:
        rows = self.database.query("SELECT job, was, became, attempts FROM chaos_changes")
        return [(str(job), str(was), str(became), attempts) for job, was, became, attempts in rows]

    def _operations(self) -> None:
        """Each completed parent has one recorded spawn, which counts its children; each run of a recurring one too."""
        recorded: dict[str, list[int]] = defaultdict(list)
        for parent, outcome, number in self.database.query(
            "SELECT parent_id, outcome, children FROM hammerwork_spawn_operations"
        ):
            recorded[str(parent)].append(number)
            if outcome != "spawned":
                self.found.wrong.append(f"the spawn of {parent} is recorded as {outcome}")
        runs = Counter(
            job for job, was, became, attempts in self._changes if (was, became, attempts) == ("Running", "Pending", 0)
        )
        for row in self.rows:
            self._compare(row, recorded.pop(row.id, []), runs[row.id])
        self.found.wrong += [f"there is a spawn of {parent}, which is not there" for parent in recorded]

    def _compare(self, row: Row, recorded: list[int], runs: int) -> None:
        number = len(list(plan.children(row.kind, row.name, row.content["size"])))
        if plan.contested(row.kind, row.name) and recorded == [number + 1]:
            number += 1  # nobody held the key
        times = int(row.status == "Completed" and row.place != DELETED) if row.kind in plan.PARENTS else 0
        if row.recurring:
            times = len(self.occurrences.get(row.name, ()))
            # A worker that was told to end gives back what it had claimed: the run before the first has no attempts.
            if runs < times:
                self.found.doubled.append(f"{row.name} spawned {times} times and ran {runs} times")
            times = min(times, MOST_SPAWNS)  # of those before, what was recorded is forgotten
        if recorded != [number] * times:
            what = self.found.doubled if len(recorded) > times else self.found.lost
            what.append(f"{row.name} ({row.id}): recorded spawns {recorded}, not {times} of {number}")

    def _keys(self) -> None:
        """Each key is recorded with the child that there is."""
        names = {row.id: row.name for row in self.rows}
        recorded = self.database.query("SELECT spawn_key, child_id FROM hammerwork_spawned_children")
        for key, child in ((duties.text(key), child) for key, child in recorded):
            if names.get(str(child)) != key:
                self.found.lost.append(f"the child {key}: it is recorded as {child}, which is {names.get(str(child))}")
        keyed = sum("+" in row.name and "@" not in row.name and row.place != DELETED for row in self.rows)
        if len(recorded) != keyed:
            self.found.wrong.append(f"{len(recorded)} keys are recorded, and there are {keyed} such children")

    def _history(self) -> None:
        """Each attempt that was lost is remembered, and so is the end of a dead job; no completion is."""
        # Of the many attempts of a recurring job those before are forgotten, and those of a deleted one too.
        forgotten = {row.id for row in self.rows if row.recurring or row.place == DELETED}
        noted = Counter((str(job), str(worker)) for job, worker in self.database.query("SELECT * FROM chaos_losses"))
        lost, noticed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for job, worker, error in self.database.query(
            "SELECT job_id, worker_id, error_message FROM hammerwork_attempts WHERE outcome = 'lost'"
        ):
            lost[str(job), str(worker)] += 1
            # By the worker itself: version 3 of hammerwork (Rust) took the job, or a server forgot the claim.
            noticed[str(job), str(worker)] += error == TAKEN
        for (job, worker), number in ((noted - lost) + (lost - noted - noticed)).items():
            if job not in forgotten:
                self.found.wrong.append(f"the history of {job} and the losses of {worker} differ by {number}")
        ends = {str(job) for (job,) in self.database.query(_REMEMBERED_ENDS)}
        # MySQL's archive has no fractions of seconds by which to find the last attempt.
        remembered = {str(job) for (job,) in self.database.query("SELECT job_id FROM hammerwork_attempts")}
        # Those that the reaper of version 3 of hammerwork (Rust) has ended: that program keeps no history.
        reaped = {str(job) for (job,) in self.database.query(f"SELECT id FROM hammerwork_jobs WHERE {_REAPED}")}
        reaped |= {
            str(job) for (job,) in self.database.query(f"SELECT id FROM hammerwork_jobs_archive WHERE {_REAPED}")
        }
        for row in self.rows:
            if row.status == "Completed" and row.id in ends:
                self.found.wrong.append(f"{row.name} ({row.id}) is Completed, and its history has that attempt")
            known = ends if row.place == LIVE else remembered
            if row.status in ("Dead", "TimedOut") and row.kind != "shared" and row.id not in known | reaped:
                self.found.wrong.append(f"{row.name} ({row.id}) is {row.status}, and its history lacks that attempt")

    def _callbacks(self) -> None:
        """No callback came early (:meth:`_children` sees that each came once), and workflows say how they ended."""
        names = [*self.by_name]
        workflows = self.database.query("SELECT name, status FROM hammerwork_workflows")
        status = {duties.text(name): duties.text(status) for name, status in workflows}
        for watched in self.watched:
            members = [row for name in names if watched.has(name) for row in self.by_name[name]]
            failed = sum(row.status != "Completed" for row in members)
            for event in watched.events:
                for row in self.by_name[watched.told(event).name]:
                    told = row.content["_ended"]
                    counts = (told["jobs"], told["completed"], told["failed"])
                    if event != "failure" and counts != (len(members), len(members) - failed, failed):
                        self.found.wrong.append(
                            f"{row.name} was told of {counts}, and {failed} of {len(members)} failed"
                        )
                    if event == "failure" and not told["failed"]:
                        self.found.wrong.append(f"{row.name} was told of no failure")
            wanted = "failed" if "failure" in watched.events else "completed"
            if watched.subject == "workflow" and status.get(watched.name) != wanted:
                self.found.wrong.append(f"the workflow {watched.name} is {status.get(watched.name)}, not {wanted}")

    def _schedules(self) -> None:
        """Each due time has one run, each run that was enqueued its job, and no job overlaps another."""
        self.found.lost += duties.gaps(self.database, self.runs)
        self.found.wrong += duties.overlaps(self.database)
        for run in self.runs:
            jobs = {row.id for row in self.by_name.get(run.planned.name, ())}
            if jobs != {run.job} - {None} or (run.outcome == "enqueued") != bool(run.job):
                self.found.wrong.append(f"{run.planned.name} is {run.outcome} and recorded as {run.job}, not {jobs}")

    def _retention(self) -> None:
        """No tree is half gone, and none was archived that was to be deleted."""
        if not self.database.query("SELECT 1 FROM hammerwork_retention"):
            return
        for row in self.rows:
            if row.place == LIVE and not row.recurring and "@" not in row.name:
                self.found.stuck.append(f"{row.name} ({row.id}) is in no archive, and its tree has ended")
            if row.place == ARCHIVED and duties.is_passing(row.name):
                self.found.wrong.append(f"{row.name} ({row.id}) is in the archive")

    def _limits(self) -> None:
        crowds = self.database.query("SELECT MAX(running), COUNT(*) FROM chaos_crowds")
        self.found.wrong += [
            f"{most} jobs of the queue {plan.LIMITED} ran at once, and {number} began when too many ran"
            for most, number in crowds
            if number
        ]

    def _joins(self) -> None:
        """No job began before all that it runs after had ended, and none that had to fail has begun."""
        for job, other in self.database.query("SELECT job, open_job FROM chaos_early"):
            self.found.wrong.append(f"{job} runs after {other}, and began before that had ended")
        ids = {name: [row.id for row in rows if row.id in self.first] for name, rows in self.by_name.items()}
        # The last run: what a server has forgotten runs once more, and children have other ids then. The trigger above
        # judges each.
        for row in self.rows:
            join = plan.joined("gather", row.name.removesuffix(plan.JOIN)) if row.kind == plan.JOINED else None
            if join is None or row.id not in self.first:
                continue
            if join.fails:
                self.found.wrong.append(f"{row.name} ({row.id}) had to fail, and has run")
            self.found.wrong += [
                f"{row.name} ({row.id}) ran before {name}"
                for name, jobs in ids.items()
                if join.awaits(name) and any(self.first[job] > self.last[row.id] for job in jobs)
            ]

    def _uniques(self) -> None:
        """No job was written, or began, while another one held its key."""
        for job, other in self.database.query("SELECT job, other FROM chaos_holders"):
            self.found.doubled.append(f"{job} and {other} held the same key at once")


def _rows(database: Database) -> Iterator[Row]:
    """All jobs that there are, and those that were to be deleted."""
    there: set[str] = set()
    for place, query in _PLACES.items():
        for job, kind, status, payload, *rest in database.query(query):
            text = unpacked(payload) if place == ARCHIVED else duties.text(payload)
            row = Row(place, str(job), duties.text(kind), duties.text(status), str(text), *map(duties.text, rest))
            if place != DELETED:
                there.add(row.id)
            elif row.id in there or not duties.is_passing(row.name):
                continue
            yield row

"""A worker against its own statements, sent bare; against peers; and spawning against bare inserts."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import Result, peak_kib
from hammerwork_cli import Handlers, Job, Queue, SpawnConfig, Worker
from hammerwork_cli.database import Database, connect
from hammerwork_cli.models import NewJob, new_id
from hammerwork_cli.queries import migrations
from hammerwork_cli.queries.job import enqueue
from hammerwork_cli.queries.worker import ancestry
from hammerwork_cli.queries.worker import claim as claim_queries
from hammerwork_cli.queries.worker import spawn as spawn_queries
from hammerwork_cli.queries.worker.ancestry import Spawner
from hammerwork_cli.queries.worker.finish import End, Ended
from tests.databases import Databases

PEERS = Path(__file__).parent / "peers"
HUNDRED = 100
FULL_SIZE = 10_000
"""Jobs below which nothing is said about goals."""
WORKER = "11111111-1111-4111-8111-111111111111"


def measure(maker: Databases, jobs: int, runs: int) -> Iterator[Result]:
    """Everything about workers on one kind of database, with so many jobs a run."""
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database:
            migrations.run(database)
            yield from _throughput(database, jobs, runs)
            yield from _waiting(database, jobs, runs)
            yield from _spawning(database, jobs, runs)
            if database.dialect == "postgresql":
                yield _latency(database, 50 if jobs >= FULL_SIZE else 5, _goal(jobs, 50))
                yield from _peers(maker, database, jobs)
    finally:
        maker.drop(url)


def _goal(jobs: int, goal: float) -> float | None:
    return goal if jobs >= FULL_SIZE else None


# No-op jobs.


def _fill(database: Database, jobs: int) -> None:
    database.script("DELETE FROM hammerwork_jobs WHERE queue_name = 'noop'")
    now = database.now()
    enqueue.insert(database, [NewJob("noop", "{}", now, now) for _ in range(jobs)])
    if database.dialect == "postgresql":
        database.script("VACUUM ANALYZE hammerwork_jobs")


def _noop(url: Any, jobs: int) -> float:
    """Seconds from the start of a worker to its last job's completion being committed."""
    app = Handlers()
    app.register_job("noop", lambda job: None)  # noqa: ARG005  it does nothing
    last = [time.perf_counter()]
    worker = Worker(url, app, drain=True).with_options(on_progress=lambda: last.__setitem__(0, time.perf_counter()))
    began = time.perf_counter()
    report = worker.run()
    assert report.completed == jobs, report
    return last[0] - began


def _bare(database: Database, jobs: int, size: int = HUNDRED) -> float:
    """Seconds for claiming and completing by the hundred with the worker's statements and nothing around them."""
    done, began = 0, time.perf_counter()
    while done < jobs:
        now, token = database.now(), new_id()

        def claim(now: Any = now, token: str = token) -> Sequence[str]:
            rows = database.rows("worker.claim.ready", queue="noop", now=now, priority=None, limit=size)
            ids = [row[0] for row in rows]
            database.run("worker.claim.claim", ids=database.ids(ids), token=token, worker=WORKER, now=now)
            return ids

        ids = database.transaction(claim)
        done += database.run(
            "worker.finish.complete", ids=database.ids(ids), token=token, started=now, now=database.now()
        )
    return time.perf_counter() - began


def _throughput(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    ours, bare = [], []
    for _ in range(runs + 1):
        _fill(database, jobs)
        ours.append(_noop(database.url, jobs))
        _fill(database, jobs)
        bare.append(_bare(database, jobs))
    yield _ratio(
        "no-op jobs, one worker process",
        database,
        jobs,
        ours[1:],
        bare[1:],
        goal=1.0 if database.dialect == "postgresql" else 2.0,
        against="its claim and complete statements, by the hundred",
    )


def _ratio(
    name: str, database: Database, jobs: int, ours: list[float], peer: list[float], *, goal: float, against: str
) -> Result:
    mine, other = median(ours), median(peer)
    return Result(
        measure=name,
        database=database.server,
        jobs=jobs,
        value=mine / other,
        goal=_goal(jobs, goal),
        ours=mine,
        peer=other,
        against=against,
        note=f"{jobs / mine:,.0f} and {jobs / other:,.0f} jobs/s",
    )


def _waiting(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    """The same while very many jobs wait for others: none of them may be in the way."""
    now = database.now()
    parents = [
        NewJob("held", "{}", now + timedelta(days=9), now + timedelta(days=9)) for _ in range(max(jobs // 20, 1))
    ]
    waiting = [
        NewJob(
            "noop",
            "{}",
            now,
            now,
            priority=parents[0].priority.CRITICAL,
            depends_on=(parent.id,),
            dependency_status="waiting",
        )
        for parent in parents
        for _ in range(100)
    ]
    with_waiting, without = [], []
    for _ in range(max(1, runs // 2)):
        _fill(database, jobs)
        without.append(_noop(database.url, jobs))
        _fill(database, jobs)
        enqueue.insert(database, parents)
        enqueue.insert(database, waiting)
        with_waiting.append(_noop(database.url, jobs))
        database.script("DELETE FROM hammerwork_jobs")
    yield _ratio(
        f"no-op jobs while {len(waiting):,} wait for others",
        database,
        jobs,
        with_waiting,
        without,
        goal=1.5,
        against="the same without them",
    )


# Spawning.


def _spawning(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    children = min(jobs, 10_000)
    now = database.now()

    def made(parent: str) -> list[NewJob]:
        return [
            NewJob("resize", '{"image": 7}', now, now, depends_on=(parent,), dependency_status="satisfied")
            for _ in range(children)
        ]

    def spawn() -> None:
        database.script("DELETE FROM hammerwork_jobs")
        parent = NewJob("parent", "{}", now, now)
        enqueue.insert(database, [parent])
        later = now + timedelta(seconds=1)
        (job,) = claim_queries.claim(database, "parent", worker=WORKER, now=later, limit=1, slots=1)
        batch = made(job.id)
        config = SpawnConfig(max_spawn_count=None)
        spawner = Spawner.of(job, ancestry.of(database, job), config)
        operation = spawn_queries.Operation(new_id(), spawner, "parent", config, now, children)
        start = time.perf_counter()
        parts = [batch[place : place + 500] for place in range(0, children, 500)]
        spawn_queries.complete(database, Ended(job, End.COMPLETED), operation, lambda: parts, now=later)
        times["ours"].append(time.perf_counter() - start)

    def bare(insert: Callable[[Database, Sequence[tuple[Any, ...]]], object], name: str, share: int = 1) -> None:
        database.script("DELETE FROM hammerwork_jobs")
        rows = [_raw_row(database, job) for job in made(new_id())][: max(children // share, 1)]
        start = time.perf_counter()
        insert(database, rows)
        times[name].append((time.perf_counter() - start) * children / len(rows))

    many = _copied if database.dialect == "postgresql" else _inserted
    times: dict[str, list[float]] = {"ours": [], "inserted": [], "same way": [], "one by one": []}
    for _ in range(runs + 1):
        spawn()
        bare(many, "same way")
        bare(_inserted, "inserted")
    bare(_one_by_one, "one by one", share=10)
    name = f"spawn {children:,} children atomically"
    for peer, goal, against in (
        ("inserted", 1 / 0.6, "a bare INSERT of the same rows, 500 a statement"),
        ("same way", 1 / 0.6, "a bare COPY of the same rows"),
        ("one by one", 0.1, "one INSERT a child"),
    ):
        if peer != "same way" or many is _copied:
            peers = times[peer][1:] or times[peer]
            yield _ratio(name, database, children, times["ours"][1:], peers, goal=goal, against=against)


COLUMNS = (
    "id, queue_name, payload, status, priority, attempts, max_attempts, created_at, scheduled_at, depends_on,"
    " dependents, dependency_status"
)


def _raw_row(database: Database, job: NewJob) -> tuple[Any, ...]:
    empty = enqueue.stored_ids(database, ())
    parents = enqueue.stored_ids(database, job.depends_on)
    times = [database._adapt(when) for when in (job.created_at, job.scheduled_at)]
    return (job.id, job.queue, job.payload, "Pending", 2, 0, 3, *times, parents, empty, "satisfied")


def _inserted(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    def work() -> None:
        for start in range(0, len(rows), 500):
            _insert(database, rows[start : start + 500])

    database.transaction(work)


def _one_by_one(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        _insert(database, [row])


def _copied(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    def work() -> None:
        with database._connection.cursor() as cursor, cursor.copy(f"COPY hammerwork_jobs ({COLUMNS}) FROM STDIN") as to:
            for row in rows:
                to.write_row(row)

    database.transaction(work)


def _insert(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    one = "(" + ",".join([database.placeholder] * len(rows[0])) + ")"
    sql = f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES {','.join([one] * len(rows))}"
    database._execute(sql, [value for row in rows for value in row])


# A job that has just been enqueued.


def _latency(database: Database, jobs: int, goal: float | None) -> Result:
    started: list[float] = []
    app = Handlers()
    app.register_job("noop", lambda job: started.append(time.perf_counter()))  # noqa: ARG005  only when
    database.script("DELETE FROM hammerwork_jobs")
    worker = Worker(database.url, app, poll_interval=600)
    thread = threading.Thread(target=worker.run)
    thread.start()
    waited = []
    with Queue(database.url) as queue:
        time.sleep(1.5)
        for number in range(jobs):
            began = time.perf_counter()
            queue.enqueue(Job("noop", {}))
            while len(started) <= number:
                time.sleep(0.0005)
            waited.append(started[number] - began)
            time.sleep(0.02)
    worker.stop()
    thread.join()
    return Result(
        "from enqueue to the start of the job, idle worker",
        database.server,
        jobs,
        median(waited) * 1000,
        "ms",
        goal=goal,
        note=f"slowest {max(waited) * 1000:.0f} ms",
    )


# Peers, installed for this alone.


def _peers(maker: Databases, database: Database, jobs: int) -> Iterator[Result]:
    if jobs < FULL_SIZE:
        return
    with tempfile.TemporaryDirectory(prefix="hammerwork-peers-") as folder:
        python = _environment(Path(folder))
        for name, program, count, goal in (
            ("Procrastinate, 10 at once", "procrastinate_noop.py", jobs // 10, 0.05),
            ("PgQueuer, by the hundred, with a pool of ten", "pgqueuer_noop.py", jobs, 1 / 1.2),
        ):
            peers, ours = [], []
            for _ in range(3):
                url = maker.empty()
                try:
                    done = subprocess.run(
                        [python, PEERS / program, url, str(count)], capture_output=True, encoding="utf-8", check=True
                    )
                    peers.append(float(done.stdout.split()[-1]) * jobs / count)
                finally:
                    maker.drop(url)
                _fill(database, jobs)
                ours.append(_noop(database.url, jobs))
            yield _ratio("no-op jobs, one worker process", database, jobs, ours, peers, goal=goal, against=name)


def _environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = ["procrastinate==3.10.0", "pgqueuer[asyncpg]==1.6.0"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


# A million children.


def memory(maker: Databases, children: int) -> Iterator[Result]:
    """The most memory of a process whose handler spawns so many children, against one that spawns a thousand."""
    peaks = {}
    for count in (1000, children):
        url = maker.empty()
        try:
            with contextlib.closing(connect(url)) as database:
                migrations.run(database)
                server = database.server
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.workers", url, str(count)],
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
            peaks[count] = json.loads(done.stdout)
        finally:
            maker.drop(url)
    small, large = peaks[1000], peaks[children]
    yield Result(
        f"peak memory, {children:,} children from a generator",
        server,
        children,
        (large["peak_kib"] - small["peak_kib"]) / 1024,
        "MiB more than for 1,000",
        goal=64.0 if children >= FULL_SIZE else None,
        note=f"{large['peak_kib'] / 1024:.0f} MiB in all, {children / large['seconds']:,.0f} children/s",
    )


def _spawn_many(url: str, children: int) -> None:
    app = Handlers()

    @app.spawn("parent")
    def spawn(context: Any) -> Iterator[Job]:
        del context
        for number in range(children):
            yield Job("child", {"number": number})

    with Queue(url) as queue:
        queue.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_spawn_count=None)))
    began = time.perf_counter()
    report = Worker(url, app, max_jobs=1).run()
    assert report.completed == 1, report
    print(json.dumps({"peak_kib": peak_kib(), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    _spawn_many(sys.argv[1], int(sys.argv[2]))

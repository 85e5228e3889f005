"""Reading and printing the large tree, against fetching and printing the same rows by their keys."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from urllib.parse import unquote, urlsplit

from benchmarks.loading import server_of
from benchmarks.measuring import Result, compare
from benchmarks.startup import call, environment, program
from benchmarks.workload import Workload
from hammerwork_cli.database import Database, connect, statements
from hammerwork_cli.features.tree.queries import tree as tree_queries
from tests.databases import without_password

KEYS_A_STATEMENT = 1000
GOALS = {"postgresql": 1.3, "mysql": 1.5, "sqlite": 1.5}


def measure(url: str, workload: Workload, runs: int) -> Iterator[Result]:
    """Everything about the tree on one database."""
    with contextlib.closing(connect(url)) as database:
        tree = tree_queries.tree(database, workload.root)
        if len(tree.nodes) != workload.tree_size:
            raise SystemExit(f"read {len(tree.nodes):,} jobs of {workload.tree_size:,} on {database.server}")
        yield _reading(database, workload, list(tree.nodes), runs)
        if database.dialect == "postgresql":
            with _psql(url, database, list(tree.nodes)) as peer:
                yield _command(url, workload, peer, runs)
    yield _timeline(url, workload, runs)
    yield _memory(url, workload)


def _reading(database: Database, workload: Workload, ids: list[str], runs: int) -> Result:
    fetch = key_fetch(database, ids)
    before = database.executed
    tree_queries.tree(database, workload.root)
    sent = database.executed - before
    has_way = "by_scan" not in database.tags
    return compare(
        lambda: tree_queries.tree(database, workload.root),
        fetch,
        runs,
        measure="read the tree" + ("" if database.is_current else ", without 015"),
        database=database.server,
        jobs=workload.size,
        goal=workload.goal(GOALS[database.dialect] if has_way else None),
        against=f"the same {len(ids):,} rows by key, {KEYS_A_STATEMENT:,} a statement",
        note=f"{sent} statements" if has_way else f"{sent} statements, {len(workload.levels)} scans",
    )


def key_fetch(database: Database, ids: list[str]) -> Callable[[], None]:
    """Fetches the columns of a tree's node by primary key, through the same connection, and keeps the rows."""
    chunks = [ids[start : start + KEYS_A_STATEMENT] for start in range(0, len(ids), KEYS_A_STATEMENT)]
    lines = statements.load("tree.relatives.jobs", database.tags)
    prepared = [
        statements.bind(lines, {"ids": database.ids(chunk), "dated": False}, database.placeholder, database.percent)
        for chunk in chunks
    ]

    def fetch() -> None:
        kept = []
        for sql, values in prepared:
            kept += database.query(sql, values)
        if len(kept) != len(ids):
            raise SystemExit(f"fetched {len(kept):,} rows of {len(ids):,}")

    return fetch


@contextlib.contextmanager
def _psql(url: str, database: Database, ids: list[str]) -> Iterator[Callable[[], None]]:
    """psql prints the same columns of the same rows, unaligned, without headers, by one join on a table of their ids.

    Each id is looked up in the index: psql's fastest way, for which the planner must not scan the table, nor the index.
    """
    psql = shutil.which("psql")
    if psql is None:
        raise SystemExit("psql is not installed")
    variables = environment(
        PGPASSWORD=unquote(urlsplit(url).password or ""),
        PGOPTIONS="-c enable_hashjoin=off -c enable_mergejoin=off -c jit=off",
    )
    lines = statements.load("tree.relatives.jobs", database.tags)
    sql, _ = statements.bind(lines, {"ids": "", "dated": False}, "\0")
    joined = sql.partition("WHERE")[0] + "JOIN benchmark_ids b ON b.id = j.id"
    database.script("CREATE TABLE benchmark_ids (id uuid)")
    try:
        database.query("INSERT INTO benchmark_ids SELECT unnest(CAST(%s AS uuid[])) RETURNING 1", [database.ids(ids)])
        database.script("VACUUM ANALYZE benchmark_ids")

        def run() -> None:
            command = [psql, "-qXAt", "-F", "\t", "-c", joined, without_password(url)]
            subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

        yield run
    finally:
        database.script("DROP TABLE benchmark_ids")


def _command(url: str, workload: Workload, psql: Callable[[], None], runs: int) -> Result:
    return compare(
        call(*program(), "spawn", "tree", workload.root, "--full", "--format", "json", url=url),
        psql,
        runs,
        measure="spawn tree --full --format json, whole command",
        database=server_of(url),
        jobs=workload.size,
        goal=workload.goal_of_large_tree(2.0),
        against=f"psql printing the same {workload.tree_size:,} rows by one join on a table of ids",
    )


def _timeline(url: str, workload: Workload, runs: int) -> Result:
    whole = call(*program(), "spawn", "tree", workload.root, "--full", "--format", "json", url=url)
    return compare(
        call(*program(), "spawn", "timeline", workload.root, url=url),
        whole,
        runs,
        measure="spawn timeline, whole command",
        database=server_of(url),
        jobs=workload.size,
        goal=workload.goal_of_large_tree(1.75),
        against="spawn tree --full --format json",
    )


def _memory(url: str, workload: Workload) -> Result:
    """Peak memory while the tree is read, above that of a process that has read one job."""
    script = (
        "import sys\n"
        "from benchmarks.measuring import peak_kib\n"
        "from hammerwork_cli.database import connect\n"
        "from hammerwork_cli.features.tree.queries import tree as trees\n"
        "database = connect(sys.argv[1])\n"
        "trees.tree(database, sys.argv[2], depth=0)\n"
        "before = peak_kib()\n"
        "tree = trees.tree(database, sys.argv[2])\n"
        "print(peak_kib() - before, len(tree.nodes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, url, workload.root],
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    grown, jobs = map(int, done.stdout.split())
    return Result(
        "memory for each job of the tree",
        server_of(url),
        workload.size,
        grown / jobs,
        unit="KiB",
        goal=workload.goal_of_large_tree(1.0),
        note="growth of the peak resident size",
    )

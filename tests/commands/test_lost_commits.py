"""A command whose connection breaks at the end of a transaction has done it or not; repeated, it has done it once."""

import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from hammerwork_cli.app import main
from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import connect
from tests.breaks import Breaks, units
from tests.commands.test_contract import ENVIRONMENT, LEAVES, NIGHTLY, fill
from tests.commands.test_twins import CHANGES, ID, more
from tests.conftest import EACH_DIALECT
from tests.proxies import Break, Proxy
from tests.rows import START, Rows
from tests.runtime.outages.test_lost_commits import First, lived

Run = Callable[..., Any]
State = dict[str, Counter[tuple[Any, ...]]]
NEW = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?|whsec_[\w+/=]+")
"""Times and secrets."""
TABLES = {
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'hammerwork%'",
    "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
}
CREATIONS = {
    "backup copy": ["--to {to} --force --merge"],
    "backup restore": ["-i {backup} --existing skip --running as-was"],
    "batch enqueue": ["--file {jobs} --queue mail --id {new} --on-complete report"],
    "cron apply": ["{schedules}"],
    "cron convert": ["{recurring} --name converted"],
    "cron create": ["--queue report --payload {{}} --every 45m --name new"],
    "job enqueue": [
        "--queue mail --payload {{}} --id {new}",
        "--file {jobs} --queue mail",
        "--queue a --payload 1 --unique k",
    ],
    "job import": ["{tree} --new-ids --queue-prefix dev-"],
    "maintenance cleanup": ["--keep-completed-days 0 --keep-failed-days 0"],
    "maintenance dead-jobs": ["--stale-hours 1"],
    "maintenance purge-encrypted": [""],
    "queue pause": ["--all"],
    "queue resume": ["--all"],
    "spawn doctor": ["--fix --older-than 1h"],
    "spawn on-end": ["{root} --on-complete report", "{done} --clear"],
    "streaming add": ["--name new --backend command --command cat --no-test"],
    "webhook add": ["--name new --url https://example.org/ --secret whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"],
    "webhook import": ["{webhooks}"],
    "workflow create": ["--file {nightly} --id {new}"],
}
"""What makes something, or works on all there is."""
ONCE = {"job import", "streaming toggle", "webhook toggle"}
"""What does something else when it is repeated, as its help says."""
COUNTED = {"hammerwork_stream_events": {"id", "seq"}, "hammerwork_schedules": {"revision"}}
"""Columns of numbers that a database gives out, or that count changes."""


UNBROKEN = {
    "reads, or undoes what it writes": [
        "migration.queries:_read",
        "monitor.queries.health:_writes",
        "worker.queries.claim:with_jobs",
        "runtime.execution.child_spawner:ChildSpawner._accepts.<locals>.undone",
    ],
    "an application ends it, or a test calls it": [
        "runtime.api.queue:Queue.transaction",
        "testing.databases:_empty",
    ],
    "tests of migrations interrupt it": [
        "migration.queries:_in_one_piece.<locals>.<lambda>",
        "migration.queries:_in_transaction",
        "migration.queries:_record",
    ],
    "deletes what is old or belongs to nothing": [
        "batch.queries.callbacks:_close",
        "batch.queries.callbacks:forget",
        "job.queries.unique:forget",
        "streaming.queries:remove_orphans",
        "streaming.queries:trim",
    ],
    "adds to figures, which may count something twice": [
        "archive.queries.policies:note",
        "streaming.queries:drop",
        "streaming.queries:note_failure",
        "webhook.queries:note_failure",
        "runtime.worker.claimer:Claimer._end.<locals>.record",
    ],
    "follows what a clock or a lost worker left, by a condition on what it saw": [
        "cron.queries.ahead:put_back",
        "cron.queries.ticks:fail",
        "event.queries:write_missed",
        "job.queries.ahead:put_back",
        "job.queries.ahead:put_ends_back",
        "job.queries.changes:_Progress._follow",
        "job.queries.dependencies:compare_join",
        "job.queries.enqueue:insert",
        "webhook.queries:deliver_unsent",
        "webhook.queries:settle",
        "worker.queries.finish:give_back",
        "worker.queries.registry:renew_leases",
        "worker.queries.registry:rescue",
        "worker.queries.requests:refuse",
        "worker.queries.rescue:return_lost",
        "workflow.queries.endings:_deal",
        "workflow.queries.endings:_fail_dependents",
        "workflow.queries.endings:cancel",
        "workflow.queries.endings:reopen_without_failures",
    ],
}
"""Why neither a command here nor the life of a worker breaks a transaction -> its units, without their package."""
ELSEWHERE = {"backup copy": "to", "backup restore": "url"}
"""What writes into an empty database, and where it gets the URL of that."""


class Full(NamedTuple):
    """A database with all that the contract asks about, an empty one, a way to their server, names and ids."""

    maker: Any
    url: str
    empty: str
    proxy: Proxy | None
    names: dict[str, str]
    ids: set[str]

    @contextmanager
    def copied(self, path: str) -> Iterator[str]:
        """A copy for a command to change."""
        url = self.maker.copy(self.empty if path in ELSEWHERE else self.url)
        yield url
        self.maker.drop(url)

    def by_proxy(self, url: str) -> str:
        return self.proxy.url(url) if self.proxy else url

    def state(self, url: str) -> State:
        """The rows of each table, whatever their times, their numbers, and the ids that are new."""
        with closing(connect(url)) as database:
            found = {}
            for (table,) in database.query(TABLES[database.dialect]):
                columns = [name for name in database.schema[table] if name not in COUNTED.get(table, ())]
                rows = database.query(f"SELECT {', '.join(columns)} FROM {table}")
                found[table] = Counter(tuple(map(self._lasting, row)) for row in rows)
        return found

    def _lasting(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return "new"
        known = ID.sub(lambda found: found[0] if found[0] in self.ids else "a new id", str(value))
        return NEW.sub("new", known)


@pytest.fixture(scope="module", params=EACH_DIALECT)
def full(request: pytest.FixtureRequest, makers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    maker, folder = makers[request.param], tmp_path_factory.mktemp("files")
    url, empty = maker.migrated(fresh=True), maker.migrated(fresh=True)
    names = fill(url)
    with closing(connect(url)) as database:
        names |= more(Rows(database), names)
        sealed = dict.fromkeys(("encryption_nonce", "encryption_tag", "encrypted_payload"), b"x")
        sealed |= {"is_encrypted": True, "encryption_key_id": "main", "retention_delete_at": START}
        Rows(database).job(queue="pay", completed_at=START, **sealed)
        tables = [table for (table,) in database.query(TABLES[database.dialect])]
        ids = {one for table in tables for one in ID.findall(str(database.query(f"SELECT * FROM {table}")))}
    files = {name: str(folder / name) for name in ("backup", "tree", "jobs")}
    for words in (
        ["backup", "create", "--output", files["backup"]],
        ["job", "export", names["root"], "--tree", "-o", files["tree"]],
    ):
        streams = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        assert main([*words, "-u", url], Context({}, *streams)) == 0
    new = [str(uuid4()) for _ in range(3)]
    Path(files["jobs"]).write_text("".join(f'{{"id": "{one}", "payload": 1}}\n' for one in new[1:]), encoding="utf-8")
    names |= {**files, "new": new[0], "nightly": str(NIGHTLY)}
    with nullcontext() if url.startswith("sqlite") else Proxy.to(url) as proxy:
        yield Full(maker, url, empty, proxy, names, ids | {*new})
    for one in (url, empty):
        maker.drop(one)


LINES = [(path, line) for table in (CHANGES, CREATIONS) for path, lines in table.items() for line in lines]


@pytest.mark.long
@pytest.mark.parametrize("group", sorted({path.split()[0] for path, _ in LINES}))
def test_a_change_whose_connection_breaks_is_done_once_when_it_is_repeated(full: Full, run: Run, group: str) -> None:
    wrong = [told for path, line in LINES if path.split()[0] == group for told in broken(full, run, path, line)]
    assert wrong == []


def called(
    full: Full, run: Run, path: str, line: str, url: str, number: int = 0, how: Break | None = None
) -> tuple[Any, list[str]]:
    """Calls a command, breaks the end of its transaction of that number, and returns the outcome and all units."""
    seen: list[str] = []

    def choose(unit: str) -> Break | None:
        seen.append(unit)
        return how if len(seen) == number else None

    yes = ["--yes"] if any("--yes" in param.opts for param in LEAVES[path].params) else []
    to = full.by_proxy(url)
    words = [word.format(**full.names, to=to) for word in line.split()]
    with Breaks(full.proxy, choose)():
        source = full.url if ELSEWHERE.get(path) == "to" else to
        return run(*path.split(), *words, *yes, url=source, env=ENVIRONMENT), seen


def broken(full: Full, run: Run, path: str, line: str) -> Iterator[str]:
    """Breaks each end of a command in both ways; says what is wrong then."""
    call = partial(called, full, run, path, line)
    with full.copied(path) as url:
        before = full.state(url)
        done, units = call(url)
        after = full.state(url)
    if not units:
        yield f"{path} {line}: changes nothing: {done}"
    for how, number in itertools.product(Break, range(1, len(units) + 1)):
        what = f"{path} {line}: broken {how.value}, at {units[number - 1]}"
        with full.copied(path) as url:
            ended, _ = call(url, number, how)
            first = full.state(url)
            if ended.exit_code == done.exit_code:
                allowed = [after]
            else:
                allowed = [before if how is Break.BEFORE else after] if len(units) == 1 else [before, after, first]
            if ended.exit_code not in {done.exit_code, 4}:
                yield f"{what}: {ended}"
            if first not in allowed:
                yield f"{what}: {differences(after, first)}"
            if path in ONCE:
                continue
            again, _ = call(url)
            if again.exit_code not in {done.exit_code, 5, 6}:
                yield f"{what}, again: {again}"
            if full.state(url) != after:
                yield f"{what}, again: {differences(after, full.state(url))}"


@pytest.mark.long
@pytest.mark.parametrize("full", [EACH_DIALECT[0]], indirect=True)
def test_every_transaction_of_the_program_is_broken_here_or_in_the_life_of_a_worker(
    full: Full, run: Run, tmp_path: Path
) -> None:
    seen: list[str] = []
    for path, line in LINES:
        with full.copied(path) as url:
            seen += called(full, run, path, line, url)[1]
    for how in (None, *Break):
        alive = First(how)
        lived(full.maker.copy(full.empty), tmp_path, alive)
        seen += alive.seen
    unbroken = {unit for told in UNBROKEN.values() for unit in told}
    every = {re.sub(r"^hammerwork_cli\.(features\.)?", "", unit): unit for unit in units()}
    assert {short for short, unit in every.items() if unit not in seen} - unbroken == set(), "say why in UNBROKEN"
    assert unbroken - every.keys() == set(), "no such unit"


def differences(wanted: State, found: State) -> str:
    told = (
        f"{table}: without {list(wanted[table] - found[table])}, with {list(found[table] - wanted[table])}"
        for table in wanted
        if wanted[table] != found[table]
    )
    return "; ".join(told)

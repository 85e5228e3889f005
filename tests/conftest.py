"""Fixtures for all tests: servers, fresh databases, the program, the Mermaid parser.

A test that takes ``url``, ``empty_database`` or ``database`` runs on SQLite, PostgreSQL and MySQL (MariaDB); in
``tests/commands``, ``tests/runtime`` and ``tests/web`` on SQLite, unless it is marked by ``@all_databases``. Choose by
``-k sqlite``, ``-k postgres``, ``-k mysql`` or the markers of the same names.
"""

import atexit
import contextlib
import gc
import inspect
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import wraps
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

import pytest

from hammerwork_cli.database import Database, connect
from tests import surroundings
from tests.databases import DUMPS, Change, Databases, MysqlDatabases, PostgresDatabases, SqliteDatabases
from tests.forks import begin
from tests.mermaid_parser import FOLDER, MermaidParser
from tests.servers import KINDS, PrivateServer, ServerMissingError, server_url

# In the background, and under nohup, these are ignored, by every program that a test starts too.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)
# perf blocks SIGWINCH for what it starts, and for all that this starts: nobody would draw anew after a resize.
signal.pthread_sigmask(signal.SIG_SETMASK, ())

# Since Python 3.12, sqlite3 warns of a date that it is given: refuse one on each version.
sqlite3.adapters.clear()

surroundings.prepare(atexit.register)

ROOT = Path(__file__).parent.parent
DIALECTS = ("sqlite", "postgres", "mysql")
EACH_DIALECT = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in DIALECTS]
all_databases = pytest.mark.parametrize("dialect", EACH_DIALECT)
"""Where one database is the rule, as in ``tests/commands``: for a test of what differs from database to database."""
on_servers = pytest.mark.parametrize("dialect", EACH_DIALECT[1:])
"""For a test of what a file cannot do, such as going away."""
on_postgres = pytest.mark.parametrize("dialect", EACH_DIALECT[1:2])
on_mariadb = pytest.mark.parametrize("dialect", EACH_DIALECT[2:])
"""Both for a test of what no other database does."""
on_sqlite = pytest.mark.parametrize("dialect", EACH_DIALECT[:1])
"""For a test of what no database has a part in, in a folder where each of the three is the rule."""
one_case_on_servers = pytest.mark.one_case_on_servers
"""For a test whose cases differ in what no database has a part in: SQLite has all of them, each server the first."""


def each_row(names: str | Sequence[str], table: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Like ``parametrize``, as one case, which tells every row that fails.

    For tables of values: a case of its own costs more than most rows do. The rows share their fixtures.
    """
    wanted = [names] if isinstance(names, str) else [*names]
    rows = [(row,) if isinstance(names, str) else tuple(row) for row in table]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def all_rows(**fixtures: Any) -> None:
            failures: list[BaseException] = []
            for row in rows:
                try:
                    test(**fixtures, **dict(zip(wanted, row, strict=True)))
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
                    error.add_note(f"Row: {', '.join(map(repr, row))}")
                    failures.append(error)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(rows)} rows fail", failures)

        signature = inspect.signature(test)
        others = [one for name, one in signature.parameters.items() if name not in wanted]
        all_rows.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return all_rows

    return decorate


_SHARED = pytest.StashKey[dict[str, str]]()


def unavailable(message: str) -> NoReturn:
    """Skips for a person, fails where ``CI=true``: there nothing may be missing unnoticed."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(message, pytrace=False)
    pytest.skip(message, allow_module_level=True)


@contextlib.contextmanager
def needed() -> Iterator[None]:
    """Says :func:`unavailable` where a server is missing."""
    try:
        yield
    except ServerMissingError as error:
        unavailable(str(error))


@contextlib.contextmanager
def own_server(kind: str, **options: Any) -> Iterator[PrivateServer]:
    """A server of one test alone, which it may stop."""
    server = KINDS[kind](**options)
    try:
        with needed():
            server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def same_surroundings() -> Iterator[None]:
    """Fails a test that leaves another environment or umask to the next one."""
    before = surroundings.environment()
    yield
    after, umask = surroundings.environment(), os.umask(surroundings.UMASK)
    os.environ.update(before)
    for name in after.keys() - before.keys():
        del os.environ[name]
    assert (after, umask) == (before, surroundings.UMASK)


# Collection.


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collects without looking for garbage, which takes a third of the time and finds none; looks rarely later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.set_threshold(50_000)
        gc.enable()
        gc.freeze()


WAITING = ("acceptance", "runtime", "web")
"""Folders of tests that wait more than they compute: for processes, timeouts, browsers. The page comes last: the event
loop of Playwright stays in its thread, where no other could run.
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mixes the files of waiting tests evenly with the others, and the longest tests with the first of them.

    Processes that share the tests begin at equal distances from each other. So some of them wait while others compute,
    all the time; more processes would only get in each other's way on two cores. Each has its part of the longest tests
    in the first half of its tests: everybody would wait for one that began last, and nobody would compute while each
    waits in one.
    """
    kinds: tuple[list[list[pytest.Item]], ...] = ([], [])
    for path, tests in groupby(_needed(items), key=lambda item: item.path):
        kinds[path.relative_to(ROOT).parts[1] in WAITING].append(list(tests))
    placed = [((place + 0.5) / len(kind), tests) for kind in kinds for place, tests in enumerate(kind)]
    mixed = list(chain.from_iterable(tests for _, tests in sorted(placed, key=itemgetter(0))))
    longest = [item for item in mixed if item.get_closest_marker("long")]
    others = iter([item for item in mixed if not item.get_closest_marker("long")])
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    items.clear()
    for number in range(processes):
        share, long = (len(mixed) - len(items)) // (processes - number), longest[number::processes]
        short = list(islice(others, max(0, share - len(long))))
        distance = len(short) / 2 / max(1, len(long))
        ordered = [(distance * (place + number / processes), item) for place, item in enumerate(long)]
        items += [item for _, item in sorted([*ordered, *enumerate(short)], key=itemgetter(0))]


def _needed(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Leaves out the cases that ``@one_case_on_servers`` leaves to SQLite."""
    seen = set()
    for item in items:
        if item.get_closest_marker("one_case_on_servers"):
            dialect = item.callspec.params["dialect"]  # type: ignore[attr-defined]
            test = (dialect, item.path, item.originalname)  # type: ignore[attr-defined]
            if dialect != "sqlite" and test in seen:
                continue
            seen.add(test)
        yield item


# Expected outputs.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-expected", action="store_true", help="write the files of tests/expected anew")


@pytest.fixture
def expected(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``expected(name, text)``: the text is what the file of that name holds; ``--rewrite-expected`` writes it."""

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "expected" / name
        if request.config.getoption("--rewrite-expected"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check


# Servers and databases.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Starts the servers that all processes of a run with ``-n`` share: theirs alone could end before the others do."""
    if _SHARED not in node.config.stash:
        closing = contextlib.ExitStack()
        node.config.add_cleanup(closing.close)
        node.config.stash[_SHARED] = {}

        def start(kind: str) -> None:
            # Each process says itself what is missing, when a test wants it.
            with contextlib.suppress(ServerMissingError):
                node.config.stash[_SHARED][kind] = closing.enter_context(server_url(kind))

        with ThreadPoolExecutor() as pool:
            list(pool.map(start, KINDS))
    node.workerinput["servers"] = node.config.stash[_SHARED]


class Makers:
    """What makes databases, by dialect; a server is started when the first test wants it.

    Args:
        folder: for the files of SQLite.
        shared: URLs of servers that run already, by dialect.
    """

    def __init__(self, folder: Path, shared: dict[str, str]) -> None:
        self._folder, self._shared = folder, shared
        self._made: dict[str, Databases | ServerMissingError] = {}
        self._closing = contextlib.ExitStack()

    def __getitem__(self, dialect: str) -> Any:
        if dialect not in self._made:
            try:
                self._made[dialect] = self._make(dialect)
            except ServerMissingError as error:
                self._made[dialect] = error
        maker = self._made[dialect]
        if isinstance(maker, ServerMissingError):
            unavailable(str(maker))
        return maker

    def _make(self, dialect: str) -> Databases:
        if dialect == "sqlite":
            return SqliteDatabases(self._folder)
        server = self._shared.get(dialect) or self._closing.enter_context(server_url(dialect))
        maker = PostgresDatabases(server) if dialect == "postgres" else MysqlDatabases(server)
        self._closing.callback(maker.close)
        return maker

    def close(self) -> None:
        self._closing.close()


@pytest.fixture(scope="session")
def makers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Makers]:
    shared = getattr(request.config, "workerinput", {}).get("servers", {})
    made = Makers(tmp_path_factory.mktemp("sqlite"), shared)
    yield made
    made.close()


@pytest.fixture
def new_database(request: pytest.FixtureRequest, makers: Makers) -> Iterator[Callable[..., str]]:
    """``new_database(dialect, migrated=False, change=None)``: the URL of one more database, dropped after the test."""
    fresh = request.node.get_closest_marker("fresh_database") is not None
    with contextlib.ExitStack() as dropping:

        def make(dialect: str, *, migrated: bool = False, change: Change | None = None) -> str:
            maker = makers[dialect]
            url: str = maker.migrated(change, fresh=fresh) if migrated else maker.empty()
            dropping.callback(maker.drop, url)
            return url

        yield make


@pytest.fixture(params=EACH_DIALECT)
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``, ``postgres`` and ``mysql`` in turn."""
    return str(request.param)


@pytest.fixture
def url(dialect: str, new_database: Callable[..., str]) -> str:
    """The URL of an empty database."""
    return new_database(dialect)


@pytest.fixture
def migrated_url(dialect: str, new_database: Callable[..., str]) -> str:
    """The URL of a database with tables."""
    return new_database(dialect, migrated=True)


@pytest.fixture
def sqlite_url(new_database: Callable[..., str]) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return new_database("sqlite")


@pytest.fixture
def lite_url(new_database: Callable[..., str]) -> str:
    """The URL of an SQLite file with tables."""
    return new_database("sqlite", migrated=True)


@pytest.fixture
def postgres_url(new_database: Callable[..., str]) -> str:
    """The URL of an empty PostgreSQL database."""
    return new_database("postgres")


@pytest.fixture
def mysql_url(new_database: Callable[..., str]) -> str:
    """The URL of an empty MySQL or MariaDB database."""
    return new_database("mysql")


@pytest.fixture
def empty_database(url: str) -> Iterator[Database]:
    """A connection to a database without tables."""
    with contextlib.closing(connect(url)) as connected:
        yield connected


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A connection to a database with empty tables."""
    with contextlib.closing(connect(migrated_url)) as connected:
        yield connected


# What hammerwork (Rust) wrote.


@pytest.fixture
def restored(makers: Makers) -> Iterator[Callable[..., str]]:
    """``restored(name, is_migrated=False)``: the URL of a fresh copy of a database under ``data/dumps``.

    It is a test's own to change, and has had all migrations if it should.
    """
    with contextlib.ExitStack() as dropping:

        def restore(name: str, *, is_migrated: bool = False) -> str:
            maker = makers[_dialect_of(name)]
            url: str = maker.restored(name, is_migrated=is_migrated)
            dropping.callback(maker.drop, url)
            return url

        yield restore


@pytest.fixture(scope="session")
def shared_restored(makers: Makers) -> Iterator[Callable[[str], str]]:
    """Like ``restored``, one copy for the whole run: only for tests that read."""
    urls: dict[str, str] = {}

    def restore(name: str) -> str:
        if name not in urls:
            urls[name] = makers[_dialect_of(name)].restored(name)
        return urls[name]

    yield restore
    for name, url in urls.items():
        makers[_dialect_of(name)].drop(url)


@pytest.fixture(scope="session")
def expected_counts() -> Callable[[str], dict[str, Any]]:
    """``expected_counts(name)``: what an independent count found in a dump."""

    def read(name: str) -> dict[str, Any]:
        counts: dict[str, Any] = json.loads((DUMPS / f"{name}.json").read_text(encoding="utf-8"))
        return counts

    return read


def _dialect_of(dump: str) -> str:
    return "postgres" if dump.endswith(".postgresql") else "mysql"


# The program.


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of the program ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.stdout, f"nothing on stdout, exit code {self.exit_code}: {self.stderr}"
        return json.loads(self.stdout)


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's user configures the program."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return {**surroundings.passed_on(), "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb"}


@pytest.fixture
def hammerwork(clean_environment: dict[str, str], tmp_path: Path) -> Callable[..., Outcome]:
    """``hammerwork(*args, url=, input=, env=, timeout=)``: the program, in a process of its own.

    It is a fork of one that has imported the program, unless the interpreter has to read variables when it starts.
    """

    def run(
        *args: str, url: str | None = None, input: str = "", env: dict[str, str] | None = None, timeout: float = 60
    ) -> Outcome:
        variables = {"HAMMERWORK_DATABASE_URL": url} if url else {}
        with begin(args, {**clean_environment, **variables, **(env or {})}, tmp_path, input) as program:
            try:
                stdout, stderr = program.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
        return Outcome(program.wait(), stdout, stderr)

    return run


@pytest.fixture
def run(clean_environment: dict[str, str]) -> Callable[..., Outcome]:
    """``run(*args, url=, env=)``: the same command line in this process, which is faster."""
    from hammerwork_cli.app import main
    from hammerwork_cli.cli.context import Context

    def call(*args: str, url: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        variables = {"HAMMERWORK_DATABASE_URL": url} if url else {}
        # A real stream has an encoding, which decides how trees are drawn.
        stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        exit_code = main(args, Context({**clean_environment, **variables, **(env or {})}, stdout, stderr))
        return Outcome(exit_code, *(_written(stream) for stream in (stdout, stderr)))

    return call


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


# Mermaid.


@pytest.fixture(scope="session")
def parse_mermaid() -> Iterator[MermaidParser]:
    """``parse_mermaid(text)`` and ``parse_mermaid.many(texts)``: what the real parser makes of them."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        unavailable("node is missing: install nodejs and npm")
    if not (FOLDER / "node_modules" / "mermaid").is_dir():
        unavailable("the Mermaid parser is missing: run 'npm ci' in tests/mermaid, or 'make test'")
    parser = MermaidParser(node)
    yield parser
    parser.close()


def eventually(look: Callable[[], Any]) -> Any:
    """Waits up to a minute for the first true answer of ``look``, and returns it."""
    give_up = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found

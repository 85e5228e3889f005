"""Settings that a server has for all its sessions change nothing of what workers and commands do."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chaos.servers import CrashingServer
from hammerwork_cli import Handlers, Job
from hammerwork_cli.database import connect
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.runtime.connections import Connections
from tests.conftest import Outcome
from tests.databases import database_of, with_database
from tests.runtime.conftest import Stage

Run = Callable[..., Outcome]
POSTGRES = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "1",
    "array_nulls": "off",
    "timezone": "'Asia/Kathmandu'",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
}
MYSQL = {
    "sql_safe_updates": "1",
    "sql_select_limit": "1",
    "max_join_size": "1",
    "group_concat_max_len": "4",
    "max_allowed_packet": "1048576",
    "completion_type": "'RELEASE'",
    "sql_auto_is_null": "1",
    "default_storage_engine": "MyISAM",
    "time_zone": "'+05:45'",
    "eq_range_index_dive_limit": "1",
    "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,HIGH_NOT_PRECEDENCE,REAL_AS_FLOAT'",
}


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "mysql")])
def unusual(
    request: pytest.FixtureRequest,
    new_database: Callable[..., str],
    own_server: Callable[[str], CrashingServer],
) -> Iterator[str]:
    """The URL of an empty database whose sessions begin with odd settings."""
    if request.param == "postgres":
        url = new_database("postgres")
        with contextlib.closing(connect(url)) as database:
            for name, value in POSTGRES.items():
                database.script(f"ALTER DATABASE {database_of(url)} SET {name} = {value}")
        yield url
        return
    server = own_server("mysql").url
    with contextlib.closing(connect(server)) as database:
        database.script("CREATE DATABASE unusual CHARACTER SET latin1")
        before = {name: database.query(f"SELECT @@GLOBAL.{name}")[0][0] for name in MYSQL}
        for name, value in MYSQL.items():
            database.script(f"SET GLOBAL {name} = {value}")
        yield with_database(server, "unusual")
        for name, value in before.items():
            database.script(f"SET GLOBAL {name} = {value!r}")
        database.script("DROP DATABASE unusual")


def test_settings_of_a_server_change_nothing_of_what_workers_and_commands_do(unusual: str, run: Run) -> None:
    app = Handlers()
    odd = "Zoë €5 Ж 😀 \\ \" ' %s" * 2000  # ten of these are more than a packet
    app.register_job("echo", lambda job: job.payload["text"])
    app.register_job("root", lambda job: job.payload.get("text"))
    app.register_handler("root", lambda context: [Job("echo", context.parent_job.payload) for _ in range(10)])
    app.register_job("large", lambda job: job.payload["sign"] * job.payload["times"])
    assert run("migration", "run", "--yes", url=unusual).exit_code == 0
    stage = Stage(unusual)
    with contextlib.closing(stage):
        root, _ = stage.enqueue(Job("root", {"text": odd}), Job("root", {"text": odd}))
        report = stage.work(app, concurrency=30)
        assert (report.completed, report.failed) == (22, 0)
        for words in (
            ("job", "list"),
            ("job", "show", root.id),
            ("queue", "stats", "echo", "--detailed"),
            ("spawn", "list"),
            ("spawn", "tree", root.id, "--full"),
            ("spawn", "doctor"),
            ("worker", "list"),
        ):
            done = run(*words, "--format", "json", url=unusual)
            assert done.exit_code == 0, (words, done.stderr)
            listed: Any = done.json
            if words == ("job", "list"):
                assert len(listed["jobs"] if isinstance(listed, dict) else listed) == 22
        results = [stage.queue.get(job).result for (job,) in stage.rows("id", "queue_name = 'echo'")]
        assert results == [odd] * 20
        if stage.database.dialect == "mysql":
            with pytest.raises(RefusedValueError, match="max_allowed_packet"):
                stage.queue.enqueue(Job("echo", {"text": odd * 100}))
            sizes = [("x", 1_000_000), ("x", 1_100_000), ("Ж", 140_000), ("Ж", 160_000), ("x", 1)]
            large = [Job("large", {"sign": sign, "times": times}) for sign, times in sizes]
            stage.enqueue(*large)
            stage.work(app)
            ends = [stage.one(job, "status, attempts") for job in large]
            assert ends == [("Completed", 1), ("Dead", 1), ("Completed", 1), ("Dead", 1), ("Completed", 1)]
            assert "max_allowed_packet" in stage.one(large[1], "error_message")
        assert run("job", "delete", "--all", "--yes", url=unusual).exit_code == 0
        assert stage.rows() == []


@pytest.mark.mysql
def test_a_connection_that_the_server_has_closed_for_idleness_is_not_used(
    own_server: Callable[[str], CrashingServer],
) -> None:
    with contextlib.closing(connect(own_server("mysql").url)) as administrator:
        ((before,),) = administrator.query("SELECT @@GLOBAL.wait_timeout")
        administrator.script("SET GLOBAL wait_timeout = 1")
        connections = Connections(administrator.url, 1)
        first = connections.run(lambda database: database.session)
        time.sleep(1.2)
        assert connections.run(lambda database: (database.query("SELECT 1"), database.session)[1], patience=0) != first
        connections.close()
        administrator.script(f"SET GLOBAL wait_timeout = {before}")

"""``spawn monitor`` and ``spawn tree --watch`` on a real terminal, in pipes, and over a restart of the server."""

import contextlib
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hammerwork_cli.database import connect
from hammerwork_cli.features.schema.views import SCHEMAS
from tests.conftest import own_server
from tests.forks import PROGRAM, Begun, begin
from tests.rows import Rows
from tests.servers import KINDS, PrivateServer
from tests.terminal import PATIENCE, Terminal

QUICK = ("--interval", "0.2")
Open = Callable[..., contextlib.AbstractContextManager[Terminal]]


@pytest.fixture
def env(clean_environment: dict[str, str]) -> dict[str, str]:
    return {**clean_environment, "TERM": "xterm-256color"}


@pytest.fixture
def on_terminal(env: dict[str, str]) -> Open:
    """``on_terminal(rows, *words, env=, columns=, lines=)``: the program on a terminal of that size."""

    def start(rows: Rows, *words: str, **settings: Any) -> Terminal:
        command = [*PROGRAM, "spawn", *words, "-u", rows.url]
        return Terminal(command, {**env, **settings.pop("env", {})}, **settings)

    return start


def now() -> datetime:
    return datetime.now(UTC)


def set_status(rows: Rows, job: str, status: str, **columns: Any) -> None:
    place = rows.database.placeholder
    names = ", ".join(f"{name} = {place}" for name in ("status", *columns))
    values = [rows.adapted(value) for value in columns.values()]
    rows.run(f"UPDATE hammerwork_jobs SET {names} WHERE id = {place}", [status, *values, job])


def operation(rows: Rows, queue: str = "ingest") -> tuple[str, list[str]]:
    """A parent that has spawned three children, which wait."""
    parent = rows.job(queue=queue, spawns=True, created_at=now(), completed_at=now())
    return parent, [rows.job(parent, queue="segment", status="Pending", created_at=now()) for _ in range(3)]


# On a terminal.


def test_a_terminal_shows_a_picture_that_follows_what_happens(on_terminal: Open, rows: Rows) -> None:
    parent, children = operation(rows)
    with on_terminal(rows, "monitor", *QUICK) as terminal:
        picture = terminal.shows(f"ingest {parent[:8]}")
        assert any("0%" in line and "0/3" in line for line in picture)
        set_status(rows, children[0], "Completed", started_at=now(), completed_at=now())
        set_status(rows, children[1], "Dead", started_at=now(), failed_at=now(), error_message="moov atom not found")
        picture = terminal.shows("2/3")
        assert any("66%" in line and "1 failed" in line for line in picture)
        picture = terminal.shows("moov atom not found")
        assert any(children[1][:8] in line and "Dead" in line for line in picture)
        set_status(rows, children[2], "Completed", completed_at=now())
        terminal.until(lambda picture: not any("/3" in line for line in picture))
        frames = terminal.display.frames
        assert terminal.raw.count("\x1b[?1049h") == 1
        assert frames >= 4
        terminal.press("q")
        assert terminal.end() == 0
        terminal.assert_given_back()
        assert "moov atom not found" in terminal.left_behind


@pytest.mark.parametrize("keys", ["q", "Q", "\x03"], ids=["q", "shift-q", "ctrl-c"])
def test_a_key_ends_it_at_once_and_the_terminal_is_as_before(on_terminal: Open, sqlite_rows: Rows, keys: str) -> None:
    with on_terminal(sqlite_rows, "monitor", "--interval", "1h") as terminal:
        terminal.shows("pending")
        assert terminal.modes != terminal.modes_before
        terminal.press(keys)
        assert terminal.end() == 0
        terminal.assert_given_back()
        assert "Error" not in terminal.left_behind


def test_a_key_that_ends_the_monitor_does_not_count_as_the_awaited_event(on_terminal: Open, sqlite_rows: Rows) -> None:
    sqlite_rows.job(status="Pending")
    with on_terminal(sqlite_rows, "monitor", "--until", "done", *QUICK) as terminal:
        terminal.shows("pending")
        terminal.press("q")
        assert terminal.end() == 130
        terminal.assert_given_back()


def test_other_keys_do_nothing_and_are_not_shown(on_terminal: Open, sqlite_rows: Rows) -> None:
    with on_terminal(sqlite_rows, "monitor", *QUICK) as terminal:
        terminal.shows("pending")
        terminal.press("xyz\r\x1b[A")
        terminal.press("?")
        terminal.shows("q quits, Ctrl-Z pauses until fg")
        terminal.press("?")
        terminal.shows("q quits")
        frames = terminal.display.frames
        picture = terminal.until(lambda _: terminal.display.frames > frames + 2)
        assert not any("xyz" in line for line in picture)
        terminal.press("q")
        assert terminal.end() == 0


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_ends_it_and_the_terminal_is_given_back(
    on_terminal: Open, sqlite_rows: Rows, number: signal.Signals, exit_code: int
) -> None:
    with on_terminal(sqlite_rows, "monitor", "--interval", "1h") as terminal:
        terminal.shows("pending")
        terminal.signal(number)
        assert terminal.end() == exit_code
        terminal.assert_given_back()


def test_the_terminal_is_given_back_before_an_error_is_shown(on_terminal: Open, sqlite_rows: Rows) -> None:
    with on_terminal(sqlite_rows, "monitor", *QUICK) as terminal:
        terminal.shows("pending")
        sqlite_rows.run("DROP TABLE hammerwork_jobs")
        assert terminal.end() == 4
        terminal.assert_given_back()
        assert "Error: A table or column is missing" in terminal.left_behind
        assert "migration run" in " ".join(terminal.left_behind.split())


def test_a_shell_can_stop_it_and_bring_it_back(sqlite_rows: Rows, env: dict[str, str]) -> None:
    program = f"{' '.join(PROGRAM)} spawn monitor --interval 0.2 -u '{sqlite_rows.url}'"
    script = f"set -m; {program}; echo stopped; read -r line; fg >/dev/null; exit $?"
    with Terminal(["bash", "-c", script], env) as terminal:
        terminal.shows("pending")
        terminal.press("\x1a")
        deadline = time.monotonic() + PATIENCE
        while "stopped\r" not in terminal.raw:
            terminal.read(0.1)
            assert time.monotonic() < deadline
        terminal.assert_given_back()
        sqlite_rows.job(status="Dead", failed_at=now(), error_message="while it was stopped")
        terminal.press("\n")
        terminal.shows("while it was stopped")
        assert terminal.display.is_alternate
        terminal.press("q")
        assert terminal.end() == 0
        terminal.assert_given_back()


def test_a_new_size_is_drawn_at_once_and_nothing_is_wider_or_longer(on_terminal: Open, sqlite_rows: Rows) -> None:
    for number in range(12):
        error = f"error {number} " + "wörter und 漢字 " * 20
        sqlite_rows.job(queue="q" * 40, status="Dead", failed_at=now() - timedelta(minutes=number), error_message=error)
    operation(sqlite_rows, queue="\x1b[31mred\u202e")
    with on_terminal(sqlite_rows, "monitor", "--interval", "1h", columns=120, lines=40) as terminal:
        terminal.shows("error 9")
        for columns, lines in ((80, 24), (50, 15), (20, 5), (200, 60), (1, 1), (80, 24)):
            terminal.resize(columns, lines)
            frames = terminal.display.frames
            # The display refuses what goes beyond its edges.
            picture = terminal.until(lambda _, before=frames: terminal.display.frames > before)
            assert len(picture) <= lines
            assert any(" more" in line for line in picture) is (lines in {15, 24}), "\n".join(picture)
        assert any("error 0" in line for line in picture)
        terminal.press("q")
        assert terminal.end() == 0


def test_colours_are_left_out_where_they_are_not_wanted(on_terminal: Open, sqlite_rows: Rows) -> None:
    sqlite_rows.job(status="Dead", failed_at=now())
    with on_terminal(sqlite_rows, "monitor", "--count", "1") as coloured:
        assert coloured.end() == 0
        assert "\x1b[31m" in coloured.raw
    with on_terminal(sqlite_rows, "monitor", "--count", "1", env={"NO_COLOR": "1"}) as plain:
        assert plain.end() == 0
        assert "\x1b[31m" not in plain.raw
        assert "\x1b[?1049h" in plain.raw


def test_without_utf8_the_picture_is_drawn_in_ascii(on_terminal: Open, sqlite_rows: Rows) -> None:
    operation(sqlite_rows, queue="über")
    with on_terminal(sqlite_rows, "monitor", *QUICK, env={"PYTHONIOENCODING": "ascii"}) as terminal:
        terminal.shows("0/3")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.raw.isascii()


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_only_prints_gets_lines(on_terminal: Open, sqlite_rows: Rows, kind: str) -> None:
    sqlite_rows.job(queue="mail", status="Dead", failed_at=now(), error_message="no such host")
    with on_terminal(sqlite_rows, "monitor", *QUICK, env={"TERM": kind}) as terminal:
        deadline = time.monotonic() + PATIENCE
        while "no such host" not in terminal.raw:
            terminal.read(0.1)
            assert time.monotonic() < deadline
        terminal.press("\x03")
        assert terminal.end() == 0
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .*0 pending, 0 running\r?$", terminal.left_behind, re.M)
        assert "\x1b" not in terminal.raw.replace("^C", "")


def test_without_a_keyboard_it_runs_all_the_same(sqlite_rows: Rows, env: dict[str, str]) -> None:
    command = f"{' '.join(PROGRAM)} spawn monitor -u {sqlite_rows.url} --interval 0.2 --count 2 </dev/null"
    with Terminal(["sh", "-c", command], env) as terminal:
        assert terminal.end() == 0
        terminal.assert_given_back()


# In a pipe.


@contextlib.contextmanager
def in_pipe(rows: Rows, env: dict[str, str], *words: str) -> Iterator[Begun]:
    with begin(["spawn", *words, "-u", rows.url], env, Path.cwd()) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_pipe_gets_an_object_for_each_change_at_once(rows: Rows, env: dict[str, str]) -> None:
    _, children = operation(rows)
    with in_pipe(rows, env, "monitor", *QUICK) as process:
        first = json.loads(process.stdout.readline())
        assert (first["pending"], first["failures"]) == (3, [])
        set_status(rows, children[0], "Dead", failed_at=now(), error_message="boom")
        seen = [first]
        while not seen[-1]["failures"]:
            seen.append(json.loads(process.stdout.readline()))
        assert [failure["error"] for failure in seen[-1]["failures"]] == ["boom"]
        while seen[-1]["failed"] == 0:
            seen.append(json.loads(process.stdout.readline()))
        assert sum(look["failed"] for look in seen) == 1
        # What was told is not told again, and nothing is said while nothing happens.
        assert sum(len(look["failures"]) for look in seen) == 1
        assert seen[-1]["operations"][0]["children"]["failed"] == 1
        for look in seen:
            Draft202012Validator(SCHEMAS["spawn-monitor"]).validate(look)
        process.send_signal(signal.SIGINT)
        assert (process.stdout.read(), process.stderr.read(), process.wait(PATIENCE)) == ("", "", 0)


def test_a_pipe_that_nobody_reads_any_more_ends_it_although_nothing_happens(
    sqlite_rows: Rows, env: dict[str, str]
) -> None:
    with in_pipe(sqlite_rows, env, "monitor", "--interval", "1h") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=PATIENCE) == 0
        assert process.stderr.read() == ""


def test_it_ends_when_nothing_is_open(rows: Rows, env: dict[str, str]) -> None:
    job = rows.job(queue="mail", status="Running", started_at=now())
    rows.job(queue="other", status="Pending")
    with in_pipe(rows, env, "monitor", "--until", "done", "--queue", "mail", *QUICK) as process:
        assert json.loads(process.stdout.readline())["running"] == 1
        set_status(rows, job, "Completed", completed_at=now())
        assert process.wait(timeout=PATIENCE) == 0
        assert json.loads(process.stdout.read().splitlines()[-1])["running"] == 0


def test_it_ends_when_something_fails(rows: Rows, env: dict[str, str]) -> None:
    job = rows.job(status="Running", started_at=now())
    rows.job(status="Dead", failed_at=now() - timedelta(minutes=5))
    with in_pipe(rows, env, "monitor", "--until", "failed", "--until", "done", *QUICK) as process:
        assert len(json.loads(process.stdout.readline())["failures"]) == 1
        set_status(rows, job, "Failed", failed_at=now() + timedelta(seconds=1), error_message="boom")
        assert process.wait(timeout=PATIENCE) == 1
        assert json.loads(process.stdout.read().splitlines()[-1])["failures"][0]["error"] == "boom"


def test_a_timeout_and_a_count_end_it(run: Callable[..., Any], sqlite_rows: Rows) -> None:
    sqlite_rows.job(status="Pending")
    url = sqlite_rows.url
    timed_out = run("spawn", "monitor", "--until", "done", "--timeout", "0.3s", *QUICK, url=url)
    assert timed_out.exit_code == 124
    assert "--timeout 0.3s has passed" in timed_out.stderr
    counted = run("spawn", "monitor", "--count", "2", *QUICK, url=url)
    assert (counted.exit_code, len(counted.stdout.splitlines())) == (0, 1)
    assert run("spawn", "monitor", "--until", "done", "--count", "2", *QUICK, url=url).exit_code == 1


def test_lines_of_text_can_be_had_in_a_pipe(run: Callable[..., Any], sqlite_rows: Rows) -> None:
    sqlite_rows.job(queue="mail\x1b[2J", status="Dead", failed_at=now(), error_message="no such host\nat line 2")
    done = run("spawn", "monitor", "--count", "1", "--format", "text", url=sqlite_rows.url)
    assert done.exit_code == 0
    assert re.search(r"failed: mail\\x1b\[2J \S{36} Dead: no such host\n", done.stdout)


@pytest.mark.parametrize("interval", ["0", "0.01", "soon", "-1", "30d"])
def test_an_interval_that_is_none_is_refused(run: Callable[..., Any], sqlite_rows: Rows, interval: str) -> None:
    done = run("spawn", "monitor", "--interval", interval, "--count", "1", url=sqlite_rows.url)
    assert (done.exit_code, done.stdout) == (2, "")


# A tree.


def test_a_tree_is_drawn_over_until_it_has_finished(on_terminal: Open, rows: Rows) -> None:
    parent, children = operation(rows)
    with on_terminal(rows, "tree", parent, "--watch", *QUICK) as terminal:
        terminal.shows("3 pending")
        set_status(rows, children[0], "Running", started_at=now())
        terminal.shows(f"segment {children[0][:8]} · Running")
        for child in children[:2]:
            set_status(rows, child, "Completed", completed_at=now())
        terminal.shows("3 completed, 1 pending")
        set_status(rows, children[2], "Completed", completed_at=now())
        assert terminal.end() == 0
        terminal.assert_given_back()
        assert "4 jobs: 4 completed" in terminal.left_behind
        assert terminal.raw.count("\x1b[?1049h") == 1


def test_a_tree_with_failures_ends_with_exit_code_1_q_with_0_and_ctrl_c_with_130(
    on_terminal: Open, sqlite_rows: Rows
) -> None:
    parent, children = operation(sqlite_rows)
    for key, code in (("q", 0), ("\x03", 130)):
        with on_terminal(sqlite_rows, "tree", parent, "--watch", "--interval", "1h") as terminal:
            terminal.shows("3 pending")
            terminal.press(key)
            assert terminal.end() == code
            terminal.assert_given_back()
    for child in children:
        set_status(sqlite_rows, child, "Dead", failed_at=now(), error_message="boom")
    with on_terminal(sqlite_rows, "tree", parent, "--watch", *QUICK) as terminal:
        assert terminal.end() == 1
        assert "boom" in terminal.left_behind


def test_a_large_tree_fits_any_screen_and_says_what_is_left_out(on_terminal: Open, sqlite_rows: Rows) -> None:
    root = sqlite_rows.job(queue="ingest", spawns=True)

    def write() -> None:
        for number in range(30):
            middle = sqlite_rows.job(root, queue=f"part{number}", spawns=True)
            for status in ("Dead", "Running", "Pending"):
                sqlite_rows.job(middle, queue="segment", status=status, error_message="long words " * 30)

    sqlite_rows.database.transaction(write)
    with on_terminal(sqlite_rows, "tree", root, "--watch", "--interval", "1h", columns=120, lines=40) as terminal:
        terminal.shows("121 jobs: 31 completed, 30 running, 30 pending, 30 dead")
        for columns, lines in ((80, 24), (50, 15), (20, 4)):
            terminal.resize(columns, lines)
            frames = terminal.display.frames
            picture = terminal.until(lambda _, before=frames: terminal.display.frames > before)
            assert len(picture) <= lines
            if lines > 4:
                assert any("no room" in line or "more" in line for line in picture)
        terminal.press("q")
        assert terminal.end() == 0


@pytest.mark.parametrize("form", ["json", "jsonl", "text", "mermaid"])
def test_a_pipe_gets_what_changes_of_a_tree(sqlite_rows: Rows, env: dict[str, str], form: str) -> None:
    parent, children = operation(sqlite_rows)
    with in_pipe(sqlite_rows, env, "tree", parent, "--watch", "--format", form, *QUICK) as process:
        first = process.stdout.readline()
        for child in children:
            set_status(sqlite_rows, child, "Completed", completed_at=now())
        lines = [first, *process.stdout.read().splitlines()]
        assert (process.stderr.read(), process.wait(PATIENCE)) == ("", 0)
    if form == "json":
        documents = [json.loads(line) for line in lines]
        assert all(len(document["nodes"]) == 4 for document in documents)
        assert {node["status"] for node in documents[-1]["nodes"]} == {"Completed"}
    elif form == "jsonl":
        jobs = [json.loads(line) for line in lines]
        assert [job["id"] for job in jobs].count(parent) == 1
        assert {job["id"]: job["status"] for job in jobs} == dict.fromkeys([parent, *children], "Completed")
    else:
        assert "Pending" in "\n".join(lines)
        assert "Completed" in lines[-1] or form == "mermaid"


def test_an_interval_without_watch_and_a_job_that_is_not_there_are_errors(
    run: Callable[..., Any], sqlite_rows: Rows
) -> None:
    url = sqlite_rows.url
    assert run("spawn", "tree", "00000000-0000-4000-8000-000000000000", "--watch", url=url).exit_code == 5
    alone = run("spawn", "tree", sqlite_rows.job(), "--interval", "2", url=url)
    assert (alone.exit_code, alone.stdout) == (2, "")
    assert "--watch" in alone.stderr


def test_a_tree_that_does_not_finish_in_time_ends_with_124(run: Callable[..., Any], sqlite_rows: Rows) -> None:
    parent, _ = operation(sqlite_rows)
    done = run("spawn", "tree", parent, "--watch", "--timeout", "0.3s", *QUICK, url=sqlite_rows.url)
    assert done.exit_code == 124
    assert done.stdout.count("3 pending") == 1
    assert "has not finished within 0.3s" in done.stderr


# A server that goes and comes back.


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS])
def server(request: pytest.FixtureRequest) -> Iterator[PrivateServer]:
    """A server of this test alone, which it may stop."""
    with own_server(request.param) as server:
        yield server


@pytest.fixture
def served(server: PrivateServer) -> str:
    """The URL of a database with tables on that server."""
    from hammerwork_cli.features.migration import queries as migrations

    url = server.url.replace("/mysql", "/test_restart")
    with contextlib.closing(connect(server.url)) as database:
        if database.dialect == "mysql":
            database.script("CREATE DATABASE test_restart")
    with contextlib.closing(connect(url)) as database:
        migrations.run(database)
    return url


@pytest.mark.parametrize("server", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_restart_of_the_server_is_waited_out_and_said(
    server: PrivateServer, served: str, on_terminal: Open, env: dict[str, str]
) -> None:
    with contextlib.closing(connect(served)) as database:
        rows = Rows(database)
        parent, _ = operation(rows)
    with (
        on_terminal(rows, "monitor", *QUICK) as terminal,
        in_pipe(rows, env, "monitor", *QUICK) as piped,
        on_terminal(rows, "tree", parent, "--watch", *QUICK) as tree,
    ):
        terminal.shows("0/3")
        tree.shows("3 pending")
        piped.stdout.readline()
        server.halt()
        for screen in (terminal, tree):
            screen.shows("Trying again")
        # The old picture stays meanwhile.
        assert any("0/3" in line for line in terminal.display.picture)
        assert "Trying again" in piped.stderr.readline()
        server.go_on()
        with contextlib.closing(connect(served)) as database:
            [(child,)] = database.query("SELECT id FROM hammerwork_jobs WHERE queue_name = 'segment' LIMIT 1")
            set_status(Rows(database), str(child), "Dead", failed_at=now(), error_message="after the restart")
        for screen in (terminal, tree):
            picture = screen.shows("after the restart")
            assert not any("Trying again" in line for line in picture)
            screen.press("q")
            assert screen.end() == 0
            screen.assert_given_back()
        assert "answers again" in piped.stderr.readline()
        # It may have looked again before the server was away.
        assert any("after the restart" in line for line in islice(piped.stdout, 20))
        # A server that is away does not keep anybody either.
        with on_terminal(rows, "monitor", *QUICK) as impatient:
            impatient.shows("pending")
            server.halt()
            impatient.shows("Trying again")
            impatient.press("q")
            assert impatient.end() == 0
            impatient.assert_given_back()


@pytest.mark.parametrize("server", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
def test_a_server_that_hangs_does_not_keep_the_terminal(server: PrivateServer, served: str, on_terminal: Open) -> None:
    with contextlib.closing(connect(served)) as database:
        rows = Rows(database)
    with on_terminal(rows, "monitor", *QUICK) as terminal:
        terminal.shows("pending")
        with server.frozen():
            while terminal.read(1):
                pass
            terminal.press("\x03")
            assert terminal.end() == 130
            terminal.assert_given_back()

"""What goes wrong is said on stderr, with the right exit code, a next step, and never a password."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hammerwork_cli.cli.options import Format
from hammerwork_cli.database import DatabaseUrl, connect
from hammerwork_cli.features.tree.views.picture import TreeFormat
from hammerwork_cli.view.text import visible
from tests.conftest import ROOT, all_databases, each_row, on_servers
from tests.forks import begin
from tests.rows import Rows

Run = Callable[..., Any]
SECRET = "s3cr3t-p@ss"
ENCODED = "s3cr3t-p%40ss"


@pytest.mark.parametrize(
    ("url", "exit_code", "said"),
    [
        ("nonsense", 3, "no scheme"),
        (f"oracle://me:{ENCODED}@host/db", 3, "oracle"),
        (f"postgresql://me:{ENCODED}@127.0.0.1:1/db", 4, "answers"),
        (f"mysql://me:{ENCODED}@127.0.0.1:1/db", 4, "answers"),
        (f"postgresql://me:{ENCODED}@127.0.0.1:port/db", 3, "port"),
        (f"mysql://me:{ENCODED}@127.0.0.1:1", 3, "database"),
        (f"mysql://me:{ENCODED}@127.0.0.1:1/db?colour=red", 3, "colour"),
        (f"postgresql://me:{ENCODED}@127.0.0.1:1/db?colour=red", 3, "libpq"),
        ("sqlite://", 3, "path"),
        ("sqlite:////no/such/folder/x.db", 4, "x.db does not exist"),
        ("sqlite:try.db", 3, "For an SQLite file: sqlite:///try.db"),
        ("sqlite:////usr", 4, "/usr is a folder, not an SQLite file."),
    ],
)
def test_unusable_urls(run: Run, url: str, exit_code: int, said: str) -> None:
    for debug in ((), ("--debug",)):
        done = run("spawn", "list", "-u", url, *debug)
        assert done.exit_code == exit_code
        assert done.stdout == ""
        assert said in done.stderr
        assert SECRET not in done.stderr
        assert ENCODED not in done.stderr
        assert len(done.stderr.splitlines()) >= 2


def test_a_misspelt_path_names_the_file_that_is_there_before_the_command_that_makes_another_one(
    run: Run, new_database: Callable[..., str]
) -> None:
    url = new_database("sqlite", migrated=True)
    right = DatabaseUrl.parse(url).path
    assert right is not None
    wrong = right.with_name(f"{right.stem}s{right.suffix}")
    said = run("job", "list", "-u", DatabaseUrl.of_file(wrong).raw).stderr
    assert f"Did you mean {right}? To create a new one: hammerwork" in said
    other = run("job", "list", "-u", DatabaseUrl.of_file(right.with_name("0815")).raw).stderr
    assert "Did you mean" not in other
    assert "Create it with: hammerwork" in other
    assert not wrong.exists()


def test_a_change_without_a_terminal_says_what_it_would_ask(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    assert run("cron", "create", "--queue", "report", "--payload", "1", "--every", "6h", url=url).exit_code == 0
    refused = run("cron", "delete", "report", url=url)
    assert refused.exit_code == 2
    assert "Confirmation required: Delete the schedule report and its history?" in refused.stderr


def test_a_schedule_that_is_never_due_exits_1_when_it_is_checked(run: Run) -> None:
    never, daily = (run("cron", "check", text) for text in ("0 0 31 2 *", "@daily"))
    assert (never.exit_code, daily.exit_code) == (1, 0)
    assert "It is never due." in never.stdout
    both = run("cron", "create", "--queue", "a", "--payload", "1", "--every", "6h", "--schedule", "@daily")
    assert (both.exit_code, "--every cannot be combined with --schedule." in both.stderr) == (2, True)


NO_MODULE = "raise ModuleNotFoundError('No module named psycopg')"
NO_LIBRARY = "raise ImportError('no pq wrapper available.\\nAttempts made:\\n- libpq not found')"


@pytest.mark.parametrize(
    ("module", "says", "url", "package"),
    [
        ("psycopg", NO_MODULE, "postgresql://me@127.0.0.1:1/db", "'psycopg[binary]'"),
        ("psycopg", NO_LIBRARY, "postgresql://me@127.0.0.1:1/db", "'psycopg[binary]'"),
        ("mysql", "", "mysql://me@127.0.0.1:1/db", "'mysql-connector-python'"),
    ],
    ids=["psycopg", "libpq", "mysql"],
)
def test_a_driver_that_is_missing_is_to_be_installed(
    hammerwork: Run, tmp_path: Path, module: str, says: str, url: str, package: str
) -> None:
    (tmp_path / f"{module}.py").write_text(says)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    done = hammerwork("spawn", "list", "--format", "json", url=url, env={"PYTHONPATH": path})
    assert (done.exit_code, done.stdout) == (3, "")
    error = json.loads(done.stderr)["error"]
    assert f"The driver {module}" in error["message"]
    assert error["hint"].endswith(f"-m pip install {package}")


@on_servers
def test_a_wrong_password_is_named_and_not_shown(
    hammerwork: Run, new_database: Callable[[str], str], dialect: str
) -> None:
    parts = urlsplit(new_database(dialect))
    if not parts.password:
        pytest.skip("this server takes everybody without a password")
    wrong = parts._replace(netloc=f"{parts.username}:{ENCODED}@{parts.hostname}:{parts.port}").geturl()
    done = hammerwork("spawn", "list", "--debug", url=wrong)
    assert done.exit_code == 4
    assert "password" in done.stderr
    assert SECRET not in done.stderr
    assert ENCODED not in done.stderr


@pytest.mark.postgres
def test_a_user_that_does_not_exist_is_refused(run: Run, postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    url = parts._replace(netloc=f"nobody:{ENCODED}@{parts.hostname}:{parts.port}").geturl()
    done = run("spawn", "list", "--format", "json", url=url)
    assert done.exit_code == 4
    assert json.loads(done.stderr)["error"]["code"] == "database_access_denied"


@on_servers
def test_an_at_sign_in_a_password_needs_no_encoding(run: Run, url: str) -> None:
    if "%40" not in url:
        pytest.skip("this server's password has none")
    assert "hammerwork migration run" in run("spawn", "list", url=url.replace("%40", "@")).stderr


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_slash_in_a_password_must_be_encoded(run: Run, scheme: str) -> None:
    done = run("spawn", "list", url=f"{scheme}://me:s3cr3t@x/word@127.0.0.1:1/db")
    assert done.exit_code == 3
    assert "percent-encoded" in done.stderr
    assert "s3cr3t" not in done.stderr


@all_databases
def test_missing_tables_say_how_to_make_them(run: Run, url: str) -> None:
    connect(url).close()
    done = run("spawn", "list", url=url)
    assert done.exit_code == 4
    assert "hammerwork migration run" in done.stderr


def test_a_file_that_is_no_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database, however long it may be")
    done = run("spawn", "list", url=f"sqlite:///{tmp_path}/x.db")
    assert done.exit_code == 3
    assert "not an SQLite database" in done.stderr


def test_a_missing_file_is_not_made_by_looking(run: Run, tmp_path: Path) -> None:
    done = run("spawn", "list", url=f"sqlite:///{tmp_path}/absent.db")
    assert done.exit_code == 4
    assert not (tmp_path / "absent.db").exists()


def test_errors_are_json_where_answers_are(run: Run, migrated_url: str) -> None:
    done = run("spawn", "tree", "1234abcd", "--format", "json", url=migrated_url)
    assert (done.exit_code, done.stdout) == (5, "")
    assert json.loads(done.stderr)["error"]["code"] == "not_found"


def test_an_option_without_its_value_names_the_help_of_its_command(run: Run, sqlite_url: str) -> None:
    for words in (("job", "list", "--since"), ("job", "enqueue", "--queue"), ("spawn", "tree", "--depth")):
        refused = run(*words, url=sqlite_url)
        assert refused.exit_code == 2
        assert f"See: hammerwork {words[0]} {words[1]} --help" in refused.stderr


@pytest.mark.parametrize("word", ["zzzz", "12", "1234567890abcdef1234567890abcdef0", "'; DROP TABLE x", "\x1b[31m"])
def test_text_that_is_not_an_id_is_a_usage_error(run: Run, migrated_url: str, word: str) -> None:
    done = run("spawn", "tree", word, url=migrated_url)
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr


def test_ids_are_found_by_prefix_in_any_spelling(run: Run, migrated_url: str) -> None:
    database = connect(migrated_url)
    rows = Rows(database)
    rows.job(id="abcd1234-0000-4000-8000-000000000001")
    rows.job(id="abcd1234-0000-4000-8000-000000000002")
    rows.job(id="abce0000-0000-4000-8000-000000000003")
    database.close()
    whole = "abce0000-0000-4000-8000-000000000003"
    for word in ("abce", "ABCE0000", "abce0000-0000", whole.replace("-", ""), f"{{{whole}}}", f"urn:uuid:{whole}"):
        assert run("spawn", "tree", word, url=migrated_url).exit_code == 0
    done = run("spawn", "tree", "abcd1234", "--format", "json", url=migrated_url)
    assert done.exit_code == 6
    assert len(json.loads(done.stderr)["error"]["candidates"]) == 2


@each_row(
    "words",
    [
        ("spawn", "list", "--status", "lost"),
        ("spawn", "list", "--status", ""),
        ("spawn", "tree", "abcd", "--status", ","),
        ("job", "list", "--status", "", "--status", " , "),
        ("job", "list", "--priority", ""),
        ("job", "delete", "--status", "", "--yes"),
        ("job", "delete", "--priority", "", "--yes"),
        ("job", "delete", "--since", "", "--yes"),
        ("job", "delete", "--older-than", "", "--yes"),
        ("job", "purge", "--older-than", "", "--yes"),
        ("spawn", "monitor", "--timeout", ""),
        ("spawn", "tree", "abcd", "--watch", "--timeout", ""),
        ("job", "delete", "--status", ",", "--queue", "mail", "--yes"),
        ("job", "cancel", "abcd", "--tree", "--only", "", "--yes"),
        ("spawn", "list", "--since", "tomorrow"),
        ("spawn", "list", "--limit", "0"),
        ("spawn", "stats", "--hours", "nan"),
        ("spawn", "list", "--limit", "many"),
        ("spawn", "tree", "abcd", "--format", "png"),
        ("spawn", "tree"),
        ("spawn", "nothing"),
        ("spwan", "list"),
        ("spawn", "list", "--nothing"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_would_be_good(
    run: Run, migrated_url: str, words: tuple[str, ...]
) -> None:
    done = run(*words, url=migrated_url)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) >= 2 or "One of: " in done.stderr


def test_a_closed_pipe_ends_quietly(migrated_url: str, clean_environment: dict[str, str]) -> None:
    database = connect(migrated_url)
    rows = Rows(database)
    root = rows.job()
    database.transaction(lambda: [rows.job(root) for _ in range(3000)])
    database.close()
    words = ["spawn", "tree", root, "--format", "jsonl", "-u", migrated_url]
    with begin(words, {**os.environ, **clean_environment}, Path.cwd()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("verb", "forms"), [("list", Format), ("tree", TreeFormat), ("lineage", ["csv"]), ("stats", ["table", "json"])]
)
def test_a_pipe_that_nobody_reads_ends_quietly_in_every_format(
    new_database: Callable[..., str], clean_environment: dict[str, str], verb: str, forms: Iterable[str]
) -> None:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        root = rows.job(spawns=True)
        rows.job(root, spawns=True, status="Pending")
    job = (root,) if verb in {"tree", "lineage"} else ()
    reader, writer = os.pipe()
    os.close(reader)
    for form in forms:
        words = ["spawn", verb, *job, "--format", str(form), "-u", url]
        with begin(words, clean_environment, Path.cwd(), streams={1: writer}) as done:
            assert (done.communicate(60)[1], done.returncode) == ("", 0), form
    os.close(writer)


def test_ctrl_c_exits_with_130(run: Run, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hammerwork_cli.cli.context.connect", interrupt)
    connect(sqlite_url).close()
    done = run("spawn", "list", url=sqlite_url)
    assert (done.exit_code, done.stdout) == (130, "")


def test_a_bug_is_called_one_without_the_password(run: Run, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"it went wrong at postgresql://me:{ENCODED}@host/db")

    monkeypatch.setattr("hammerwork_cli.cli.context.connect", fail)
    connect(sqlite_url).close()
    for debug in ((), ("--debug",)):
        done = run("spawn", "list", *debug, url=sqlite_url)
        assert done.exit_code == 70
        assert "This is a bug" in done.stderr
        assert ENCODED not in done.stderr
        error = json.loads(run("spawn", "list", *debug, "--format", "json", url=sqlite_url).stderr)["error"]
        assert (error["code"], error["exit_code"], "traceback" in error) == ("bug", 70, bool(debug))
        assert ENCODED not in str(error)


def test_a_traceback_shows_stored_escape_sequences_instead_of_obeying_them(run: Run, lite_url: str) -> None:
    with closing(connect(lite_url)) as database:
        job = Rows(database).job(queue="\x1b]0;title\x07\u202e")
    words = ("job", "enqueue", "--id", job, "--queue", "other", "--payload", "{}", "--debug")
    done = run(*words, url=lite_url)
    assert done.exit_code == 6
    assert "Traceback" in done.stderr
    assert done.stderr.count("\\x1b]0;title\\x07\\u202e") == 2
    assert all(visible(line) == line for line in done.stderr.split("\n"))
    trace = json.loads(run(*words, "--format", "json", url=lite_url).stderr)["error"]["traceback"]
    assert "\x1b]0;title" in trace


def test_without_a_database_the_embedded_one_is_named(run: Run) -> None:
    done = run("spawn", "list")
    assert done.exit_code == 4
    assert "hammerwork.db" in done.stderr
    assert "hammerwork demo" in done.stderr


@pytest.mark.parametrize("words", [("--bogus",), ("--format=json",), ("--install-completion",)], ids=" ".join)
def test_a_lone_bad_option_is_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No such option" in done.stderr


def test_a_full_disk_is_no_bug(migrated_url: str, clean_environment: dict[str, str]) -> None:
    command = [sys.executable, "-P", "-m", "hammerwork_cli", "spawn", "stats", "-u", migrated_url]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=clean_environment, check=False)
    assert done.returncode == 74
    assert b"Cannot write the answer: No space left on device" in done.stderr


def test_an_answer_for_a_closed_stdout_is_one_that_cannot_be_written(
    new_database: Callable[..., str], clean_environment: dict[str, str]
) -> None:
    url = new_database("sqlite", migrated=True)
    for words, exit_code in (("spawn stats", 74), ("queue list", 0)):
        command = f'{sys.executable} -P -m hammerwork_cli {words} -u "{url}" >&-'
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, env=clean_environment, check=False)
        assert done.returncode == exit_code, done.stderr
        assert (b"Cannot write the answer" in done.stderr) == (exit_code == 74)


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("job", "delete", "--all"), 2),
        (("job", "delete", "--all", "--format", "json"), 2),
        (("job", "show", "00000000"), 5),
        (("spawn", "doctor"), 0),
        (("spawn", "bogus"), 2),
    ],
)
def test_who_does_not_listen_to_stderr_gets_the_exit_code_all_the_same(
    new_database: Callable[..., str], clean_environment: dict[str, str], words: tuple[str, ...], exit_code: int
) -> None:
    url = new_database("sqlite", migrated=True)
    database = connect(url)
    Rows(database).job()
    database.close()
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**clean_environment, "HAMMERWORK_DATABASE_URL": url}
    for closed in (writer, os.open("/dev/full", os.O_WRONLY)):
        with begin(words, environment, Path.cwd(), streams={2: closed}) as done:
            os.close(closed)
            assert (done.communicate(60)[0], done.returncode) == ("", exit_code)


def test_text_that_may_name_an_operation_gets_a_hint_to_look_for_one(run: Run, migrated_url: str) -> None:
    done = run("spawn", "why", "ingest_000", url=migrated_url)
    assert done.exit_code == 2
    assert "hammerwork spawn list --operation ingest_000" in done.stderr
    assert "--operation" not in run("spawn", "why", "no such; thing", url=migrated_url).stderr


def test_only_an_option_that_resembles_the_given_one_is_proposed(run: Run) -> None:
    assert run("job", "list", "--nope").stderr.startswith("Error: No such option: --nope\n")
    assert "--status" in run("job", "list", "--statsu").stderr


def test_an_option_that_takes_a_whole_number_says_so(run: Run) -> None:
    assert "'x' is not a whole number." in run("spawn", "tree", "abcd", "--depth", "x").stderr
    assert "'x' is not a whole number." in run("job", "enqueue", "--queue", "a", "--max-attempts", "x").stderr

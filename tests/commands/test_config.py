"""``hammerwork config``: where settings come from, and what becomes of the file."""

import contextlib
import os
import pty
import stat
import termios
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import disk
from hammerwork_cli.config import KEYS, writing
from hammerwork_cli.config.keys import SettingKey
from hammerwork_cli.database import DatabaseUrl, connect
from tests.conftest import each_row
from tests.forks import begin
from tests.rows import Rows
from tests.terminal import everything

Run = Callable[..., Any]
PASSWORD = "s3cr3t-p%40ss"
URL = f"postgresql://me:{PASSWORD}@db.example.org/jobs"
VALUES = {
    "database_url": "sqlite:////srv/x.db",
    "default_queue": 'mail "é" \\ \n\x1b\x7f🦀',
    "default_limit": 7,
    "log_level": "debug",
    "connection_pool_size": 9,
    "connect_timeout_secs": 30,
    "encryption_keys": "pay=env:PAY_KEY,old=@/run/secrets/old",
    "allowed_programs": "python3 to_nats.py 'a,b', cat",
    "allowed_env": "KAFKA_PASSWORD, CHAT_TOKEN",
    "allow_private_addresses": True,
    "allow_insecure": True,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file is that the ``clean_environment`` leads to."""
    return tmp_path / "home" / ".config" / "hammerwork" / "config.toml"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def settings(run: Run, *words: str, **how: Any) -> dict[str, tuple[Any, str]]:
    rows = run("config", "show", "--format", "json", *words, **how).json
    return {row["key"]: (row["value"], row["source"]) for row in rows}


# Where values come from.


def test_without_anything_all_is_default(run: Run) -> None:
    assert settings(run) == {
        "database_url": (None, "default"),
        "default_queue": (None, "default"),
        "default_limit": (None, "default"),
        "log_level": ("info", "default"),
        "connection_pool_size": (5, "default"),
        "connect_timeout_secs": (10, "default"),
        "encryption_keys": (None, "default"),
        "allowed_programs": (None, "default"),
        "allowed_env": (None, "default"),
        "allow_private_addresses": (False, "default"),
        "allow_insecure": (False, "default"),
    }


def test_an_option_wins_over_the_environment_and_that_over_the_file(run: Run, file: Path) -> None:
    write(file, 'database_url = "sqlite:///file.db"\ndefault_limit = 3\n')
    assert settings(run)["database_url"] == ("sqlite:///file.db", "file")
    env = {"DATABASE_URL": "sqlite:///general.db"}
    assert settings(run, env=env)["database_url"] == ("sqlite:///general.db", "DATABASE_URL")
    env["HAMMERWORK_DATABASE_URL"] = "sqlite:///ours.db"
    assert settings(run, env=env)["database_url"] == ("sqlite:///ours.db", "HAMMERWORK_DATABASE_URL")
    assert settings(run, "-u", "sqlite:///option.db", env=env)["database_url"] == ("sqlite:///option.db", "option")
    assert settings(run, env={"HAMMERWORK_DEFAULT_LIMIT": "4"})["default_limit"] == (4, "HAMMERWORK_DEFAULT_LIMIT")
    assert settings(run, env={"HAMMERWORK_DEFAULT_LIMIT": ""})["default_limit"] == (3, "file")


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_setting_is_saved_and_read_back(run: Run, file: Path, key: SettingKey) -> None:
    value = VALUES[key.name]
    assert run("config", "set", key.name, str(value)).exit_code == 0
    assert tomllib.loads(file.read_text(encoding="utf-8")) == {key.name: value}
    assert settings(run)[key.name] == (value, "file")
    assert run("config", "get", key.name).exit_code == 0
    assert run("config", "unset", key.name).exit_code == 0
    assert settings(run)[key.name][1] == "default"


@pytest.mark.parametrize("key", ["database_url", "profiles.here.url"])
def test_a_relative_path_of_a_file_is_stored_so_that_it_means_the_same_everywhere(
    run: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    (here := tmp_path / "100% é?").mkdir()
    monkeypatch.chdir(here)
    assert run("config", "set", key, "sqlite:///x.db").exit_code == 0
    assert run("migration", "run", "--yes", *(("-u", "@here") if "profiles" in key else ())).exit_code == 0
    assert (here / "x.db").is_file()
    monkeypatch.chdir(tmp_path)
    assert run("job", "list", *(("-u", "@here") if "profiles" in key else ())).exit_code == 0
    for other in ("sqlite:///~/x.db", "sqlite:////srv/x.db", URL, "@here"):
        assert DatabaseUrl.absolute(other) == other


def test_the_environment_does_not_leak_into_the_file(run: Run, file: Path) -> None:
    env = {"DATABASE_URL": URL, "HAMMERWORK_DEFAULT_LIMIT": "99", "HAMMERWORK_LOG_LEVEL": "error"}
    done = run("config", "set", "default_limit", "5", env=env)
    assert done.exit_code == 0
    assert tomllib.loads(file.read_text()) == {"default_limit": 5}
    assert "HAMMERWORK_DEFAULT_LIMIT is set, and overrides" in done.stderr


@each_row(
    ("variable", "value"),
    [
        ("HAMMERWORK_DEFAULT_LIMIT", "many"),
        ("HAMMERWORK_DEFAULT_LIMIT", "0"),
        ("HAMMERWORK_DEFAULT_LIMIT", "4294967296"),
        ("HAMMERWORK_DEFAULT_LIMIT", "-1"),
        ("HAMMERWORK_DEFAULT_LIMIT", "1e3"),
        ("HAMMERWORK_POOL_SIZE", "101"),
        ("HAMMERWORK_POOL_SIZE", "0"),
        ("HAMMERWORK_LOG_LEVEL", "loud"),
        ("HAMMERWORK_DEFAULT_QUEUE", "q" * 256),
        ("HAMMERWORK_DATABASE_URL", "oracle://x"),
        ("DATABASE_URL", f"me:{PASSWORD}@host"),
    ],
)
def test_a_bad_variable_is_named(run: Run, variable: str, value: str) -> None:
    done = run("config", "show", env={variable: value})
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Error: {variable}: ")
    assert PASSWORD not in done.stderr


@each_row(
    "line",
    [
        "default_limit = 0",
        'default_limit = "5"',
        "default_limit = true",
        "default_limit = 2.5",
        "default_queue = 5",
        "connection_pool_size = 101",
        'log_level = "loud"',
        "database_url = ['x']",
        "database_url = 'nonsense'",
    ],
)
def test_a_bad_value_in_the_file_is_named(run: Run, file: Path, line: str) -> None:
    write(file, line)
    done = run("config", "show")
    assert done.exit_code == 3
    assert f"{line.split()[0]} in {file}" in done.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_limit", "0"),
        ("default_limit", "many"),
        ("connection_pool_size", "101"),
        ("log_level", "loud"),
        ("default_queue", ""),
        ("database_url", f"me:{PASSWORD}@host"),
    ],
)
def test_a_bad_value_is_not_saved(run: Run, file: Path, key: str, value: str) -> None:
    done = run("config", "set", key, value)
    assert done.exit_code == 3
    assert key in done.stderr
    assert PASSWORD not in done.stderr
    assert not file.exists()


@pytest.mark.parametrize("verb", ["get", "unset", "set"])
def test_an_unknown_key_lists_the_known_ones(run: Run, verb: str) -> None:
    done = run("config", verb, "default_limt", *(["1"] if verb == "set" else []))
    assert done.exit_code == 3
    assert "Did you mean default_limit?" in done.stderr
    assert all(name in done.stderr for name in KEYS)


def test_levels_are_read_in_any_letter_case(run: Run, file: Path) -> None:
    run("config", "set", "LOG-LEVEL", "WARN")
    assert tomllib.loads(file.read_text()) == {"log_level": "warn"}


def test_a_setting_that_is_not_set_exits_1(run: Run) -> None:
    done = run("config", "get", "default_queue")
    assert (done.exit_code, done.stdout) == (1, "")
    assert run("config", "get", "default_queue", "--format", "json").json["value"] is None
    assert run("config", "get", "connection_pool_size").stdout == "5\n"


# Secrets.


def test_passwords_are_masked_unless_they_are_asked_for(run: Run, file: Path) -> None:
    done = run("config", "set", "database_url", URL)
    assert PASSWORD not in done.stdout + done.stderr
    for words in (("show",), ("show", "--format", "json"), ("get", "database_url")):
        done = run("config", *words)
        assert PASSWORD not in done.stdout + done.stderr
        assert "me:***@db.example.org" in done.stdout
        assert PASSWORD in run("config", *words, "--show-secrets").stdout
    assert settings(run, "-u", URL)["database_url"] == ("postgresql://me:***@db.example.org/jobs", "option")


def test_a_url_can_come_from_stdin_and_stay_out_of_the_shells_history(hammerwork: Run, file: Path) -> None:
    done = hammerwork("config", "set", "database_url", "-", input=URL + "\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.stdout + done.stderr
    assert tomllib.loads(file.read_text()) == {"database_url": URL}


def test_only_the_owner_can_read_the_file(run: Run, file: Path) -> None:
    before = os.umask(0)
    try:
        run("config", "set", "database_url", URL)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        file.chmod(0o644)
        assert "chmod 600" in run("config", "show").stderr
        noted = run("queue", "list")
        assert f"{file} contains a password, and other users can read it. Run: chmod 600 {file}" in noted.stderr
        assert PASSWORD not in noted.stderr
        run("config", "set", "default_limit", "5")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "chmod" not in run("config", "show").stderr
    finally:
        os.umask(before)


# The file.

ODD = """\
# my settings
  default_limit   =   3   # not "too # many"
'log_level' = 'info' # quiet
unknown = "kept \\" # not a comment"

[other.tool]
default_limit = 99
"""


def test_comments_unknown_keys_and_tables_stay(run: Run, file: Path) -> None:
    write(file, ODD)
    assert run("config", "set", "default_limit", "8").exit_code == 0
    assert file.read_text() == ODD.replace("=   3   #", "=   8   #")
    run("config", "set", "log_level", "debug")
    assert """\n'log_level' = "debug" # quiet\n""" in file.read_text()
    run("config", "set", "default_queue", "mail")
    assert tomllib.loads(file.read_text())["default_queue"] == "mail"
    for key in ("default_limit", "log_level", "default_queue"):
        run("config", "unset", key)
    kept = tomllib.loads(file.read_text())
    assert kept == {"unknown": 'kept " # not a comment', "other": {"tool": {"default_limit": 99}}}
    shown = run("config", "show").stderr
    assert "unknown in it is not a setting" in shown


def test_a_file_without_a_last_line_end_and_one_from_windows_are_changed(run: Run, file: Path) -> None:
    write(file, "default_limit = 3")
    run("config", "set", "log_level", "warn")
    assert tomllib.loads(file.read_text()) == {"default_limit": 3, "log_level": "warn"}
    file.write_bytes(b'default_limit = 3\r\nlog_level = "warn"\r\n')
    run("config", "set", "default_limit", "4")
    assert file.read_bytes() == b'default_limit = 4\r\nlog_level = "warn"\r\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('default_queue = """\nmail"""\n', 'default_queue = "post"\n'),
        ('"default\\u005fqueue" = 1 # old\n[table]\n', '"default\\u005fqueue" = "post" # old\n[table]\n'),
        (
            'text = """\ndefault_queue = "no setting"\n"""\n[table] # mine\n',
            'text = """\ndefault_queue = "no setting"\n"""\ndefault_queue = "post"\n[table] # mine\n',
        ),
        (
            'list = [ # mine\n"a"\n,\n["default_queue =", 1]]\ndefault_queue = """\nx"""\n',
            'list = [ # mine\n"a"\n,\n["default_queue =", 1]]\ndefault_queue = "post"\n',
        ),
        (
            "a = 1\r\n# default_queue = x\r\n[b]\r\n",
            'a = 1\r\n# default_queue = x\r\ndefault_queue = "post"\r\n[b]\r\n',
        ),
    ],
)
def test_values_of_several_lines_and_text_that_looks_like_a_setting_are_understood(
    run: Run, file: Path, before: str, after: str
) -> None:
    write(file, "")
    file.write_bytes(before.encode())
    assert run("config", "set", "default_queue", "post").exit_code == 0
    # Only younger versions of tomlkit put an empty line before a table.
    assert file.read_bytes().decode().replace("\n\n", "\n") == after


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"deep = {'[' * 320}{']' * 320}\n", id="only one of the parsers reads it"),
        pytest.param("[default_queue]\n# mine\nname = 'x'\n", id="the setting is a table"),
        pytest.param("default_queue.name = 'x'\n", id="the setting is a dotted table"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_stays_unchanged(run: Run, file: Path, text: str) -> None:
    write(file, text)
    done = run("config", "set", "default_queue", "mail")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "editor" in done.stderr
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"default_limit = 5\nlog_level == 'x'\n", "line 2, column 12"),
        (b"a = 1\nb = [1, 2", "line 2, column 10"),
        (b'ok = 1\n  bad = "\xff"\n', "line 2, column 10"),
        (b"a = 1\na = 2\n", "line 2, column"),
    ],
)
@pytest.mark.parametrize("words", [("config", "show"), ("config", "set", "default_limit", "1"), ("spawn", "list")])
def test_a_malformed_file_is_an_error_that_names_the_place(
    run: Run, file: Path, content: bytes, place: str, words: tuple[str, ...]
) -> None:
    write(file, "")
    file.write_bytes(content)
    done = run(*words)
    assert (done.exit_code, done.stdout) == (3, "")
    assert str(file) in done.stderr
    assert place in done.stderr
    assert file.read_bytes() == content


def test_a_file_that_cannot_be_read_or_written_is_an_error(run: Run, file: Path) -> None:
    file.mkdir(parents=True)
    for words in (
        ("show",),
        ("set", "default_limit", "1"),
        ("unset", "default_limit"),
        ("reset", "--yes"),
        ("init", "--force"),
    ):
        done = run("config", *words)
        assert done.exit_code == 3, words
        assert str(file) in done.stderr
    assert list(file.parent.iterdir()) == [file]


def test_a_link_to_the_file_stays_a_link(run: Run, file: Path, tmp_path: Path) -> None:
    real = tmp_path / "repository.toml"
    real.write_text("default_limit = 3\n")
    file.parent.mkdir(parents=True)
    file.symlink_to(real)
    run("config", "set", "default_limit", "4")
    assert file.is_symlink()
    assert real.read_text() == "default_limit = 4\n"


def test_whoever_reads_while_it_is_written_sees_a_whole_file(file: Path) -> None:
    texts = {"#" * 70_000 + "\nA = 1\n", "#" * 70_000 + "\nB = 1\n"}
    file.parent.mkdir(parents=True)
    disk.replace(file, min(texts).encode())
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(30):
            for text in texts:
                disk.replace(file, text.encode())
        done.set()

    thread = threading.Thread(target=rewrite)
    thread.start()
    while not done.is_set():
        assert file.read_text() in texts
    thread.join()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("width", [70, 100, 180])
def test_a_terminal_shows_whole_words_and_an_address_in_one_piece(
    clean_environment: dict[str, str], width: int
) -> None:
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, width))
    environment = {**os.environ, **clean_environment, "TERM": "xterm", "HAMMERWORK_DATABASE_URL": URL, "NO_COLOR": "1"}
    with begin(["config", "show"], environment, Path.cwd(), streams={1: terminal}) as program:
        program.communicate(60)
    assert program.returncode == 0
    os.close(terminal)
    shown = everything(controller)
    assert max(map(len, shown.splitlines())) <= width
    assert {word for key in KEYS.values() for word in key.purpose.split()} <= set(shown.split())
    assert "postgresql://me:***@db.example.org/jobs" in shown


def test_another_file_can_be_named(run: Run, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "new" / "other.toml"
    env = {"HAMMERWORK_CONFIG": str(other)}
    assert run("config", "path", env=env).stdout == f"{other}\n"
    assert run("config", "path").stdout == f"{file}\n"
    assert run("config", "path", "--format", "json").json == {"path": str(file), "exists": False}
    missing = run("spawn", "list", env=env)
    assert missing.exit_code == 3
    assert "HAMMERWORK_CONFIG" in missing.stderr
    assert "hammerwork config init" in missing.stderr
    assert run("config", "set", "default_limit", "6", env=env).exit_code == 0
    assert settings(run, env=env)["default_limit"] == (6, "file")
    assert not file.exists()


COMMANDS = [
    ("spawn", "list"),
    ("job", "list"),
    ("queue", "list"),
    ("worker", "status"),
    ("migration", "status"),
    ("migration", "run"),
    ("spawn", "doctor"),
    ("spawn", "monitor", "--count", "1"),
    ("job", "enqueue", "--queue", "work", "--payload", "{}"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("content", [None, "default_limit = ["], ids=["a file that is not there", "a broken file"])
def test_every_command_tells_a_mistake_in_the_configuration_wherever_the_database_is_named(
    run: Run, tmp_path: Path, words: tuple[str, ...], content: str | None
) -> None:
    named = tmp_path / "named.toml"
    if content is not None:
        named.write_text(content)
    done = run(*words, url=f"sqlite:///{tmp_path}/jobs.db", env={"HAMMERWORK_CONFIG": str(named)})
    assert (done.exit_code, done.stdout) == (3, "")
    assert str(named) in done.stderr
    assert not (tmp_path / "jobs.db").exists()


def test_the_users_folder_can_be_elsewhere(run: Run, tmp_path: Path) -> None:
    done = run("config", "path", env={"XDG_CONFIG_HOME": str(tmp_path / "xdg")})
    assert done.stdout == f"{tmp_path}/xdg/hammerwork/config.toml\n"


@pytest.mark.parametrize("relative", ["xdg", "./xdg", "../xdg", "~/xdg"])
def test_a_relative_folder_of_the_user_is_ignored_as_the_xdg_specification_says(
    run: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "xdg" / "hammerwork" / "config.toml", "default_limit = 5")
    assert run("config", "path", env={"XDG_CONFIG_HOME": relative}).stdout == f"{file}\n"
    assert "default" in settings(run, env={"XDG_CONFIG_HOME": relative})["default_limit"]
    said = run("migration", "run", env={"XDG_DATA_HOME": relative})
    assert f"using the embedded {file.parents[2]}/.local/share/hammerwork/hammerwork.db" in said.stderr


# Making and removing it.


def test_init_writes_every_setting_as_a_comment_that_can_be_put_in_force(run: Run, file: Path) -> None:
    assert run("config", "init").stdout == f"{file}\n"
    text = file.read_text()
    assert tomllib.loads(text) == {}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(
        "".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines(keepends=True))
    )
    assert all(source == "file" for _, source in settings(run).values())


def test_a_set_value_comes_below_its_explanation(run: Run, file: Path) -> None:
    run("config", "init")
    run("config", "set", "default_limit", "7")
    assert "# default_limit = 100\ndefault_limit = 7\n" in file.read_text()
    run("config", "unset", "default_limit")
    assert file.read_text() == writing.template()


def test_init_overwrites_only_by_force(run: Run, file: Path) -> None:
    write(file, "default_limit = 3\n")
    done = run("config", "init")
    assert done.exit_code == 6
    assert "--force" in done.stderr
    assert file.read_text() == "default_limit = 3\n"
    assert run("config", "init", "--force").exit_code == 0
    assert tomllib.loads(file.read_text()) == {}


def test_reset_needs_consent(run: Run, file: Path) -> None:
    write(file, "default_limit = 3\n")
    assert run("config", "reset").exit_code == 2
    assert run("config", "reset", "--dry-run", "--yes").exit_code == 0
    assert file.exists()
    assert run("config", "reset", "--confirm").exit_code == 0
    assert not file.exists()
    assert run("config", "reset", "--yes").exit_code == 0
    assert run("config", "unset", "default_limit").exit_code == 0


# What settings do.


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        rows = Rows(database)
        for _ in range(5):
            rows.job(rows.job(spawns=True))
            rows.job(spawns=True, status="Pending")
    return url


@pytest.mark.parametrize("words", [("spawn", "list"), ("spawn", "pending"), ("job", "list")], ids=" ".join)
def test_the_limit_of_lists_can_be_set(run: Run, file: Path, url: str, words: tuple[str, ...]) -> None:
    def shown(*more: str, **env: str) -> int:
        return len(run(*words, "--format", "json", *more, url=url, env=env).json)

    assert shown() >= 5
    write(file, "default_limit = 3\n")
    assert shown() == 3
    assert shown(HAMMERWORK_DEFAULT_LIMIT="2") == 2
    assert shown("--limit", "1", HAMMERWORK_DEFAULT_LIMIT="2") == 1
    done = run(*words, url=url, env={"HAMMERWORK_DEFAULT_LIMIT": "x"})
    assert done.exit_code == 3


def test_the_queue_of_new_jobs_can_be_set(run: Run, file: Path, url: str) -> None:
    unnamed = run("job", "enqueue", "--payload", "{}", url=url)
    assert unnamed.exit_code == 2
    assert "default_queue" in unnamed.stderr
    write(file, 'default_queue = "mail"\n')
    assert run("job", "enqueue", "--payload", "{}", url=url).exit_code == 0
    assert run("job", "enqueue", "--payload", "{}", "--queue", "other", url=url).exit_code == 0
    queues = {row["queue"]: row["total"] for row in run("queue", "list", "--format", "json", url=url).json}
    assert (queues["mail"], queues["other"]) == (1, 1)


def test_the_database_can_be_set(run: Run, url: str) -> None:
    assert run("config", "set", "database_url", url).exit_code == 0
    assert len(run("spawn", "list", "--format", "json").json) == 5


def test_the_embedded_database_and_its_folder_are_private_whatever_the_umask(
    run: Run, clean_environment: dict[str, str]
) -> None:
    before = os.umask(0)
    try:
        assert run("migration", "run", "--yes").exit_code == 0
    finally:
        os.umask(before)
    file = Path(clean_environment["HOME"]) / ".local" / "share" / "hammerwork" / "hammerwork.db"
    for folder in (file.parent, file.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with contextlib.closing(connect(f"sqlite:///{file}")) as database:
        database.script("CREATE TABLE beside (number INTEGER)")
        files = sorted(file.parent.iterdir())
        assert [path.name for path in files] == ["hammerwork.db", "hammerwork.db-shm", "hammerwork.db-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

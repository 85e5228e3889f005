"""Files that commands read and write: every option that names one, whatever stands there.

A new option with a FILE, or one that takes ``@FILE``, needs an entry in ``INPUTS`` or ``OUTPUTS``.
"""

import ast
import contextlib
import gzip
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import disk
from hammerwork_cli.core.input import documents
from hammerwork_cli.core.input.documents import MOST_VALUES, json_of, toml_of
from hammerwork_cli.database import connect
from tests.commands.test_contract import NIGHTLY, leaves
from tests.forks import Fork

Run = Callable[..., Any]
PACKAGE = Path(__file__).parents[2] / "hammerwork_cli"
JOB = "4f8e0f1c-0000-4000-8000-000000000001"
MOST_MEMORY = 1 << 30
"""Bytes of address space that a command may take, whatever it reads."""
LARGEST_KEPT = 1 << 22

INPUTS = {
    ("job enqueue", "payload"): "job enqueue --queue q --payload @{}",
    ("job enqueue", "spawn_config"): "job enqueue --queue q --payload 1 --spawn-config @{}",
    ("job enqueue", "file"): "job enqueue --queue q --file {}",
    ("job import", "file"): "job import {}",
    ("batch enqueue", "file"): "batch enqueue --queue q --file {}",
    ("cron create", "payload"): "cron create --name new --queue q --schedule @daily --payload @{}",
    ("cron create", "spawn_config"): "cron create --name new --queue q --schedule @daily -j 1 --spawn-config @{}",
    ("cron update", "payload"): "cron update nightly --payload @{}",
    ("cron update", "spawn_config"): "cron update nightly --spawn-config @{}",
    ("cron trigger", "payload"): "cron trigger nightly --payload @{}",
    ("cron apply", "file"): "cron apply {}",
    ("spawn again", "spawn_config"): f"spawn again {JOB} --spawn-config @{{}}",
    ("workflow create", "file"): "workflow create --file {}",
    ("backup verify", "file"): "backup verify {}",
    ("backup restore", "file"): "backup restore -i {} --dry-run",
    ("job enqueue", "encryption_key"): "job enqueue --queue q --payload 1 --encrypt --encryption-key @{}",
    ("job import", "encryption_key"): "job import tree.jsonl --encryption-key @{}",
    ("batch enqueue", "encryption_key"): "batch enqueue --queue q --file /dev/null --encryption-key @{}",
    ("workflow create", "encryption_key"): f"workflow create --file {NIGHTLY} --encryption-key @{{}}",
    ("web serve", "encryption_key"): "web serve --port 0 --encryption-key @{}",
    ("spawn rehearse", "encryption_key"): f"spawn rehearse {JOB} --handlers empty_app:app --encryption-key @{{}}",
    ("webhook add", "secret"): "webhook add --name new --url https://example.org/ --secret @{}",
    ("webhook add", "auth_token"): "webhook add --name new --url https://example.org/ --auth-token @{}",
    ("webhook add", "api_key"): "webhook add --name new --url https://example.org/ --api-key @{}",
    ("webhook add", "basic_auth"): "webhook add --name new --url https://example.org/ --basic-auth @{}",
    ("webhook add", "header"): "webhook add --name new --url https://example.org/ --header X=@{}",
    ("webhook add", "template"): "webhook add --name new --url https://example.org/ --template @{}",
    ("webhook update", "auth_token"): "webhook update chat --auth-token @{}",
    ("webhook update", "api_key"): "webhook update chat --api-key @{}",
    ("webhook update", "basic_auth"): "webhook update chat --basic-auth @{}",
    ("webhook update", "header"): "webhook update chat --header X=@{}",
    ("webhook update", "template"): "webhook update chat --template @{}",
    ("webhook rotate-secret", "secret"): "webhook rotate-secret chat --secret @{}",
    ("webhook verify", "secret"): f"webhook verify --headers {NIGHTLY} --body {NIGHTLY} --secret @{{}}",
    ("webhook verify", "headers"): f"webhook verify --secret env:PATH --body {NIGHTLY} --headers {{}}",
    ("webhook verify", "body"): f"webhook verify --secret env:PATH --headers {NIGHTLY} --body {{}}",
    ("webhook import", "file"): "webhook import {}",
    ("worker start", "encryption_key"): "worker start --drain --handlers empty_app:app --encryption-key @{}",
}
OUTPUTS = {
    ("backup create", "output"): "backup create -o {}",
    ("job export", "output"): f"job export {JOB} --tree -o {{}}",
    ("worker start", "health_file"): "worker start --drain --handlers empty_app:app --health-file {}",
}


EMPTY_APP = """
from hammerwork_cli import Handlers
app = Handlers()

@app.job("nothing")
def nothing(job): ...
"""
BOUNDED = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))
from hammerwork_cli import disk
disk.LARGEST_KEPT = {LARGEST_KEPT}
"""
LESS = """
for read in (disk.read, disk.text):
    read.__defaults__ = (1 << 20,)
"""
"""Statements after which a command takes a mebibyte where it takes 64 otherwise. Those of stdin try the true limit."""
FEWER = 100_000
"""Values in a file, or a text, where millions would show the same."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with a parent and a schedule."""
    url = f"sqlite:///{tmp_path_factory.mktemp('files')}/jobs.db"
    for words in (
        "migration run",
        f"job enqueue --queue q --id {JOB} --payload 1",
        "cron create --name nightly --queue q --schedule @daily --payload {}",
    ):
        done = bounded(words.split(), url)
        assert done.returncode == 0, done.stderr
    return url


def bounded(
    words: list[str], url: str, *, settings: str = "", stdin: Any = None, less: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Runs a command that may take a gigabyte, and little of the disk."""
    named = {"HAMMERWORK_CONFIG": settings} if settings else {}
    environment = {**os.environ, "HAMMERWORK_DATABASE_URL": url, **named}
    with Fork(words, environment, Path.cwd(), stdin or "", BOUNDED + less) as fork:
        stdout, stderr = fork.communicate(60)
    return subprocess.CompletedProcess(words, fork.wait(), stdout, stderr)


@contextlib.contextmanager
def endless(path: Path) -> Iterator[None]:
    """A pipe that never ends, of lines each of which is a whole job."""
    os.mkfifo(path)
    piece = b'{"payload": 1}\n' * 100_000

    def fill() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            while True:
                pipe.write(piece)

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    yield
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))  # whoever waits for a reader has one
    thread.join(10)


def stored(url: str) -> int:
    with contextlib.closing(connect(url)) as database:
        return int(database.query("SELECT COUNT(*) FROM hammerwork_jobs")[0][0])


def test_every_option_with_a_file_is_tested_here() -> None:
    found = {
        (path, option.name)
        for path, command in leaves().items()
        for option in command.params
        if (option.metavar or "").strip("[]") == "FILE" or "@FILE" in (getattr(option, "help", None) or "")
    }
    assert found == INPUTS.keys() | OUTPUTS.keys()


@pytest.mark.parametrize("where", INPUTS, ids=" ".join)
def test_an_endless_file_is_refused_before_it_fills_memory_or_disk(
    where: tuple[str, str], filled: str, tmp_path: Path
) -> None:
    jobs = stored(filled)
    pipe = tmp_path / "pipe.toml" if where[0] == "cron apply" else tmp_path / "pipe"
    with endless(pipe):
        # An endless line is something else than endless lines where lines are read, not where the whole is.
        for path in ("/dev/zero", str(pipe)) if where[1] == "file" else (str(pipe),):
            done = bounded(INPUTS[where].format(path).split(), filled, less=LESS)
            assert 1 <= done.returncode <= 6, done.stderr
            assert "Traceback" not in done.stderr
            assert "bytes" in done.stdout + done.stderr, done.stderr
    assert stored(filled) == jobs


@pytest.mark.parametrize("words", ["job enqueue -q q --payload -", "job enqueue -q q --file -", "backup verify -"])
def test_an_endless_stdin_is_refused(words: str, filled: str, tmp_path: Path) -> None:
    with endless(tmp_path / "pipe"), (tmp_path / "pipe").open("rb") as stdin:
        done = bounded(words.split(), filled, stdin=stdin)
    assert done.returncode == 2, done.stderr
    assert "stdin cannot be read: it has more than" in done.stderr


def test_an_answer_without_an_end_is_no_answer(filled: str) -> None:
    with Path("/dev/zero").open("rb") as stdin:
        done = bounded(["config", "set", "database_url", "-"], filled, stdin=stdin)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_settings_and_certificates_without_an_end_are_refused(filled: str) -> None:
    for words in ("config show", "config set default_limit 3", "config init --force", "config reset --yes"):
        done = bounded(words.split(), filled, settings="/dev/zero")
        assert done.returncode == 3, done.stderr
        assert "/dev/zero" in done.stderr
    for option in ("sslrootcert", "sslcert"):
        done = bounded(["job", "list"], f"postgresql://localhost/x?sslmode=verify-full&{option}=/dev/zero")
        assert done.returncode == 3, done.stderr
        assert "is not a regular file" in done.stderr


@pytest.mark.parametrize(
    ("words", "most"), [("backup verify {}", MOST_VALUES), ("backup restore -i {}", FEWER), ("job import {}", FEWER)]
)
def test_a_small_file_that_unpacks_to_many_values_is_refused(
    words: str, most: int, filled: str, tmp_path: Path
) -> None:
    header = b'{"format": "hammerwork-backup", "version": 1, "kind": "tree"}\n'
    path = tmp_path / "small.gz"
    path.write_bytes(gzip.compress(header + b'{"jobs": {"payload": [' + b"[]," * (most * 5 // 4) + b"[]]}}\n", 1))
    assert path.stat().st_size < 1_000_000
    less = f"from hammerwork_cli.core.input import documents; documents.MOST_VALUES = {most}\n"
    done = bounded(words.format(path).split(), filled, less=less)
    assert done.returncode in {1, 3}, done.stderr
    assert f"Line 2 has more than {most:,} values" in done.stdout + done.stderr


# Outputs.


@pytest.fixture
def answers(hammerwork: Callable[..., Any], filled: str, tmp_path: Path) -> Callable[[str], Any]:
    """Runs a command of OUTPUTS."""
    (tmp_path / "empty_app.py").write_text(EMPTY_APP)
    return lambda words: hammerwork(*words.split(), url=filled)


@pytest.mark.parametrize("where", OUTPUTS, ids=" ".join)
def test_a_pipe_or_a_device_is_written_through_or_refused_and_never_replaced(
    where: tuple[str, str], answers: Callable[[str], Any], tmp_path: Path
) -> None:
    null = tmp_path / "null"
    if os.geteuid() == 0:
        os.mknod(null, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        null.symlink_to("/dev/null")
    pipe, folder, socket_ = tmp_path / "pipe", tmp_path / "folder", tmp_path / "socket"
    os.mkfifo(pipe)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(socket_))
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
        reader.start()
        for target in (null, pipe, folder, socket_):
            before = target.lstat()
            done = answers(OUTPUTS[where].format(target))
            passes = target.name in {"null", "pipe"} and where[0] != "worker start"
            assert done.exit_code in ({0} if passes else {2, 74}), done.stderr
            assert "Traceback" not in done.stderr
            assert (target.lstat().st_ino, target.lstat().st_mode) == (before.st_ino, before.st_mode)
    if where[0] != "worker start":
        reader.join(10)
        assert b"sha256" in read[0]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("where", OUTPUTS, ids=" ".join)
def test_a_link_stays_a_link_and_its_file_is_replaced(
    where: tuple[str, str], answers: Callable[[str], Any], tmp_path: Path
) -> None:
    real = tmp_path / "other" / "real"
    real.parent.mkdir()
    link = tmp_path / "link"
    link.symlink_to("other/real")  # of a file that does not exist yet, then of one that does
    for text in ("", "old"):
        if text:
            real.write_text(text)
        done = answers(OUTPUTS[where].format(link))
        assert done.exit_code == 0, done.stderr
        assert link.is_symlink()
        assert where[0] == "worker start" or "sha256" in real.read_text()
        assert [path.name for path in real.parent.iterdir()] == ["real"][: where[0] != "worker start"]


@pytest.mark.parametrize("where", [one for one in OUTPUTS if one[0] != "worker start"], ids=" ".join)
def test_dev_stdout_is_stdout_even_where_that_is_a_file(
    where: tuple[str, str], clean_environment: dict[str, str], filled: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("before\n")
    with kept.open("ab") as stdout:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hammerwork_cli", *OUTPUTS[where].format("/dev/stdout").split()],
            env={**clean_environment, "HAMMERWORK_DATABASE_URL": filled, "PYTHONPATH": str(PACKAGE.parent)},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        stdout.write(b"after\n")
    assert done.returncode == 0, done.stderr
    first, *lines, last = kept.read_text().splitlines()
    assert (first, last) == ("before", "after")
    assert "sha256" in lines[-1]


HALF = """
import sys, time
from hammerwork_cli.app import main
from hammerwork_cli.features.backup.queries.files import BackupWriter

def end(self):
    self._stream.flush()
    print("half", flush=True)
    time.sleep(60)

BackupWriter.end = end
main(sys.argv[1:])
"""


def test_a_kill_in_the_middle_does_not_stop_the_next_one_whose_process_id_is_the_same(
    clean_environment: dict[str, str], filled: str, tmp_path: Path
) -> None:
    """All files are written by one module, as the last test here says."""
    where = ("backup create", "output")
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "jobs").write_text("an older one")
    (folder / ".jobs.other.part").write_text("somebody's own")
    words = OUTPUTS[where].format(folder / "jobs").split()
    environment = {**clean_environment, "HAMMERWORK_DATABASE_URL": filled, "PYTHONPATH": str(PACKAGE.parent)}
    container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode:
        container = []  # another process id, then
    for _ in range(2):
        command = [*container, sys.executable, "-P", "-c", HALF, *words]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout is not None
            assert killed.stdout.readline() == "half\n"
            assert len(list(folder.glob(".jobs.*.part"))) == 2  # the one before is gone
            killed.send_signal(signal.SIGKILL)
        assert (folder / "jobs").read_text() == "an older one"
    # One that is being written meanwhile stays.
    with disk.written(folder / "jobs") as stream:
        command = [*container, sys.executable, "-P", "-m", "hammerwork_cli", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "sha256" in (folder / "jobs").read_text()
        stream.write(b"the last one")
    assert (folder / "jobs").read_text() == "the last one"
    assert sorted(path.name for path in folder.iterdir()) == [".jobs.other.part", "jobs"]
    assert stat.S_IMODE((folder / "jobs").stat().st_mode) == 0o600


# Settings: read, changed and written under a lock.

AT_ONCE = 4


@pytest.mark.parametrize("place", ["file", "link", "missing folder"])
def test_whoever_changes_settings_at_once_loses_none(
    place: str, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    if place == "link":
        (tmp_path / "real.toml").write_text("default_limit = 3\n")
        file.symlink_to("real.toml")
    elif place == "missing folder":
        file = tmp_path / "new" / "folder" / "settings.toml"
    environment = {**clean_environment, "HAMMERWORK_CONFIG": str(file)}
    settings = [
        ("config", "set", f"profiles.p{number}.url", f"sqlite:////srv/{number}.db") for number in range(AT_ONCE)
    ]
    waiting, begin = os.pipe()
    with contextlib.ExitStack() as ending:
        with open(waiting, "rb", buffering=0) as stdin:  # noqa: PTH123  a descriptor
            forks = [Fork(words, environment, tmp_path, stdin, "import os; os.read(0, 1)") for words in settings]
        for fork in forks:
            ending.enter_context(fork)
        os.write(begin, b"x" * AT_ONCE)  # everybody begins at once
        os.close(begin)
        for fork in forks:
            said = fork.communicate(60)[1]
            assert fork.wait() == 0, said
    profiles = tomllib.loads(file.read_text())["profiles"]
    assert profiles == {f"p{number}": {"url": f"sqlite:////srv/{number}.db"} for number in range(AT_ONCE)}
    assert file.is_symlink() == (place == "link")
    assert not list(file.parent.glob(".*"))


def test_a_change_of_settings_waits_for_another_one_and_gives_up_in_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.1)
    with disk.locked(file):
        for words in ("set default_limit 3", "init"):
            done = run("config", *words.split(), env={"HAMMERWORK_CONFIG": str(file)})
            assert done.exit_code == 3
            assert "another process is changing it" in done.stderr
    assert run("config", "init", env={"HAMMERWORK_CONFIG": str(file)}).exit_code == 0
    assert [path.name for path in tmp_path.glob("*settings*")] == ["settings.toml"]


# JSON and TOML.


def test_a_key_twice_and_an_infinity_are_refused_wherever_json_comes_in(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    url = new_database("sqlite", migrated=True)
    assert run("job", "enqueue", "-q", "q", "--id", JOB, "-j", "1", url=url).exit_code == 0
    assert (
        run("cron", "create", "--name", "nightly", "-q", "q", "--schedule", "@daily", "-j", "{}", url=url).exit_code
        == 0
    )
    texts = {
        "job enqueue": {"file": '{{"payload": {}}}'},
        "batch enqueue": {"file": '{{"payload": {}}}'},
        "cron apply": {"file": '{{"new": {{"schedule": "@daily", "payload": {}}}}}'},
        "workflow create": {"file": '{{"name": "w", "jobs": {{"a": {{"payload": {}}}}}}}'},
        "job import": {"file": '{{"format": "hammerwork-backup", "version": 1, "x": {}}}'},
        "backup verify": {"file": '{{"format": "hammerwork-backup", "version": 1, "x": {}}}'},
        "backup restore": {"file": '{{"format": "hammerwork-backup", "version": 1, "x": {}}}'},
    }
    file = tmp_path / "input.json"
    for (path, option), words in INPUTS.items():
        if option in {
            "encryption_key",
            "secret",
            "auth_token",
            "api_key",
            "basic_auth",
            "header",
            "headers",
            "body",
        }:  # which are no JSON of ours
            continue
        form = texts.get(path, {}).get(option, "{}")
        for value, said in (
            ('{"a": 1, "b": {"key": 1, "key": 2}}', "has the key 'key' twice in one object"),
            ('{"a": [1e999]}', "has a number that is too large: 1e999"),
            ('{"a": NaN}', "JSON"),
        ):
            file.write_text(form.format(value) + "\n")
            done = run(*words.format(file).split(), url=url)
            assert done.exit_code != 0, (path, option, value)
            assert said in done.stdout + done.stderr, (path, option, done.stderr)
    for words in (
        ("job", "enqueue", "-q", "q", "--payload", '{"a": 1, "a": 2}'),
        ("job", "enqueue", "-q", "q", "--payload", "1", "--on-complete", '{"queue": "x", "queue": "y"}'),
        ("workflow", "create", "--name", "w", "--metadata", '{"a": 1, "a": 2}'),
    ):
        assert "twice in one object" in run(*words, url=url).stderr
    assert len(run("job", "list", "--format", "json", url=url).json) == 1


def test_commas_within_texts_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_VALUES", FEWER)
    text = "," * FEWER
    assert json_of(json.dumps({"a": text, "b": '\\"[' * 10}))["a"] == text
    assert toml_of(f"a = {json.dumps(text)}\n")["a"] == text
    for document, read in (("[" + "1," * FEWER + "1]", json_of), ("a = [" + "1," * FEWER + "]", toml_of)):
        with pytest.raises(ValueError, match="more than 100,000 values"):
            read(document)


DOORS = (
    "features/*/commands*",
    "features/*/endpoints*",
    "features/*/options.py",
    "features/job/lines.py",
    "features/workflow/model.py",
    "features/backup/queries/files.py",
    "features/job/queries/enqueue_lines.py",
    "web",
    "cli",
    "config",
)
"""Where text of users comes in. Elsewhere, the program reads what it or a database has stored."""
OF_SETTINGS = {"config/__init__.py", "config/writing.py", "cli/shell_completion.py"}
"""They read the file of settings, of a megabyte at most. TOML knows no key twice."""
OF_STORED_PAYLOADS = {"features/cron/options.py", "features/workflow/model.py"}
PARSERS = {"loads", "load", "JSONDecoder", "raw_decode"}


@cache
def nodes_of(module: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(module.read_text())))


def test_where_text_comes_in_one_module_reads_json_and_toml() -> None:
    found = set()
    for place in (place for door in DOORS for place in PACKAGE.glob(door)):
        for module in [place] if place.is_file() else place.rglob("*.py"):
            nodes = nodes_of(module)
            used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            imported = {name.name for node in nodes if isinstance(node, ast.ImportFrom) for name in node.names}
            if (used | (imported - {"load"})) & PARSERS:
                found.add(str(module.relative_to(PACKAGE)))
    assert found == OF_SETTINGS | OF_STORED_PAYLOADS


OF_OTHER_FILES = {
    "app.py": "a terminal that is closed",
    "cli/verb.py": "a help, which is no file",
    "cli/shell_completion.py": "the file of settings, of a megabyte at most, as fast as possible",
    "features/completion/commands.py": "scripts of this package",
    "database/drivers/sqlite_holders.py": "/proc",
    "database/migration_files.py": "statements of this package",
    "database/statements/__init__.py": "statements of this package",
    "database/statements/__main__.py": "statements of this package",
    "runtime/host/memory.py": "/proc",
    "runtime/isolation/guard.py": "/proc",
}


def test_one_module_reads_and_writes_the_files_of_users() -> None:
    found = set()
    words = ("open", "_text", "_bytes", "stdin")
    for module in (path for path in PACKAGE.rglob("*.py") if any(word in path.read_text() for word in words)):
        for node in nodes_of(module):
            match node:
                case (
                    ast.Call(func=ast.Name(id="open"))
                    | ast.Attribute(attr="read_text" | "read_bytes" | "write_text" | "write_bytes")
                ):
                    found.add(str(module.relative_to(PACKAGE)))
                case ast.Attribute(attr="read" | "readline" | "readlines", value=value) if "stdin" in ast.unparse(
                    value
                ):
                    found.add(str(module.relative_to(PACKAGE)))
    assert found - {"disk.py"} == OF_OTHER_FILES.keys()

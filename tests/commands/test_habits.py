"""What scripts and people expect who know the command line of hammerwork (Rust) 3."""

import contextlib
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.worker.queries import registry
from tests.commands.test_contract import LEAVES
from tests.commands.test_rust_options import calls
from tests.conftest import EACH_DIALECT, all_databases
from tests.jobs import execute, identity, job, rows, statuses, write
from tests.rows import Rows
from tests.rust3 import outcomes

Run = Callable[..., Any]
SECRET = "aGVsbG8gd29ybGQ"


def running(number: int, ago: timedelta, **fields: Any) -> Any:
    started = datetime.now(UTC) - ago
    return job(number, JobStatus.RUNNING, started_at=started, attempts=1, **fields)


def register(url: str, number: int, queue: str) -> None:
    with contextlib.closing(connect(url)) as database:
        one = registry.Registration(identity(number), f"w-{number}", "here", 1, "1", (queue,), (), 8, 30.0)
        registry.register(database, one)


@all_databases
def test_requeue_stale_rescues_what_has_run_for_longer_than_it_says_and_nothing_else(
    run: Run, migrated_url: str
) -> None:
    write(
        migrated_url,
        running(1, timedelta(hours=3)),
        running(2, timedelta(minutes=30)),
        running(3, timedelta(hours=3), queue="other"),
        job(4, JobStatus.FAILED),
        job(5, depends_on=(identity(4),), dependency_status="waiting"),
    )
    execute(migrated_url, f"UPDATE hammerwork_jobs SET attempts = 3 WHERE id = '{identity(3)}'")
    before = statuses(migrated_url)
    plan = run("job", "requeue-stale", "--dry-run", url=migrated_url)
    assert "hammerwork" in plan.stdout
    assert "job requeue-stale --older-than-secs 3600" in plan.stdout
    assert statuses(migrated_url) == before
    assert run("job", "requeue-stale", url=migrated_url).exit_code == 2
    assert run("job", "requeue-stale", "-n", "mail", "--yes", url=migrated_url).exit_code == 0
    assert statuses(migrated_url) == before | {1: "Pending"}
    assert run("job", "requeue-stale", "--older-than-secs", "60", "--yes", url=migrated_url).exit_code == 0
    assert statuses(migrated_url) == before | {1: "Pending", 2: "Pending", 3: "Dead"}


def lease(url: str, leases: dict[int, tuple[timedelta, timedelta]]) -> None:
    """Gives jobs leases: time since the last heartbeat, and time to the end of the lease, as version 3 writes them."""
    with contextlib.closing(connect(url)) as database:
        outcomes.use(database)
        now, rows, place = database.now(), Rows(database), database.placeholder
        for number, (heard, until) in leases.items():
            rows.run(
                f"UPDATE hammerwork_jobs SET last_heartbeat_at = {place}, lease_expires_at = {place} "
                f"WHERE id = {place}",
                [rows.adapted(now - heard), rows.adapted(now + until), identity(number)],
            )


def test_requeue_stale_goes_by_leases_before_it_goes_by_times(run: Run, migrated_url: str) -> None:
    write(migrated_url, running(1, timedelta(hours=3)), running(2, timedelta(minutes=9)))
    held = (timedelta(minutes=1), timedelta(minutes=4))
    over = (timedelta(minutes=6), timedelta(minutes=-1))
    lease(migrated_url, {1: held, 2: over})
    assert run("job", "requeue-stale", "--yes", url=migrated_url).exit_code == 0
    assert statuses(migrated_url) == {1: "Running", 2: "Pending"}


@all_databases
def test_worker_status_lists_running_jobs_of_any_worker_with_their_leases(run: Run, migrated_url: str) -> None:
    register(migrated_url, 20, "mail")
    register(migrated_url, 21, "other")
    write(
        migrated_url,
        running(1, timedelta(minutes=3)),
        running(2, timedelta(minutes=2)),
        running(3, timedelta(minutes=1), queue="other"),
        job(4),
    )
    execute(migrated_url, f"UPDATE hammerwork_jobs SET claimed_by = '{identity(20)}' WHERE id = '{identity(2)}'")

    def leases(*words: str) -> list[tuple[int, str | None, str]]:
        found = run("worker", "status", "--jobs", *words, "--format", "json", url=migrated_url).json
        return [(int(one["id"][:8], 16), one["worker"], one["lease"]) for one in found]

    assert leases() == [(1, None, "none"), (2, "w-20", "active"), (3, None, "none")]
    assert leases("--queue", "other") == [(3, None, "none")]
    assert leases("w-20") == [(2, "w-20", "active")]
    text = run("worker", "status", "--jobs", "-Q", "mail", url=migrated_url).stdout
    assert "not registered" in text
    assert "w-20" in text


def test_worker_status_keeps_to_the_workers_of_a_queue(run: Run, lite_url: str) -> None:
    register(lite_url, 20, "mail")
    register(lite_url, 21, "other")
    found = run("worker", "status", "--queue", "mail", "--format", "json", url=lite_url).json
    assert [one["name"] for one in found] == ["w-20"]
    told = run("worker", "status", "--queue", "nobody", url=lite_url).stderr
    assert "serves these queues. Rust workers do not register" in told
    assert "worker status --jobs" in told


@pytest.mark.parametrize("option", ["--progress-every", "--batch-size"])
def test_a_batch_says_how_far_it_has_read(run: Run, lite_url: str, tmp_path: Path, option: str) -> None:
    (lines := tmp_path / "lines.jsonl").write_text('{"payload": {}}\n' * 5)
    done = run("batch", "enqueue", "-f", str(lines), "-n", "mail", option, "2", url=lite_url)
    assert "Read 2 jobs.\nRead 4 jobs.\n" in done.stderr
    assert run("batch", "enqueue", "-f", str(lines), "-n", "mail", option, "0", url=lite_url).exit_code == 2
    assert len(rows(lite_url)) == 5


def test_a_command_gives_up_a_server_that_does_not_answer_when_the_setting_says(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"mysql://me@127.0.0.1:{door.getsockname()[1]}/jobs"
        began = time.monotonic()
        done = run("job", "list", url=url, env={"HAMMERWORK_CONNECT_TIMEOUT": "1"})
        assert done.exit_code == 4
        assert time.monotonic() - began < 8
    assert run("job", "list", url=url, env={"HAMMERWORK_CONNECT_TIMEOUT": "601"}).exit_code == 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / ".config" / "hammerwork"
    folder.mkdir(parents=True)
    return folder / "config.toml"


def test_settings_variables_and_files_of_version_3_are_named_and_their_secrets_are_not(run: Run, file: Path) -> None:
    file.write_text(f'connect_timeout_secs = 30\nencryption_config = "{SECRET}"\n')
    (webhooks := file.with_name("webhooks.json")).write_text(f'[{{"secret": "{SECRET}"}}]')
    webhooks.chmod(0o600)
    variables = {
        "HAMMERWORK_ENCRYPTION_CONFIG": SECRET,
        "HAMMERWORK_ENCRYPTION_KEY": SECRET,  # it is read
        "HAMMERWORK_ENCRYPTION_ENCRYPTED_QUEUES": SECRET,
        "HAMMERWORK_ENCRYPTION_ALGORITHM": "",
        "RUST_LOG": "debug",
    }
    done = run("config", "show", env=variables)
    assert "connect_timeout_secs" in done.stdout
    for name in ("encryption_config", "HAMMERWORK_ENCRYPTION_CONFIG", "ENCRYPTED_QUEUES", "RUST_LOG"):
        (line,) = [line for line in done.stderr.splitlines() if name in line]
        assert "Use: " in line
    assert "HAMMERWORK_ENCRYPTION_ALGORITHM" not in done.stderr
    assert str(webhooks) in done.stderr
    assert "chmod" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    webhooks.chmod(0o644)
    assert f"chmod 600 {webhooks}" in run("config", "show").stderr
    (other := file.with_name("hooks.json")).write_text("[]")
    assert str(other) in run("config", "show", env={"HAMMERWORK_WEBHOOKS_FILE": str(other)}).stderr


def test_a_malformed_configuration_file_is_an_error(run: Run, file: Path, sqlite_url: str) -> None:
    file.write_text("database_url = \n")
    done = run("job", "list", url=sqlite_url)
    assert done.exit_code == 3
    assert "line 1" in done.stderr


def test_the_table_of_options_has_what_is_new_in_version_3() -> None:
    new = {" ".join(call.words.split()[:2]) for call in calls() if call.version == "3"}
    assert new >= {"job requeue-stale", "worker status", "encryption audit", "workflow create", "config set"}


@pytest.mark.parametrize("dialect", EACH_DIALECT[:2])
def test_no_job_that_we_write_has_a_null_where_version_3_wants_a_dependency_status(
    run: Run, migrated_url: str, tmp_path: Path
) -> None:
    def ask(*words: str) -> str:
        done = run(*words, url=migrated_url)
        assert done.exit_code == 0, done
        return str(done.stdout.strip())

    (lines := tmp_path / "lines.jsonl").write_text('{"payload": {}}\n' * 2)
    (flow := tmp_path / "flow.toml").write_text('name = "night"\n[jobs.a]\n[jobs.b]\nafter = ["a"]\n')
    tree = tmp_path / "tree.jsonl"
    first = ask("job", "enqueue", "-n", "mail", "-j", "{}")
    ask("job", "enqueue", "-n", "mail", "-j", "{}", "--depends-on", first, "--on-complete", "report")
    ask("job", "enqueue", "-n", "mail", "--file", str(lines))
    ask("batch", "enqueue", "-f", str(lines), "-n", "mail", "--on-complete", "report")
    ask("workflow", "create", "--jobs-file", str(flow))
    ask("cron", "create", "--name", "nightly", "-n", "mail", "-j", "{}", "-s", "@daily")
    ask("cron", "trigger", "nightly")
    ask("job", "export", first, "--tree", "-o", str(tree))
    ask("job", "import", str(tree), "--new-ids")
    write(migrated_url, job(1, JobStatus.COMPLETED), job(2, JobStatus.DEAD))
    ask("archive", "run", "--older-than", "1m", "--by", "job", "--yes")
    execute(migrated_url, "UPDATE hammerwork_jobs_archive SET dependency_status = NULL")
    ask("archive", "restore", identity(1), "--as-was")
    ask("archive", "restore", identity(2))
    write(migrated_url, job(3), job(4, JobStatus.DEAD), running(5, timedelta(hours=2)))
    execute(migrated_url, f"UPDATE hammerwork_jobs SET dependency_status = NULL WHERE id = '{identity(4)}'")
    ask("job", "cancel", identity(3))
    ask("job", "retry", identity(3))
    ask("job", "retry", identity(4))
    ask("job", "requeue-stale", "--yes")
    assert rows(migrated_url, "id", "dependency_status IS NULL") == []
    # The doctor mends a job that another program wrote so.
    execute(migrated_url, f"UPDATE hammerwork_jobs SET dependency_status = NULL WHERE id = '{first}'")
    assert run("spawn", "doctor", "--fix", "--yes", url=migrated_url).exit_code == 0
    assert rows(migrated_url, "id", "dependency_status IS NULL") == []


@pytest.mark.parametrize(
    "text", ['[\n {"queue": "mail"}]', '{"jobs": [{"queue": "mail"}]}', "[[jobs]]\nqueue = 'mail'\n"]
)
def test_jobs_in_a_list_are_refused_with_the_form_that_they_have_here(
    run: Run, sqlite_url: str, tmp_path: Path, text: str
) -> None:
    (file := tmp_path / "jobs").write_text(text)
    done = run("workflow", "create", "-n", "nightly", "--jobs-file", str(file), url=sqlite_url)
    assert done.exit_code == 2
    assert "not a list" in done.stderr
    assert "[jobs.load]" in done.stderr


def test_the_lease_of_a_job_of_version_3_is_that_of_its_run(run: Run, migrated_url: str) -> None:
    write(migrated_url, *(running(number, timedelta(minutes=10 - number)) for number in range(1, 5)))
    held, over = timedelta(minutes=4), timedelta(minutes=-1)
    earlier_run = timedelta(minutes=30)
    leases = {1: (timedelta(seconds=20), held), 2: (timedelta(minutes=6), over), 3: (earlier_run, held)}
    lease(migrated_url, leases)
    found = run("worker", "status", "--jobs", "--format", "json", url=migrated_url).json
    assert [one["lease"] for one in found] == ["active", "expired", "none", "none"]
    assert 20 <= (datetime.now(UTC) - datetime.fromisoformat(found[0]["heartbeat_at"])).total_seconds() < 60
    assert "20" in run("worker", "status", "--jobs", url=migrated_url).stdout


def test_each_verb_with_a_queue_takes_the_short_names_of_both_versions(run: Run) -> None:
    for path, verb in LEAVES.items():
        if any("--queue" in param.opts for param in verb.params):
            for name in ("-n", "-Q", "--queue-name"):
                refused = run(*path.split(), name)
                assert (refused.exit_code, f"Option '{name}' requires an argument" in refused.stderr) == (2, True), path

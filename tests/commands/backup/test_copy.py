"""``backup copy``, between all databases."""

import contextlib
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.database import connect
from hammerwork_cli.features.backup.queries.restoring import orphans
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.webhook import queries as webhooks
from tests.commands.backup.test_backup import marked, worker
from tests.conftest import Outcome
from tests.jobs import execute, identity, job, statuses, write
from tests.rows import Rows
from tests.whole_tree import CHILD, ROOT, fill, records

Run = Callable[..., Outcome]
DIRECTIONS = [("sqlite", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite")]


def copied(run: Run, source: str, target: str, *options: str) -> Outcome:
    return run("backup", "copy", "--to", target, "--yes", *options, url=source)


def paused(run: Run, url: str) -> None:
    assert run("queue", "pause", "--all", "--yes", url=url).exit_code == 0


@pytest.mark.parametrize(("source", "target"), [marked(*pair) for pair in DIRECTIONS])
def test_a_database_is_copied_and_compared_with_its_copy(
    run: Run, new_database: Callable[..., str], source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    fill(old)
    paused(run, old)
    outcome = copied(run, old, new)
    assert outcome.exit_code == 0, outcome.stderr
    assert "The databases have the same records." in outcome.stdout
    assert "queue resume --all" in outcome.stdout
    ours, theirs = records(old), records(new)
    assert [len(found.pop("pauses")) for found in (ours, theirs)] == [5, 5]  # MySQL has their times in seconds
    assert theirs == ours
    assert {one["queue"] for one in run("queue", "paused", "--format", "json", url=new).json} >= {"video", "join"}


@pytest.fixture
def pair(migrated_url: str, new_database: Callable[..., str]) -> tuple[str, str]:
    """A database with jobs, and an empty one."""
    fill(migrated_url)
    return migrated_url, new_database("sqlite", migrated=True)


def test_a_source_that_may_change_is_refused_with_the_command_to_type(run: Run, pair: tuple[str, str]) -> None:
    source, target = pair
    refused = copied(run, source, target)
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "hammerwork queue pause --all --yes" in refused.stderr
    write(source, job(1, JobStatus.RUNNING))
    paused(run, source)
    refused = copied(run, source, target)
    assert refused.exit_code == 6
    assert "1 job of the source is Running" in refused.stderr
    assert "hammerwork spawn doctor --older-than 1h --fix" in refused.stderr
    worker(source)
    refused = copied(run, source, target)
    assert refused.exit_code == 6
    assert "worker stop --all" in refused.stderr
    assert records(target)["jobs"] == []
    assert copied(run, source, target, "--force").exit_code == 0
    assert statuses(target)[1] == "Running"


def test_every_next_step_in_the_target_names_the_target(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    new, empty = f"sqlite:///{tmp_path}/new.db", f"sqlite:///{tmp_path}/empty.db"
    (tmp_path / "empty.db").touch()
    for named in ((), ("-u", source)):
        assert f"hammerwork -u {new} migration run" in run("backup", "copy", "--to", new, *named, url=source).stderr
        assert f"hammerwork -u {empty} migration run" in run("backup", "copy", "--to", empty, *named, url=source).stderr
    assert "hammerwork -u" not in copied(run, source, target).stderr
    paused(run, source)
    assert f"hammerwork -u {target} queue resume --all" in copied(run, source, target).stdout


def test_a_target_with_records_is_refused_unless_they_may_stay(run: Run, pair: tuple[str, str]) -> None:
    source, target = pair
    write(target, job(7))
    refused = copied(run, source, target, "--force")
    assert refused.exit_code == 6
    assert "hammerwork_jobs with rows" in refused.stderr
    assert copied(run, source, target, "--force", "--merge").exit_code == 0
    assert 7 in statuses(target)
    again = copied(run, source, target, "--force", "--merge", "--format", "json")
    assert (again.exit_code, again.json["written"], again.json["equal"]) == (0, 0, True)


def test_a_target_with_workers_or_without_tables_is_refused(run: Run, pair: tuple[str, str], sqlite_url: str) -> None:
    source, target = pair
    worker(target)
    assert copied(run, source, target, "--force").exit_code == 6
    assert records(target)["jobs"] == []
    with contextlib.closing(connect(sqlite_url)):
        pass
    assert copied(run, source, sqlite_url, "--force").exit_code == 4
    assert copied(run, source, source, "--force").exit_code == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (f"UPDATE hammerwork_jobs SET payload = '{{}}' WHERE id = '{ROOT}'", {"different": {"jobs": 1}}),
        (f"UPDATE hammerwork_jobs SET trace_id = NULL WHERE id = '{CHILD}'", {"different": {"jobs": 1}}),
        (f"DELETE FROM hammerwork_jobs WHERE id = '{CHILD}'", {"missing": {"jobs": 1}}),
        ("DELETE FROM hammerwork_spawned_children", {"missing": {"children": 1}}),
        ("UPDATE hammerwork_jobs_archive SET payload = X'00'", {"different": {"archive": 1}}),
        (None, {"more": {"jobs": 1}}),
    ],
)
def test_a_difference_is_found_and_named(
    run: Run, pair: tuple[str, str], change: str | None, expected: dict[str, Any]
) -> None:
    source, target = pair
    assert copied(run, source, target, "--force").exit_code == 0
    if change:
        execute(target, change)
    else:
        write(target, job(7))
    outcome = copied(run, source, target, "--verify-only", "--format", "json")
    assert (outcome.exit_code, outcome.json["equal"]) == (1, False)
    assert {key: outcome.json[key] for key in ("missing", "different", "more") if outcome.json[key]} == expected
    text = copied(run, source, target, "--verify-only")
    assert text.exit_code == 1
    assert ("Only in the copy" in text.stdout) == ("more" in expected)


def test_a_dry_run_checks_the_values_and_writes_nothing(run: Run, pair: tuple[str, str]) -> None:
    source, target = pair
    plan = copied(run, source, target, "--force", "--dry-run", "--format", "json")
    assert (plan.exit_code, plan.json["dry_run"], plan.json["equal"]) == (0, True, None)
    assert "video: 1 completed" in copied(run, source, target, "--force", "--dry-run").stdout
    assert records(target)["jobs"] == []
    asked = run("backup", "copy", "--to", target, "--force", url=source)
    assert asked.exit_code == 2


@pytest.mark.postgres
def test_values_that_the_target_cannot_store_are_named_before_anything_is_written(
    run: Run, new_database: Callable[..., str]
) -> None:
    old, new = new_database("sqlite", migrated=True), new_database("postgres", migrated=True)
    with contextlib.closing(connect(old)) as database:
        made = Rows(database)
        made.job(id=identity(1))
        made.job(id=identity(2), payload={"nul": "\0"})
    outcome = copied(run, old, new, "--force")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "PostgreSQL cannot store the character NUL" in outcome.stderr
    assert statuses(new) == {}


@pytest.mark.mysql
def test_years_that_mysql_does_not_have_are_named(run: Run, new_database: Callable[..., str]) -> None:
    old, new = new_database("sqlite", migrated=True), new_database("mysql", migrated=True)
    with contextlib.closing(connect(old)) as database:
        Rows(database).job(id=identity(1), scheduled_at="2300-01-01T00:00:00.000000Z")
    outcome = copied(run, old, new, "--force")
    assert outcome.exit_code == 2
    assert "cannot store 2300-01-01" in outcome.stderr


def test_the_target_may_be_a_profile_and_a_protected_one_asks(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    source, target = pair
    file = tmp_path / "config.toml"
    file.write_text(f'[profiles.home]\nurl = "{target}"\nprotected = true\n')
    file.chmod(0o600)
    words = ("backup", "copy", "--to", "@home", "--yes", "--force")
    refused = run(*words, url=source, env={"HAMMERWORK_CONFIG": str(file)})
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert records(target)["jobs"] == []
    done = run(*words, "--confirm-profile", "home", url=source, env={"HAMMERWORK_CONFIG": str(file)})
    assert done.exit_code == 0, done.stderr
    assert len(records(target)["jobs"]) == 3


@pytest.mark.parametrize(("source", "target"), [marked("sqlite", "postgres"), marked("mysql", "postgres")])
def test_numbers_are_compared_by_their_values(
    run: Run, new_database: Callable[..., str], source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    numbers = "[1e20, 123456789012345678e3, -0.0, 0e5, 1.50, 1E-7, 12345678901234567890, 0.1, 3.0]"
    payloads = ["1e20", "-0.0", numbers, '{"a": {"b": [1e300]}}'] + ["1e400"] * (source == "sqlite")
    write(old, *(job(number, payload=payload) for number, payload in enumerate(payloads)))
    outcome = copied(run, old, new, "--force")
    assert outcome.exit_code == 0, outcome.stdout
    assert "The databases have the same records." in outcome.stdout
    execute(new, f"UPDATE hammerwork_jobs SET payload = '-1e20' WHERE id = '{identity(0)}'")
    assert copied(run, old, new, "--verify-only").exit_code == 1


@pytest.mark.parametrize(
    ("made", "removed"),
    [
        ("queue pause {}", "queue resume {}"),
        ("archive set-policy --queue {} --older-than 9d --yes", "archive remove-policy --queue {} --yes"),
    ],
)
def test_names_that_the_target_takes_for_one_are_refused_before_anything_is_written(
    run: Run, new_database: Callable[..., str], made: str, removed: str
) -> None:
    old, new = new_database("sqlite", migrated=True), new_database("mysql", migrated=True)
    write(old, job(1))
    for name in ("mail", "Mail", "letters"):
        assert run(*made.format(name).split(), url=old).exit_code == 0
    refused = copied(run, old, new, "--force")
    assert refused.exit_code == 2, refused.stderr
    assert "cannot tell 'mail' from 'Mail'" in refused.stderr
    assert not any(records(new).values())
    # Beside a name of the target, too.
    assert run(*removed.format("Mail").split(), url=old).exit_code == 0
    assert run(*made.format("MÂIL").split(), url=new).exit_code == 0
    refused = copied(run, old, new, "--force", "--merge")
    assert "cannot tell 'mail' from 'MÂIL'" in refused.stderr
    assert records(new)["jobs"] == []
    assert run(*removed.format("MÂIL").split(), url=new).exit_code == 0
    assert copied(run, old, new, "--force").exit_code == 0


def receivers(run: Run, url: str, tmp_path: Path) -> None:
    """A webhook with a delivery that waits, and a stream."""
    (tmp_path / "secret").write_text("whsec_c2VjcmV0LW9mLXRoZS1zaG9w")
    hook = ("--name", "shop é", "--url", "https://shop.example/é?key=1", "--header", "X-A=b", "--events", "dead")
    for words in (
        ("webhook", "add", *hook, "--secret", f"@{tmp_path / 'secret'}"),
        ("streaming", "add", "--name", "lake", "-b", "command", "--command", "cat", "--no-test", "--events", "dead"),
        ("streaming", "update", "lake", "--buffer-time", "1.5s"),
    ):
        done = run(*words, url=url)
        assert done.exit_code == 0, done.stderr
    with contextlib.closing(connect(url)) as database:
        (webhook,) = webhooks.listed(database)
    event = {"type": "job.dead", "id": identity(9), "data": {}}
    payload = json.dumps({"webhook": webhook.id, "name": webhook.name, "event": event})
    write(url, job(5, queue="hammerwork-webhooks", payload=payload))


@pytest.mark.parametrize(("source", "target"), [marked(*pair) for pair in DIRECTIONS])
def test_webhooks_and_streams_go_along_with_their_secrets_so_that_deliveries_arrive(
    run: Run, new_database: Callable[..., str], tmp_path: Path, source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    receivers(run, old, tmp_path)
    paused(run, old)
    outcome = copied(run, old, new)
    assert outcome.exit_code == 0, outcome.stderr
    assert "1 webhook, 1 stream" in outcome.stdout
    assert "whsec_" not in outcome.stdout + outcome.stderr
    with contextlib.closing(connect(old)) as ours, contextlib.closing(connect(new)) as theirs:
        for listed in (webhooks.listed, streams.listed):
            (one,), (other,) = listed(ours), listed(theirs)
            assert [*map(comparable, other)] == [*map(comparable, one)]
        assert webhooks.listed(theirs)[0].secret == "whsec_c2VjcmV0LW9mLXRoZS1zaG9w"
        assert streams.listed(theirs)[0].buffer_seconds == 1.5
        assert orphans(theirs) == 0
    execute(new, "UPDATE hammerwork_webhooks SET url = 'https://other.example/'")
    differs = copied(run, old, new, "--verify-only")
    assert (differs.exit_code, "Webhooks differ in url." in differs.stdout) == (1, True)
    refused = copied(run, old, new)
    assert (refused.exit_code, "with rows" in refused.stderr) == (6, True)


def comparable(value: Any) -> Any:
    is_time = isinstance(value, datetime) or (isinstance(value, str) and value[:2] == "20")
    return timestamp(value) if is_time else str(value)


def test_events_of_streams_that_wait_are_named_and_not_left_behind_by_mistake(
    run: Run, migrated_url: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    new = new_database("sqlite", migrated=True)
    receivers(run, migrated_url, tmp_path)
    assert run("streaming", "update", "lake", "--events", "enqueued", url=migrated_url).exit_code == 0
    assert run("job", "enqueue", "-q", "mail", "--payload", "1", url=migrated_url).exit_code == 0
    paused(run, migrated_url)
    refused = copied(run, migrated_url, new)
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "Events of streams wait to be sent, and are not copied: lake 1." in refused.stderr
    assert "hammerwork worker start --upkeep-only" in refused.stderr
    done = copied(run, migrated_url, new, "--force")
    assert (done.exit_code, "The databases have the same records." in done.stdout) == (0, True)
    assert "1 event of the stream lake stays in the source." in done.stderr


def test_a_file_has_no_webhook_and_both_of_its_commands_say_so(
    run: Run, migrated_url: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    new = new_database("sqlite", migrated=True)
    receivers(run, migrated_url, tmp_path)
    made = run("backup", "create", "-o", str(tmp_path / "jobs"), url=migrated_url)
    assert "Left out, because of their secrets: 1 webhook, 1 stream." in made.stderr
    assert "hammerwork backup copy" in made.stderr
    assert "whsec_" not in (tmp_path / "jobs").read_text()
    restored = run("backup", "restore", "-i", str(tmp_path / "jobs"), "--yes", url=new)
    assert restored.exit_code == 0
    assert "1 delivery will end as Cancelled: this database does not have the webhooks." in restored.stderr


def test_a_database_is_not_copied_into_itself_however_it_is_spelt(run: Run, postgres_url: str) -> None:
    assert run("migration", "run", url=postgres_url).exit_code == 0
    refused = copied(run, postgres_url, re.sub(r"@[^:/]+", "@localhost", postgres_url), "--merge")
    assert (refused.exit_code, "--to names the source itself" in refused.stderr) == (2, True), refused.stderr

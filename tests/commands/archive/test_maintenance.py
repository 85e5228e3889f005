"""``maintenance``: work on tables and indexes, and their checks."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from hammerwork_cli.features.maintenance import queries as maintenance
from hammerwork_cli.features.maintenance.model import AllowedTables, Stored
from hammerwork_cli.features.migration.queries import TABLES
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, execute, identity, job, rows, write
from tests.rows import START, Rows

Run = Callable[..., Outcome]


def answered(run: Run, url: str, *words: str, code: int = 0) -> Any:
    outcome = run("maintenance", *words, "--format", "json", url=url)
    assert outcome.exit_code == code, outcome
    return outcome.json


@all_databases
def test_tables_are_vacuumed_analyzed_and_indexed_anew_and_nothing_is_lost(run: Run, migrated_url: str) -> None:
    with contextlib.closing(connect(migrated_url)) as database:
        rows = Rows(database)
        for _ in range(20):
            rows.job(payload={"text": "a" * 2000})
    for verb in ("vacuum", "analyze", "reindex"):
        done = answered(run, migrated_url, verb, *([] if verb == "analyze" else ["--yes"]))
        assert done
        assert all(one["seconds"] >= 0 for one in done)
    sizes = {one["name"]: one for one in answered(run, migrated_url, "sizes")}
    assert sizes.keys() >= {*TABLES} - {"hammerwork_kms_data_keys"}  # of version 3 of hammerwork (Rust)
    assert sizes["hammerwork_jobs"]["rows"] == 20
    assert sizes["hammerwork_jobs"]["bytes"] > 2000
    assert all(one["valid"] for one in sizes.values())
    shown = run("maintenance", "sizes", url=migrated_url).stdout
    assert re.search(r"^hammerwork_jobs +20 +[\d.,]+ (KiB|MiB)", shown, re.MULTILINE)
    assert "idx_" not in shown
    detailed = run("maintenance", "sizes", "--detailed", "--bytes", url=migrated_url).stdout
    assert re.search(rf"^hammerwork_jobs +20 +{sizes['hammerwork_jobs']['bytes']:,} ", detailed, re.MULTILINE)
    assert "idx_" in detailed or "hammerwork_jobs (indexes)" in detailed


@all_databases
def test_health_names_what_is_over_its_limit_and_the_command_for_it(run: Run, migrated_url: str) -> None:
    assert answered(run, migrated_url, "health")["status"] == "healthy"
    with contextlib.closing(connect(migrated_url)) as database:
        Rows(database).job()
        Rows(database).job()
    answered(run, migrated_url, "analyze")
    report = answered(run, migrated_url, "health", "--max-rows", "1", code=1)
    [bad] = [check for check in report["checks"] if check["status"] != "healthy"]
    assert (bad["check"], bad["limit"], bad["hint"]) == (
        "rows",
        1,
        "hammerwork job purge --all --tree --older-than 30d --dry-run",
    )
    assert run("maintenance", "health", "--max-rows", "off", url=migrated_url).exit_code == 0


def test_vacuum_with_the_options_of_rust_deletes_jobs_as_cleanup_does(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(60, JobStatus.COMPLETED), job(10 * 24 * 60, JobStatus.COMPLETED))
    words = ("maintenance", "vacuum", "--keep-completed-days", "7", "--keep-failed-days", "7", "--format", "json")
    planned = run(*words, "--dry-run", url=migrated_url, env=CLOCK)
    assert (planned.exit_code, sum(one["jobs"] for one in planned.json["plan"]), len(rows(migrated_url))) == (0, 1, 2)
    assert run(*words, url=migrated_url, env=CLOCK).exit_code == 2  # not confirmed
    assert run(*words, "--confirm", url=migrated_url, env=CLOCK).json["changed"] == 1
    assert [status for _, status in rows(migrated_url)] == ["Completed"]


def test_vacuum_refuses_the_words_with_which_rust_deletes_jobs(run: Run, migrated_url: str) -> None:
    for word in ("--confirm", "--dry-run"):
        done = run("maintenance", "vacuum", word, url=migrated_url)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "vacuum deletes old jobs; here it reclaims space" in " ".join(done.stderr.split())
        assert "job purge --all --tree --older-than 30d --yes" in " ".join(done.stderr.split())
        assert "maintenance vacuum --yes" in " ".join(done.stderr.split())


@pytest.mark.parametrize("given", ["completed", "failed"])
def test_vacuum_with_one_age_of_rust_takes_its_default_for_the_other(run: Run, lite_url: str, given: str) -> None:
    day = 24 * 60
    jobs = ((JobStatus.COMPLETED, 29), (JobStatus.COMPLETED, 31), (JobStatus.FAILED, 6), (JobStatus.FAILED, 8))
    write(lite_url, *(job(age * day, status) for status, age in jobs))
    words = ("maintenance", "vacuum", f"--keep-{given}-days", "1000", "--confirm", "--format", "json")
    assert run(*words, url=lite_url, env=CLOCK).json["changed"] == 1
    kept = [status for _, status in rows(lite_url)]
    assert sorted(kept) == sorted(["Completed", "Failed", {"completed": "Completed", "failed": "Failed"}[given]])


def test_commands_that_take_nothing_say_that_open_callbacks_keep_old_jobs(run: Run, migrated_url: str) -> None:
    write(migrated_url, job(60 * 24 * 40, JobStatus.COMPLETED))
    words = (("archive", "run", "--older-than", "1d"), ("maintenance", "cleanup"))
    plain = [run(*some, "--dry-run", url=migrated_url, env=CLOCK) for some in words]
    assert [(done.exit_code, done.stderr) for done in plain] == [(0, "")] * 2
    on_end = ("spawn", "on-end", identity(60 * 24 * 40), "--on-success", "report")
    assert run(*on_end, url=migrated_url, env=CLOCK).exit_code == 0
    for some in words:
        done = run(*some, "--yes", url=migrated_url, env=CLOCK)
        assert "The jobs of 1 open callback stay until a worker has counted them." in done.stderr
    assert len(rows(migrated_url)) == 1


@pytest.mark.postgres
def test_an_index_whose_build_was_interrupted_is_reported_and_built_anew(
    run: Run, new_database: Callable[..., str]
) -> None:
    url = new_database("postgres", migrated=True)
    execute(url, "CREATE INDEX hammerwork_jobs_pkey_ccnew ON hammerwork_jobs (id)")
    broken = "idx_hammerwork_jobs_scheduled", "hammerwork_jobs_pkey_ccnew"
    for name in broken:
        execute(url, f"UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = '{name}'::regclass")
    [check] = [one for one in answered(run, url, "health", code=1)["checks"] if one["status"] == "critical"]
    assert set(check["about"]) == set(broken)
    done = [(one["work"], one["name"]) for one in answered(run, url, "reindex")]
    assert done[:2] == [("drop", broken[1]), ("reindex", broken[0])]
    assert answered(run, url, "health")["status"] == "healthy"


def test_dead_rows_count_from_a_number_on(monkeypatch: pytest.MonkeyPatch, new_database: Callable[..., str]) -> None:
    def checked(*dead: int) -> tuple[str, float | None, tuple[str, ...]]:
        tables = [Stored(f"t{number}", f"t{number}", 10_000, 1, rows, True, None) for number, rows in enumerate(dead)]
        jobs = Stored("hammerwork_jobs", "hammerwork_jobs", 5, 1, 5, True, None)
        monkeypatch.setattr(maintenance, "sizes", lambda _: [*tables, jobs])
        with contextlib.closing(connect(new_database("sqlite"))) as database:
            report = maintenance.health(database, AllowedTables(None, 0.2, None), now=START)
        check = next(check for check in report.checks if check.name == "dead_rows")
        return str(check.status), check.value, check.about

    assert checked(9_000) == ("healthy", 0.0, ())
    assert checked(10_001, 40_000) == ("critical", 0.8, ("t1", "t0"))


@pytest.mark.postgres
def test_an_old_transaction_is_reported_because_it_keeps_dead_rows(run: Run, new_database: Callable[..., str]) -> None:
    url = new_database("postgres", migrated=True)
    with contextlib.closing(connect(url)) as other:
        other.script("BEGIN")
        assert run("maintenance", "health", url=url).exit_code == 0
        report = answered(run, url, "health", "--max-transaction", "0s", code=1)
    assert "open_transaction" in {one["check"] for one in report["checks"] if one["status"] == "critical"}


def test_dead_jobs_go_back_and_check_is_the_doctor(run: Run, lite_url: str) -> None:
    with contextlib.closing(connect(lite_url)) as database:
        rows = Rows(database)
        again = rows.job(status="Running", attempts=1, started_at=rows_start())
        last = rows.job(status="Running", attempts=3, started_at=rows_start())
    later = {"HAMMERWORK_NOW": "2026-11-26T00:00:00Z"}
    plan = run("maintenance", "dead-jobs", "--dry-run", "--format", "json", url=lite_url, env=later)
    assert {finding["kind"] for finding in plan.json} == {"lost", "lost_last_attempt"}
    assert run("maintenance", "dead-jobs", "--stale-hours", "99", "--yes", url=lite_url, env=later).exit_code == 0
    assert run("maintenance", "dead-jobs", "--yes", url=lite_url, env=later).exit_code == 0
    found = {job["id"]: job["status"] for job in run("job", "list", "--format", "json", url=lite_url).json}
    assert found[again] in {"Pending", "Retrying"}
    assert found[last] == "Dead"
    assert run("maintenance", "check", "--format", "json", url=lite_url, env=later).json == []


def rows_start() -> Any:
    from tests.rows import START

    return START

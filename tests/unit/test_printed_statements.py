"""``python -m hammerwork_cli.database.statements``, which prints a statement as it is sent."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from hammerwork_cli.database.statements import bind, load
from hammerwork_cli.database.statements.__main__ import main

Printed = Callable[..., str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """``printed("monitor.ping.check", "--tags", "mysql")``: what is printed."""

    def run(*arguments: str) -> str:
        main(arguments)
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The same for arguments that are refused: the message."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return run


def test_a_statement_is_printed_with_its_conditions_and_the_names_of_its_values(printed: Printed) -> None:
    text = printed("spawn.operations.list", "--tags", "postgresql", "current")
    assert text.startswith("SELECT j.id, j.queue_name, ")
    assert "\n/* if :queues */ AND j.queue_name IN (:queues)\n" in text
    assert "c.depends_on[1] = j.id" in text
    assert text.endswith("\nLIMIT :limit\n")
    assert "{" not in text.replace("'$.", "")


def test_with_the_values_that_are_given_it_is_what_a_database_gets(printed: Printed) -> None:
    tags = frozenset({"sqlite", "current", "archive"})
    values = {
        "since": None,
        "queues": ["q"],
        "statuses": None,
        "derived": None,
        "until": None,
        "roots": False,
        "operations": (),
        "cursor_at": None,
        "cursor_id": None,
    }
    sent, _ = bind(load("spawn.operations.list", tags), {**values, "ended": "e", "limit": 5}, "?")
    text = printed("spawn.operations.list", "--tags", "sqlite", "current", "--given", "queues")
    written = text.replace(":queues", "?").replace(":ended", "?").replace(":limit", "?")
    assert written.splitlines() == [line.strip() for line in sent.splitlines() if line.strip()]
    assert "/*" not in printed("spawn.operations.list", "--tags", "sqlite", "--given")


def test_without_tags_each_database_is_printed_as_after_all_migrations(printed: Printed) -> None:
    text = printed("worker.claim.ready")
    assert [line for line in text.splitlines() if line.startswith("--")] == ["-- postgresql", "-- mysql", "-- sqlite"]
    assert text.count("FOR UPDATE SKIP LOCKED") == 2
    assert all("hammerwork_queue_pause" in statement for statement in text.split("-- ")[1:])


def test_a_statement_that_is_the_same_everywhere_is_printed_once(printed: Printed) -> None:
    assert printed("monitor.ping.check") == "SELECT 1 FROM hammerwork_jobs WHERE 1 = 0\n"


def test_a_statement_of_some_databases_is_printed_for_those(printed: Printed) -> None:
    assert "pg_notify('hammerwork', queue)\nFROM unnest" in printed("job.notifications.notify")


def test_without_a_name_all_statements_are_listed_with_what_they_do(printed: Printed) -> None:
    lines = printed().splitlines()
    assert len(lines) > 150
    assert [line for line in lines if not line.partition(": ")[2].endswith(".")] == []
    assert any(line.startswith("worker.claim.ready: ") for line in lines)
    assert printed("worker.claim").splitlines() == [line for line in lines if line.startswith("worker.claim.")]
    assert set(printed("worker").splitlines()) > set(printed("worker.claim").splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["worker.claim.readies"], "No statement 'worker.claim.readies'. Did you mean worker.claim.ready"),
        (["nothing.of.the.kind"], "No statement 'nothing.of.the.kind'."),
        (["monitor.ping.check", "--tags", "oracle"], "No tag 'oracle'. Choose from: archive, "),
        (["monitor.ping.check", "--given", "queue"], "No condition 'queue'. Choose from: none."),
        (["job.notifications.notify", "--tags", "mysql"], "has no variant for mysql. It has: postgresql."),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(refused: Printed, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments)


def test_python_runs_it_without_a_warning() -> None:
    command = [sys.executable, "-W", "error", "-m", "hammerwork_cli.database.statements", "monitor.ping.check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:8], done.stderr) == (0, "SELECT 1", "")

"""Jobs by what their payload has, and by the ids that stdin lists."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.job.commands import options
from tests.conftest import Outcome, all_databases
from tests.jobs import CLOCK, identity, job, statuses, write

Run = Callable[..., Outcome]
PAYLOADS: list[Any] = [
    {"customer": "acme", "order": {"id": 17, "paid": True}},
    {"customer": "acme", "order": {"id": "17", "paid": False}},
    {"customer": "Acme", "order": {"id": 170, "gone": None}},
    {"customer": "beta'\\ %_ é🎬 a=b", "amount": 1.5},
    {"a key": "x", "customer": ["acme"]},
    "acme",
    [{"customer": "acme"}],
    None,
]


@pytest.fixture
def filled(migrated_url: str) -> str:
    write(
        migrated_url,
        *(
            job(number, JobStatus.DEAD, payload=json.dumps(payload, ensure_ascii=False))
            for number, payload in enumerate(PAYLOADS)
        ),
    )
    return migrated_url


CHOSEN = [
    (["customer=acme"], [0, 1]),
    (["customer=acme", "customer=Acme"], [0, 1, 2]),
    (["order.id=17"], [0, 1]),
    (["order.id=17", "order.paid=true"], [0]),
    (["order.paid=false", "customer=Acme"], []),
    (["order.gone=null"], [2]),
    (["amount=1.5"], [3]),
    (["customer=beta'\\ %_ é🎬 a=b"], [3]),
    (["a key=x"], [4]),
    (["customer="], []),
    (["nothing=x"], []),
    (["customer=acm*"], [0, 1]),
    (["customer=*"], [0, 1, 2, 3, 4]),
    (["customer=*cme", "customer=be*é🎬*"], [0, 1, 2, 3]),
    (["customer=a_me*"], []),
    (["customer=*%_ *"], [3]),
    (["customer=*[abc]*"], []),
    (["customer=?cme*"], []),
    (["order.id=17*", "customer=acme"], [0, 1]),
    (["order.id=*70"], [2]),
    (["order.paid=*e", "order.id=17"], [0, 1]),
    (["x') OR TRUE --=y"], []),
]


@all_databases
def test_jobs_are_chosen_by_their_payload(run: Run, filled: str) -> None:
    found, exported = [], []
    for pairs, _ in CHOSEN:
        words = [word for pair in pairs for word in ("--payload", pair)]
        listed = run("job", "list", *words, "--format", "json", url=filled)
        assert listed.exit_code == 0, listed.stderr
        found.append((pairs, sorted(number_of(one) for one in listed.json)))
        if exported and not filled.startswith("sqlite"):  # an export has the filter of the list
            continue
        lines = run("job", "export", *words, "--fields", "id", url=filled).stdout.splitlines()
        exported.append((pairs, [number_of(json.loads(line)) for line in lines]))
    assert found == CHOSEN
    assert exported == CHOSEN[: len(exported)]


def number_of(record: dict[str, Any]) -> int:
    return int(record["id"][:8], 16)


@pytest.mark.parametrize("change", ["retry", "cancel", "delete"])
@all_databases
def test_only_jobs_with_the_payload_are_changed(run: Run, filled: str, change: str) -> None:
    if change == "cancel":
        assert run("job", "retry", "--all", "--yes", url=filled, env=CLOCK).exit_code == 0
    before = statuses(filled)
    done = run("job", change, "--payload", "customer=acme", "--yes", url=filled, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    after = statuses(filled)
    assert {number for number in before if after.get(number) != before[number]} == {0, 1}


@pytest.mark.parametrize("pair", ["customer", "=acme", "a..b=1", ".a=1", 'a"b=1', "a\\b=1"])
def test_a_pair_that_is_none_is_refused_before_anything_changes(run: Run, sqlite_url: str, pair: str) -> None:
    for words in (("list",), ("delete", "--yes")):
        refused = run("job", *words, "--payload", pair, url=sqlite_url)
        assert refused.exit_code == 2, refused.stderr
        assert "is not KEY=TEXT" in refused.stderr


# Ids of stdin.


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def give(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


@pytest.mark.parametrize("change", ["retry", "cancel", "delete"])
def test_stdin_may_list_many_jobs_which_are_changed_in_large_parts(
    run: Run, migrated_url: str, typed: Callable[[str], None], change: str
) -> None:
    many = 2_500
    state = JobStatus.PENDING if change == "cancel" else JobStatus.DEAD
    write(migrated_url, *(job(number, state) for number in range(many + 1)))
    lines = [identity(number) for number in range(many)]
    typed("\ufeff" + "\r\n".join([*lines[:5], "", lines[0][:8], f"  {lines[5].upper()} ", *lines[6:]]) + "\n")
    done = run("job", change, "-", "--yes", "--format", "json", url=migrated_url, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    assert done.json["changed"] == many
    after = statuses(migrated_url)
    assert (len(after), after[many]) == (1 if change == "delete" else many + 1, state)


def test_a_job_that_does_not_exist_is_named_as_skipped(
    run: Run, migrated_url: str, typed: Callable[[str], None]
) -> None:
    write(migrated_url, job(1, JobStatus.DEAD), job(2, JobStatus.COMPLETED))
    typed(f"{identity(1)}\n{identity(2)}\n{identity(9)}\n")
    done = run("job", "retry", "-", "--yes", url=migrated_url, env=CLOCK)
    assert (done.exit_code, statuses(migrated_url)[1]) == (1, "Pending")
    assert "2 of 3 jobs were skipped" in done.stderr


def test_an_empty_list_changes_nothing_and_is_no_error(
    run: Run, migrated_url: str, typed: Callable[[str], None]
) -> None:
    write(migrated_url, job(1, JobStatus.DEAD))
    for change in ("retry", "cancel", "delete"):
        typed("\n")
        done = run("job", change, "-", "--yes", url=migrated_url)
        assert done.exit_code == 0, done.stderr
    assert statuses(migrated_url) == {1: "Dead"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zz\n", "Line 1: 'zz' is not a job id"),
        (f"{identity(1)}\nffff\n", "Line 2: No job has an id that starts with ffff"),
        ("a" * 100_000, "stdin has a line of more than 65,536 bytes"),
        (f"{identity(1)}\n" * 4, "stdin has more than 3 lines"),
    ],
)
def test_a_list_with_a_mistake_changes_nothing(
    run: Run,
    new_database: Callable[..., str],
    typed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    said: str,
) -> None:
    monkeypatch.setattr(options, "MOST_IDS", 3)
    url = new_database("sqlite", migrated=True)
    write(url, job(1, JobStatus.DEAD))
    typed(text)
    refused = run("job", "delete", "-", "--yes", url=url)
    assert refused.exit_code in {2, 5}, refused.stderr
    assert said in refused.stderr
    assert statuses(url) == {1: "Dead"}


def test_ids_of_stdin_need_yes_and_no_filter(hammerwork: Callable[..., Outcome], new_database: Any) -> None:
    url = new_database("sqlite", migrated=True)
    write(url, job(1, JobStatus.DEAD), job(2, JobStatus.DEAD))
    text = f"{identity(1)}\n{identity(2)}\n"
    assert hammerwork("job", "retry", "-", url=url, input=text).exit_code == 2
    assert hammerwork("job", "retry", "-", "--queue", "mail", "--yes", url=url, input=text).exit_code == 2
    assert set(statuses(url).values()) == {"Dead"}
    assert hammerwork("job", "retry", "-", "--yes", url=url, input=text).exit_code == 0
    assert set(statuses(url).values()) == {"Pending"}

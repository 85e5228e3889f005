"""No statement takes a job out of Running and leaves its lease: version 3 of hammerwork (Rust) goes by it."""

import re

from hammerwork_cli.database.statements import blocks
from hammerwork_cli.database.statements.__main__ import subjects
from tests.conftest import each_row

CHANGES = re.compile(r"^UPDATE\b.*?\bhammerwork_jobs\b.*?\bSET\b(?P<set>.*?)(?:\bWHERE\b|\Z)", re.DOTALL)
STATUS = re.compile(r"(?<![\w.])status = ('(?P<word>\w+)'|:\w+)")
STAYS = {"spawn.doctor.fix_misspelt_status"}
"""Corrects the spelling of a status, and changes none."""


def status_changes() -> list[tuple[str, str, str]]:
    """(statement, the status that it writes, what it sets) of all shipped statements, in all variants."""
    return [
        (f"{subject}.{name}", found["word"] or "", change["set"])
        for subject in subjects()
        for name, variants in blocks(subject).items()
        for _, sql in variants
        if (change := CHANGES.match(sql)) and (found := STATUS.search(change["set"]))
    ]


CHANGED = status_changes()


def test_the_statements_that_change_a_status_are_found() -> None:
    names = {name for name, _, _ in CHANGED}
    assert {"worker.claim.claim", "worker.finish.retry", "worker.rescue.discard", "job.changes.cancel"} <= names
    assert names >= STAYS
    assert len(names) > 18


@each_row(("name", "word", "written"), CHANGED)
def test_a_statement_that_changes_a_status_takes_a_lease_or_ends_it(name: str, word: str, written: str) -> None:
    wanted = "leased" if word == "Running" else "unleased"
    assert (f"{{{wanted}}}" in written) == (name not in STAYS)

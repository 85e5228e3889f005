"""Every command that changes a database, on one whose payloads are encrypted: none passes a placeholder on."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import Database, DatabaseUrl, connect
from tests.commands.test_contract import ENVIRONMENT, fill
from tests.commands.test_profiles import CHANGES, LASTING
from tests.rows import Rows
from tests.rust3.payloads import PLACEHOLDER, decrypted, encrypted

Run = Callable[..., Any]
OTHERS = {"migration run", "worker stop", "worker restart"}
"""Commands that write no jobs."""
REFUSED = {"job import": {2}, "job enqueue": {6}, "batch enqueue": {2}, "cron convert": {6}}
"""What would need the key, or write plaintext."""
KEY = bytes(range(32))
SECRET = {"card": "4111"}
COLUMNS = (
    "id, queue_name, payload, is_encrypted, encryption_key_id, encryption_algorithm, encrypted_payload,"
    " encryption_nonce, encryption_tag, encryption_metadata, payload_hash, pii_fields"
)


def seal(database: Database) -> None:
    """Encrypts the payloads of all jobs that have readable ones."""
    rows = Rows(database)
    for job, queue in database.query("SELECT id, queue_name FROM hammerwork_jobs"):
        made = encrypted(SECRET, job=job, queue=queue, key=KEY) | {"pii_fields": "[]"}
        values = ", ".join(f"{name} = ?" for name in made)
        rows.run(f"UPDATE hammerwork_jobs SET {values} WHERE id = ?", [*made.values(), job])


def told(database: Database) -> Iterator[str]:
    """What is wrong with the payloads of a database."""
    names = [name.strip() for name in COLUMNS.split(",")]
    for values in database.query(f"SELECT {COLUMNS} FROM hammerwork_jobs"):
        row = dict(zip(names, values, strict=True))
        if row["is_encrypted"]:
            if decrypted(row, KEY) != SECRET:
                yield f"job {row['id']} decrypts to something else"
        elif json.loads(row["payload"] or "null") == PLACEHOLDER or "[ENCRYPTED]" in str(row["payload"]):
            yield f"job {row['id']} has a placeholder in plaintext"
    for place in ("hammerwork_schedules", "hammerwork_jobs_archive"):
        for payload, *hidden in database.query(
            f"SELECT CAST(payload AS TEXT){', is_encrypted' if 'archive' in place else ''} FROM {place}"
        ):
            if "encrypted" in str(payload) and not any(hidden):
                yield f"{place} has a placeholder in plaintext"


@pytest.fixture(scope="module")
def filled(makers: Any) -> Iterator[tuple[str, dict[str, str]]]:
    maker = makers["sqlite"]
    url = maker.migrated()
    names = fill(url)
    with contextlib.closing(connect(url)) as database:
        seal(database)
        assert list(told(database)) == []
    yield url, names
    maker.drop(url)


@pytest.mark.parametrize("path", sorted(CHANGES.keys() - LASTING - OTHERS))
def test_a_command_leaves_encrypted_payloads_decryptable(
    run: Run, filled: tuple[str, dict[str, str]], tmp_path: Path, path: str
) -> None:
    url, names = filled
    copy, other = tmp_path / "copy.db", tmp_path / "other.db"
    path_of = str(DatabaseUrl.parse(url).path)
    for target in (copy, other):
        with contextlib.closing(sqlite3.connect(path_of)) as source, contextlib.closing(sqlite3.connect(target)) as to:
            source.backup(to)
    tree, backup, lines = (tmp_path / f"{name}.jsonl" for name in ("tree", "backup", "lines"))
    here, there = f"sqlite:///{copy}", f"sqlite:///{other}"
    assert run("job", "export", names["root"], "--tree", "-o", str(tree), url=here).exit_code == 0
    assert run("backup", "create", "-o", str(backup), url=here).exit_code == 0
    lines.write_text('{"payload": 1}\n')
    if path.startswith("backup"):
        assert run("migration", "run", "--drop", "--yes", url=there).exit_code == 0
        here, there = there, here
    all_names = {**names, "lines": lines, "tree": tree, "backup": backup, "production": here}
    words = CHANGES[path].replace("@production", "{production}").format(**all_names).split()
    done = run(*path.split(), *words, "-u", there if path == "backup copy" else here, env=ENVIRONMENT)
    assert done.exit_code in REFUSED.get(path, {0, 1}), done
    with contextlib.closing(connect(here)) as database:
        assert list(told(database)) == [], done

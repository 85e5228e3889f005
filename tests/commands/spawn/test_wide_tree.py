"""A parent with 10,000 children, which are more than one statement reads, is drawn as any other."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.database import connect
from hammerwork_cli.features.tree.views import picture
from tests.conftest import all_databases
from tests.jobs import identity
from tests.rows import Rows

Run = Callable[..., Any]
WIDTH = 10_000
DEAD = 7_777
CHILDREN = {
    "sqlite": "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {width})"
    " INSERT INTO hammerwork_jobs (id, queue_name, payload, status, created_at, scheduled_at, depends_on)"
    " SELECT printf('%08x-0000-4000-8000-000000000000', s.n), 'segment', '{{}}', 'Completed',"
    " '2026-11-24T15:00:00.000000Z', '2026-11-24T15:00:00.000000Z', json_array('{root}') FROM s",
    "postgresql": "INSERT INTO hammerwork_jobs (id, queue_name, payload, status, created_at, scheduled_at, depends_on)"
    " SELECT CAST(lpad(to_hex(s.n), 8, '0') || '-0000-4000-8000-000000000000' AS uuid), 'segment', '{{}}', 'Completed',"
    " '2026-11-24 15:00Z', '2026-11-24 15:00Z', ARRAY['{root}'::uuid] FROM generate_series(1, {width}) AS s (n)",
    "mysql": "INSERT INTO hammerwork_jobs (id, queue_name, payload, status, created_at, scheduled_at, depends_on)"
    " WITH d AS (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
    " UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9),"
    " s AS (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * e.n AS n FROM d a, d b, d c, d e)"
    " SELECT CONCAT(LPAD(LOWER(HEX(s.n)), 8, '0'), '-0000-4000-8000-000000000000'), 'segment', '{{}}', 'Completed',"
    " '2026-11-24 15:00', '2026-11-24 15:00', JSON_ARRAY('{root}') FROM s",
}


@pytest.fixture
def wide_url(migrated_url: str) -> str:
    """Job 0, its many children, of which one died, and one job below that."""
    database = connect(migrated_url)
    rows = Rows(database)
    root = rows.job(id=identity(0), queue="ingest", spawns=True)
    database.script(CHILDREN[database.dialect].format(width=WIDTH, root=root))
    rows.run(
        "UPDATE hammerwork_jobs SET status = 'Dead', error_message = 'moov atom not found' WHERE id ="
        f" {database.placeholder}",
        [identity(DEAD)],
    )
    rows.job(identity(DEAD), id=identity(WIDTH + 1), queue="segment")
    database.close()
    return migrated_url


@all_databases
def test_many_thousand_children_are_drawn(run: Run, wide_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [identity(number) for number in range(WIDTH + 2)]
    assert_bounded(run("spawn", "tree", "--max-nodes", "30", ids[0], url=wide_url), read=3_000)
    found = run("spawn", "tree", ids[-1], "--full", "--format", "json", url=wide_url).json
    assert [node["id"] for node in found["nodes"]] == ids
    assert found["nodes"][0]["children"] == WIDTH
    assert len(found["edges"]) == WIDTH + 1
    assert not found["truncated"]
    above = run("spawn", "lineage", ids[-1], "--ancestors", "--format", "json", url=wide_url).json
    assert [node["id"] for node in above["ancestors"]] == [ids[0], ids[DEAD]]
    if wide_url.startswith("sqlite"):  # text is drawn from the same nodes everywhere
        drawn = run("spawn", "tree", ids[-1], url=wide_url)
        assert drawn.exit_code == 0, drawn.stderr
        assert len(drawn.stdout.splitlines()) < 10
        folded = re.findall(r"(?:segment \N{MULTIPLICATION SIGN}|\.\.\. )([\d,]+)", drawn.stdout)
        assert sum(int(number.replace(",", "")) for number in folded) == WIDTH - 1
        assert "moov atom not found" in drawn.stdout
        assert f"{ids[-1][:8]} ◀ this job" in drawn.stdout
        whole = run("spawn", "tree", ids[0], "--full", url=wide_url)
        assert "10,002 jobs: 10,001 completed, 1 dead" in whole.stdout
        assert [line.partition("segment ")[2][:8] for line in whole.stdout.splitlines()[1:4]] == [
            job[:8] for job in (ids[DEAD], ids[-1], ids[1])
        ]
        assert len(whole.stdout.splitlines()) == WIDTH + 2

        monkeypatch.setattr(picture, "READ_PER_DRAWN_NODE", 10)
        for verb in ("tree", "lineage"):  # which draw 500 jobs
            assert_bounded(run("spawn", verb, ids[0], url=wide_url), read=5_000)


def assert_bounded(drawn: Any, read: int) -> None:
    """Text reads a hundred jobs for each that it may draw, says that there are more, and counts them."""
    assert f"at least {WIDTH + 2:,} jobs: {WIDTH + 1:,} completed, 1 dead" in drawn.stdout
    assert f"{read - 2:,} · Completed" in drawn.stdout
    assert f"... {WIDTH + 1 - read:,} more" in drawn.stdout
    assert "1 child below, not read" in drawn.stdout

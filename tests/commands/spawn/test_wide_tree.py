"""A parent with 60,000 children is drawn as any other; on servers, 10,000 are beyond every limit of what is read."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.database import DatabaseUrl, connect
from tests.conftest import all_databases
from tests.jobs import identity
from tests.rows import Rows

Run = Callable[..., Any]
WIDTHS = {"sqlite": 60_000, "postgresql": 10_000, "mysql": 10_000}
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
    " s AS (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * e.n + 10000 * f.n AS n FROM d a, d b, d c, d e, d f)"
    " SELECT CONCAT(LPAD(LOWER(HEX(s.n)), 8, '0'), '-0000-4000-8000-000000000000'), 'segment', '{{}}', 'Completed',"
    " '2026-11-24 15:00', '2026-11-24 15:00', JSON_ARRAY('{root}') FROM s WHERE s.n <= {width}",
}


@pytest.fixture
def wide_url(migrated_url: str) -> str:
    """Job 0, its many children, of which one died, and one job below that."""
    database = connect(migrated_url)
    width = WIDTHS[database.dialect]
    rows = Rows(database)
    root = rows.job(id=identity(0), queue="ingest", spawns=True)
    database.script(CHILDREN[database.dialect].format(width=width, root=root))
    rows.run(
        "UPDATE hammerwork_jobs SET status = 'Dead', error_message = 'moov atom not found' WHERE id ="
        f" {database.placeholder}",
        [identity(DEAD)],
    )
    rows.job(identity(DEAD), id=identity(width + 1), queue="segment")
    database.close()
    return migrated_url


@all_databases
@pytest.mark.long
def test_many_thousand_children_are_drawn(run: Run, wide_url: str) -> None:
    width = WIDTHS[DatabaseUrl.parse(wide_url).dialect]
    ids = [identity(number) for number in range(width + 2)]
    assert_bounded(run, wide_url, ids[0], width)
    found = run("spawn", "tree", ids[-1], "--full", "--format", "json", url=wide_url).json
    assert [node["id"] for node in found["nodes"]] == ids
    assert found["nodes"][0]["children"] == width
    assert len(found["edges"]) == width + 1
    assert not found["truncated"]
    above = run("spawn", "lineage", ids[-1], "--ancestors", "--format", "json", url=wide_url).json
    assert [node["id"] for node in above["ancestors"]] == [ids[0], ids[DEAD]]
    if wide_url.startswith("sqlite"):  # text is drawn from the same nodes everywhere
        drawn = run("spawn", "tree", ids[-1], url=wide_url)
        assert drawn.exit_code == 0, drawn.stderr
        assert len(drawn.stdout.splitlines()) < 10
        folded = re.findall(r"(?:segment \N{MULTIPLICATION SIGN}|\.\.\. )([\d,]+)", drawn.stdout)
        assert sum(int(number.replace(",", "")) for number in folded) == width - 1
        assert "moov atom not found" in drawn.stdout
        assert f"{ids[-1][:8]} ◀ this job" in drawn.stdout
        whole = run("spawn", "tree", ids[0], "--full", url=wide_url)
        assert "60,002 jobs: 60,001 completed, 1 dead" in whole.stdout
        assert [line.partition("segment ")[2][:8] for line in whole.stdout.splitlines()[1:4]] == [
            job[:8] for job in (ids[DEAD], ids[-1], ids[1])
        ]
        assert len(whole.stdout.splitlines()) == width + 2


def assert_bounded(run: Run, url: str, root: str, width: int) -> None:
    """Text reads a hundred jobs for each that it may draw, says that there are more, and counts them."""
    wide = ((("tree",), 50_000), (("lineage",), 50_000)) if url.startswith("sqlite") else ()
    for words, read in ((("tree", "--max-nodes", "30"), 3_000), *wide):
        text = run("spawn", *words, root, url=url).stdout
        assert f"at least {width + 2:,} jobs: {width + 1:,} completed, 1 dead" in text
        assert f"{read - 2:,} · Completed" in text
        assert f"... {width + 1 - read:,} more" in text
        assert "1 child below, not read" in text

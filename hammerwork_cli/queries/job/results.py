"""Reading what handlers returned."""

from collections.abc import Collection, Iterator

from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.models import timestamp


def texts(database: Database, ids: Collection[str]) -> dict[str, str | None]:
    """The JSON text of what jobs returned, by id, archived ones included.

    Jobs that do not exist are left out; ``None`` stands for a job without a result and for a result that has expired.
    """
    rows = {str(row[0]): row for row in _rows(database, ids)}
    now = database.now() if any(expires is not None for _, _, expires in rows.values()) else None
    return {
        job: None if now is not None and (end := timestamp(expires)) is not None and end <= now else result
        for job, result, expires in rows.values()
    }


def _rows(database: Database, ids: Collection[str]) -> Iterator[Row]:
    missing = dict.fromkeys(ids)
    for part in chunks(list(missing), database.key_chunk):
        for row in database.rows("job.results.live", ids=database.ids(part)):
            missing.pop(str(row[0]), None)
            yield row
    if missing and "archive" in database.tags:
        for part in chunks(list(missing), database.key_chunk):
            yield from database.rows("job.results.archived", ids=part)

"""Finding single jobs."""

import re

from hammerwork_cli.database import Database
from hammerwork_cli.errors import AmbiguousIdError, NotFoundError, UsageError

_HEX = re.compile(r"[0-9a-f]{4,32}")
SHOWN_CANDIDATES = 10
LIST_JOBS = "Ids are shown by: hammerwork spawn list"


def resolve(database: Database, text: str) -> str:
    """The full id of the one job that an id or a unique prefix of it names, archived jobs included.

    Raises:
        UsageError: not 4 to 32 hex digits.
        NotFoundError: no job has such an id.
        AmbiguousIdError: several have; the details list them.
    """
    digits = text.strip().lower().replace("-", "")
    if not _HEX.fullmatch(digits):
        raise UsageError(
            f"{text[:60]!r} is not a job id.", hint="Give a UUID, or at least 4 hex digits of its beginning."
        )
    bounds = {"low": _hyphenated(digits.ljust(32, "0")), "high": _hyphenated(digits.ljust(32, "f"))}
    rows = database.rows("jobs.by_prefix", **bounds, limit=SHOWN_CANDIDATES + 1)
    if not rows and "archive" in database.tags:
        rows = database.rows("jobs.archived_by_prefix", **bounds, limit=SHOWN_CANDIDATES + 1)
    if not rows:
        raise NotFoundError(f"No job has an id that begins with {text.strip()[:40]}.", hint=LIST_JOBS)
    if len(rows) > 1:
        candidates = [str(row[0]) for row in rows[:SHOWN_CANDIDATES]]
        more = " and more" if len(rows) > SHOWN_CANDIDATES else ""
        raise AmbiguousIdError(
            f"Several jobs have an id that begins with {text.strip()}: {', '.join(candidates)}{more}.",
            hint="Give more digits.",
            candidates=candidates,
        )
    return str(rows[0][0]).lower()


def _hyphenated(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

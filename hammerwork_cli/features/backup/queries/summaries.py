"""What a file has."""

from typing import IO

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.backup.models.plan import FileSummary
from hammerwork_cli.features.backup.models.tables import values
from hammerwork_cli.features.backup.queries.files import BackupReader


def verify(file: IO[bytes]) -> FileSummary:
    """Reads a file to its end.

    Raises DamagedFileError if it was cut or changed. Raises UsageError if a record has a value that its column cannot
    have.
    """
    reader = BackupReader(file)
    oldest = newest = None
    for line in reader.records():
        row = values(line.word, line.record, reader.others.get(line.word, {}))
        created = row.get("created_at") if line.word in {"jobs", "archive"} else None
        if created is not None:
            oldest = created if oldest is None else min(oldest, created)
            newest = created if newest is None else max(newest, created)
    return FileSummary(reader.header, reader.counts, rfc3339(oldest), rfc3339(newest), reader.sha256)


def glance(file: IO[bytes]) -> FileSummary:
    """Reads the first line of a file. Raises DamagedFileError if it is something else."""
    return FileSummary(BackupReader(file).header, {}, None, None, None)

"""``hammerwork backup verify`` and ``list``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.errors import HammerworkError, ShownAnswerError, UsageError
from hammerwork_cli.features.backup.models.plan import FileSummary
from hammerwork_cli.features.backup.queries import summaries
from hammerwork_cli.features.backup.views import backups as shown


def verify(
    context: Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Backup file, compressed or not; - for stdin.")],
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 1 if it was truncated or changed.

    \b
    Examples:
      hammerwork backup verify jobs.jsonl.gz
    """
    with disk.opened(file) as stream:
        try:
            found: FileSummary | HammerworkError = summaries.verify(stream)
        except UsageError as error:
            found = error
    context.answer(
        shown.VERIFIED.record(shown.VerifiedFile(file, found)), form, lambda: shown.verified_text(file, found)
    )
    if isinstance(found, HammerworkError):
        raise ShownAnswerError(f"{file} is damaged.")


def list_(
    context: Context,
    path: Annotated[Path, typer.Option("-p", "--path", metavar="FOLDER", help="Folder of the files.")] = Path(),
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Only the first line of each is read: `backup verify` reads a whole file.

    \b
    Examples:
      hammerwork backup list
      hammerwork backup list -p /var/backups/jobs --format json
    """
    context.show(
        sorted(_files(path), key=lambda one: str(one.created_at), reverse=True),
        form,
        columns=shown.FILE_COLUMNS,
        shape=shown.BACKUP_FILE,
        empty=f"No backup file in {path}.",
    )


def _files(folder: Path) -> "Iterator[shown.ListedFile]":
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}.") from error
    for path in paths:
        try:
            with disk.opened(str(path)) as stream:
                yield shown.ListedFile(path.name, path.stat().st_size, summaries.glance(stream))
        except HammerworkError:
            continue  # something else

"""``hammerwork job export``."""

from collections.abc import Collection, Iterable, Sequence
from shlex import quote
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DataFormat, DataFormatOption, FieldsOption, WithoutColumnOption
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.commands.filters import Filters
from hammerwork_cli.features.job.models.job import WholeJob
from hammerwork_cli.features.job.queries import export as exporting
from hammerwork_cli.features.job.views import export as shown
from hammerwork_cli.view.shape import EditedShape

RedactOption = Annotated[
    list[str] | None, typer.Option("--redact", metavar="WORDS", help="Hide these values: payload,result,error.")
]


JobToExport = Annotated[
    str | None, typer.Argument(metavar="[JOB]", help="With --tree: a job's id, or at least its first 4 hex digits.")
]
TreeOption = Annotated[bool, typer.Option("--tree", help="Write JOB and everything below it, for job import.")]
OutputOption = Annotated[
    str,
    typer.Option("-o", "--output", metavar="FILE", help="With --tree: file to write or replace; .gz compresses it."),
]


def export(
    context: Context,
    job: JobToExport = None,
    *,
    tree: TreeOption = False,
    output: OutputOption = "-",
    filters: Filters,
    fields: FieldsOption = None,
    redact: RedactOption = None,
    without_column: WithoutColumnOption = None,
    form: DataFormatOption = DataFormat.JSONL,
) -> None:
    """
    Jobs are sorted by id and written while they are read: even for a million jobs, output begins at once and takes
    little memory. Jobs that change meanwhile are written as they are when they are read. --redact payload also hides
    the spawn configuration, which is part of the payload. Encrypted payloads and other binary columns are left out.

    With JOB --tree, the file has JOB, everything below it and what workers recorded, read in one snapshot. `job import`
    writes it to another database, of any kind.

    \b
    Examples:
      hammerwork job export --queue video_ingest >jobs.jsonl
      hammerwork job export --failed --since 7d --format csv --fields id,queue,error,payload.title >failed.csv
      hammerwork job export --redact payload,result,error | gzip >jobs.jsonl.gz
      hammerwork job export 178ebfc3 --tree -o tree.jsonl.gz
    """
    if job is not None or tree:
        from hammerwork_cli.features.job.commands import export_tree

        if job is None or not tree:
            raise UsageError(
                "To export a tree, give both JOB and --tree.",
                hint=f"See all about one job: hammerwork job show {quote(job or 'JOB')}",
            )
        if filters != Filters() or fields or form != DataFormat.JSONL:
            raise UsageError("--tree cannot be combined with filters, --fields or --format.")
        export_tree.run(context, job, output, shown.words(redact), without_column or ())
        return
    if without_column:
        raise UsageError("--without-column needs --tree.", hint="To choose what is written: --fields")
    hidden, chosen = shown.hidden_keys(redact), filters.chosen(context.now())
    database = context.database()
    write(context, exporting.jobs(database, filters.within(database, chosen)), form, fields=fields, hidden=hidden)


def write(
    context: Context,
    jobs: Iterable[WholeJob],
    form: DataFormat,
    *,
    fields: Sequence[str] | None,
    hidden: Collection[str],
) -> None:
    """Writes whole jobs, without the values of hidden keys."""
    context.show(
        jobs,
        form,
        columns=(),
        shape=EditedShape(shown.EXPORTED, lambda record: shown.redacted(record, hidden)),
        empty="",
        fields=fields,
    )

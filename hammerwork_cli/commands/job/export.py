"""``hammerwork job export``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import spread
from hammerwork_cli.cli.options import DataFormat, DataFormatOption, FieldsOption
from hammerwork_cli.commands.job.filters import Filters
from hammerwork_cli.queries.job import export as exporting
from hammerwork_cli.render.job import export as shown

RedactOption = Annotated[
    str | None, typer.Option("--redact", metavar="WORDS", help="Hide these values: payload,result,error.")
]


@spread
def export(
    ctx: typer.Context,
    filters: Filters,
    *,
    fields: FieldsOption = None,
    redact: RedactOption = None,
    form: DataFormatOption = DataFormat.JSONL,
) -> None:
    """Write whole jobs: every column, payloads, results and whole errors.

    Jobs come in the order of their ids, and are written while they are read: a million jobs begin at once and take
    little memory. Jobs that change meanwhile are written as they are when they are read. --redact payload also hides
    the spawn configuration, which the payload has. Encrypted payloads and other binary columns are left out.

    \b
    Examples:
      hammerwork job export --queue video_ingest >jobs.jsonl
      hammerwork job export --failed --since 7d --format csv --fields id,queue,error,payload.title >failed.csv
      hammerwork job export --redact payload,result,error | gzip >jobs.jsonl.gz
    """
    context: Context = ctx.obj
    hidden, chosen = shown.hidden_keys(redact), filters.chosen(context.now())
    context.show(
        exporting.jobs(context.database(), chosen),
        form,
        columns=(),
        record=lambda job: shown.redacted(shown.export_record(job), hidden),
        keys=shown.EXPORT_KEYS,
        empty="",
        fields=fields,
    )

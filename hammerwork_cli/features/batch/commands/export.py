"""``hammerwork batch export``."""

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DataFormat, DataFormatOption, FieldsOption, QueueOption, StatusOption, statuses
from hammerwork_cli.features.batch.commands.reading import BatchArgument
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.features.job.commands.export import RedactOption, write
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import export as exporting
from hammerwork_cli.features.job.views.export import hidden_keys


def export(
    context: Context,
    batch: BatchArgument,
    queue: QueueOption = None,
    status: StatusOption = None,
    fields: FieldsOption = None,
    redact: RedactOption = None,
    form: DataFormatOption = DataFormat.JSONL,
) -> None:
    """
    \b
    Examples:
      hammerwork batch export 178ebfc3 >letters.jsonl
      hammerwork batch export 178ebfc3 --status failed,dead --format csv --fields id,error,payload.to >failed.csv
    """
    hidden, wanted = hidden_keys(redact), tuple(sorted(statuses(status) or ()))
    database = context.database()
    chosen = JobFilter(queues=tuple(queue or ()), statuses=wanted, batches=(listing.resolve(database, batch),))
    write(context, exporting.jobs(database, chosen), form, fields=fields, hidden=hidden)

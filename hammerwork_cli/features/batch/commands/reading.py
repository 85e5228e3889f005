"""``hammerwork batch list``, ``show`` and ``wait``."""

from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import Listing, ListOptions, show_list
from hammerwork_cli.cli.options import CursorOption, ErrorLimitOption, Format, FormatOption, LimitOption, since_option
from hammerwork_cli.cli.waiting import GiveUpOption, IntervalOption, wait_until_ended
from hammerwork_cli.core.input.reading import since_of
from hammerwork_cli.errors import ShownAnswerError
from hammerwork_cli.features.batch import views as shown
from hammerwork_cli.features.batch.model import BatchStatus
from hammerwork_cli.features.batch.queries import listing

OptionalBatchArgument = Annotated[
    str | None, typer.Argument(metavar="[BATCH]", help="A batch's id, or at least its first 4 hex digits.")
]
BatchArgument = Annotated[
    str, typer.Argument(metavar="BATCH", help="A batch's id, or at least its first 4 hex digits.")
]


def list_(
    context: Context,
    since: Annotated[str | None, since_option("Only batches created")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    *,
    options: ListOptions,
) -> None:
    """
    Archived jobs count too, and so do jobs that hammerwork (Rust) has enqueued or run. For the next page, give --cursor
    the id of the last batch, or its CREATED_AT/ID. --sort sorts the batches of the page.

    \b
    Examples:
      hammerwork batch list
      hammerwork batch list --since 7d --sort -failed
      hammerwork batch list --format json | jq -r '.[] | select(.status == "Processing") | .id'
    """
    start = None if since is None else since_of(since, context.now())
    show_list(
        context,
        Listing(
            name="batch list",
            read=partial(listing.find, since=start, limit=limit, cursor=cursor),
            columns=lambda: shown.COLUMNS,
            shape=shown.BATCH,
            empty="No batch matches.",
        ),
        options,
    )


def show(
    context: Context,
    batch: BatchArgument,
    limit: ErrorLimitOption = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork batch show 178ebfc3
      hammerwork batch show 178ebfc3 --format json | jq .by_status
    """
    database = context.database()
    found = listing.details(database, listing.resolve(database, batch), limit=limit)
    context.answer(
        shown.BATCH_DETAILS.record(found),
        form,
        lambda: shown.details_text(found, colour=context.colour),
    )


def wait(
    context: Context,
    batch: BatchArgument,
    timeout: GiveUpOption = None,
    interval: IntervalOption = "1s",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Jobs that they spawn do not belong to it. Exit code 0 when all completed, 1 when one failed, was cancelled or was
    deleted, and 124 when --timeout passes. Survives database restarts.

    \b
    Examples:
      hammerwork batch wait 178ebfc3
      hammerwork batch wait 178ebfc3 --timeout 15m && ./publish.sh
    """
    found = wait_until_ended(
        context,
        "batch",
        lambda database: listing.watch(database, batch),
        lambda one: context.answer(shown.BATCH.record(one), form, lambda: [shown.outcome_text(one)]),
        interval=interval,
        timeout=timeout,
    )
    if found.status != BatchStatus.COMPLETED or found.gone:
        raise ShownAnswerError(f"The batch is {shown.status_text(found)}: hammerwork batch show {found.id}")

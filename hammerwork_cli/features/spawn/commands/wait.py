"""``hammerwork spawn wait``."""

from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, OptionalJobArgument, duration_as_given
from hammerwork_cli.cli.outages import OutageNotes
from hammerwork_cli.cli.waiting import GiveUpOption, IntervalOption, seconds_between, seconds_until
from hammerwork_cli.errors import ShownAnswerError, TimedOutError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.core.values import Counts
    from hammerwork_cli.features.spawn.queries.wait import Waiter
    from hammerwork_cli.features.tree.wait import Blocker, WaitResult


def wait(
    context: Context,
    job: OptionalJobArgument = None,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="BATCH", help="Wait for the jobs of this batch instead.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", metavar="WORKFLOW", help="Wait for this workflow instead.")
    ] = None,
    timeout: GiveUpOption = None,
    interval: IntervalOption = "1s",
    children_only: Annotated[
        bool, typer.Option("--children-only", help="Only JOB and the part below it, not its whole tree.")
    ] = False,
    fail_stuck: Annotated[
        bool, typer.Option("--fail-stuck", help="Fail once all remaining jobs can never run.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 0 when all jobs completed, 1 when some failed (or are stuck, with --fail-stuck), 124 when --timeout
    passes. Each check reads few jobs, however large the tree, and the command survives database restarts. A batch has
    the jobs that were enqueued with it; a workflow also has those that they spawn. A cancelled job counts as failed,
    and a workflow fails when all of its remaining jobs wait for a decision. For --batch and --workflow, the JSON is
    that of `batch list` and `workflow list`.

    \b
    Examples:
      hammerwork spawn wait 178ebfc3
      hammerwork spawn wait 178ebfc3 --timeout 15m && ./publish.sh
      hammerwork spawn wait 178ebfc3 --timeout 0 --quiet || echo "not yet, or failed"
      hammerwork spawn wait 178ebfc3 --timeout 1h --format json | jq .counts
      hammerwork spawn wait --batch 5fe1dcfd && ./publish.sh
    """
    if batch is not None or workflow is not None:
        _wait_for_group(context, job, batch, workflow, timeout, interval, form, children_only or fail_stuck)
        return
    if job is None:
        raise UsageError("No job was given.", hint="Give JOB, --batch BATCH or --workflow WORKFLOW.")
    from hammerwork_cli.features.job.queries import listing
    from hammerwork_cli.features.spawn.views import wait as wait_views

    waiter = waiter_of(context, timeout, interval, fail_stuck=fail_stuck)
    database = context.database()
    result = waiter.wait(database, listing.resolve(database, job), whole=not children_only, now=context.now())
    context.answer(
        wait_views.WAIT.record(result),
        form,
        lambda: wait_views.wait_text(result, width=context.width, colour=context.colour),
    )
    require_completed(result, timeout)


def _wait_for_group(
    context: Context,
    job: str | None,
    batch: str | None,
    workflow: str | None,
    timeout: str | None,
    interval: str,
    form: Format,
    of_trees: bool,
) -> None:
    if sum(one is not None for one in (job, batch, workflow)) > 1:
        raise UsageError("Give JOB, --batch BATCH or --workflow WORKFLOW, and only one of them.")
    if of_trees:
        raise UsageError("--children-only and --fail-stuck need JOB.")
    if batch is not None:
        from hammerwork_cli.features.batch.commands.reading import wait as wait_for_batch

        wait_for_batch(context, batch, timeout, interval, form)
    elif workflow is not None:
        from hammerwork_cli.features.workflow.commands.reading import wait as wait_for_workflow

        wait_for_workflow(context, workflow, timeout, interval, form)


def waiter_of(context: Context, timeout: str | None, interval: str = "1s", *, fail_stuck: bool = False) -> "Waiter":
    """Makes a waiter for trees that reports on stderr."""
    from hammerwork_cli.features.spawn.queries.wait import Waiter

    between, most = seconds_between(interval), seconds_until(timeout)
    return Waiter(context.database, _Notes(context), interval=between, timeout=most, fail_stuck=fail_stuck)


def require_completed(result: "WaitResult", timeout: str | None) -> None:
    """Turns the end of a wait into the exit code of the command.

    Raises:
        TimedOutError: the tree has not finished in time.
        ShownAnswerError: some of its jobs failed, or are stuck.
    """
    from hammerwork_cli.features.spawn.views import wait as wait_views
    from hammerwork_cli.features.tree.wait import WaitOutcome

    if result.outcome == WaitOutcome.TIMEOUT:
        raise TimedOutError(
            f"The tree has not finished within {duration_as_given(timeout)}: {wait_views.open_text(result)}."
        )
    if result.outcome != WaitOutcome.COMPLETED:
        raise ShownAnswerError(wait_views.failed_text(result))


class _Notes(OutageNotes):
    """Says on stderr what happens while waiting."""

    def reading(self, counts: "Counts") -> None:
        from hammerwork_cli.view.text import plural, statuses

        self._context.note(f"Waiting for {plural(counts.total, 'job')}: {statuses(counts)}")

    def stuck(self, blockers: "list[Blocker]") -> None:
        from hammerwork_cli.features.spawn.views import wait as wait_views

        for line in wait_views.stuck_text(blockers):
            self._context.note(line)

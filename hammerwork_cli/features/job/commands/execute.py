"""A change to jobs on the command line: plan, confirmation, change, outcome."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, YesOption
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.features.job.models.plan import ChangeOutcome, ChangePlan
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import Change
from hammerwork_cli.features.job.queries.selections import Selection, Subtrees
from hammerwork_cli.features.job.views import changes as shown
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.view.text import plural, short_id


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The options that every change has."""

    yes: YesOption = False
    dry_run: DryRunOption = False
    form: FormatOption = Format.TABLE


def acceptable(change: Change, wanted: Collection[JobStatus] | None) -> set[JobStatus]:
    """The statuses, provided that the change accepts them."""
    if all(change.accepts(status) for status in wanted or ()):
        return set(wanted or ())
    forced = sorted(change.forced - change.accepted)
    more = "" if change.force else f" (--force: also {_listed(forced)})"
    can = f"can be {shown.WORDINGS[change.action].past.lower()}"
    raise UsageError(f"Only {_listed(status for status in JobStatus if status in change.accepted)} jobs {can}{more}.")


def _listed(statuses: Iterable[JobStatus]) -> str:
    *some, last = statuses
    return f"{', '.join(some)} and {last}" if some else last


def nothing_more() -> None:
    """Nothing else was asked about."""


def execute(
    context: Context,
    database: Database,
    selection: Selection,
    change: Change,
    options: Confirmation,
    *,
    always_ask: bool = False,
    agreed: Callable[[], None] = nothing_more,
) -> None:
    """Shows the plan, asks for confirmation where it is needed, changes the jobs, and shows the outcome.

    Args:
        always_ask: also for one job by its id.
        agreed: changes what else the answer was about, before the jobs.

    Raises:
        ConflictError, NotFoundError: the only job that was named cannot change.
        AnswerIsNoError: the change skipped jobs that were meant.
    """
    plan = changes.plan(database, selection, change)
    if options.dry_run:
        _show_plan(context, plan, options)
        return
    shown.raise_refusal(changes.refused(database, change, plan))
    if plan.job is None or always_ask:
        _ask(context, plan, options)
    elif plan.touches_running:
        context.note(shown.running_text(plan.action))
    if plan.changed:
        context.confirm_profile()
    agreed()
    outcome = _run(context, database, selection, change, plan)
    shown.raise_refusal(changes.refused(database, change, outcome))
    outcome.later = plan.later
    context.answer(
        shown.OUTCOME.record(shown.ChangeAnswer(outcome, plan if outcome.job is None else None)),
        options.form,
        lambda: shown.outcome_text(outcome),
    )
    if outcome.action == "retry" and outcome.changed:
        _note_workers(context, database, plan, selection)
    if outcome.refused:
        jobs = plural(outcome.refused + outcome.changed, "job")
        raise AnswerIsNoError(f"{outcome.refused:,} of {jobs} {'was' if outcome.refused == 1 else 'were'} skipped.")


def _note_workers(context: Context, database: Database, plan: ChangePlan, selection: Selection) -> None:
    """Says whether a worker serves the queues of retried jobs, and how to watch them."""
    serving = queues.serving_workers(database)
    unserved = [group.queue for group in plan.changing if serving is not None and not serving[group.queue]]
    if unserved:
        context.note(shown.unserved_text(list(dict.fromkeys(unserved))))
    named = selection.jobs if isinstance(selection, Subtrees) else selection.named
    if len(named) == 1:
        context.note(f"To watch: hammerwork spawn tree {short_id(named[0])} --watch")


def _show_plan(context: Context, plan: ChangePlan, options: Confirmation) -> None:
    context.answer(
        shown.OUTCOME.record(shown.ChangeAnswer(plan.foreseen, plan, dry_run=True)),
        options.form,
        lambda: shown.plan_text(plan, terminal=context.is_terminal, width=context.width, colour=context.colour),
    )


def _ask(context: Context, plan: ChangePlan, options: Confirmation) -> None:
    if not plan.changed:
        return
    for line in shown.plan_text(plan, terminal=context.is_terminal, width=context.width):
        context.note(line)
    question = f"{plan.action.capitalize()} {plural(plan.changed, 'job')}?"
    context.confirm(question, yes=options.yes, form=options.form, plan=shown.PLANNED.records(plan.groups))


def _run(context: Context, database: Database, selection: Selection, change: Change, plan: ChangePlan) -> ChangeOutcome:
    so_far = 0

    with progress_bar(context) as report:

        def on_progress(jobs: int) -> None:
            nonlocal so_far
            so_far = jobs
            report(plan.action, jobs, max(plan.changed, jobs))

        try:
            return changes.run(database, selection, change, on_progress)
        except KeyboardInterrupt:
            context.note(shown.stopped_text(plan.action, so_far))
            raise

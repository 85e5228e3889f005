"""A change to jobs, from its plan over consent to what became of it."""

from dataclasses import dataclass

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, YesOption
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.commands.job.options import DryRunOption
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AnswerIsNoError, HammerworkError
from hammerwork_cli.models import JobStatus, Outcome
from hammerwork_cli.queries.job import changes
from hammerwork_cli.queries.job.changes import STILL_COMING, Change
from hammerwork_cli.queries.job.selections import Named, Selection
from hammerwork_cli.render.formats.text import plural
from hammerwork_cli.render.job import changes as shown
from hammerwork_cli.render.job.changes import Plan, Wording


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether it is given, and how the answer is shown."""

    yes: YesOption = False
    dry_run: DryRunOption = False
    form: FormatOption = Format.TABLE


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """How a change is carried out."""

    wording: Wording
    consent: Confirmation


def carry_out(
    context: Context,
    database: Database,
    selection: Selection,
    change: Change,
    options: ChangeOptions,
    *,
    always_ask: bool = False,
) -> None:
    """Shows the plan, asks for consent where it is needed, changes the jobs, and shows the outcome.

    Args:
        context: the world.
        database: where.
        selection: which jobs.
        change: what is done to them.
        options: how.
        always_ask: for one job by its id too.

    Raises:
        ConflictError, NotFoundError: one job was named, and could not be changed.
        AnswerIsNoError: some of several were left.
    """
    alone = isinstance(selection, Named) and len(selection.ids) == 1
    plan = _plan(database, selection, change, options)
    if options.consent.dry_run:
        _show_plan(context, plan, options)
        return
    if alone and not plan.jobs:
        raise _refusal(database, selection, change, options, Outcome(left=plan.left))
    if not alone or always_ask:
        _ask(context, plan, options)
    elif plan.touches_running:
        context.note(shown.running_text(options.wording))
    outcome = _run(context, database, selection, change, plan)
    if alone and not outcome.changed:
        raise _refusal(database, selection, change, options, outcome)
    context.answer(
        shown.outcome_record(options.wording, outcome, None if alone else plan),
        options.consent.form,
        lambda: shown.outcome_text(options.wording, outcome),
    )
    _judge(options, selection, outcome)


def _plan(database: Database, selection: Selection, change: Change, options: ChangeOptions) -> Plan:
    groups = selection.groups(database)
    archived = selection.archived
    cautious = bool(options.wording.caveat) and bool(groups) and change.may_leave_some(database, selection)
    return Plan(options.wording, groups, change.accepts, cautious, archived)


def _refusal(
    database: Database, selection: Selection, change: Change, options: ChangeOptions, outcome: Outcome
) -> HammerworkError:
    job = _only(selection)
    return shown.refusal(options.wording, job, outcome, failed_below=change.mends_below(database, job, outcome))


def _show_plan(context: Context, plan: Plan, options: ChangeOptions) -> None:
    would = Outcome(changed=plan.jobs, left=plan.left)
    context.answer(
        shown.outcome_record(options.wording, would, plan, dry_run=True),
        options.consent.form,
        lambda: shown.plan_text(plan, terminal=context.is_terminal, width=context.width, colour=context.colour),
    )


def _ask(context: Context, plan: Plan, options: ChangeOptions) -> None:
    if not plan.jobs:
        return
    for line in shown.plan_text(plan, terminal=context.is_terminal, width=context.width):
        context.note(line)
    question = f"{options.wording.verb.capitalize()} {plural(plan.jobs, 'job')}?"
    context.confirm(question, yes=options.consent.yes, form=options.consent.form, plan=shown.plan_records(plan))


def _run(context: Context, database: Database, selection: Selection, change: Change, plan: Plan) -> Outcome:
    looked_at = 0

    with progress_bar(context) as report:

        def on_progress(jobs_so_far: int) -> None:
            nonlocal looked_at
            looked_at = jobs_so_far
            report(plan.wording.verb, jobs_so_far, max(plan.jobs, jobs_so_far))

        try:
            return changes.run(database, selection, change, on_progress)
        except KeyboardInterrupt:
            done = plural(looked_at, "job")
            context.note(f"Stopped after {done}. The same command does the rest.{plan.wording.unfinished}")
            raise


def _only(selection: Selection) -> str:
    assert isinstance(selection, Named)
    return selection.ids[0]


def _judge(options: ChangeOptions, selection: Selection, outcome: Outcome) -> None:
    """Exit 1 where jobs that were asked for were left; a filter does not ask for those that changed meanwhile."""
    left = outcome.left.total
    if not isinstance(selection, Named):
        left = sum(jobs for word, jobs in outcome.left.by_status.items() if _is_refused(word, options.wording))
    if left:
        were = "was" if left == 1 else "were"
        raise AnswerIsNoError(f"{left:,} of {plural(left + outcome.changed, 'job')} {were} left alone.")


def _is_refused(word: str, wording: Wording) -> bool:
    return word not in wording.tolerated and (word in {JobStatus.RUNNING, STILL_COMING} or word in wording.reasons)

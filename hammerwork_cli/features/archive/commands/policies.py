"""``hammerwork archive set-policy``, ``get-policy``, ``policies`` and ``remove-policy``."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import note_new_queue
from hammerwork_cli.cli.options import (
    MOST_DAYS,
    DryRunOption,
    Format,
    FormatOption,
    QueueOption,
    YesOption,
    age,
    one_name,
    statuses,
)
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.core.values import DERIVED, ENDS, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError, UsageError
from hammerwork_cli.features.archive import views as shown
from hammerwork_cli.features.archive.models.policies import COMPRESSION_LEVEL, Ages, By, Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies, retention
from hammerwork_cli.features.job.commands.execute import Confirmation
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.plan import ChangePlan
from hammerwork_cli.features.job.queries.finished_trees import FinishedTrees
from hammerwork_cli.features.job.queries.selections import BATCH, ByFilter, Selection
from hammerwork_cli.features.job.views import changes as job_changes
from hammerwork_cli.features.queue.model import EVERY_QUEUE
from hammerwork_cli.view.text import plural


def days_option(text: str) -> Any:
    """An option of a number of days, with its help."""
    return typer.Option(metavar="DAYS", min=0, max=MOST_DAYS, help=text)


ByOption = Annotated[
    By, typer.Option("--by", help="Take whole trees (QUEUE is that of the root), or each job by itself.")
]
HiddenByOption = Annotated[By | None, typer.Option("--by", hidden=True)]
OlderThanOption = Annotated[
    list[str] | None,
    typer.Option(
        "--older-than",
        metavar="[STATUS=]DURATION",
        help="Age since the job ended, for all or by status: 30d, failed=90d.",
    ),
]


def ages_by_status(given: list[str] | None) -> dict[JobStatus, str]:
    """Reads ``--older-than``: status -> age. That of a status wins over that of all."""
    found: dict[JobStatus | None, str] = {}
    words = names.split(given or ())
    if given and not all(word.rpartition("=")[2].strip() and not word.startswith("=") for word in words or [""]):
        # As an empty variable of a script would: it must not take the ages that nobody gave.
        raise UsageError("--older-than needs a duration.", hint="Such as 30d, or failed=90d.")
    for word in words:
        status, _, length = word.rpartition("=")
        wanted = next(iter(statuses([status]) or ()), None) if status else None
        key = None if wanted is None else _age_of(wanted)
        if found.setdefault(key, length.strip()) != length.strip():
            raise UsageError("--older-than is given twice, with different values.", hint="Give one for each status.")
    usual = found.pop(None, None)
    by_status = {status: length for status, length in found.items() if status is not None}
    return ({} if usual is None else dict.fromkeys(ENDS, usual)) | by_status


def _days() -> Any:
    return typer.Option(min=0, max=MOST_DAYS, hidden=True)


@dataclass(frozen=True, slots=True)
class AgesInDays:
    """The ages as hammerwork (Rust) takes them."""

    completed_after_days: Annotated[float | None, _days()] = None
    failed_after_days: Annotated[float | None, _days()] = None
    dead_after_days: Annotated[float | None, _days()] = None
    timed_out_after_days: Annotated[float | None, _days()] = None

    def given(self) -> dict[JobStatus, timedelta]:
        """Status -> age."""
        numbers = (
            (JobStatus[name.removesuffix("_after_days").upper()], number) for name, number in asdict(self).items()
        )
        return {status: timedelta(days=number) for status, number in numbers if number is not None}


def _age_of(status: JobStatus) -> JobStatus:
    """The status whose age jobs in a status have: the one that their rows hold."""
    held = DERIVED.get(status, status)
    if held not in ENDS:
        raise UsageError(f"{status} jobs have not ended.", hint="Give completed, failed, dead or timedout.")
    return held


BatchOption = Annotated[
    int, typer.Option("--batch-size", metavar="N", min=1, max=10_000, help="Maximum number of jobs per transaction.")
]


def days(*numbers: float | None) -> timedelta:
    """The first number of days that was given, as a duration."""
    return timedelta(days=next(number for number in numbers if number is not None))


def selection(
    database: Database,
    now: datetime,
    ages: Ages,
    *,
    queues: Sequence[str] = (),
    wanted: Collection[JobStatus] | None = None,
    whole: bool = True,
    batch: int = BATCH,
) -> Selection:
    """The jobs that are old enough, or whole trees of them."""
    asked = tuple(sorted(set(wanted or ())))
    for status in asked:
        _age_of(status)
    chosen = JobFilter(
        queues=tuple(queues),
        statuses=asked,
        ended=tuple((status, before(now, age)) for status, age in ages.items()),
        once=True,
        kept_until=now if "retention_delete_at" in database.jobs_columns() else None,
    )
    return FinishedTrees(chosen, batch=batch) if whole else ByFilter(chosen, batch=batch)


def note_uncounted(context: Context, database: Database) -> None:
    """Notes how many open callbacks keep jobs."""
    from hammerwork_cli.features.batch.queries.callbacks import count_uncounted

    callbacks = count_uncounted(database)
    if callbacks:
        context.note(f"The jobs of {plural(callbacks, 'open callback')} stay until a worker has counted them.")


PolicyQueueOption = Annotated[
    str | None,
    typer.Option("-q", "--queue", metavar="QUEUE", callback=one_name, help="The policy of this queue."),
]
AllOption = Annotated[bool, typer.Option("--all", help="The policy for queues without one.")]
NEVER = "never"


class Enabled(StrEnum):
    """Whether workers apply a policy."""

    TRUE = "true"
    FALSE = "false"


def _hidden() -> Any:
    return typer.Option(metavar="DURATION", hidden=True)


def set_policy(
    context: Context,
    queue: PolicyQueueOption = None,
    all_: AllOption = False,
    older_than: OlderThanOption = None,
    completed_after: Annotated[str | None, _hidden()] = None,
    failed_after: Annotated[str | None, _hidden()] = None,
    dead_after: Annotated[str | None, _hidden()] = None,
    timed_out_after: Annotated[str | None, _hidden()] = None,
    action: Annotated[
        PolicyAction | None, typer.Option("--action", help="Archive or delete. [default: archive]")
    ] = None,
    purge_after: Annotated[
        str | None,
        typer.Option(
            "--purge-after",
            metavar="DURATION",
            help="Delete jobs after this time in the archive: 365d. [default: never]",
        ),
    ] = None,
    tree: Annotated[
        bool | None, typer.Option("--tree/--no-tree", help="Take whole trees, or single jobs. [default: tree]")
    ] = None,
    by: HiddenByOption = None,
    compress: Annotated[
        bool | None, typer.Option("--compress/--no-compress", help="Compress payloads with gzip. [default: compress]")
    ] = None,
    enabled: Annotated[
        Enabled | None, typer.Option("--enabled", help="Whether workers apply it. [default: true]")
    ] = None,
    *,
    in_days: AgesInDays,
    confirmation: Confirmation,
) -> None:
    """
    QUEUE is the queue of a tree's root; each job of the tree must be old enough for its status. The age 'never' keeps
    jobs. Options that you omit keep their values; a new policy keeps jobs whose status has no age. Workers apply a
    policy from ten minutes after you set it, and keep jobs that they have yet to count for a callback. A policy that
    deletes jobs asks for confirmation. --dry-run shows what the policy would do now, and does not set it.

    \b
    Examples:
      hammerwork archive set-policy --queue mail --older-than 30d --dry-run
      hammerwork archive set-policy --queue mail --older-than completed=7d,dead=90d --purge-after 365d
      hammerwork archive set-policy --all --older-than 90d --action delete --yes
    """
    name = _queue(queue, all_=all_)
    each = {
        JobStatus.COMPLETED: completed_after,
        JobStatus.FAILED: failed_after,
        JobStatus.DEAD: dead_after,
        JobStatus.TIMED_OUT: timed_out_after,
    }
    ages = {status: _length(text) for status, text in ages_by_status(older_than).items()} | in_days.given()
    ages |= {status: _length(text) for status, text in each.items() if text is not None}
    whole = tree if by is None else by is By.TREE
    database = context.database(changes=True)
    now = context.now(database)
    if name != EVERY_QUEUE:
        note_new_queue(context, database, name)
    old = next(iter(policies.all_policies(database, [name])), Policy(name, PolicyAction.ARCHIVE, {}))
    kept = {**old.ages, **ages}
    wanted = old._replace(
        ages={status: age for status in ENDS if (age := kept.get(status)) is not None},
        action=action or old.action,
        purge_after=old.purge_after if purge_after is None else _length(purge_after),
        by_tree=old.by_tree if whole is None else whole,
        level=old.level if compress is None else (COMPRESSION_LEVEL if compress else None),
        enabled=old.enabled if enabled is None else enabled is Enabled.TRUE,
    )
    if not wanted.ages and wanted.purge_after is None:
        raise UsageError("The policy would keep all jobs.", hint="Add --older-than 30d, for example.")
    for length in (*wanted.ages.values(), wanted.purge_after or timedelta()):
        before(now, length)  # refuse an age before the year 1 now, and not in a worker
    if confirmation.dry_run:
        _show_plans(context, retention.plans(database, wanted, now), confirmation.form)
        return
    if wanted.enabled and (wanted.action == PolicyAction.DELETE or wanted.purge_after is not None):
        for line in shown.policy_text(wanted):
            context.note(line)
        context.confirm("Delete jobs from now on?", yes=confirmation.yes, form=confirmation.form)
    context.confirm_profile()
    policies.put(database, wanted, by=context.operator, now=now)
    _show(context, policies.policy(database, name), confirmation.form)


def _show_plans(context: Context, plans: list[ChangePlan], form: Format) -> None:
    if form is Format.TABLE:
        text = partial(job_changes.plan_text, terminal=context.is_terminal, width=context.width, colour=context.colour)
        context.text(line for plan in plans for line in text(plan))
    else:
        answers = [job_changes.ChangeAnswer(plan.foreseen, plan, dry_run=True) for plan in plans]
        context.data(map(job_changes.OUTCOME.record, answers), form, job_changes.OUTCOME.columns)


def get_policy(
    context: Context, queue: PolicyQueueOption = None, all_: AllOption = False, form: FormatOption = Format.TABLE
) -> None:
    """
    \b
    Examples:
      hammerwork archive get-policy --queue mail
      hammerwork archive get-policy --all --format json
    """
    name = _queue(queue, all_=all_)
    _show(context, policies.policy(context.database(), name), form)


def policies_(context: Context, queue: QueueOption = None, form: FormatOption = Format.TABLE) -> None:
    """
    \b
    Examples:
      hammerwork archive policies
      hammerwork archive policies --queue mail
      hammerwork archive policies --format json | jq '.[] | select(.last_error)'
    """
    context.show(
        policies.all_policies(context.database(), queue or ()),
        form,
        columns=shown.POLICY_COLUMNS,
        shape=shown.POLICY,
        empty="These queues have no policy." if queue else "No queue has a policy: all jobs are kept.",
    )


def remove_policy(
    context: Context,
    queue: PolicyQueueOption = None,
    all_: AllOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork archive remove-policy --queue mail
      hammerwork archive remove-policy --all --yes
    """
    name = _queue(queue, all_=all_)
    database = context.database(changes=not dry_run)
    old = policies.policy(database, name)
    if name != EVERY_QUEUE and any(one.queue == EVERY_QUEUE for one in policies.all_policies(database)):
        context.note("The policy of --all then applies to its jobs at once.")
    if not dry_run:
        context.confirm(f"Remove the policy of {shown.words(name)}?", yes=yes, form=form)
        context.confirm_profile()
        if not policies.remove(database, name):
            raise NotFoundError("Somebody else removed the policy.")
    done = "Would remove" if dry_run else "Removed"
    context.answer(shown.POLICY.record(old), form, lambda: [f"{done} the policy of {shown.words(name)}."])


def _show(context: Context, policy: Policy, form: Format) -> None:
    context.answer(shown.POLICY.record(policy), form, lambda: shown.policy_text(policy))


def _queue(queue: str | None, *, all_: bool) -> str:
    if (queue is None) != all_:
        raise UsageError("Give --queue QUEUE, or --all.", hint="List all policies: hammerwork archive policies")
    if queue is not None and not queue.strip():
        raise UsageError("--queue needs a name.", hint="For queues without a policy: --all.")
    if queue == EVERY_QUEUE:
        raise UsageError("* is not the name of a queue.", hint="For all other queues: --all.")
    return queue or EVERY_QUEUE


def _length(text: str) -> timedelta | None:
    return None if text.strip().lower() == NEVER else age(text)

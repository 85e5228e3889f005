"""Plans, outcomes and refusals of changes to jobs, in words, and their shape."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hammerwork_cli.core.values import Counts, JobStatus, status_phrase
from hammerwork_cli.errors import LIST_ARCHIVED, LIST_JOBS, ConflictError, NotFoundError
from hammerwork_cli.features.job.models.plan import ChangeOutcome, ChangePlan, DueLater, JobGroup, Reason, Refusal
from hammerwork_cli.view import key
from hammerwork_cli.view.json import UNKNOWN
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, table_text
from hammerwork_cli.view.text import count, instant, plural, short_id, visible

SHOWN_GROUPS = 20
"""Lines of a plan; the rest is counted."""


class Words(NamedTuple):
    """A reason for skipping a job, as the end of "The job is ...", and a hint."""

    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    past: str  # `Retried`
    running: str  # the consequence for a Running job, without a full stop
    otherwise: str = ""  # the hint for a job in a status that the change does not accept
    followed: str = ""  # the end of "Retried 1 job ..." about `{jobs}` that changed with `{them}`
    reasons: Mapping[str, Words] = field(default_factory=dict)  # reason -> words that differ between changes
    caveat: str = ""  # the jobs of a plan that may still be skipped
    unfinished: str = ""  # dependents that a second run after Ctrl-C leaves out, and the command for them


_REASONS: Mapping[str, Words] = {
    Reason.GONE: Words("missing"),
    Reason.CHANGED_MEANWHILE: Words("already changed by someone else"),
    Reason.ARCHIVED: Words("archived", "Archived jobs stay unchanged."),
    Reason.HAS_CHILDREN: Words("above a job that stays"),
    Reason.SPAWN_REQUESTED: Words("with an open spawn request", "The job can go once a worker has spawned for it."),
    Reason.AWAITED: Words("yet to be counted for a callback", "The job can go once a worker has counted it."),
    Reason.STILL_COMING: Words(
        "newly inserted", "Stop the program that inserts them (a worker that spawns?), then run the same command again."
    ),
}
_KEPT = "Jobs that a remaining job depends on will be kept."
_DELETED_UNDER = "its worker interrupts the handler, unless it runs in a thread, and records nothing"
WORDINGS: Mapping[str, Wording] = {
    "retry": Wording(
        "Retried",
        "its worker interrupts the old attempt; in a thread, or by a Rust worker, the job can run twice at once",
        otherwise="Only Failed, Dead, TimedOut and Cancelled jobs can be retried.",
        followed="and {jobs} that had failed with {them}",
        reasons={
            JobStatus.CANCELLED: Words("Cancelled", "Add --cancelled to retry them too."),
            JobStatus.COMPLETED: Words("Completed", "Add --force to run it again; a Rust worker also spawns again."),
            Reason.PARENT_FAILED: Words(
                "dependent on a job that failed or is missing", "Retry that job first, or add --force to run it anyway."
            ),
        },
        caveat="Jobs that depend on one that stays failed will be skipped.",
        unfinished="Jobs that had failed with the retried ones: hammerwork job retry JOB --tree",
    ),
    "cancel": Wording(
        "Cancelled",
        "its worker interrupts the handler, unless it runs in a thread; a Rust worker goes on, and one of 1.15.5"
        " overwrites the status at its end",
        otherwise="Only Pending and Retrying jobs can be cancelled. To remove a job: hammerwork job delete JOB",
        followed="and {jobs} that waited for {them}",
        unfinished="Jobs that waited for the cancelled ones: hammerwork spawn doctor --fix",
    ),
    "delete": Wording(
        "Deleted",
        _DELETED_UNDER,
        reasons={
            Reason.WAITED_FOR: Words(
                "needed by another job", "Delete that job too, or add --force; that job can then never run."
            )
        },
        caveat=_KEPT,
    ),
    "purge": Wording(
        "Purged",
        _DELETED_UNDER,
        reasons={Reason.WAITED_FOR: Words("needed by another job", "To find stuck jobs: hammerwork spawn doctor")},
        caveat=_KEPT,
    ),
    "archive": Wording(
        "Archived",
        _DELETED_UNDER,
        reasons={Reason.WAITED_FOR: Words("needed by another job", "To find stuck jobs: hammerwork spawn doctor")},
        caveat=_KEPT,
    ),
    "restore": Wording(
        "Restored",
        _DELETED_UNDER,
        reasons={
            Reason.EXISTS: Words("not only in the archive", "To run it again: hammerwork job retry"),
            Reason.UNREADABLE: Words("damaged in the archive: its payload cannot be read"),
        },
    ),
}
"""Action -> its words."""
REASONS = frozenset(Reason)

PLANNED = Shape[JobGroup](
    {
        "queue": key.text(),
        "status": key.status(),
        "jobs": key.count(),
        "changes": key.flag("False for jobs that are left unchanged"),
    }
)
GROUPS: Sequence[Column[JobGroup]] = (
    column(PLANNED, "queue", wraps=True),
    column(PLANNED, "status", is_status=True),
    column(PLANNED, "jobs", is_count=False),
)


def plan_text(plan: ChangePlan, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Yields the jobs that would change, by queue and status, and those that would not."""
    groups, wording = plan.changing, WORDINGS[plan.action]
    if groups:
        yield f"To {plan.action}: {plural(plan.changed, 'job')}"
        yield table_text(groups[:SHOWN_GROUPS], GROUPS, terminal=terminal, width=width, colour=colour)
    else:
        yield f"Nothing to {plan.action}."
    if len(groups) > SHOWN_GROUPS:
        rest = groups[SHOWN_GROUPS:]
        yield f"… and {plural(sum(group.jobs for group in rest), 'job')} in {plural(len(rest), 'more line')}"
    if groups and plan.cautious:
        yield wording.caveat
    yield from _left_text(plan.action, plan.left)
    yield from _later_text(plan.later, plan.changed)
    if plan.touches_running:
        yield running_text(plan.action)


def running_text(action: str) -> str:
    """The consequence of a change for a Running job, as a sentence."""
    return f"When a job is Running, {WORDINGS[action].running}."


def stopped_text(action: str, jobs: int) -> str:
    """The number of jobs that changed before Ctrl-C, and the commands for the rest."""
    further = WORDINGS[action].unfinished
    return f"Stopped after {plural(jobs, 'job')}. Run the same command again for the rest.{further and ' ' + further}"


def _left_text(action: str, left: Counts) -> Iterator[str]:
    for reason, jobs in sorted(left.by_status.items()):
        what, hint = _words(action, reason)
        yield f"Skipped {plural(jobs, 'job')}: {what}.{hint and ' ' + hint}"


def _later_text(later: DueLater, changed: int) -> Iterator[str]:
    """Jobs that a retry leaves due later, and the option that does not."""
    if not later.jobs:
        return
    at = f"{instant(later.first_at)} UTC"
    if changed == later.jobs == 1:
        yield f"It keeps its due time, {at}. To run it at once, add --now."
    else:
        keep = "job keeps its due time" if later.jobs == 1 else "jobs keep their due times, the first"
        yield f"{count(later.jobs)} {keep}{',' if later.jobs == 1 else ''} {at}. To run all at once, add --now."


def _words(action: str, reason: str) -> Words:
    wording = WORDINGS[action]
    if reason == JobStatus.RUNNING:
        return Words("Running", f"With --force, {wording.running}.")
    return _REASONS.get(reason) or wording.reasons.get(reason) or Words(visible(reason), wording.otherwise)


def unserved_text(queues: Sequence[str]) -> str:
    """A note about retried jobs that no worker would claim now."""
    more = f" and {count(len(queues) - 3)} more" if len(queues) > 3 else ""
    names = ", ".join(map(visible, queues[:3]))
    return f"No running worker serves {names}{more}; the jobs wait until one starts (Rust workers do not register)."


def outcome_text(outcome: ChangeOutcome) -> Iterator[str]:
    """Yields the numbers of jobs that changed, of dependents changed with them, and of skipped jobs."""
    wording, text = WORDINGS[outcome.action], ""
    if outcome.followed:
        them = "it" if outcome.changed == 1 else "them"
        text = " " + wording.followed.format(jobs=plural(outcome.followed, "job"), them=them)
    if outcome.changed or outcome.followed:
        yield f"{wording.past} {plural(outcome.changed, 'job')}{text}."
    else:
        yield f"Nothing to {outcome.action}{'' if outcome.left.total else ': no job matches'}."
    yield from _left_text(outcome.action, outcome.left)
    yield from _later_text(outcome.later, outcome.changed)


class ChangeAnswer(NamedTuple):
    """A change to jobs, and its plan unless it was about one job by its id.

    Without force, jobs of the plan may still be skipped as ``parent_failed`` and ``waited_for``, which a dry run does
    not count.
    """

    outcome: ChangeOutcome
    plan: ChangePlan | None
    dry_run: bool = False


OUTCOME = Shape[ChangeAnswer](
    {
        "action": key.text("", "retry", "cancel", "delete", "purge", "archive", "restore").of("outcome.action"),
        "dry_run": key.flag(),
        "changed": key.count("Jobs").of("outcome.changed"),
        "followed": key.count("Dependents that changed with them").of("outcome.followed"),
        "left": key.counts("Jobs left unchanged, by reason", in_order=True).of("outcome.left"),
        "due_later": key.count("Retried jobs whose due time is still to come").of("outcome.later.jobs"),
        "due_at": key.null_or(key.instant("The first of these due times")).of("outcome.later.first_at"),
        "plan": key.null_or(key.list_of(PLANNED, "Null for one job by its id")).of(
            lambda answer: answer.plan and answer.plan.groups
        ),
    }
)


def raise_refusal(refusal: Refusal | None) -> None:
    """Raises a refusal, if there is one, as an error."""
    if refusal is not None:
        raise _error(refusal)


def _error(refusal: Refusal) -> ConflictError | NotFoundError:
    job, action, reason = refusal.job, refusal.action, refusal.reason
    if reason == Reason.GONE and action == "restore":
        return NotFoundError(f"The job {job} is not in the archive.", hint=LIST_ARCHIVED)
    if reason == Reason.GONE:
        return NotFoundError(f"The job {job} is only in the archive, or does not exist.", hint=LIST_JOBS)
    what, hint = _words(action, reason)
    hint = hint or f"See: hammerwork job show {job}"
    if refusal.failed_below:
        hint = f"Jobs below it failed: hammerwork job {action} {short_id(job)} --tree --only failed. {hint}"
    if reason not in REASONS and reason not in list(JobStatus):
        return ConflictError(f"The job {job} is {status_phrase(reason)}.", hint=hint, reason=UNKNOWN)
    return ConflictError(f"The job {job} is {what}.", hint=hint, reason=str(reason))

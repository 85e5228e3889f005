"""What is about to happen to jobs, and what did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hammerwork_cli.errors import ConflictError, NotFoundError
from hammerwork_cli.models import Counts, JobGroup, JobStatus, Outcome, status_phrase
from hammerwork_cli.render.formats.json import UNKNOWN, Record
from hammerwork_cli.render.formats.table import Column, table_text
from hammerwork_cli.render.formats.text import count, plural, short_id, visible

SHOWN_GROUPS = 20
"""Lines of a plan; what is more is counted."""


class Reason(NamedTuple):
    """Why a job is left as it is: what it is, and what can be done about that."""

    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a change is spoken of.

    Attributes:
        verb, past: ``retry`` and ``Retried``.
        running: what it means to do it to a job that runs.
        followed: what was done to dependents: before their number, after which comes ``relation``.
        otherwise: what can be done about a job in a status that the change does not take.
        reasons: further reasons for leaving a job.
        tolerated: reasons that are no failure.
        caveat: which jobs of a plan may turn out to be left.
        unfinished: what is not finished by the same command after Ctrl-C, and what does it.
    """

    verb: str
    past: str
    running: str
    otherwise: str = ""
    followed: str = ""
    relation: str = ""
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    tolerated: frozenset[str] = frozenset()
    caveat: str = ""
    unfinished: str = ""

    def reason(self, word: str) -> Reason:
        """What the reason's word, or a status that is one, means."""
        known = _REASONS.get(word) or self.reasons.get(word)
        if word == JobStatus.RUNNING:
            return Reason("Running", f"With --force: {self.running}")
        return known or Reason(visible(word), self.otherwise)


_REASONS = {
    "gone": Reason("not there any more"),
    "changed_meanwhile": Reason("ended, or changed by somebody else, meanwhile"),
    "archived": Reason("archived", "What has been archived stays as it is."),
    "still_coming": Reason(
        "inserted while this went on", "Stop who inserts them (a worker that spawns?), and run the same command again."
    ),
}
_WAITED_FOR = "waited for by another job"

RETRY = Wording(
    "retry",
    "Retried",
    "a worker may still run it, so it can run twice at once, and the old run can still end it.",
    otherwise="Only Failed, Dead and TimedOut jobs are retried.",
    followed="and re-armed",
    relation="that had failed because of",
    caveat="Of these, what depends on a job that stays failed is left alone.",
    unfinished=" Jobs that had failed because of those: hammerwork job retry JOB --tree",
    reasons={
        JobStatus.COMPLETED: Reason("Completed", "With --force it runs again; a Rust worker also spawns again."),
        "parent_failed": Reason(
            "dependent on a job that failed or is gone", "Retry that job, or add --force to run it all the same."
        ),
    },
)
CANCEL = Wording(
    "cancel",
    "Cancelled",
    "the worker that runs it is not stopped, and a Rust worker overwrites the status when it ends.",
    otherwise="Only jobs that have not begun are cancelled. To remove a row: hammerwork job delete",
    followed="and failed",
    relation="that waited for",
    unfinished=" Jobs that waited for those: hammerwork spawn doctor --fix",
)
DELETE = Wording(
    "delete",
    "Deleted",
    "the worker that runs it goes on, and what it does is not recorded.",
    caveat="Of these, what a job that stays waits for is left alone.",
    reasons={"waited_for": Reason(_WAITED_FOR, "Delete that one too, or add --force and it waits for ever.")},
)
CLEAR = replace(DELETE, tolerated=frozenset({JobStatus.RUNNING}))
PURGE = Wording(
    "purge",
    "Purged",
    DELETE.running,
    caveat=DELETE.caveat,
    reasons={"waited_for": Reason(_WAITED_FOR, "What waits in vain is found by: hammerwork spawn doctor")},
    tolerated=frozenset({"waited_for"}),
)
WORDS_OF_REASONS = frozenset(_REASONS).union(*(wording.reasons for wording in (RETRY, CANCEL, DELETE, PURGE)))
"""What is counted as left besides statuses."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change would do.

    Attributes:
        groups: the jobs it is for.
        accepts: whether jobs in a status are changed.
        cautious: whether jobs of it may turn out to be left, as the wording's caveat says.
        archived: jobs that would be changed, were they not archived.
    """

    wording: Wording
    groups: Sequence[JobGroup]
    accepts: Callable[[str], bool]
    cautious: bool = False
    archived: int = 0

    @property
    def changed(self) -> list[JobGroup]:
        """The jobs that would be changed, the most first."""
        groups = [group for group in self.groups if self.accepts(group.status)]
        return sorted(groups, key=lambda group: -group.jobs)

    @property
    def jobs(self) -> int:
        """How many would be changed."""
        return sum(group.jobs for group in self.changed)

    @property
    def left(self) -> Counts:
        """Those that would not."""
        counts = Counts()
        for group in self.groups:
            if not self.accepts(group.status):
                counts.add(group.status, group.jobs)
        if self.archived:
            counts.add("archived", self.archived)
        return counts

    @property
    def touches_running(self) -> bool:
        """Whether jobs that run would be changed."""
        return any(group.status == JobStatus.RUNNING for group in self.changed)


GROUPS: Sequence[Column[JobGroup]] = (
    Column("queue", lambda group: group.queue, wraps=True),
    Column("status", lambda group: group.status, is_status=True),
    Column("jobs", lambda group: count(group.jobs), "right"),
)


def plan_text(plan: Plan, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Lines: what would be changed, by queue and status, and what would be left."""
    groups, verb = plan.changed, plan.wording.verb
    if groups:
        yield f"To {verb}: {plural(plan.jobs, 'job')}"
        yield table_text(groups[:SHOWN_GROUPS], GROUPS, terminal=terminal, width=width, colour=colour)
    else:
        yield f"Nothing to {verb}."
    if len(groups) > SHOWN_GROUPS:
        rest = groups[SHOWN_GROUPS:]
        yield f"… and {plural(sum(group.jobs for group in rest), 'job')} in {plural(len(rest), 'more line')}"
    if groups and plan.cautious:
        yield plan.wording.caveat
    yield from left_text(plan.wording, plan.left)
    if plan.touches_running:
        yield running_text(plan.wording)


def running_text(wording: Wording) -> str:
    """What the change means for a job that runs, as a sentence."""
    return f"Of a Running job: {wording.running}"


def left_text(wording: Wording, left: Counts) -> Iterator[str]:
    """Lines: what stays as it is, and why."""
    for word, jobs in sorted(left.by_status.items()):
        reason = wording.reason(word)
        hint = f" {reason.hint}" if reason.hint else ""
        yield f"Left alone: {plural(jobs, 'job')}, {reason.what}.{hint}"


def outcome_text(wording: Wording, outcome: Outcome) -> Iterator[str]:
    """Lines: how many jobs were changed, what followed them, and what was left."""
    them = "it" if outcome.changed == 1 else "them"
    more = (
        f" {wording.followed} {plural(outcome.followed, 'job')} {wording.relation} {them}" if outcome.followed else ""
    )
    yield f"{wording.past} {plural(outcome.changed, 'job')}{more}."
    yield from left_text(wording, outcome.left)


def outcome_record(wording: Wording, outcome: Outcome, plan: Plan | None, *, dry_run: bool = False) -> Record:
    """What was done to jobs, or would be.

    Keys: ``action`` (``retry``, ``cancel``, ``delete``, ``purge``), ``dry_run``, ``changed`` (jobs),
    ``followed`` (dependents that were changed along), ``left`` (an object, reason -> jobs: a status, ``gone``,
    ``changed_meanwhile``, ``archived``, ``parent_failed``, ``waited_for``, ``still_coming``), ``plan`` (a list of
    ``queue``, ``status``, ``jobs``, ``changes``; null for one job by its id). Without force, jobs of the plan may
    turn out to be left for the reasons ``parent_failed`` and ``waited_for``, which a dry run does not look into.
    """
    return {
        "action": wording.verb,
        "dry_run": dry_run,
        "changed": outcome.changed,
        "followed": outcome.followed,
        "left": dict(sorted(outcome.left.by_status.items())),
        "plan": plan and plan_records(plan),
    }


def plan_records(plan: Plan) -> list[Record]:
    """The plan that :func:`outcome_record` tells."""
    return [
        {"queue": group.queue, "status": group.status, "jobs": group.jobs, "changes": plan.accepts(group.status)}
        for group in plan.groups
    ]


def refusal(
    wording: Wording, job: str, outcome: Outcome, *, failed_below: bool = False
) -> ConflictError | NotFoundError:
    """The error that says why the one job that was named is as it was.

    Args:
        wording: of the change.
        job: its id.
        outcome: what was left, and for which reason.
        failed_below: whether the job has completed, and the change can mend what failed below it.
    """
    word = next(iter(outcome.left.by_status), "gone")
    if word == "gone":
        return NotFoundError(
            f"The job {job} is only in the archive, or not there any more.",
            hint="Ids are shown by: hammerwork job list",
        )
    reason = wording.reason(word)
    hint = reason.hint or f"See: hammerwork job show {job}"
    if failed_below:
        hint = f"Jobs below it failed: hammerwork job {wording.verb} {short_id(job)} --tree --only failed. {hint}"
    if word not in WORDS_OF_REASONS and word not in list(JobStatus):
        return ConflictError(f"The job {job} is {status_phrase(word)}.", hint=hint, reason=UNKNOWN)
    return ConflictError(f"The job {job} is {reason.what}.", hint=hint, reason=word)

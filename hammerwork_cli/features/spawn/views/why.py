"""Renders the answers of ``spawn why``."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import UNSUCCESSFUL, JobStatus
from hammerwork_cli.features.job.models.job import PastAttempt
from hammerwork_cli.features.job.views.attempts import ATTEMPT_HISTORY, outcome_word
from hammerwork_cli.features.queue.views.listing import SERVING
from hammerwork_cli.features.spawn.models.why import Diagnosis, FailedJob, FailureGroup, UnderWay, limit_of
from hammerwork_cli.features.spawn.views import delays as delays_views
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.views.json import NAMED
from hammerwork_cli.features.tree.wait import Blocker, BlockerReason
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.shape import Key, Shape
from hammerwork_cli.view.text import (
    TIMES,
    cells,
    count,
    first_line,
    plural,
    short_id,
    shorten,
    status_word,
    statuses,
    unsuccessful_text,
    visible,
    wrapped,
)

NO_ERROR = "no error text"
EARLIER = 3
"""Attempts of a job before its last one that are shown."""
_LEAST_PATH = 36
"""Columns below which a path has a line of its own."""
_BOTH_ENDS = 3
"""Names at the start of a path that is cut in the middle."""


BLOCKED_BY = Key(
    {"type": "object", "additionalProperties": {"type": ["string", "null"]}, "description": "Id -> status"},
    get="parents",
)


class Explained(NamedTuple):
    """The reasons why jobs failed or wait; ``limit``: the most jobs of each kind."""

    diagnosis: Diagnosis
    limit: int
    now: datetime


class _FailedJob(NamedTuple):
    failed: FailedJob
    diagnosis: Diagnosis


class _FailureGroup(NamedTuple):
    group: FailureGroup
    diagnosis: Diagnosis


_FAILED = Shape[_FailedJob](
    {
        **NAMED.within("failed.job"),
        "attempts": key.count().of("failed.job.attempts"),
        "error": key.null_or(key.text()).of("failed.job.error"),
        "path": key.list_of(NAMED, "The jobs from the root to this one").of("failed.path"),
        "attempt_history": ATTEMPT_HISTORY.of(lambda one: one.diagnosis.attempts.get(one.failed.job.id, ())),
    }
)
_FAILURES = Shape[_FailureGroup](
    {
        "error": key.null_or(key.text("Error of the first job")).of("group.error"),
        "pattern": key.null_or(key.text("The error with * for what differs: numbers, ids, quoted texts, addresses")).of(
            "group.text"
        ),
        "count": key.count().of("group.total"),
        "archived": key.count("Archived jobs among them").of("group.archived"),
        "statuses": key.counts("Jobs by status", in_order=True).of("group.statuses"),
        "queues": key.counts("Jobs by queue", in_order=True).of("group.queues"),
        "jobs": key.list_of(_FAILED, "The first of them").of(
            lambda one: [_FailedJob(failed, one.diagnosis) for failed in one.group.jobs]
        ),
    }
)


class _Blocked(NamedTuple):
    blocker: Blocker
    node: TreeNode | None


_HOLD = Shape[_Blocked](
    {
        "id": key.job_id().of("blocker.job"),
        "queue": key.null_or(key.text()).of(lambda one: one.node and one.node.queue),
        "reason": key.text("Why it waits").of("blocker.reason.value"),
        "parents": BLOCKED_BY.of("blocker.parents"),
    }
)
_UNDER_WAY = Shape[UnderWay](
    {
        "queue": key.text(),
        "counts": key.counts("Jobs by status", in_order=True),
        "paused": key.flag().of(lambda found: found.service.pause is not None),
        "workers": SERVING.of("service.serving"),
    }
)
WHY = Shape[Explained](
    {
        "job": NAMED.key().of("diagnosis.job"),
        "jobs": key.count("The job and its descendants").of("diagnosis.counts.total"),
        "counts": key.counts("The jobs by status", in_order=True).of("diagnosis.counts"),
        "failed": key.flag("Whether a failure was found").of("diagnosis.failed"),
        "groups": key.list_of(_FAILURES, "The deepest failures by error").of(
            lambda one: [_FailureGroup(group, one.diagnosis) for group in one.diagnosis.groups]
        ),
        "consequences": key.count("Further failed jobs").of("diagnosis.consequences"),
        "above": key.list_of(_FAILED, "Failures outside the tree that affect it").of(
            lambda one: [_FailedJob(failed, one.diagnosis) for failed in one.diagnosis.above]
        ),
        "waiting": key.count().of(lambda one: len(one.diagnosis.blockers)),
        "stuck": key.count("Those that can never run").of(
            lambda one: sum(blocker.is_stuck for blocker in one.diagnosis.blockers)
        ),
        "holds": key.list_of(_HOLD, "The first waiting jobs").of(
            lambda one: [_Blocked(it, one.diagnosis.nodes.get(it.job)) for it in one.diagnosis.blockers[: one.limit]]
        ),
        "under_way": key.list_of(_UNDER_WAY, "Unfinished jobs that wait for no other job, by queue").of(
            "diagnosis.under_way"
        ),
        "delays": key.list_of(delays_views.DELAY, "Unfinished jobs by reason, queue and error; most serious first").of(
            "diagnosis.delays"
        ),
        "never_spawned": key.list_of(
            delays_views.NEVER_SPAWNED,
            "The first completed jobs that carry a spawn configuration and have no children",
        ).of(lambda one: one.diagnosis.never_spawned[: one.limit]),
        "next": key.list_of(key.step(), "Commands").of(lambda one: next_commands(one.diagnosis, one.now)),
    }
)


def summary(diagnosis: Diagnosis) -> str:
    """The failures or cancellations in one sentence, for the error on stderr."""
    if diagnosis.counts.unsuccessful:
        return unsuccessful_text(diagnosis.counts)
    above = {failed.job.status for failed in diagnosis.above}
    return f"A job above this one {'was cancelled' if above == {JobStatus.CANCELLED} else 'failed'}."


def next_commands(diagnosis: Diagnosis, now: datetime) -> list[str]:
    """The next commands, the most helpful first."""
    above = [failed.job for failed in diagnosis.above[:3]]
    commands = [f"hammerwork job {'retry' if _is_retried(job) else 'show'} {short_id(job.id)}" for job in above]
    failed = [group for group in diagnosis.groups if not group.is_cancelled]
    if any(group.archived < group.total and not group.limit for group in failed):
        commands.append(f"hammerwork job retry {short_id(diagnosis.job.id)} --tree --only failed")
    elif not failed and not all(group.is_cancelled_by_handlers for group in diagnosis.groups):
        commands.append(f"hammerwork job retry {short_id(diagnosis.job.id)} --tree --cancelled")
    if diagnosis.groups:
        commands.append(f"hammerwork job show {short_id(diagnosis.groups[0].jobs[0].job.id)}")
    if any(blocker.reason == BlockerReason.NOT_RELEASED for blocker in diagnosis.blockers):
        commands.append("hammerwork spawn doctor --fix")
    missing = [blocker.job for blocker in diagnosis.blockers if blocker.reason == BlockerReason.PARENT_MISSING]
    commands += [f"hammerwork job cancel {short_id(job)}" for job in missing[:3]]
    commands += delays_views.delay_commands(diagnosis, now)
    return list(dict.fromkeys(commands or _patience(diagnosis, now)))


def _is_retried(job: TreeNode) -> bool:
    """Whether a retry may help."""
    return job.archived_at is None and limit_of(job.error) is None


def _patience(diagnosis: Diagnosis, now: datetime) -> list[str]:
    """The next command if nothing is wrong: to wait, or to ask about a blocker."""
    if delays_views.is_worth_waiting(diagnosis, now):
        return [f"hammerwork spawn wait {short_id(diagnosis.job.id)}"]
    awaited = [job for blocker in diagnosis.blockers if not blocker.is_stuck for job in blocker.blocked_by]
    return [f"hammerwork spawn why {short_id(job)}" for job in awaited[:1]]


def diagnosis_text(
    diagnosis: Diagnosis,
    limit: int,
    *,
    now: datetime,
    charset: str = "utf8",
    width: int | None = None,
    colour: bool = False,
) -> Iterator[str]:
    """Yields the errors with the paths to their jobs, the blockers, and the next commands."""
    draw = _WhyDrawing(now, charset, width, colour)
    yield draw.head(diagnosis)
    if not diagnosis.groups and not diagnosis.consequences:
        for_good = " for good" if any(delay.error for delay in diagnosis.delays) else ""
        yield f"Nothing failed{for_good} at or below {short_id(diagnosis.job.id)}."
    for group in diagnosis.groups:
        yield ""
        yield from draw.group(group, diagnosis)
    if diagnosis.consequences:
        yield ""
        others = " of these" if diagnosis.groups else " of others"
        yield f"{plural(diagnosis.consequences, 'more job')} failed because{others}."
    yield from draw.above(diagnosis)
    yield from draw.blockers(diagnosis, limit)
    yield from draw.delays(diagnosis, limit)
    yield from draw.never_spawned(diagnosis, limit)
    commands = next_commands(diagnosis, now)
    if commands:
        yield ""
        yield paint("Next", "bold", colour)
        yield from (f"  {command}" for command in commands)


class _WhyDrawing:
    def __init__(self, now: datetime, charset: str, width: int | None, colour: bool) -> None:
        self.arrow, self.ellipsis = (" > ", "...") if charset == "ascii" else (" \N{RIGHTWARDS ARROW} ", "…")
        self.times = "x" if charset == "ascii" else TIMES
        self.dot = " - " if charset == "ascii" else " · "
        self.width = width
        self.colour = colour
        self.lines = delays_views.DelayLines(now, self.dot, self.times, self.ellipsis, width)

    def head(self, diagnosis: Diagnosis) -> str:
        job, counts = diagnosis.job, diagnosis.counts
        name = paint(f"{visible(job.queue)} {short_id(job.id)}", "bold", self.colour)
        shown = f"{name}{self.dot}{self._status(job)}"
        return shown if counts.total == 1 else f"{shown}{self.dot}{plural(counts.total, 'job')}: {statuses(counts)}"

    def _status(self, node: TreeNode) -> str:
        return paint_status(node.status, visible(node.status), self.colour)

    def group(self, group: FailureGroup, diagnosis: Diagnosis) -> Iterator[str]:
        error = visible(group.text) if group.text else NO_ERROR
        queues = ", ".join(
            f"{shorten(visible(queue), 30, self.ellipsis)} {self.times}{jobs}"
            if len(group.queues.by_status) > 1
            else visible(queue)
            for queue, jobs in sorted(group.queues.by_status.items(), key=lambda pair: -pair[1])[:3]
        )
        head = f"{statuses(group.statuses)}{self.dot}{queues}{self.dot}{error}"
        yield from self._wrapped(head, "dim" if group.is_cancelled else "red")
        yield from self._failed(group.jobs, diagnosis)
        if group.total > len(group.jobs):
            yield f"  {self.ellipsis} {count(group.total - len(group.jobs))} more"
        if group.archived:
            yield f"  {count(group.archived)} of them archived; archived jobs cannot be retried"
        if group.limit:
            where = "of the job" if group.limit == "max_spawn_count" else "of the topmost job"
            yield (
                f"  A retry would hit {group.limit} again. Enqueue the job again, with a higher limit in the spawn "
                "configuration "
                f"{where}{' (hammerwork job enqueue --max-spawn-count)' * (group.limit == 'max_spawn_count')}."
            )

    def _wrapped(self, text: str, colour: str) -> Iterator[str]:
        """An error in as many lines as it needs: it is the answer."""
        for line in wrapped(text, self.width, ellipsis=self.ellipsis):
            yield paint(line, colour, self.colour)

    def _failed(self, jobs: list[FailedJob], diagnosis: Diagnosis) -> Iterator[str]:
        for failed in jobs:
            attempts = self._attempts(failed.job)
            room = None if self.width is None else self.width - cells(f"  {self.dot}{failed.job.status}{attempts}")
            if room is None or room >= _LEAST_PATH:
                yield f"  {self._path(failed.path, room)}{self.dot}{self._status(failed.job)}{attempts}"
            else:
                yield f"  {self._path(failed.path, self.width and self.width - 2)}"
                yield f"    {self._status(failed.job)}{attempts}"
            yield from self._earlier(diagnosis.attempts.get(failed.job.id, ()))

    def _earlier(self, attempts: Sequence[PastAttempt]) -> Iterator[str]:
        """The attempts before the last one that ended otherwise."""
        others = [attempt for attempt in attempts if _ending(attempt) != _ending(attempts[-1])]
        for attempt in others[-EARLIER:]:
            facts = [f"attempt {attempt.attempt}", outcome_word(attempt.outcome)]
            facts += [first_line(attempt.error)] if attempt.error else []
            yield shorten(f"    {self.dot.join(facts)}", self.width, self.ellipsis)

    def _path(self, path: tuple[TreeNode, ...], room: int | None = None) -> str:
        """The path from the topmost ancestor: of a long one both ends, in a narrow place with shorter names."""
        for ends, name in ((_BOTH_ENDS, 30), (_BOTH_ENDS, 12), (1, 30), (1, 12), (0, 30), (0, 12)):
            text = self._joined(path, ends, name)
            if room is None or cells(text) <= room:
                return text
        return shorten(text, room, self.ellipsis)

    def _joined(self, path: tuple[TreeNode, ...], ends: int, width: int) -> str:
        """The first ``ends`` names of a path and the last ones, one fewer, with the number of those in between."""
        names = [f"{shorten(visible(node.queue), width, self.ellipsis)} {short_id(node.id)}" for node in path]
        last = max(ends - 1, 1)
        left_out = len(names) - ends - last
        if left_out > (ends == _BOTH_ENDS):
            names[ends:-last] = [f"{self.ellipsis} {count(left_out)} more {self.ellipsis}"]
        return self.arrow.join(names)

    @staticmethod
    def _attempts(node: TreeNode) -> str:
        return f" after {plural(node.attempts, 'attempt')}" if node.attempts > 1 else ""

    def above(self, diagnosis: Diagnosis) -> Iterator[str]:
        if not diagnosis.above:
            return
        yield ""
        yield paint("Caused by", "bold", self.colour)
        for failed in diagnosis.above:
            error = visible((failed.job.error or NO_ERROR).strip().partition("\n")[0])
            room = None if self.width is None else self.width - 2
            text = f"  {self._path(failed.path, room)}{self.dot}{failed.job.status}{self.dot}{error}"
            yield from self._wrapped(text, "red")

    def blockers(self, diagnosis: Diagnosis, limit: int) -> Iterator[str]:
        if not diagnosis.blockers:
            return
        yield ""
        stuck = sum(blocker.is_stuck for blocker in diagnosis.blockers)
        one = len(diagnosis.blockers) == 1
        of_them = " and is" if one else " and are" if stuck == len(diagnosis.blockers) else f", {count(stuck)} of them"
        never = f"{of_them} stuck" if stuck else ""
        wait = "waits" if one else "wait"
        yield paint(f"{plural(len(diagnosis.blockers), 'job')} {wait} for others{never}", "bold", self.colour)
        for blocker in diagnosis.blockers[:limit]:
            yield shorten(f"  {blocker_text(blocker, diagnosis.nodes)}", self.width, self.ellipsis)
        if len(diagnosis.blockers) > limit:
            yield f"  {self.ellipsis} {count(len(diagnosis.blockers) - limit)} more"

    def delays(self, diagnosis: Diagnosis, limit: int) -> Iterator[str]:
        for heading, lines in self.lines.sections(diagnosis.delays, limit):
            yield ""
            yield paint(heading, "bold", self.colour)
            yield from lines

    def never_spawned(self, diagnosis: Diagnosis, limit: int) -> Iterator[str]:
        if not diagnosis.never_spawned:
            return
        yield ""
        yield paint(delays_views.never_spawned_heading(len(diagnosis.never_spawned)), "bold", self.colour)
        yield from self.lines.never_spawned(diagnosis.never_spawned, limit)


def _ending(attempt: PastAttempt) -> tuple[str, str]:
    return attempt.outcome, first_line(attempt.error or "")


_REASONS = {
    BlockerReason.UNFINISHED: "waits for",
    BlockerReason.PARENT_FAILED: "can never run: it depends on",
    BlockerReason.PARENT_MISSING: "can never run: it depends on",
    BlockerReason.NOT_RELEASED: "still waits although all its dependencies have ended:",
    BlockerReason.STUCK_ABOVE: "is stuck behind",
}


def blocker_text(blocker: Blocker, nodes: dict[str, TreeNode], *, named: bool = True) -> str:
    """A waiting job, if it is ``named``, and its blockers in one line, with the queues of the jobs in ``nodes``."""

    def name(job: str) -> str:
        node = nodes.get(job)
        return f"{shorten(visible(node.queue), 30)} {short_id(job)}" if node else short_id(job)

    names = [f"{name(parent)} ({_state(blocker.parents[parent])})" for parent in blocker.blocked_by[:3]]
    more = f" and {count(len(blocker.blocked_by) - 3)} more" if len(blocker.blocked_by) > 3 else ""
    subject = f"{name(blocker.job)} " if named else ""
    if blocker.awaited:
        names.append(plural(blocker.awaited, "job") + " below its parent")
    return f"{subject}{_REASONS[blocker.reason]} {', '.join(names) or 'nothing'}{more}"


def _state(status: str) -> str:
    return status if status == "missing" or status in UNSUCCESSFUL else status_word(status)

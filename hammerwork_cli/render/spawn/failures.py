"""Renders the answer of ``spawn why`` without a job: failures by error."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from shlex import quote

from hammerwork_cli.models import TreeNode, rfc3339
from hammerwork_cli.models.why import ErrorGroup, Failures
from hammerwork_cli.render.formats import names
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import TIMES, count, instant, plural, short_id, shorten, statuses, visible

NO_ERROR = "no error text"
LONGEST_FILTER = 160
"""Most characters of a text for ``--error``, so that a command stays readable."""
LEAST_FILTER = 4
"""Letters and digits that it needs at least: with fewer, it would fit other errors too."""
SHOWN_QUEUES = 3

ERROR_KEYS = (
    "error",
    "pattern",
    "jobs",
    "by_status",
    "queues",
    "trees",
    "first_at",
    "last_at",
    "job_id",
    "path",
    "retry",
)
"""Columns of CSV and TSV."""


def failures_record(failures: Failures) -> Record:
    """Failures by error.

    Keys: ``queue``, ``queue_names`` and ``since`` (the filters), ``jobs`` and ``by_status`` (the jobs whose last
    attempt failed), ``consequences`` (number of other jobs, which failed only because of these), ``archived`` (number
    of archived jobs that failed, which no group has), ``groups`` (list of :func:`group_record`, the largest first),
    ``more_groups`` (number of further groups).
    """
    return {
        **names.record_of(failures.queues),
        "since": rfc3339(failures.since),
        "jobs": failures.counts.total,
        "by_status": dict(sorted(failures.counts.by_status.items())),
        "consequences": failures.consequences,
        "archived": failures.archived,
        "groups": group_records(failures),
        "more_groups": failures.more,
    }


def group_records(failures: Failures) -> list[Record]:
    """A record for each error."""
    return [group_record(group, failures.queues, failures.since) for group in failures.groups]


def group_record(group: ErrorGroup, queues: Sequence[str], since: datetime | None) -> Record:
    """Jobs with the same error.

    Keys: ``error`` (of the newest job; null without one), ``pattern`` (the same with ``*`` for what differs), ``jobs``,
    ``by_status``, ``queues`` (by number of jobs), ``trees`` (null if these are too many to count), ``first_at``,
    ``last_at``, ``job_id`` (the newest job) and its ``path`` from the topmost ancestor, ``retry`` (the command that
    retries the jobs; null if none of them can be retried or no text tells them from others).
    """
    path = group.example.path if group.example else ()
    return {
        "error": group.error,
        "pattern": group.text,
        "jobs": group.total,
        "by_status": dict(sorted(group.statuses.by_status.items())),
        "queues": _queues(group),
        "trees": group.trees,
        "first_at": rfc3339(group.first_at),
        "last_at": rfc3339(group.last_at),
        "job_id": group.newest,
        "path": [{"id": node.id, "queue": node.queue, "status": node.status} for node in path],
        "retry": retry_command(group, queues, since),
    }


def _queues(group: ErrorGroup) -> list[str]:
    return sorted(group.queues.by_status, key=lambda queue: (-group.queues.of(queue), queue))


def retry_command(group: ErrorGroup, queues: Sequence[str], since: datetime | None) -> str | None:
    """The command that retries the jobs of a group; ``None`` if there is none."""
    text = error_filter(group.text or "")
    if not group.can_be_retried or text is None or not names.can_be_typed(queues):
        return None
    start = since.strftime(" --failed-since %Y-%m-%dT%H:%M:%SZ") if since is not None else ""
    return f"hammerwork job retry --error {quote(text)}{names.option('--queue', queues)}{start}"


def error_filter(pattern: str) -> str | None:
    """The text for ``--error`` that finds the errors of a pattern; ``None`` if it would also find many others.

    It can be typed: ``*`` also stands for everything that a terminal would obey or hide.
    """
    typed = "".join(character if visible(character) == character else "*" for character in pattern)
    text = re.sub(r"\*+", "*", typed)[:LONGEST_FILTER].strip("* ")
    return text if sum(map(str.isalnum, text)) >= LEAST_FILTER else None


def summary(failures: Failures) -> str:
    """The failures in one sentence, for the error on stderr."""
    return f"Failed attempts: {plural(failures.counts.total, 'job')} ({statuses(failures.counts)})."


def failures_text(
    failures: Failures, *, charset: str = "utf8", width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Yields a paragraph for each error: counts, times, an example, and the command that retries the jobs."""
    arrow, dot, times = (" > ", " - ", "x") if charset == "ascii" else (" \N{RIGHTWARDS ARROW} ", " · ", TIMES)
    where = f"{dot}{names.words_of(failures.queues)}" if failures.queues else ""
    where += f"{dot}since {instant(failures.since)} UTC" if failures.since is not None else ""
    if not failures.groups:
        yield f"No failed jobs{' outside the archive' if failures.archived else ''}{where}"
    else:
        jobs = f"{plural(failures.counts.total, 'job')}: {statuses(failures.counts)}"
        yield paint(f"{jobs}{where}", "bold", colour)
    for group in failures.groups:
        yield ""
        error = visible(group.text or NO_ERROR)
        yield paint(f"{statuses(group.statuses)}{dot}{error}", "red", colour)
        trees = f"in {plural(group.trees, 'tree')}{dot}" if group.trees is not None else ""
        yield f"  {trees}{_queues_text(group, times)}{dot}{_times(group)}"
        if group.example is not None:
            path = [_name(node, width) for node in _ends(group.example.path)]
            yield f"  such as {arrow.join(path)}"
        command = retry_command(group, failures.queues, failures.since)
        yield f"  {command or f'hammerwork job show {short_id(group.newest)}'}"
    if failures.more:
        yield ""
        yield f"{plural(failures.more, 'more error')}: add --limit {len(failures.groups) + failures.more}"
    if failures.consequences:
        yield ""
        yield f"{plural(failures.consequences, 'more job')} failed because a dependency failed."
    if failures.archived:
        yield ""
        are = "is" if failures.archived == 1 else "are"
        queue = names.option("--queue", failures.queues)
        yield (
            f"{plural(failures.archived, 'archived job')} that failed {are} not shown:"
            f" hammerwork job list --failed{queue}"
        )


def _queues_text(group: ErrorGroup, times: str) -> str:
    queues = _queues(group)
    if len(queues) == 1:
        return f"queue {visible(queues[0])}"
    named = [f"{shorten(visible(queue), 30)} {times}{count(group.queues.of(queue))}" for queue in queues[:SHOWN_QUEUES]]
    more = f" and {count(len(queues) - SHOWN_QUEUES)} more" if len(queues) > SHOWN_QUEUES else ""
    return f"queues {', '.join(named)}{more}"


def _times(group: ErrorGroup) -> str:
    first, last = instant(group.first_at), instant(group.last_at)
    if first == last:
        return f"at {first} UTC"
    same_day = first[:10] == last[:10]
    return f"first {first}, last {last[11:] if same_day else last} UTC"


def _ends(path: tuple[TreeNode, ...]) -> tuple[TreeNode | None, ...]:
    """A path; of a long one, both ends with ``None`` between."""
    return path if len(path) <= 6 else (*path[:3], None, *path[-2:])


def _name(node: TreeNode | None, width: int | None) -> str:
    return "..." if node is None else f"{shorten(visible(node.queue), 30 if width else None)} {short_id(node.id)}"

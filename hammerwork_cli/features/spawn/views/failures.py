"""Renders the answer of ``spawn why`` without a job: failures by error."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from shlex import quote
from typing import NamedTuple

from hammerwork_cli.features.spawn.models.why import ErrorGroup, Failures
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.views.json import NAMED
from hammerwork_cli.view import key, names
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import TIMES, count, instant, plural, short_id, shorten, statuses, visible

NO_ERROR = "no error text"
LONGEST_FILTER = 160
"""Most characters of a text for ``--error``, so that a command stays readable."""
LEAST_FILTER = 4
"""Letters and digits that it needs at least: with fewer, it would fit other errors too."""
SHOWN_QUEUES = 3


class ReportedError(NamedTuple):
    """Jobs with the same error, and the question that they answer."""

    group: ErrorGroup
    asked: Failures


ERROR_GROUP = Shape[ReportedError](
    {
        "error": key.null_or(key.text("Error of the newest job")).of("group.error"),
        "pattern": key.null_or(key.text("The error with * for what differs: numbers, ids, quoted texts, addresses")).of(
            "group.text"
        ),
        "jobs": key.count().of("group.total"),
        "by_status": key.counts("The jobs by status; those that are Retrying have attempts left", in_order=True).of(
            "group.statuses"
        ),
        "queues": key.list_of(key.text(), "Queues, the one with the most jobs first").of(
            lambda one: _queues(one.group)
        ),
        "trees": key.null_or(key.count("Null if these are too many to count")).of("group.trees"),
        "first_at": key.null_or(key.instant("When an attempt at one of the jobs first failed so")).of("group.first_at"),
        "last_at": key.null_or(key.instant("When the last attempt failed")).of("group.last_at"),
        "job_id": key.job_id("The newest job").of("group.newest"),
        "path": key.list_of(NAMED, "The jobs from the root to the newest job").of(
            lambda one: one.group.example.path if one.group.example else ()
        ),
        "retry": key.null_or(key.step("The command that retries the jobs")).of(
            lambda one: retry_command(one.group, one.asked.queues, one.asked.since)
        ),
    }
)
ERRORS = Shape[Failures](
    {
        **names.OF_QUEUES,
        "since": key.null_or(key.instant("Null for no limit")),
        "jobs": key.count("Jobs whose last attempt failed").of("counts.total"),
        "by_status": key.counts("The jobs by status", in_order=True).of("counts"),
        "consequences": key.count("Further jobs that failed only because of these"),
        "archived": key.count("Archived jobs that failed; they are in no group"),
        "groups": key.list_of(ERROR_GROUP, "The most frequent errors").of(lambda failures: reported(failures)),
        "more_groups": key.count("Further errors").of("more"),
    }
)


def reported(failures: Failures) -> list[ReportedError]:
    """The errors, each with the question."""
    return [ReportedError(group, failures) for group in failures.groups]


def _queues(group: ErrorGroup) -> list[str]:
    return sorted(group.queues.by_status, key=lambda queue: (-group.queues.of(queue), queue))


def retry_command(group: ErrorGroup, queues: Sequence[str], since: datetime | None) -> str | None:
    """The command that retries the jobs of a group; ``None`` if there is none."""
    text = error_filter(group.text or "")
    if not group.can_be_retried or text is None or not names.can_be_typed(queues):
        return None
    start = since.strftime(" --failed-since %Y-%m-%dT%H:%M:%SZ") if since is not None else ""
    return f"hammerwork job retry --error {quote(text)}{names.queue_option(queues)}{start}"


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
        queue = names.queue_option(failures.queues)
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

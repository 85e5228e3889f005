"""Where the time of a tree went, as JSON."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.features.spawn.models.timeline import PARTS, QueueTimes, SiblingGroup, Timeline, TimelineStep
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Shape


def seconds(microseconds: int) -> float:
    """Seconds of a length in microseconds."""
    return microseconds / 1_000_000


def rfc3339_of(microseconds: int) -> str | None:
    """RFC 3339 text of a time in microseconds since 1970."""
    return rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds))


def part_of(part: str) -> Callable[[Mapping[str, int]], float]:
    """Reads a part, which a time may not have."""
    return lambda parts: seconds(parts.get(part, 0))


_ABOUT = {
    "spawning": "Its parent had ended, and it was not created yet",
    "blocked": "It waited for other jobs",
    "delayed": "It waited for its date",
    "queued": "It waited for a worker",
    "retrying": "From its first attempt to its last",
    "running": "The last attempt",
    "unknown": "Times that are missing or contradict each other",
}
_PARTS = Shape[Mapping[str, int]]({part: key.seconds(_ABOUT[part]).of(part_of(part)) for part in PARTS})


def parts(about: str) -> Key:
    """The parts of a time."""
    return _PARTS.key(about)


def length(about: str = "") -> Key:
    """A length of time in microseconds, as seconds."""
    return key.seconds(about)._replace(convert=seconds)


def moment(about: str = "") -> Key:
    """A time in microseconds since 1970."""
    return key.instant(about)._replace(convert=rfc3339_of)


def _of_path(name: str) -> Callable[[Timeline], object]:
    """Reads a time of the critical path; null without one."""
    get = attrgetter(name)
    return lambda found: get(found) if found.path else None


def _percentile(name: str, place: int) -> Callable[[QueueTimes], object]:
    get = attrgetter(name)
    return lambda queue: get(queue) and get(queue)[place]


_STEP = Shape[TimelineStep](
    {
        "id": key.null_or(key.job_id("Null for the time that is unknown")).of(lambda one: one.node and one.node.id),
        "queue": key.null_or(key.text()).of(lambda one: one.node and one.node.queue),
        "status": key.null_or(key.status()).of(lambda one: one.node and one.node.status),
        "seconds": length("Seconds until it hands over to the next").of("length"),
        "parts": parts("Parts of the time until it hands over to the next"),
        "started_at": key.null_or(key.instant("Start of its last attempt")).of(
            lambda one: one.node and one.node.run_start
        ),
        "ended_at": key.null_or(key.instant()).of(
            lambda one: one.node and (one.node.completed_at or one.node.failed_at)
        ),
    }
)
QUEUE_TIMES = Shape[QueueTimes](
    {
        "queue": key.text(),
        "jobs": key.count(),
        "failed": key.count(),
        "ran_seconds": length("All jobs together").of("running"),
        "queued_p50_seconds": key.null_or(length("Median time until the first attempt, where it is known")).of(
            _percentile("queued", 0)
        ),
        "queued_p95_seconds": key.null_or(length()).of(_percentile("queued", 1)),
        "ran_p50_seconds": key.null_or(length("Jobs that have ended")).of(_percentile("ran", 0)),
        "ran_p95_seconds": key.null_or(length()).of(_percentile("ran", 1)),
    }
)
_SIBLINGS = Shape[SiblingGroup](
    {
        "parent": key.null_or(key.job_id("Null for roots")),
        "queue": key.text(),
        "depth": key.count("Levels below the root"),
        "jobs": key.count(),
        "failed": key.count(),
        "open": key.flag("Whether one of them has not ended").of("times.is_open"),
        "ran_seconds": length("All together").of("running"),
        "ready_at": key.null_or(moment("The first to be ready")).of("times.ready"),
        "started_at": key.null_or(moment("The first start")).of("times.started"),
        "ended_at": key.null_or(moment("The last end, or the present")).of("times.ended"),
    }
)
TIMELINE = Shape[Timeline](
    {
        "root": key.job_id("The first root"),
        "job": key.job_id("The job that was asked for").of("tree.target"),
        "jobs": key.count().of(lambda found: len(found.tree.nodes)),
        "open": key.count("Jobs that have not ended"),
        "unknown": key.count("Jobs that are left out: their times are missing or contradict each other"),
        "started_at": key.null_or(moment("Creation of the root; null if no time is known")).of(_of_path("begun")),
        "ended_at": key.null_or(moment("The last end; the present while jobs are open")).of(_of_path("ended")),
        "seconds": length("Seconds from the one to the other").of("length"),
        "parts": parts("Seconds of the critical path; they add up to the whole"),
        "without_queueing_seconds": length("Seconds with a worker for every job").of("alone"),
        "job_seconds": parts("Seconds of all jobs together").of("sums"),
        "critical_path": key.list_of(_STEP, "The jobs from the root to the one that ended last").of("path"),
        "by_queue": key.list_of(QUEUE_TIMES, "The longest run time first").of("queues"),
        "siblings": key.null_or(key.list_of(_SIBLINGS, "The children of each parent in each queue (--all)")),
    }
)

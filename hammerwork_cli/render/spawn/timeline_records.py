"""Where the time of a tree went, as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.spawning.timeline import PARTS, QueueTimes, SiblingGroup, Timeline, TimelineStep
from hammerwork_cli.render.formats.json import Record


def seconds(microseconds: int) -> float:
    """Seconds of a length in microseconds."""
    return microseconds / 1_000_000


def timeline_record(found: Timeline) -> Record:
    """A timeline.

    Keys: ``root`` (id of the first root), ``job`` (the job that was asked for), ``jobs``, ``open`` (jobs that have not
    ended), ``unknown`` (jobs with times that are missing or contradict each other), ``started_at``, ``ended_at`` (of
    the critical path; the present while jobs are open), ``seconds``, ``parts`` (part -> seconds of the critical path),
    ``without_queueing_seconds``, ``job_seconds`` (part -> seconds of all jobs together), ``critical_path`` (``id``,
    ``queue``, ``status``, ``seconds``, ``parts``, ``started_at``, ``ended_at``; the root first; ``id``, ``queue`` and
    ``status`` are null for the time that is unknown), ``by_queue``, ``siblings`` (``null`` without ``--all``).
    """
    tree = found.tree
    return {
        "root": found.root,
        "job": tree.target,
        "jobs": len(tree.nodes),
        "open": found.open,
        "unknown": found.unknown,
        "started_at": rfc3339_of(found.begun) if found.path else None,
        "ended_at": rfc3339_of(found.ended) if found.path else None,
        "seconds": seconds(found.length),
        "parts": all_parts(found.parts),
        "without_queueing_seconds": seconds(found.alone),
        "job_seconds": all_parts(found.sums),
        "critical_path": [_step_record(step) for step in found.path],
        "by_queue": [queue_record(queue) for queue in found.queues],
        "siblings": None if found.siblings is None else [_siblings_record(group) for group in found.siblings],
    }


def _step_record(step: TimelineStep) -> Record:
    node = step.node
    return {
        "id": node and node.id,
        "queue": node and node.queue,
        "status": node and node.status,
        "seconds": seconds(step.length),
        "parts": all_parts(step.parts),
        "started_at": rfc3339(node.run_start) if node else None,
        "ended_at": rfc3339(node.completed_at or node.failed_at) if node else None,
    }


def queue_record(queue: QueueTimes) -> Record:
    """The jobs of a queue in a tree."""
    queued, ran = queue.queued or (None, None), queue.ran or (None, None)
    return {
        "queue": queue.queue,
        "jobs": queue.jobs,
        "failed": queue.failed,
        "ran_seconds": seconds(queue.running),
        "queued_p50_seconds": _optional_seconds(queued[0]),
        "queued_p95_seconds": _optional_seconds(queued[1]),
        "ran_p50_seconds": _optional_seconds(ran[0]),
        "ran_p95_seconds": _optional_seconds(ran[1]),
    }


def _siblings_record(group: SiblingGroup) -> Record:
    return {
        "parent": group.parent,
        "queue": group.queue,
        "depth": group.depth,
        "jobs": group.jobs,
        "failed": group.failed,
        "open": group.times.is_open,
        "ran_seconds": seconds(group.running),
        "ready_at": rfc3339_of(group.times.ready),
        "started_at": rfc3339_of(group.times.started),
        "ended_at": rfc3339_of(group.times.ended),
    }


def all_parts(parts: Mapping[str, int]) -> Record:
    """Part -> seconds, with every part."""
    return {part: seconds(parts.get(part, 0)) for part in PARTS}


def _optional_seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else seconds(microseconds)


def rfc3339_of(microseconds: int) -> str | None:
    """RFC 3339 text of a time in microseconds since 1970."""
    return rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds))

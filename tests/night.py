"""Jobs for tests to look at: a video platform's night, with one thing gone wrong."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.features.job.models.new_job import NewJob

TITLES = ("Nordlichter über Tromsø", "東京の夜", 'The "best" of 2026')
QUALITIES = ("1080p", "720p", "480p", "audio")
SEGMENTS = 8


def night(now: datetime) -> list[NewJob]:
    """The jobs, parents first: three videos, 41 jobs each; one has dead segments and one is still running.

    Args:
        now: the present; everything happened in the minutes before.
    """
    videos = [_Video(title, now - timedelta(minutes=12 - 4 * number)) for number, title in enumerate(TITLES)]
    stories = zip(videos, ("fine", "broken", "running"), strict=True)
    jobs = [job for video, story in stories for job in video.jobs(story)]
    return [*jobs, _upcoming(now)]


def broken_root(jobs: Sequence[NewJob]) -> str:
    """The id of the job at the top of the tree that has dead jobs in it."""
    by_id = {job.id: job for job in jobs}
    job = next(job for job in jobs if job.status == JobStatus.DEAD)
    while job.depends_on:
        job = by_id[job.depends_on[0]]
    return job.id


def _upcoming(now: datetime) -> NewJob:
    return NewJob(
        queue="video_ingest",
        payload=_payload({"title": "Tomorrow's upload"}, spawns=True),
        created_at=now,
        scheduled_at=now + timedelta(hours=8),
    )


def _payload(payload: dict[str, object], *, spawns: bool, operation: str | None = None) -> str:
    if spawns:
        payload = payload | {"_spawn_config": SpawnConfig(operation_id=operation)._stored()}
    return json.dumps(payload)


class _Video:
    """One upload: an ingest that spawns encodes, thumbnails and subtitles; an encode that spawns segments."""

    def __init__(self, title: str, start: datetime) -> None:
        self.title = title
        self.start = start

    def jobs(self, story: str) -> list[NewJob]:
        operation = f"ingest-{TITLES.index(self.title):03}"
        ingest = self._job("video_ingest", {"title": self.title}, 0, 1.4, spawns=True, operation=operation)
        jobs = [ingest]
        for place, quality in enumerate(QUALITIES):
            encode = self._job("transcode", {"quality": quality}, 2 + place, 3.2, parent=ingest, spawns=True)
            jobs.append(encode)
            for number in range(SEGMENTS):
                segment = self._job("segment", {"segment": number}, 8 + place + number, 7.5, parent=encode)
                jobs.append(self._told(segment, story, quality, number))
        jobs += [self._job("thumbnail", {"at": 10 * place}, 3 + place, 0.6, parent=ingest) for place in range(3)]
        jobs.append(self._job("subtitle", {"language": "nb"}, 5, 4.1, parent=ingest))
        return jobs

    def _job(
        self,
        queue: str,
        payload: dict[str, object],
        after: float,
        seconds: float,
        *,
        parent: NewJob | None = None,
        spawns: bool = False,
        operation: str | None = None,
    ) -> NewJob:
        started = self.start + timedelta(seconds=after)
        return NewJob(
            queue=queue,
            payload=_payload(payload, spawns=spawns, operation=operation),
            created_at=started - timedelta(seconds=0.5),
            scheduled_at=started - timedelta(seconds=0.5),
            status=JobStatus.COMPLETED,
            priority=JobPriority.HIGH if queue == "video_ingest" else JobPriority.NORMAL,
            attempts=1,
            depends_on=(parent.id,) if parent else (),
            dependency_status="satisfied" if parent else "none",
            started_at=started,
            completed_at=started + timedelta(seconds=seconds),
        )

    def _told(self, segment: NewJob, story: str, quality: str, number: int) -> NewJob:
        if story == "broken" and quality == "720p" and number in {3, 5}:
            segment.status, segment.attempts = JobStatus.DEAD, segment.max_attempts
            segment.failed_at, segment.completed_at = segment.completed_at, None
            segment.error_message = f"Codec error in segment {number}: moov atom not found"
        elif story == "running" and quality == "audio" and number >= 5:
            segment.status, segment.completed_at = (JobStatus.RUNNING if number == 5 else JobStatus.PENDING), None
            segment.started_at = segment.started_at if number == 5 else None
            segment.attempts = int(number == 5)
        return segment

"""The handlers of ``hammerwork demo``: a video platform, before and after it could read damaged recordings."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.spawn import SpawnContext

QUALITIES = ("1080p", "720p", "480p", "audio")
SEGMENTS = 8
DAMAGED = (("720p", 3), ("720p", 5))
SOON = RetryStrategy.fixed(timedelta(milliseconds=400))

released, app = Handlers(), Handlers()
"""The handlers of ``hammerwork demo``, and the same ones after their repair, for ``hammerwork worker start --handlers
hammerwork_cli.demonstration:app``: jobs that had failed succeed with them.
"""


class VideoError(Exception):
    """No codec can read the recording."""


def upload() -> Job:
    """Returns the root of the tree, which spawns everything else."""
    config = SpawnConfig(operation_id="ingest-000", inherit_priority=False)
    job = Job("video_ingest", {"title": "Nordlichter über Tromsø"}, priority=JobPriority.HIGH)
    return job.with_spawn_config(config)


def tomorrow() -> Job:
    """Returns a job that is due later, and for which the demonstration does not wait."""
    job = Job("video_ingest", {"title": "Tomorrow's upload"}, scheduled_at=datetime.now(UTC) + timedelta(hours=8))
    return job.with_spawn_config(SpawnConfig())


@released.job("video_ingest")
@app.job("video_ingest")
def ingest(job: Job) -> dict[str, Any]:
    """Examines the uploaded file."""
    time.sleep(0.4)
    return {"title": job.payload["title"], "seconds": 80}


@released.spawn("video_ingest")
@app.spawn("video_ingest")
def derivatives(_: SpawnContext) -> Iterator[Job]:
    """Spawns everything that is made from a video. Each encoding spawns again."""
    for quality in QUALITIES:
        yield Job("transcode", {"quality": quality}).with_spawn_config(SpawnConfig())
    for number in range(3):
        yield Job("thumbnail", {"at": 10 * number})
    yield Job("subtitle", {"language": "nb"})


@released.job("transcode")
@app.job("transcode")
def transcode(job: Job) -> None:
    """Plans an encoding."""
    time.sleep(0.3)
    del job


@released.spawn("transcode")
@app.spawn("transcode")
def segments(context: SpawnContext) -> Iterable[Job]:
    """Spawns the segments of an encoding, which can run in parallel."""
    quality = context.parent_job.payload["quality"]
    return [Job("segment", {"quality": quality, "segment": number}) for number in range(SEGMENTS)]


@released.job("segment", retry=SOON)
def segment(job: Job) -> dict[str, int]:
    """Encodes a segment; fails if its part of the recording is damaged."""
    time.sleep(0.15 + 0.05 * (job.payload["segment"] % 4))
    return {"begins_at": position(recording(job.payload), job.payload["segment"])}


@app.job("segment", retry=SOON)
def patient_segment(job: Job) -> dict[str, int]:
    """Encodes a segment; one without an index begins at its start."""
    try:
        return segment(job)
    except VideoError:
        return {"begins_at": 0}


@released.job("thumbnail")
@released.job("subtitle")
@app.job("thumbnail")
@app.job("subtitle")
def accompany(job: Job) -> None:
    """Makes a thumbnail or subtitles."""
    time.sleep(0.2)
    del job


def recording(payload: dict[str, Any]) -> bytes:
    """Returns the bytes of a segment; the end of the damaged ones is missing."""
    whole = b"\x00\x00\x00\x18ftypisom" + bytes(12) + b"\x00\x00\x00\x08moov"
    return whole[:20] if (payload["quality"], payload["segment"]) in DAMAGED else whole


def position(data: bytes, number: int) -> int:
    """Returns the position of the index of a segment."""
    try:
        return data.index(b"moov")
    except ValueError as error:
        raise VideoError(f"moov atom not found in segment {number}") from error

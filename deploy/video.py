"""The application of the examples: replace it with yours, here and in the options ``--handlers``."""

from collections.abc import Iterator

from hammerwork_cli import Handlers, Job, SpawnContext

app = Handlers()


@app.job("video")
def probe(job: Job) -> dict[str, int]:
    return {"seconds": job.payload["seconds"]}


@app.spawn("video")
def segments(context: SpawnContext) -> Iterator[Job]:
    for start in range(0, context.parent_job.payload["seconds"], 10):
        yield Job("segment", {"start": start})


@app.job("segment")
def encode(job: Job) -> str:
    return f"encoded from second {job.payload['start']}"

r"""Processes a dataset in chunks of 1,000 rows, in parallel.

```sh
hammerwork job enqueue --queue dataset --payload '{"dataset_id": "ds-123", "size": 2500}' --spawn-handler dataset
hammerwork worker start --handlers examples.fan_out:app --drain
```
"""

from collections.abc import Iterator
from typing import Any

from hammerwork_cli import Handlers, Job, SpawnContext, SpawnHandler

CHUNK = 1000
app = Handlers()


class DatasetProcessor(SpawnHandler):
    """One child for each chunk of the parent's dataset."""

    def spawn_jobs(self, context: SpawnContext) -> Iterator[Job]:
        """A generator: however many chunks there are, they are not all in memory at once."""
        dataset = context.parent_job.payload
        for number, start in enumerate(range(0, dataset["size"], CHUNK)):
            yield Job(
                "process_chunk",
                {
                    "chunk_id": number,
                    "start_index": start,
                    "end_index": min(start + CHUNK, dataset["size"]),
                    "dataset_id": dataset["dataset_id"],
                },
            ).with_priority(context.parent_job.priority)


app.register_handler("dataset", DatasetProcessor())


@app.job("process_chunk")
def process_chunk(job: Job) -> dict[str, Any]:
    """The work itself."""
    return {"rows": job.payload["end_index"] - job.payload["start_index"]}


def parent() -> Job:
    """A job of the queue after which the spawn handler is named."""
    return Job("dataset", {"dataset_id": "ds-123", "size": 2500}).with_spawn_handler("dataset")

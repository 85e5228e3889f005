r"""Reads a file in batches, each of them a job.

```sh
hammerwork job enqueue --queue large_dataset --payload '{"file_path": "/data/orders.csv", "batch_size": 500}' \
  --spawn-handler data_processor --max-spawn-count 20 --spawn-delay 0.1
hammerwork worker start --handlers examples.data_processor:app --queue large_dataset --queue process_batch --drain
```
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from hammerwork_cli import Handlers, Job, Queue, SpawnConfig, SpawnContext, SpawnHandler, SpawnManager, Worker


class DataProcessingSpawner(SpawnHandler):
    """Splits a file into batches of lines."""

    def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
        """Refuses a job that names no file, or may spawn without limit."""
        if config.max_spawn_count is None:
            raise ValueError("a file may have any length: set max_spawn_count")
        if "file_path" not in parent_job.payload:
            raise ValueError("the parent job has no file_path")

    def spawn_jobs(self, context: SpawnContext) -> Iterable[Job]:
        """As many batches as the configuration allows."""
        parent = context.parent_job
        batch_size = parent.payload.get("batch_size", 1000)
        for number in range(context.config.max_spawn_count or 0):
            yield (
                Job(
                    "process_batch",
                    {
                        "file_path": parent.payload["file_path"],
                        "start_offset": number * batch_size,
                        "end_offset": (number + 1) * batch_size,
                        "batch_id": f"batch-{number}",
                    },
                )
                .with_priority(parent.priority)  # inherited anyway
                .depends_on_jobs([parent.id])  # implied
            )


def process_batch(job: Job) -> dict[str, Any]:
    """Processes a batch; the return value is the result of the job."""
    return {"lines": job.payload["end_offset"] - job.payload["start_offset"]}


app = Handlers()
app.register_job("process_batch", process_batch)
app.register_spawn("data_processor", DataProcessingSpawner())


def parent() -> Job:
    """A job that spawns, with the name of its handler and a configuration."""
    config = SpawnConfig().with_max_spawn_count(20).with_inherit_priority(True)
    return (
        Job("large_dataset", {"file_path": "/data/orders.csv", "batch_size": 500})
        .with_priority("high")
        .with_spawn_handler("data_processor")
        .with_spawn_config(config.with_spawn_delay(timedelta(milliseconds=100)))
    )


def worker(queue: Queue) -> Worker:
    """A worker from one function for the jobs and a manager for what they spawn."""
    manager = SpawnManager()
    manager.register_handler("data_processor", DataProcessingSpawner())

    def run(job: Job) -> Any:
        return process_batch(job) if job.queue == "process_batch" else None

    return Worker(queue, run, queues=("large_dataset", "process_batch"), drain=True).with_spawn_manager(manager).build()

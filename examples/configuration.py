r"""Every way to configure how a job spawns.

```sh
hammerwork job enqueue --queue reports --payload '{"pages": 12}' --spawn-handler batch_processor \
  --max-spawn-count 50 --spawn-delay 0.1 --batch-size 10 --operation-id custom-op-123
hammerwork worker start --handlers examples.configuration:app --queue reports --queue render_page --drain
```
"""

from collections.abc import Iterator
from datetime import timedelta

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext

app = Handlers()


@app.spawn("batch_processor")
def pages(context: SpawnContext) -> Iterator[Job]:
    """One child per page."""
    for number in range(context.parent_job.payload["pages"]):
        yield Job("render_page", {"page": number})


@app.job("render_page")
def render_page(job: Job) -> int:
    """The number of the page."""
    number: int = job.payload["page"]
    return number


def built() -> SpawnConfig:
    """By builders, each of which returns a changed copy."""
    return (
        SpawnConfig()
        .with_handler("batch_processor")
        .with_max_spawn_count(50)  # one more, and nothing is spawned
        .with_inherit_priority(True)  # children without a priority get their parent's
        .with_inherit_queue(False)  # children without a queue are refused
        .with_spawn_delay(timedelta(milliseconds=100))  # between the starts of batches of children
        .with_batch_size(10)  # children that start together
        .with_operation_id("custom-op-123")
    )


def limited() -> SpawnConfig:
    """By keywords, for a job that must not spawn without bounds."""
    return SpawnConfig(
        handler="batch_processor",
        max_spawn_count=100,
        batch_size=10,
        spawn_delay=timedelta(milliseconds=50),
        max_depth=3,
        max_descendants=1000,
    )


def advanced() -> SpawnConfig:
    """With metadata for the handler."""
    return (
        SpawnConfig()
        .with_handler("image_processor")
        .with_max_spawn_count(100)
        .with_inherit_priority(True)
        .with_metadata(
            {
                "image_format": "jpeg",
                "quality_settings": {"thumbnail": "low", "preview": "medium", "full": "high"},
                "output_bucket": "processed-images",
            }
        )
    )


def by_builders() -> Job:
    """The job gets the configuration."""
    return Job("reports", {"pages": 12}).with_spawn_config(built())


def by_keyword() -> Job:
    """The same, where the job is made."""
    return Job("reports", {"pages": 12}, spawn_config=SpawnConfig("batch_processor", 15, operation_id="op-reports-123"))


parent = by_keyword

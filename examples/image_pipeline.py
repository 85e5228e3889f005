r"""Resizes every image of a batch to three sizes, with qualities from the spawn configuration.

```sh
hammerwork job enqueue --queue image_batch \
  --payload '{"image_ids": ["a", "b"], "source_bucket": "raw", "output_bucket": "web"}' \
  --spawn-config '{"metadata": {"quality": {"thumbnail": "low", "medium": "medium", "large": "high"}}}'
hammerwork worker start --handlers examples.image_pipeline:app --drain
```
"""

from collections.abc import Iterator

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext

SIZES = ("thumbnail", "medium", "large")
app = Handlers()


@app.spawn("image_batch")
def image_processor(context: SpawnContext) -> Iterator[Job]:
    """A plain function is a spawn handler, too."""
    batch = context.parent_job.payload
    quality = (context.config.metadata or {}).get("quality", {})
    for image in batch["image_ids"]:
        for size in SIZES:
            yield Job(
                "resize_image",
                {
                    "image_id": image,
                    "target_size": size,
                    "quality": quality.get(size, "medium"),
                    "source_bucket": batch["source_bucket"],
                    "output_bucket": batch["output_bucket"],
                },
            )


@app.job("resize_image")
def resize(job: Job) -> str:
    """Returns where the picture would be."""
    asked = job.payload
    return f"{asked['output_bucket']}/{asked['image_id']}-{asked['target_size']}.jpeg"


def parent() -> Job:
    """A batch of two images, with metadata for the handler."""
    config = (
        SpawnConfig()
        .with_max_spawn_count(100)
        .with_inherit_priority(True)
        .with_metadata({"quality": {"thumbnail": "low", "medium": "medium", "large": "high"}})
    )
    payload = {"image_ids": ["a", "b"], "source_bucket": "raw", "output_bucket": "web"}
    return Job("image_batch", payload).with_spawn_config(config)

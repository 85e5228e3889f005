r"""Spawns children that may fail: it skips a few failures, stops at too many, and the parent completes either way.

```sh
hammerwork job enqueue --queue feeds --payload '{"feeds": ["a", "b", "", "d"]}' \
  --spawn-config '{"max_spawn_count": 10, "on_error": "complete"}'
hammerwork worker start --handlers examples.safe_spawner:app --drain
```
"""

import logging

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnHandler, SpawnResult

MOST_CHILDREN = 1000
MOST_FAILURES = 3
log = logging.getLogger("examples.safe_spawner")
app = Handlers()


class SafeSpawner(SpawnHandler):
    """One child for each feed that has a name."""

    def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
        """Runs before ``spawn_jobs``; if it raises, nothing is spawned."""
        if not isinstance(parent_job.payload.get("feeds"), list):
            raise ValueError("the parent job has no list of feeds")
        if (config.max_spawn_count or 0) > MOST_CHILDREN:
            raise ValueError("the spawn count exceeds the safety limit")

    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        """Nothing is written before it returns, so an error here leaves no child behind."""
        jobs, failures = [], 0
        for number, feed in enumerate(context.parent_job.payload["feeds"]):
            try:
                jobs.append(self.child(feed))
            except ValueError as error:
                failures += 1
                log.warning("Child %d could not be made: %s", number, error)
                if failures > MOST_FAILURES:
                    raise RuntimeError("too many children could not be made") from error
        return jobs

    def child(self, feed: str) -> Job:
        """One child."""
        if not feed:
            raise ValueError("a feed without a name")
        return Job("fetch_feed", {"feed": feed})

    def on_spawn_complete(self, result: SpawnResult) -> None:
        """Runs after the children are committed."""
        log.info("Operation %s spawned %d children.", result.operation_id, result.children)


app.register_spawn("feeds", SafeSpawner())


@app.job("fetch_feed")
async def fetch_feed(job: Job) -> str:
    """A coroutine: many of them wait on one event loop."""
    return f"fetched {job.payload['feed']}"


def parent() -> Job:
    """The job completes even if it cannot spawn; its operation is then recorded as failed."""
    config = SpawnConfig(max_spawn_count=10, on_error="complete")
    return Job("feeds", {"feeds": ["a", "b", "", "d"]}).with_spawn_config(config)

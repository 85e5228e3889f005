r"""Spawns a chain of steps, each of which waits for the one before.

```sh
hammerwork job enqueue --queue workflow --payload '{"workflow_type": "etl_pipeline"}' --spawn-handler workflow
hammerwork worker start --handlers examples.workflow:app --drain
```
"""

from typing import Any

from hammerwork_cli import Handlers, Job, SpawnContext, SpawnHandler

STEPS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "etl_pipeline": [
        ("extract", {"source": "database"}),
        ("transform", {"rules": "business_rules.json"}),
        ("load", {"target": "data_warehouse"}),
    ],
    "ml_training": [
        ("preprocess", {"features": ["feature_1", "feature_2"]}),
        ("train", {"algorithm": "random_forest"}),
        ("validate", {"test_split": 0.2}),
        ("deploy", {"environment": "staging"}),
    ],
}
app = Handlers()


class WorkflowDecomposer(SpawnHandler):
    """The steps of the parent's workflow, one after the other."""

    def spawn_jobs(self, context: SpawnContext) -> list[Job]:
        """The first step depends on the parent, every other one on the step before."""
        kind = context.parent_job.payload["workflow_type"]
        if kind not in STEPS:
            raise ValueError(f"unknown workflow type: {kind}")
        jobs: list[Job] = []
        previous = context.parent_job
        for queue, step in STEPS[kind]:
            job = Job(queue, step).depends_on_jobs([previous])
            jobs.append(job)
            previous = job
        return jobs


app.register_spawn("workflow", WorkflowDecomposer())


def step(job: Job) -> str:
    """Every step does this."""
    return f"{job.queue} done"


for steps in STEPS.values():
    for queue, _ in steps:
        app.register_job(queue, step)


def parent() -> Job:
    """A whole ETL pipeline."""
    return Job("workflow", {"workflow_type": "etl_pipeline"}).with_spawn_handler("workflow")

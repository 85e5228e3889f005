"""examples/pipeline.py with Celery: Procrastinate runs no tasks in processes.

A process that uses too much memory is replaced after the task; none is killed during it. The last task gets all frames
in one list.
"""

import os
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery, Task, chord
from celery.signals import worker_process_init

SHADES = " .:-=+*#%@"
app = Celery("pipeline_celery", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_URL"])
app.conf.update(
    worker_max_memory_per_child=500_000,
    worker_max_tasks_per_child=100,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
)
palette: list[str] = []


@worker_process_init.connect
def prepare(**_: Any) -> None:
    """Takes long, so each process does it once."""
    palette[:] = [SHADES[steps * len(SHADES) // 101] for steps in range(101)]


@app.task
def film(frames: int, size: int) -> None:
    """A task for each frame, and one for the film."""
    chord([render.s(size, 3 * 0.8**number) for number in range(frames)])(cut.s())


@app.task(bind=True, soft_time_limit=300, autoretry_for=(SoftTimeLimitExceeded,), max_retries=2)
def render(self: Task, size: int, width: float) -> list[str]:
    """Computes a frame line by line."""
    lines = list[str]()
    for row in range(size):
        self.update_state(state="PROGRESS", meta={"share": row / size, "text": f"line {row}"})
        numbers = [complex(x / size - 0.5, row / size - 0.5) for x in range(size)]
        lines.append("".join(palette[steps(width * number - 0.75)] for number in numbers))
    return lines


def steps(start: complex) -> int:
    """How long a number stays small, at most 100."""
    number = 0j
    for step in range(100):
        if abs(number) > 2:
            return step
        number = number * number + start
    return 100


@app.task
def cut(frames: list[list[str]]) -> int:
    """The lines of the film."""
    return sum(map(len, frames))

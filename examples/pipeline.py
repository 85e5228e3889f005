r"""A film of a fractal: frames are computed in processes, which are replaced when they use too much memory.

```sh
hammerwork job enqueue --queue film --payload '{"frames": 8, "size": 60}' --priority low
hammerwork worker start --handlers examples.pipeline:app --drain \
  --isolation process --concurrency 2 --max-memory 500M --max-jobs-per-process 100
```
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from hammerwork_cli import Handlers, Job, SpawnContext

SHADES = " .:-=+*#%@"
app = Handlers()


@dataclass
class Frame:
    """A picture of ``size`` times ``size`` characters, ``width`` wide."""

    number: int
    size: int
    width: float


@app.resource
def palette() -> Iterator[list[str]]:
    """Takes long to prepare, so each process does it once."""
    yield [SHADES[steps * len(SHADES) // 101] for steps in range(101)]


@app.spawn("film")
def frames(context: SpawnContext) -> Iterator[Job]:
    """A job for each frame, closer to a point, and one for the film."""
    film = context.parent_job.payload
    context.after_all(Job("cut"))
    yield from (Job("frame", Frame(number, film["size"], 3 * 0.8**number)) for number in range(film["frames"]))


@app.job("frame", timeout=timedelta(minutes=5), retry_timeouts=True)
def render(job: Job[Frame], context: SpawnContext[Frame]) -> list[str]:
    """Computes a frame line by line. Its timeout kills the process; the next attempt has a new one."""
    frame, shades, lines = job.payload, context.use(palette), list[str]()
    for row in range(frame.size):
        context.progress(row / frame.size, f"line {row}")
        numbers = [complex(x / frame.size - 0.5, row / frame.size - 0.5) for x in range(frame.size)]
        lines.append("".join(shades[steps(frame.width * number - 0.75)] for number in numbers))
    return lines


def steps(start: complex) -> int:
    """How long a number stays small, at most 100."""
    number = 0j
    for step in range(100):
        if abs(number) > 2:
            return step
        number = number * number + start
    return 100


@app.job("cut")
def cut(_: Job, context: SpawnContext) -> int:
    """The lines of the film, one frame in memory at a time."""
    return sum(len(frame.result) for frame in context.results().ended(at_once=1))

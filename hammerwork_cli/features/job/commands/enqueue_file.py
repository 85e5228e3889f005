"""``hammerwork job enqueue --file``."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.line_problems import printing_problems
from hammerwork_cli.disk import opened
from hammerwork_cli.features.job.queries import enqueue_lines
from hammerwork_cli.features.job.queries.enqueue_lines import Part
from hammerwork_cli.features.job.views.enqueue import ENQUEUED
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.text import plural

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys


def run(
    context: Context,
    file: str,
    defaults: dict[str, Any],
    queue: str | None,
    *,
    keys: "Keys | None",
    after: int,
    form: str,
) -> None:
    """Enqueues a job for each line of a file, and prints them.

    Args:
        keys: encrypt the payloads of lines that ask for it.
        form: ``table`` for the ids alone.
    """
    defaults["queue"] = queue or context.settings.get("default_queue").value
    given = {name: value for name, value in defaults.items() if value is not None or name == "payload"}
    done = created = existed = 0

    def records(parts: Iterator[Part]) -> Iterator[Record]:
        nonlocal done, created, existed
        for part in parts:
            new = sum(job.created for job in part.jobs)
            done, created, existed = part.last_line, created + new, existed + len(part.jobs) - new
            yield from map(ENQUEUED.record, part.jobs)
            context.stdout.flush()  # whoever continues after a failure has the ids of what is committed

    with opened(file) as lines:
        database = context.database(changes=True, keys=keys)
        parts = enqueue_lines.run(database, lines, given, context.now(database), after=after)
        with printing_problems(context):
            first = list(islice(parts, 1))  # nothing is printed on stdout before all lines are checked
        try:
            answer = records(chain(first, parts))
            if form == "table":
                context.lines(record["id"] for record in answer)
            else:
                context.data(answer, form, ENQUEUED.columns)
        except KeyboardInterrupt:
            if done:
                context.note(f"Lines 1 to {done} are done: --after-line {done}")
            raise
    there = f"; {existed:,} existed and were left unchanged" if existed else ""
    context.note(f"Enqueued {plural(created, 'job')}{there}.")

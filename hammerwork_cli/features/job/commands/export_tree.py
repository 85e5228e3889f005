"""``hammerwork job export JOB --tree``."""

from collections.abc import Sequence

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.features.backup.queries import files, trees
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.view.text import plural


def run(context: Context, job: str, output: str, redact: Sequence[str], without: Sequence[str]) -> None:
    """Writes a tree into a file or to stdout, and a note about it to stderr."""
    database = context.database()
    top = listing.resolve(database, job)
    with files.created(output, context.stdout.buffer) as stream:
        found = trees.export(database, top, stream, context.now(database), redact, without)
    where = "" if disk.is_stdout(output) else f" to {output}"
    context.note(f"Exported {plural(found.jobs, 'job')}{where}.")
    if found.outside:
        parents = "a job that is" if len(found.outside) == 1 else f"{len(found.outside):,} jobs that are"
        context.note(
            f"Its jobs depend on {parents} not in the file. To export the tree above too, name its root: "
            f"hammerwork spawn lineage {top} --ancestors"
        )

"""``hammerwork job``."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "job",
    "List, show, enqueue, export, import, retry, cancel, delete and purge jobs.",
    "job list --failed",
    "job show 178ebfc3",
    'job enqueue --queue video_ingest --payload \'{"title": "Nordlichter"}\'',
    verbs={
        "list": LateVerb("job.reading:list_", {"-n": "--queue"}),
        "show": LateVerb("job.reading:show"),
        "enqueue": LateVerb("job.enqueue:enqueue", {"-n": "--queue"}),
        "export": LateVerb("job.export:export", {"-n": "--queue"}),
        "import": LateVerb("job.import_:import_"),
        "retry": LateVerb("job.changes:retry", {"-n": "--queue", "--confirm": "--yes"}),
        "cancel": LateVerb("job.changes:cancel", {"-n": "--queue", "--all-pending": "--all", "--confirm": "--yes"}),
        "delete": LateVerb("job.changes:delete", {"-n": "--queue", "--confirm": "--yes"}),
        "purge": LateVerb("job.changes:purge", {"-n": "--queue", "--confirm": "--yes"}),
    },
)

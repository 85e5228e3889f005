"""``hammerwork job``."""

from hammerwork_cli.cli.aliases import verb_with
from hammerwork_cli.cli.verb import Verb, group
from hammerwork_cli.commands.job import changes, enqueue, reading

app = group(
    "job",
    "List, show, enqueue, retry, cancel, delete and purge jobs.",
    "job list --failed",
    "job show 178ebfc3",
    'job enqueue --queue video_ingest --payload \'{"title": "Nordlichter"}\'',
)

app.command("list", cls=verb_with({"-n": "--queue"}))(reading.list_)
app.command("show", cls=Verb)(reading.show)
app.command("enqueue", cls=verb_with({"-n": "--queue"}))(enqueue.enqueue)
app.command("retry", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(changes.retry)
app.command("cancel", cls=verb_with({"-n": "--queue", "--all-pending": "--all", "--confirm": "--yes"}))(changes.cancel)
app.command("delete", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(changes.delete)
app.command("purge", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(changes.purge)

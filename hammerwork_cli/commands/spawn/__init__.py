"""``hammerwork spawn``: what jobs spawned."""

from hammerwork_cli.cli.verb import Verb, group
from hammerwork_cli.commands.spawn import again, doctor, monitor, operations, stats, tree, wait, why

app = group(
    "spawn",
    "Inspect jobs that spawn other jobs: trees, failures, progress.",
    "spawn list --recent",
    "spawn tree 178ebfc3",
    "spawn why 178ebfc3",
)

app.command("list", cls=Verb)(operations.list_)
app.command("tree", cls=Verb)(tree.tree)
app.command("stats", cls=Verb)(stats.stats)
app.command("lineage", cls=Verb)(tree.lineage)
app.command("pending", cls=Verb)(stats.pending)
app.command("again", cls=Verb)(again.again)
app.command("wait", cls=Verb)(wait.wait)
app.command("why", cls=Verb)(why.why)
app.command("doctor", cls=Verb)(doctor.doctor)
app.command("monitor", cls=Verb)(monitor.monitor)

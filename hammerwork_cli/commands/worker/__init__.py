"""``hammerwork worker``: run jobs, and steer those who do."""

from hammerwork_cli.cli.aliases import verb_with
from hammerwork_cli.cli.verb import group
from hammerwork_cli.commands.worker import control, start

app = group(
    "worker",
    "Run a worker; list, stop and restart all of them.",
    "worker start --handlers my_app:app",
    "worker list",
    "worker restart --all --yes",
)

app.command("start", cls=verb_with({"-n": "--queue", "--workers": "--concurrency"}))(start.start)
app.command("list", cls=verb_with({"-n": "--queue"}))(control.list_)
app.command("status", cls=verb_with({}))(control.status)
app.command("stop", cls=verb_with({}))(control.stop)
app.command("restart", cls=verb_with({}))(control.restart)

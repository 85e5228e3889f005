"""``hammerwork worker``: run jobs, and steer those who do."""

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "worker",
    "Run a worker; list, stop and restart all of them.",
    "worker start --handlers my_app:app",
    "worker list",
    "worker restart --all --yes",
    verbs={
        "start": LateVerb("worker.start:start", {"-n": "--queue", "--workers": "--concurrency"}),
        "list": LateVerb("worker.control:list_", {"-n": "--queue"}),
        "status": LateVerb("worker.control:status"),
        "stop": LateVerb("worker.control:stop"),
        "restart": LateVerb("worker.control:restart"),
    },
)

from hammerwork_cli.cli.verb import LateVerb, group

app = group(
    "worker start --handlers my_app:app",
    "worker list",
    "worker restart --all --yes",
    package=__package__,
    verbs={
        "start": LateVerb(
            ".start:start",
            "Run jobs with an application's handlers until Ctrl-C, SIGTERM, `worker stop`, --drain or --max-jobs.",
        ),
        "list": LateVerb(
            ".control:list_",
            "List running and recently stopped workers on all machines, newest first.",
        ),
        "status": LateVerb(
            ".control:status", "Show what workers are doing: memory, completed jobs, rate, and running jobs."
        ),
        "stop": LateVerb(
            ".control:stop",
            (
                "Stop workers: finish running jobs, give the rest back, exit. "
                "Reaches workers on any machine within seconds."
            ),
        ),
        "restart": LateVerb(
            ".control:restart",
            "Restart workers: finish running jobs, then start again in the same process with the current code.",
        ),
    },
)

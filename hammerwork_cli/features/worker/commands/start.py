"""``hammerwork worker start``: runs an application's handlers until it is stopped."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.given import is_given
from hammerwork_cli.cli.options import AppDirOption, EncryptionKeyOption, Format, FormatOption, several_names
from hammerwork_cli.config.keys import LogLevel
from hammerwork_cli.core.input.reading import duration_of, size_of
from hammerwork_cli.database.interrupts import before_exit
from hammerwork_cli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys
    from hammerwork_cli.runtime.worker.worker import Worker, WorkerReport

RUNS_JOBS = (
    *("queue", "concurrency", "isolation", "executor", "pool_size", "max_jobs_per_process", "max_memory", "reload"),
    "max_descendants",
)
"""Options of no use to a worker that runs no jobs."""
ALLOWED = ("allow_program", "allow_env", "allow_private_addresses", "allow_insecure")
"""Options of what streams and webhooks may use."""
OF_UPKEEP = ("upkeep", "retention", "rescue_older_than", *ALLOWED)
"""Options of no use to a worker that ends once its queues are empty."""
LAST_SECONDS = 1.0
"""For the process to end once a signal has stopped its worker at once."""


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class IsolationChoice(StrEnum):
    """Where handlers run."""

    THREAD = "thread"
    PROCESS = "process"


def start(
    ctx: typer.Context,
    handlers: Annotated[
        list[str] | None,
        typer.Option("--handlers", metavar="MODULE:ATTRIBUTE", help="The application's handlers; see above."),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "-q",
            "--queue",
            metavar="QUEUE",
            callback=several_names,
            help="Queues to serve: mail,report (repeatable). [default: those of the handlers]",
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("-c", "--concurrency", metavar="N", min=1, max=10_000, help="Jobs at once. [default: 4]"),
    ] = None,
    pool_size: Annotated[
        int | None,
        typer.Option(
            "--pool-size",
            metavar="N",
            min=1,
            max=100,
            help="Maximum database connections for results. [default: connection_pool_size]",
        ),
    ] = None,
    poll_interval: Annotated[
        str | None,
        typer.Option(
            "--poll-interval", metavar="DURATION", help="Interval between checks of empty queues. [default: 1s]"
        ),
    ] = None,
    lease: Annotated[
        str | None,
        typer.Option(
            "--lease", metavar="DURATION", help="Time without a heartbeat before others take over. [default: 30s]"
        ),
    ] = None,
    max_jobs: Annotated[
        int | None, typer.Option("--max-jobs", metavar="N", min=1, help="Stop after this many jobs.")
    ] = None,
    max_descendants: Annotated[
        int | None,
        typer.Option(
            "--max-descendants",
            metavar="N",
            min=1,
            help="Most jobs below the root of a tree that sets no limit itself. [default: 2000000]",
        ),
    ] = None,
    drain: Annotated[bool, typer.Option("--drain", help="Exit once no job is due within the next minute.")] = False,
    isolation: Annotated[
        IsolationChoice | None,
        typer.Option("--isolation", help="Run handlers in threads, or in processes. [default: thread]"),
    ] = None,
    executor: Annotated[
        list[str] | None,
        typer.Option(
            "--executor",
            metavar="[QUEUE=]MODULE:ATTRIBUTE",
            help="Run handlers on an executor, such as Dask's, or one that this makes.",
        ),
    ] = None,
    max_jobs_per_process: Annotated[
        int | None,
        typer.Option(
            "--max-jobs-per-process", metavar="N", min=1, help="Replace a process after so many jobs. [default: never]"
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="SIZE",
            help="Replace, or during a job kill, a process above this memory: 2G. [default: no limit]",
        ),
    ] = None,
    weighted: Annotated[
        bool | None,
        typer.Option(
            "--weighted/--strict-priority", help="Claim jobs by weight, so that no priority starves, or strictly."
        ),
    ] = None,
    sweep: Annotated[
        bool | None,
        typer.Option(
            "--sweep/--no-sweep", help="Release jobs of all queues whose dependencies have ended. [default: sweep]"
        ),
    ] = None,
    upkeep: Annotated[
        bool | None,
        typer.Option(
            "--upkeep/--no-upkeep",
            help="Serve schedules, callbacks, workflows, webhooks and streams. [default: upkeep, without --drain]",
        ),
    ] = None,
    upkeep_only: Annotated[
        bool,
        typer.Option("--upkeep-only", help="Run no jobs; serve only what --upkeep names."),
    ] = False,
    retention: Annotated[
        bool | None,
        typer.Option(
            "--retention/--no-retention", help="Apply retention policies. [default: retention, without --drain]"
        ),
    ] = None,
    rescue_older_than: Annotated[
        str | None,
        typer.Option(
            "--rescue-older-than",
            metavar="DURATION",
            help="Rescue jobs that Rust workers run for longer without a lease: 2h. [default: never]",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name to show. [default: host and process]")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="Log format (stderr).")] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel | None, typer.Option("--log-level", help="Minimum log level. [default: setting log_level]")
    ] = None,
    grace: Annotated[
        str | None,
        typer.Option("--grace", metavar="DURATION", help="Time for running jobs to finish. [default: no limit]"),
    ] = None,
    health_file: Annotated[
        Path | None,
        typer.Option(
            "--health-file", metavar="FILE", dir_okay=False, help="Write a line to this file with each heartbeat."
        ),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when a source file of the application changes.")
    ] = False,
    allow_program: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-program",
            metavar="COMMAND",
            help="Command that streams may run here (repeatable). [default: setting allowed_programs]",
        ),
    ] = None,
    allow_env: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-env",
            metavar="NAME",
            help="Variable that streams and webhooks may send (repeatable). [default: setting allowed_env]",
        ),
    ] = None,
    allow_private_addresses: Annotated[
        bool,
        typer.Option(
            "--allow-private-addresses",
            help="Let streams and webhooks reach addresses that are not public.",
        ),
    ] = False,
    allow_insecure: Annotated[
        bool,
        typer.Option(
            "--allow-insecure",
            help="Let streams and webhooks send without TLS or a valid certificate.",
        ),
    ] = False,
    encryption_key: EncryptionKeyOption = None,
    app_dir: AppDirOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    MODULE is installed or in the current folder. ATTRIBUTE is a Handlers, a Worker, or a function that returns one. On
    the first Ctrl-C, SIGTERM or SIGHUP, the worker finishes running jobs, for at most --grace, and gives the rest back.
    On a second one, or on SIGQUIT, it gives all jobs back with their attempts (a job that may run only once becomes
    Dead) and exits at once with 130, or 128 plus the signal's number. `worker restart` starts it again in the same
    process with the same arguments and new code. So does --reload, for development: it gives running jobs 5 s, or
    --grace, and waits for the next change after an error in the code. An attempt at a job with an encrypted payload
    fails if no key fits. With --format json, stdout has only the report; the log and the output of handlers go to
    stderr.

    \b
    Examples:
      hammerwork worker start --handlers my_app:app
      hammerwork worker start --handlers my_app:app --queue mail,report --concurrency 16
      hammerwork worker start --handlers my_app:app --drain --format json | jq .failed
      hammerwork worker start --handlers my_app:app --log-format json --log-level warn
      hammerwork worker start --handlers my_app:app --reload
      hammerwork worker start --upkeep-only
    """
    from hammerwork_cli.runtime.api.handlers import Handlers
    from hammerwork_cli.runtime.host import logs
    from hammerwork_cli.runtime.host.loading import OWN_VARIABLES, load, load_executors, only
    from hammerwork_cli.runtime.host.signals import end_process_after

    context: Context = ctx.obj
    _import_before_the_application(context)
    keys = context.encryption_keys(encryption_key)
    folder, secrets = Path.cwd(), {name: os.environ.pop(name) for name in OWN_VARIABLES if name in os.environ}
    given = {
        "concurrency": concurrency,
        "pool_size": pool_size,
        "poll_interval": _seconds("--poll-interval", poll_interval),
        "lease": _seconds("--lease", lease),
        "grace": _seconds("--grace", grace),
        "max_jobs": max_jobs,
        "max_descendants": max_descendants,
        "drain": drain or None,
        "weighted": weighted,
        "sweep": sweep,
        "upkeep": upkeep,
        "upkeep_only": upkeep_only or None,
        "retention": retention,
        "rescue_older_than": _seconds("--rescue-older-than", rescue_older_than),
        "name": name,
        "isolation": str(isolation) if isolation else None,
        "max_jobs_per_process": max_jobs_per_process,
        "max_memory": None if max_memory is None else size_of(max_memory),
        "health_file": health_file,
        "allowed_programs": allow_program or _set(context, "allowed_programs"),
        "allowed_env": allow_env or _set(context, "allowed_env"),
        "allow_private_addresses": allow_private_addresses or _set(context, "allow_private_addresses"),
        "allow_insecure": allow_insecure or _set(context, "allow_insecure"),
    }
    as_json = log_format is LogFormat.JSON
    level = context.settings.get("log_level", log_level or ("error" if context.options.get("quiet") else None)).value
    with _report_alone(context, as_json=as_json):
        target = only(handlers)
        if (target is None) != upkeep_only:
            raise UsageError("Give --handlers MODULE:ATTRIBUTE, or --upkeep-only to run no jobs.")
        _check_together(ctx, upkeep_only=upkeep_only, drain=drain)
        options = {option: value for option, value in given.items() if value is not None}

        def begin_log() -> None:
            logs.configure(level, as_json=as_json, stream=context.stderr, colour=context.colour)

        def make() -> "Worker":
            loaded = load(target, app_dir) if target is not None else Handlers()
            if executor:
                options["isolation"] = load_executors(executor, app_dir)
            begin_log()
            worker = _worker(context, loaded, target, tuple(queue or ()), keys, options)
            worker._starts_again = True
            return worker

        report = _run(make, begin_log, (app_dir or folder).absolute() if reload else None)
        if report is not None:
            if report.signal:
                # A thread that an application left behind must not hold the process.
                end_process_after(LAST_SECONDS, 128 + report.signal)
            _tell(context, report, form, quiet=as_json or (reload and report.restart))
    if report is None or report.restart:
        _begin_again(context, folder, secrets)
    elif report.signal:
        raise typer.Exit(128 + report.signal)


def _set(context: Context, name: str) -> Any:
    """What the settings say; ``None`` if they say nothing: the module's own worker may."""
    found = context.settings.get(name)
    if found.source == "default":
        return None
    return [found.value] if isinstance(found.value, str) else found.value


def _check_together(ctx: typer.Context, *, upkeep_only: bool, drain: bool) -> None:
    def given(*names: str) -> Iterator[str]:
        yield from (f"--{name.replace('_', '-')}" for name in names if is_given(ctx, name) and ctx.params[name])

    for option in given(*RUNS_JOBS) if upkeep_only else ():
        raise UsageError(f"A worker with --upkeep-only runs no jobs, so {option} has no effect.")
    for option in given(*OF_UPKEEP, "reload") if drain else ():
        raise UsageError(f"A worker with --drain ends too soon for {option}.", hint="Start another one for it.")


def _run(make: "Callable[[], Worker]", begin_log: Callable[[], None], reloaded: Path | None) -> "WorkerReport | None":
    """What a worker did; ``None`` if --reload is to start the next one without it."""
    if reloaded is None:
        return make().run()
    from hammerwork_cli.features.worker.commands import reload

    return reload.run(make, reloaded, begin_log)


@contextmanager
def _report_alone(context: Context, *, as_json: bool) -> Iterator[None]:
    """Gives stdout to the report alone, and everything else stderr, which does nobody harm when it is not read."""
    from hammerwork_cli.runtime.host import logs, streams

    try:
        out, err = context.stdout.fileno(), context.stderr.fileno()
    except OSError:
        yield  # text in memory
        return
    raw = streams.Tolerant(err, logs.dropped_note(as_json=as_json), behind=True)
    before_exit.append(raw.flush_behind)
    context.stdout = os.fdopen(os.dup(out), "w", encoding=context.stdout.encoding, errors="backslashreplace")
    os.dup2(err, 1)
    sys.stdout = sys.stderr = context.stderr = streams.text(raw)
    try:
        yield
    finally:
        context.stderr.flush()
        raw.flush_behind()


def _import_before_the_application(context: Context) -> None:
    """What is used of this package: its optional imports must find nothing in the application's folder."""
    from hammerwork_cli.database import DatabaseUrl, driver
    from hammerwork_cli.runtime.worker import worker

    del worker
    url = context.target.url
    if url is not None:
        with suppress(ConfigError):  # the worker that is loaded may have another one
            driver(DatabaseUrl.parse(url))


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    seconds = duration_of(text).total_seconds()
    if seconds <= 0:
        raise UsageError(f"{option} must be more than 0 seconds.", hint="Write 0.5, 1s or 2m.")
    return seconds


def _worker(
    context: Context,
    loaded: object,
    target: str | None,
    queues: tuple[str, ...],
    keys: "Keys | None",
    given: dict[str, Any],
) -> "Worker":
    """The worker of a module, or one for its handlers; options of the command line take precedence."""
    from hammerwork_cli.runtime.host.loading import handlers_of
    from hammerwork_cli.runtime.worker.worker import Worker

    if isinstance(loaded, Worker):
        worker = loaded._with_options(**given)
        if "database_url" in context.options:
            kept = {name: getattr(worker._url, name) for name in ("keys", "codecs", "refuse_plaintext")}
            worker._with_url(replace(_url(context), **kept))
        if queues:
            worker._with_queues(*queues)
    else:
        pool, known = context.settings.get("connection_pool_size"), handlers_of(loaded)
        worker = Worker(_url(context), known, queues=queues, **{"pool_size": pool.value, **given})
    if keys is not None:
        worker._with_url(replace(worker._url, keys=keys._including(worker._url.keys)))
    if worker._options.isolation != "thread" and target is not None:
        # The processes load what --handlers names, as this one did.
        worker._with_options(isolation=worker._isolation_of(target))
    return worker


def _url(context: Context) -> Any:
    # What is wrong with the database is said by the command, as for every other one.
    return replace(context.lasting_url(), refuse_plaintext=False)  # the code of handlers says what it encrypts


def _tell(context: Context, report: "WorkerReport", form: Format, *, quiet: bool) -> None:
    from hammerwork_cli.features.worker import views

    facts = asdict(report)
    del facts["signal"]  # the exit code says it
    if not quiet:
        context.note(views.report_text(**facts))
    try:
        context.answer(views.WORKER_REPORT.record(report), form, list)
        context.stdout.flush()
    except OSError:
        if not report.restart:  # nobody reads it, and the next one has work to do
            raise


def _begin_again(context: Context, folder: Path, secrets: dict[str, str]) -> None:
    """Becomes the same command anew: the process stays, whatever its supervisor is."""
    context.close()
    os.dup2(context.stdout.fileno(), 1)
    os.chdir(folder)
    os.environ.update(secrets)
    # Nobody is asked again for the name of a protected profile.
    asked = context.protection is not None and context.options.get("confirm_profile") is None
    confirmed = ["--confirm-profile", context.protection.profile] if context.protection and asked else []
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *confirmed])  # noqa: S606  what was typed, once more

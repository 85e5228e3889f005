"""The root of the command line: its groups, its options, and the exit codes of errors."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from hammerwork_cli import app_path
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.verb import ONLY_QUEUES, LateGroup
from hammerwork_cli.database.interrupts import Terminated, terminate
from hammerwork_cli.database.url import redact
from hammerwork_cli.errors import BugError, DeclinedError, HammerworkError, OutputError, ShownAnswerError, UsageError
from hammerwork_cli.version import __version__

TASKS = {
    "Look": {
        "spawn": "Inspect jobs that spawn other jobs: trees, failures, progress.",
        "monitor": "See what is wrong, and what is happening.",
    },
    "Change": {
        "job": "List, enqueue, retry, cancel, delete, export and import jobs.",
        "queue": "List, count, pause, resume and limit queues.",
        "cron": "Schedule jobs: each run is its own job, with its own tree.",
        "batch": (
            "Enqueue, list and show batches: jobs that belong together. For the jobs of a batch, `job retry`, "
            "`cancel`, `delete`, `list` and `export` take --batch, and so does `spawn wait`."
        ),
        "workflow": (
            "Create, list, show and draw workflows: jobs with an order. For the jobs of a workflow, `job retry`, "
            "`cancel`, `delete`, `list` and `export` take --workflow, and so does `spawn wait`."
        ),
        "archive": "Archive and restore jobs; set how long jobs are kept.",
    },
    "Tell others": {
        "webhook": "Post events, such as the death of a job, to other programs.",
        "streaming": "Send events to Kafka, Kinesis, Pub/Sub or a program.",
    },
    "Run": {
        "worker": "Run a worker; list, stop and restart all of them.",
        "web": "Serve the REST API and the live page.",
        "demo": "Run a job in an embedded database, and draw the tree it spawns. It takes a few seconds.",
    },
    "Set up": {
        "migration": "Create, upgrade and inspect the tables.",
        "config": "Show and change settings. Options override the environment, which overrides the file.",
        "backup": "Back up, restore and copy jobs, to any kind of database.",
        "maintenance": "Maintain tables and indexes.",
        "completion": "Print the completion script of a shell. It completes commands, options, names and ids.",
        "schema": "Print the JSON schema of a command's --format json. Without a name, list the names.",
    },
}
"""Groups by task, in the order of the help: each is a folder of ``hammerwork_cli.features``."""
GROUPS = {group: summary for groups in TASKS.values() for group, summary in groups.items()}


class Root(LateGroup):
    package = "hammerwork_cli.features"
    groups = GROUPS
    tasks = TASKS


app = typer.Typer(
    cls=Root,
    name="hammerwork",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.obj.lines([f"hammerwork {__version__}"])
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Inspect and manage database-backed job queues whose jobs spawn jobs.

    \b
    Start here:
      hammerwork demo                                  # a job grows into a tree
      hammerwork migration run -u URL                  # create the tables
      hammerwork worker start --handlers my_app:app    # run jobs
    """


def main(arguments: Sequence[str] | None = None, context: Context | None = None) -> int:
    """Runs one command line.

    Returns the exit code: see ``errors.py``.

    Args:
        arguments: the words after the program's name; those of the process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    context = context or Context()
    context.json_output = _wants_json(words)
    try:
        _check_encoding(words)
        _invoke(words, context)
        context.stdout.flush()
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        return _usage(error, context)
    except Terminated:
        return 143
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        return _unwritten(error, context)
    except ShownAnswerError as error:
        needs_error = context.json_output and not context.options.get("quiet")
        return _failure(error, context) if needs_error else error.exit_code
    except HammerworkError as error:
        return _failure(error, context)
    except Exception as error:  # noqa: BLE001  a bug still ends with a message and an exit code
        return _stopped(error) or _bug(error, context)
    finally:
        context.close()
    return 0


def _invoke(words: Sequence[str], context: Context) -> None:
    # Click's main() would turn a closed pipe and Ctrl-C into its own exit codes.
    command = _command()
    with command.make_context("hammerwork", [*words], obj=context) as invocation:
        command.invoke(invocation)
        if queues := invocation.meta.get(ONLY_QUEUES):
            from hammerwork_cli.cli.lists import warn_unknown_queues

            warn_unknown_queues(context, queues)


@cache
def _command() -> Any:
    """The root command. It keeps its groups and their verbs for the next command line of this process."""
    return get_command(app)


def _check_encoding(words: Sequence[str]) -> None:
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise UsageError("An argument is not valid UTF-8.") from None


def _wants_json(words: Sequence[str]) -> bool:
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    return bool(pairs & {"--format json", "--format jsonl"}) or any(word.startswith("--format=json") for word in words)


@app_path.without()
def _failure(error: HammerworkError, context: Context) -> int:
    from hammerwork_cli.view.text import visible, visible_lines

    message, hint = visible(redact(error.message)), error.hint and visible(redact(error.hint))
    if context.json_output:
        import json

        hint = hint and context.runnable(hint, for_people=False)
        body = {"code": error.code, "message": message, "hint": hint, "exit_code": error.exit_code, **error.details}
        body |= {"traceback": trace} if (trace := _traceback(context)) else {}
        context.print_raw(json.dumps({"error": body}, default=str))
        return error.exit_code
    if trace := _traceback(context):
        context.print_raw(visible_lines(trace))
    context.print_wrapped(message if isinstance(error, DeclinedError) else f"Error: {message}")
    if hint:
        context.print_wrapped(f"  {hint}")
    return error.exit_code


def _usage(error: TyperException, context: Context) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        context.print_raw(error.format_message())
        return UsageError.exit_code
    # Typer offers whatever shares some letters.
    offered, place = getattr(error, "possibilities", None), getattr(error, "ctx", None)
    if offered and hasattr(error, "option_name") and place:
        from hammerwork_cli.cli.elsewhere import shown_options

        alike = [name for name in offered if _resembles(name, error.option_name)]
        error.possibilities = shown_options(place, alike)  # type: ignore[attr-defined]
    path = place.command_path if place else "hammerwork"
    message = " ".join(error.format_message().split())
    if offered and not hasattr(error, "option_name"):
        message += f" Did you mean {', '.join(map(repr, offered))}?"
    from hammerwork_cli.cli.absent import instead

    if other := instead(path, message):
        return _failure(UsageError(other[0], hint=other[1]), context)
    if place:
        from hammerwork_cli.cli.elsewhere import meant_options

        if options := meant_options(place, getattr(error, "option_name", None), message):
            unknown = message.partition(" (Possible options")[0]
            return _failure(UsageError(unknown, hint=f"Use: {', or '.join(options)}"), context)
    message = re.sub(_NUMBER, lambda found: "is not a number" if found[1] else "is not a whole number", message)
    asked, lines = getattr(error, "elsewhere", ("", ()))
    if lines:
        use = ", or ".join(f"hammerwork {line}" for line in lines)
        return _failure(UsageError(f"There is no `{asked[:60]}`.", hint=f"Use: {use}"), context)
    return _failure(UsageError(message, hint=f"See: {path} --help"), context)


_NUMBER = r"is not a valid (?:int(?:eger)?|(float))(?: range)?\b"
"""What Typer says of a value that is no number."""


def _resembles(name: str, typed: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, name.strip("-"), typed.strip("-")).ratio() >= 0.7


def _stopped(error: BaseException | None) -> int | None:
    """The exit code if a signal is behind an error: Python 3.11 wraps what is raised while it makes a class."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return None if error is None else 143 if isinstance(error, Terminated) else 130


def _bug(error: Exception, context: Context) -> int:
    summary = f"{type(error).__name__}: {error}"[:500]
    hint = None if context.options.get("debug") else "Please report it, with the traceback that --debug prints."
    return _failure(BugError(f"This is a bug in hammerwork-cli: {summary}", hint=hint), context)


def _traceback(context: Context) -> str | None:
    """The traceback of the error that is being handled, with ``--debug``."""
    if not context.options.get("debug"):
        return None
    import traceback

    return redact(traceback.format_exc())


def _unwritten(error: OSError, context: Context) -> int:
    return _failure(OutputError(f"Cannot write the answer: {error.strerror or error}."), context)


def _closed_pipe() -> int:
    # When Python flushes stdout at exit, it must not find the closed pipe again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run() -> NoReturn:
    """Runs the command line as the console script."""
    # Python sets a stream to None if its descriptor was closed before the start. Whoever closed stdout gets the exit
    # code of an answer that cannot be written, as soon as there is one.
    sys.stdout = sys.stdout or open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real streams have it
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    context = Context()
    code = main(context=context)
    try:
        sys.stdout.flush()
    except OSError as error:
        # main() flushes stdout only if the exit code is 0; the answer of `queue health`, for example, is written here.
        if not isinstance(error, BrokenPipeError) and code != OutputError.exit_code:
            code = _unwritten(error, context)
    with suppress(OSError):  # closed by its reader
        sys.stderr.flush()
    # Everything is written and closed. Freeing a hundred modules would take a quarter of the time of a short command,
    # and freeing the rows of a large tree even longer.
    os._exit(code)

"""The root of the command line: its groups, its options, and errors turned into exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from hammerwork_cli import __version__
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.verb import LateGroup
from hammerwork_cli.database.interrupts import Terminated, terminate
from hammerwork_cli.database.url import redact
from hammerwork_cli.errors import (
    AnswerIsNoError,
    BugError,
    DeclinedError,
    HammerworkError,
    OutputError,
    UsageError,
)

GROUPS = ("spawn", "job", "queue", "worker", "web", "migration", "config", "schema", "demo")
"""In the order of the help; each is a module of ``hammerwork_cli.commands``."""


class Root(LateGroup):
    """The root group."""

    modules = GROUPS


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
    Examples:
      hammerwork demo
      hammerwork spawn tree 178ebfc3
      hammerwork spawn list --queue video_ingest --format json
    """


def main(arguments: Sequence[str] | None = None, context: Context | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: without the program's name; those of the process by default.
        context: the world it runs in.

    Returns:
        The exit code: see ``errors.py``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    context = context or Context()
    context.speaks_json = _wants_json(words)
    try:
        _check_encoding(words)
        # Not .main(): it would turn a closed pipe and Ctrl-C into exit codes of its own.
        command = get_command(app)
        with command.make_context("hammerwork", [*words], obj=context) as invocation:
            command.invoke(invocation)
        context.stdout.flush()
    except typer.Exit as leave:
        return _leave(leave.exit_code, context)
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
    except HammerworkError as error:
        return _failure(error, context)
    except Exception as error:  # noqa: BLE001  the last resort: a bug still ends with a message and a code
        return _bug(error, context)
    finally:
        context.close()
    return 0


def _check_encoding(words: Sequence[str]) -> None:
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise UsageError("An argument is not UTF-8 text.") from None


def _wants_json(words: Sequence[str]) -> bool:
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    return bool(pairs & {"--format json", "--format jsonl"}) or any(word.startswith("--format=json") for word in words)


def _leave(exit_code: int, context: Context) -> int:
    """Ends after an answer that is on stdout."""
    if exit_code == AnswerIsNoError.exit_code and context.speaks_json and not context.options.get("quiet"):
        return _failure(AnswerIsNoError("The condition was not met.", hint="Details are on stdout."), context)
    return exit_code


def _failure(error: HammerworkError, context: Context) -> int:
    from hammerwork_cli.render.formats.text import visible, visible_lines

    message, hint = visible(redact(error.message)), error.hint and visible(redact(error.hint))
    if context.speaks_json:
        import json

        body = {"code": error.code, "message": message, "hint": hint, "exit_code": error.exit_code, **error.details}
        body |= {"traceback": trace} if (trace := _traceback(context)) else {}
        context.say(json.dumps({"error": body}, default=str))
        return error.exit_code
    if trace := _traceback(context):
        context.say(visible_lines(trace))
    context.tell(message if isinstance(error, DeclinedError) else f"Error: {message}")
    if hint:
        context.tell(f"  {hint}")
    return error.exit_code


def _usage(error: TyperException, context: Context) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        context.say(error.format_message())
        return UsageError.exit_code
    place = getattr(error, "ctx", None)
    path = place.command_path if place else "hammerwork"
    return _failure(UsageError(error.format_message(), hint=f"See: {path} --help"), context)


def _bug(error: Exception, context: Context) -> int:
    what = f"{type(error).__name__}: {error}"[:500]
    hint = None if context.options.get("debug") else "Run it again with --debug for the traceback, and report it."
    return _failure(BugError(f"This is a bug in hammerwork: {what}", hint=hint), context)


def _traceback(context: Context) -> str | None:
    """That of the error that is handled now, where ``--debug`` asks for it."""
    if not context.options.get("debug"):
        return None
    import traceback

    return redact(traceback.format_exc())


def _unwritten(error: OSError, context: Context) -> int:
    return _failure(OutputError(f"The answer cannot be written: {error.strerror or error}."), context)


def _closed_pipe() -> int:
    # Python would complain again when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run() -> NoReturn:
    """The console script's way in."""
    # A descriptor that was closed before the start is no stream at all.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # real streams have it
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    context = Context()
    code = main(context=context)
    try:
        sys.stdout.flush()
    except OSError as error:
        # An answer that comes with an exit code of its own, as that of `queue health`, is written only now.
        if not isinstance(error, BrokenPipeError) and code != OutputError.exit_code:
            code = _unwritten(error, context)
    with suppress(OSError):  # closed by its reader
        sys.stderr.flush()
    # Everything is said and closed. Taking a hundred modules apart would take a quarter of a short command's time,
    # and the rows of a large tree longer.
    os._exit(code)

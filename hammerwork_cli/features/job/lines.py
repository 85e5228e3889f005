"""Lines of ``job enqueue --file``: each is a JSON object whose keys are the options of a job."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from hammerwork_cli.core.input.problems import LineError, Problem
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.options import WantedJob, json_value, wanted_job

LONGEST_LINE = 1 << 26
"""Bytes of a line. A longer one is refused before it fills the memory."""


def numbered(file: IO[bytes], after: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file that are not blank, with their numbers; reads it from its start."""
    file.seek(0)
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise LineError([Problem(number, f"It is longer than {LONGEST_LINE:,} bytes.")], all_read=False)
        if number > after and line.strip():
            yield number, line


def wanted_in(line: bytes, defaults: Mapping[str, Any]) -> WantedJob:
    """The job that a line names.

    Args:
        line: a JSON object in UTF-8.
        defaults: the options of the command line, which those of the line override.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("It is not UTF-8 text.") from error
    try:
        own = json_value(text, "It")
    except UsageError as error:
        raise UsageError(error.message) from error  # the hint is about quoting for a shell
    if not isinstance(own, dict):
        raise UsageError("It is not a JSON object.")
    given = {key: value for key, value in own.items() if value is not None or key == "payload"}
    times = {"delay", "at"}
    if times & given.keys():
        defaults = {key: value for key, value in defaults.items() if key not in times}
    return wanted_job({**defaults, **given})

"""Workflows in files: TOML or JSON."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.documents import json_of, toml_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.options import OPTIONS, WantedJob, wanted_job
from hammerwork_cli.features.workflow.models.new import check_order

KEYS = ("name", "failure_policy", "metadata", "jobs")
JOB_KEYS = ("after", *(name for name in OPTIONS if name != "id"))
_JSON = re.compile(r"\s*(\{|\[\s*\{)")
_FORM = 'Write name = "nightly", then [jobs.load] and below it queue = "load" and after = ["extract"].'


class WantedWorkflow(NamedTuple):
    """A workflow that was read from a file."""

    options: dict[str, Any]  # `name`, `failure_policy` and `metadata`, as far as it has them
    jobs: dict[str, WantedJob]  # key -> job
    after: dict[str, tuple[str, ...]]  # key -> keys of the jobs that it waits for


def parsed(text: str, file: str) -> Any:
    """The value of a file: JSON if it begins as an object or a list of objects, else TOML."""
    try:
        return json_of(text) if _JSON.match(text) else toml_of(text)
    except ValueError as error:
        raise UsageError(f"{file} {error}.") from error


def read_workflow(value: Any) -> WantedWorkflow:
    """Reads the workflow of a file. A job has the options of ``job enqueue``, and ``after``.

    The queue defaults to the key of the job, and the payload to an empty object.
    """
    if isinstance(value, list) or (isinstance(value, dict) and isinstance(value.get("jobs"), list)):
        raise UsageError("The jobs of a workflow are a table with a key for each, not a list.", hint=_FORM)
    if not isinstance(value, dict):
        raise UsageError("The file of a workflow is a table.", hint=_FORM)
    unknown = sorted(value.keys() - set(KEYS))
    if unknown:
        raise UsageError(f"{unknown[0][:80]!r} is not a key of a workflow.", hint=f"One of: {', '.join(KEYS)}.")
    tables = value.get("jobs")
    if not isinstance(tables, dict) or not tables:
        raise UsageError("The workflow of the file has no jobs.", hint=_FORM)
    wanted = WantedWorkflow({name: value[name] for name in KEYS[:-1] if name in value}, {}, {})
    for key, options in tables.items():
        try:
            wanted.after[key] = _after(options)
            wanted.jobs[key] = _job(key, options)
        except UsageError as error:
            raise UsageError(f"jobs.{key:.80}: {error.message}", hint=error.hint) from error
    check_order(wanted.after)
    return wanted


def _after(options: Any) -> tuple[str, ...]:
    if not isinstance(options, dict):
        raise UsageError("It has no options of a job.", hint=_FORM)
    keys = options.get("after", [])
    if not isinstance(keys, list):
        raise UsageError(f"after must be a list of keys of jobs, not {keys!r:.60}.")
    return tuple(dict.fromkeys(fields.text(key, "a key in after") for key in keys))


def _job(key: str, options: Mapping[str, Any]) -> WantedJob:
    unknown = sorted(options.keys() - set(JOB_KEYS))
    if unknown:
        raise UsageError(f"{unknown[0][:80]!r} is not an option of a job.", hint=f"One of: {', '.join(JOB_KEYS)}.")
    given = {"queue": key, "payload": {}, **{name: value for name, value in options.items() if name != "after"}}
    try:
        return wanted_job(given)
    except TypeError as error:  # TOML has dates
        raise UsageError(f"JSON cannot hold the payload: {error}.") from error

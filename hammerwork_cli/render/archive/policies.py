"""Retention policies: records for programs, lines and columns for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.archive.policies import EVERY_QUEUE, Action, Policy
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import first_line, instant, plural, short_duration, visible

KEYS = (
    "queue",
    "action",
    "completed_seconds",
    "failed_seconds",
    "dead_seconds",
    "timed_out_seconds",
    "purge_seconds",
    "by",
    "compression_level",
    "enabled",
    "updated_at",
    "updated_by",
    "last_run_at",
    "last_jobs",
    "last_error",
)
COLUMNS: Sequence[Column[Policy]] = (
    Column("queue", lambda one: one.queue, cuts=True),
    Column("action", lambda one: one.action),
    Column("completed", lambda one: _after(one.ages.completed), "right"),
    Column("failed", lambda one: _after(one.ages.failed), "right"),
    Column("dead", lambda one: _after(one.ages.dead), "right"),
    Column("timed out", lambda one: _after(one.ages.timed_out), "right"),
    Column("purged", lambda one: _after(one.purge_after), "right", leaves=2),
    Column("last run (UTC)", lambda one: instant(one.last_run_at) if one.last_run_at else None, leaves=3),
    Column("note", lambda one: _note(one), cuts=True),
)


def policy_record(policy: Policy) -> Record:
    """A policy.

    Keys: ``queue`` (``*``: all that have none of their own), ``action`` (``archive`` or ``delete``),
    ``completed_seconds``, ``failed_seconds``, ``dead_seconds``, ``timed_out_seconds`` (since the end; null: never),
    ``purge_seconds`` (in the archive; null: never), ``by`` (``tree`` or ``job``), ``compression_level`` (null: not
    packed), ``enabled``, ``updated_at``, ``updated_by``, ``last_run_at``, ``last_jobs``, ``last_error``.
    """
    ages = policy.ages
    return {
        "queue": policy.queue,
        "action": policy.action,
        "completed_seconds": _seconds(ages.completed),
        "failed_seconds": _seconds(ages.failed),
        "dead_seconds": _seconds(ages.dead),
        "timed_out_seconds": _seconds(ages.timed_out),
        "purge_seconds": _seconds(policy.purge_after),
        "by": "tree" if policy.by_tree else "job",
        "compression_level": policy.level,
        "enabled": policy.enabled,
        "updated_at": rfc3339(policy.updated_at),
        "updated_by": policy.updated_by,
        "last_run_at": rfc3339(policy.last_run_at),
        "last_jobs": policy.last_jobs,
        "last_error": policy.last_error,
    }


def policy_text(policy: Policy) -> Iterator[str]:
    """Yields what a policy does, and what became of it last."""
    what = "deleted" if policy.action == Action.DELETE else "archived"
    yield f"{'Trees' if policy.by_tree else 'Jobs'} of {words(policy.queue)} are {what}:"
    for word, age in (
        ("Completed", policy.ages.completed),
        ("Failed", policy.ages.failed),
        ("Dead", policy.ages.dead),
        ("TimedOut", policy.ages.timed_out),
    ):
        yield f"  {word:<11}{'never' if age is None else f'{short_duration(age)} after the end'}"
    if policy.action == Action.ARCHIVE or policy.purge_after is not None:
        after = "never" if policy.purge_after is None else f"{short_duration(policy.purge_after)} after that"
        yield f"  {'purged':<11}{after}"
    note = visible(_note(policy))
    yield f"{note[0].upper()}{note[1:]}."


def words(queue: str) -> str:
    """The queue of a policy in a sentence."""
    return "all other queues" if queue == EVERY_QUEUE else visible(queue)


def _note(policy: Policy) -> str:
    if not policy.enabled:
        return "disabled"
    if policy.last_error is not None:
        return f"failed: {first_line(policy.last_error).rstrip('.')}"
    if policy.last_run_at is None:
        return "not run yet"
    did = "deleted" if policy.action == Action.DELETE else "archived"
    return f"{plural(policy.last_jobs or 0, 'job')} {did} at {instant(policy.last_run_at)} UTC"


def _after(age: timedelta | None) -> str:
    return "never" if age is None else short_duration(age)


def _seconds(age: timedelta | None) -> int | None:
    return None if age is None else round(age.total_seconds())

"""Whole jobs for other programs."""

from collections.abc import Collection, Iterable

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import ARCHIVAL_FACTS, ENCRYPTION_FACTS, FACTS, LATER_FACTS, WholeJob
from hammerwork_cli.models.input.names import split
from hammerwork_cli.models.values import HIDDEN, PERSONAL
from hammerwork_cli.render.formats.json import Record, parsed
from hammerwork_cli.render.job.details import facts_record
from hammerwork_cli.render.job.listing import LIST_KEYS, job_record

MORE = ("other_columns", "payload", "result")
EXPORT_KEYS = tuple(dict.fromkeys((*LIST_KEYS, *FACTS, *ARCHIVAL_FACTS, *ENCRYPTION_FACTS, *LATER_FACTS, *MORE)))
REDACTABLE = {"payload": ("payload", "spawn_config", "operation_id"), "result": ("result",), "error": ("error",)}
"""Word of ``--redact`` -> the keys that it hides: the payload holds the spawn configuration."""


def export_record(whole: WholeJob) -> Record:
    """A job with everything that is not binary.

    Keys: those of :func:`job_record` with the whole ``error``, the columns that ``job show`` has, and ``payload`` and
    ``result`` (as JSON; as text if they are not readable JSON). Columns that an older database lacks are left out.
    """
    values = {"payload": parsed(whole.payload), "result": parsed(whole.result)}
    return {**job_record(whole.job), **facts_record(whole.facts, whole.others), **values}


def words(redact: Iterable[str] | None) -> list[str]:
    """The words of ``--redact``.

    Raises:
        UsageError: a word is not one of :data:`REDACTABLE`.
    """
    given = [word.strip().lower() for word in split(redact or ()) if word.strip()]
    unknown = [word for word in given if word not in REDACTABLE]
    if unknown or (redact is not None and not given):
        raise UsageError(f"{(unknown or [''])[0][:40]!r} cannot be redacted.", hint=f"One of: {', '.join(REDACTABLE)}.")
    return given


def hidden_keys(redact: Iterable[str] | None) -> frozenset[str]:
    """The keys that the words of ``--redact`` hide, those that name people, and columns in which anything may be."""
    given = words(redact)
    return frozenset(key for word in given for key in (*REDACTABLE[word], *PERSONAL, "other_columns"))


def redacted(record: Record, keys: Collection[str]) -> Record:
    """The record without the values of some keys."""
    return {key: HIDDEN if key in keys and value is not None else value for key, value in record.items()}

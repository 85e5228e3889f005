"""Whole jobs for other programs."""

from collections.abc import Collection, Iterable

from hammerwork_cli.core.input.names import split
from hammerwork_cli.core.values import HIDDEN, PERSONAL
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.job import WholeJob
from hammerwork_cli.features.job.views.details import VALUES, WHOLE_JOB
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.shape import Shape

EXPORTED = Shape[WholeJob]({**WHOLE_JOB.parts, **VALUES.parts})
"""A job with everything that is not binary."""
REDACTABLE = {"payload": ("payload", "spawn_config", "operation_id"), "result": ("result",), "error": ("error",)}
"""Word of ``--redact`` -> the keys that it hides: the payload holds the spawn configuration."""


def words(redact: Iterable[str] | None) -> list[str]:
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

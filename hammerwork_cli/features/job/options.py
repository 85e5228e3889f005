"""The options of a new job, as the command line and the lines of ``job enqueue --file`` have them."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.core.input.reading import duration_of, instant_of, timeout_of, uuid_of
from hammerwork_cli.core.payloads import check_names, with_spawn_config
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption

INHERITED = {
    "priority": "inherit_priority",
    "queue": "inherit_queue",
    "retry": "inherit_retry_strategy",
    "timeout": "inherit_timeout",
    "trace": "inherit_trace_context",
}


class WantedJob(NamedTuple):
    """A new job whose options are read."""

    queue: str
    payload: str  # JSON text
    rest: dict[str, Any]  # the other arguments of `NewJob.of`
    encrypt: bool | None = None  # whether the payload is to be encrypted; `None` if nobody has said

    def made(self, now: datetime) -> NewJob:
        job = NewJob.of(self.queue, self.payload, now, **self.rest)
        job.plaintext_meant = self.encrypt is False
        return job


def wanted_job(given: Mapping[str, Any], *, payload: str | None = None) -> WantedJob:
    """Reads the options of a job; ``None`` is the default of an option.

    Args:
        given: option -> value: those of :data:`OPTIONS`. Durations are text, or numbers of seconds.
        payload: the payload as it was written, to be stored unchanged unless it gets a spawn configuration.
    """
    unknown = sorted(given.keys() - OPTIONS)
    if unknown:
        raise UsageError(f"{unknown[0][:40]!r} is not an option of a job.", hint=f"One of: {', '.join(OPTIONS)}.")
    options = {name: value for name, value in given.items() if value is not None}
    if "queue" not in options:
        raise UsageError("No queue was given.")
    if "payload" not in given:
        raise UsageError("No payload was given.")
    if "delay" in options and "at" in options:
        raise UsageError("Give a delay or a time (at), not both.")
    rest = {_ARGUMENTS.get(name, name): read(options[name], name) for name, read in _READERS.items() if name in options}
    if encryption := encryption_of(options):
        rest["encryption"] = encryption
    encrypt = True if encryption else options.get("encrypt")
    return WantedJob(fields.queue(options["queue"]), _payload(given["payload"], payload, options), rest, encrypt)


def json_value(text: str, what: str) -> Any:
    """The value of a JSON text."""
    if not text.strip():
        raise UsageError(f"{what} is empty.", hint="Give JSON, such as '{}'.")
    try:
        return json_of(text)
    except ValueError as error:
        hint = "Quote it for the shell: '{\"key\": 1}'" if str(error).startswith("is not JSON") else None
        raise UsageError(f"{what} {error}.", hint=hint) from error


# A function of the module json would make another one for each line of a file.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def spawning(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spawn configuration that options name."""
    named = {"spawn_handler": "handler", **{name: name for name in ("max_spawn_count", "operation_id", "batch_size")}}
    chosen = {field: options[name] for name, field in named.items() if options.get(name) is not None}
    if options.get("spawn_delay") is not None:
        chosen["spawn_delay_ms"] = round(_duration(options["spawn_delay"], "spawn_delay").total_seconds() * 1000)
    return chosen | _inheritance(options.get("inherit"))


def with_options(payload: Any, options: Mapping[str, Any]) -> Any:
    """The payload with the spawn configuration that options name, completed with the defaults; else the same one."""
    layers = [layer for layer in (options.get("spawn_config"), spawning(options) or None) if layer is not None]
    return with_spawn_config(payload, *layers)


def _payload(value: Any, text: str | None, options: Mapping[str, Any]) -> str:
    if isinstance(value, dict):
        check_names(value.get("_spawn_config"))
    completed = with_options(value, options)
    if text is not None and completed is value:
        return text
    try:
        return fields.text(_ENCODER.encode(completed), "The payload")
    except RecursionError as error:
        raise UsageError("The payload is nested too deeply.") from error
    except ValueError as error:
        raise UsageError("The payload has a number that is too large for JSON.") from error


def encryption_of(options: Mapping[str, Any]) -> "Encryption | None":
    """How options of a job want its payload encrypted; ``None`` for plaintext."""
    encrypt, paths = options.get("encrypt"), options.get("pii_fields")
    if not isinstance(encrypt, bool | None):
        raise UsageError(f"encrypt must be true or false, not {encrypt!r:.60}.")
    if not encrypt and not paths:
        return None
    if encrypt is False:
        raise UsageError("Fields to encrypt were given for a job that is not to be encrypted.")
    from hammerwork_cli.core.encryption import Encryption  # few jobs need it

    return Encryption(pii_fields=tuple(_texts(paths or [], "pii_fields")))


def _inheritance(inherit: Any) -> dict[str, bool]:
    if inherit is None:
        return {}
    words = {word.strip().lower() for word in _texts(inherit, "inherit")} - {"", "none"}
    unknown = sorted(words - INHERITED.keys())
    if unknown:
        raise UsageError(f"{unknown[0][:40]!r} cannot be inherited.", hint=f"One of: {', '.join(INHERITED)}, or none.")
    return {field: word in words for word, field in INHERITED.items()}


def _texts(given: Any, name: str) -> list[str]:
    """Words with commas between them, or a list of words."""
    words = given.split(",") if isinstance(given, str) else given
    if not isinstance(words, (list, tuple)):
        raise UsageError(f"{name} must be text or a list of texts, not {given!r:.60}.")
    return [fields.text(word, name) for word in words]


def _duration_text(given: Any, name: str) -> str:
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given >= 0:
        return f"{given:.3f}".rstrip("0").rstrip(".") if isinstance(given, float) else str(given)
    if not isinstance(given, str):
        raise UsageError(f'{name} must be a duration such as 90 (seconds) or "15m", not {given!r:.60}.')
    return given


def _duration(given: Any, name: str) -> timedelta:
    return fields.duration(duration_of(_duration_text(given, name)), name)


def _timeout(given: Any, name: str) -> timedelta:
    return timeout_of(_duration_text(given, name))


def _at(given: Any, name: str) -> datetime:
    return instant_of(fields.text(given, name))


def _id(given: Any, name: str) -> str:
    found = uuid_of(fields.text(given, name))
    if found is None:
        raise UsageError(f"{given[:60]!r} is not a UUID.", hint="Write all of it, with hyphens; uuidgen makes one.")
    return found


def _ids(given: Any, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_id(one, name) for one in _texts(given, name)))


def _attempts(given: Any, name: str) -> int:
    return fields.whole_number(given, name, 1, LARGEST_INTEGER)


def _priority(given: Any, name: str) -> Any:
    if isinstance(given, bool):
        raise UsageError(f"{given!r} is not a {name}.")
    return fields.priority(given)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "id": _id,
    "priority": _priority,
    "delay": _duration,
    "at": _at,
    "max_attempts": _attempts,
    "timeout": _timeout,
    "depends_on": _ids,
    "trace_id": fields.text,
    "correlation_id": fields.text,
}
_ARGUMENTS = {"at": "scheduled_at"}
"""Options that :meth:`NewJob.of` calls otherwise."""
_SPAWNING = (
    "spawn_handler",
    "spawn_config",
    "max_spawn_count",
    "operation_id",
    "spawn_delay",
    "batch_size",
    "inherit",
)
_ENCRYPTING = ("encrypt", "pii_fields")
OPTIONS = dict.fromkeys(("queue", "payload", *_READERS, *_SPAWNING, *_ENCRYPTING))
"""Names of the options, in order."""

"""The options of a new job: the table :data:`JOB_OPTIONS`, and the reader of what somebody gives of them.

The command line, the lines of ``job enqueue --file``, workflows and schedules in files, the REST API and callbacks
take their options from this table.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.core.input.limits import LARGEST_INTEGER, LONGEST_NAME, LONGEST_TRACE, MOST_PARENTS
from hammerwork_cli.core.input.reading import (
    BEGINNING_PATTERN,
    UUID_PATTERN,
    duration_of,
    instant_of,
    timeout_of,
    uuid_of,
)
from hammerwork_cli.core.input.spawn_config import ON_ERROR
from hammerwork_cli.core.payloads import check_names, with_spawn_config
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks.model import CallbackEvent, NewCallback
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Shape

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Encryption
    from hammerwork_cli.features.job.models.unique import Unique

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
    rest = {argument: read(options[name], name) for name, argument, read in _READ if name in options}
    if encryption := encryption_of(options):
        rest["encryption"] = encryption
    if unique := unique_of(options):
        rest["unique"] = unique
    encrypt = True if encryption else options.get("encrypt")
    return WantedJob(fields.queue(options["queue"]), _payload(given["payload"], payload, options), rest, encrypt)


def new_callback(event: CallbackEvent, options: Mapping[str, Any]) -> NewCallback:
    """Makes a callback for a job with some of the options of a line of ``job enqueue --file``."""
    given = {"payload": {}, **options}
    plaintext_meant = given.get("encrypt") is False  # it cannot be encrypted
    if plaintext_meant:
        del given["encrypt"]
    other = sorted(given.keys() - set(CALLBACK_OPTIONS))
    if other:
        raise UsageError(
            f"{other[0][:40]!r} is not an option of a callback.", hint=f"One of: {', '.join(CALLBACK_OPTIONS)}."
        )
    wanted_job(given)
    return NewCallback(event, json.dumps(given, ensure_ascii=False), new_id(), plaintext_meant)


def json_value(text: str, what: str) -> Any:
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
    chosen: dict[str, Any] = {}
    for name, spawns in _SPAWNING:
        if options.get(name) is not None:
            chosen |= spawns(options[name], name)
    return chosen


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
    paths = [] if paths is None else _texts(paths, "pii_fields")
    if not encrypt and not paths:
        return None
    if encrypt is False:
        raise UsageError("Fields to encrypt were given, but encrypt is false.")
    from hammerwork_cli.core.encryption import Encryption  # few jobs need it

    return Encryption(pii_fields=tuple(paths))


def unique_of(options: Mapping[str, Any]) -> "Unique | None":
    """What options of a job make it unique by; ``None`` if it is not."""
    if options.get("unique") is None:
        if options.get("unique_within") is not None or options.get("unique_while"):
            raise UsageError("unique_within and unique_while say how long a unique key is held, but no key was given.")
        return None
    from hammerwork_cli.features.job.models.unique import USUAL, Unique  # few jobs need it

    within = options.get("unique_within")
    holding = options.get("unique_while")
    return Unique.of(
        options["unique"],
        None if within is None else _duration(within, "unique_within"),
        USUAL if holding is None else [word.strip() for word in _texts(holding, "unique_while")],
    )


def _inheritance(inherit: Any, name: str) -> dict[str, Any]:
    words = {word.strip().lower() for word in _texts(inherit, name)} - {"", "none"}
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


# The table.

ENQUEUE, BATCH, SCHEDULE, AGAIN = "job enqueue", "batch enqueue", "cron create", "spawn again"
"""The verbs that take options of jobs. ``cron update`` takes those of ``cron create``."""


Spelling = Literal["text", "number", "switch", "name", "names", "words", "json"]
"""How the command line spells a value. ``names`` have commas between them, or the option is repeated; so do ``words``,
where an empty text means none of them. ``json`` may also be ``@FILE``, or ``-`` for stdin."""


class Kind(NamedTuple):
    """What the value of an option looks like."""

    line: Key | None  # in a line of a file; `None` if only the command line has the option
    metavar: str | None = None
    spelling: Spelling = "text"


class Option(NamedTuple):
    """An option of a job, as each door has it."""

    name: str
    kind: Kind
    help: Mapping[str, str] = {}  # verb that has it -> its help there
    read: Callable[[Any, str], Any] | None = None  # makes an argument of `NewJob.of` of the value
    spawns: Callable[[Any, str], dict[str, Any]] | None = None  # makes fields of the spawn configuration of the value
    argument: str = ""  # of `NewJob.of`, if it has another name
    flags: tuple[str, ...] = ()  # by default, the name with two hyphens
    default: Any = None  # of the verbs that enqueue
    rest: Key | None = None  # its value in the REST API
    field: str = ""  # there, if it has another name
    callbacks: bool = False  # whether the job of a callback may have it


def _field(name: str) -> Callable[[Any, str], dict[str, Any]]:
    return lambda given, _: {name: given}


def _delay_of_batches(given: Any, name: str) -> dict[str, Any]:
    return {"spawn_delay_ms": round(_duration(given, name).total_seconds() * 1000)}


def _text(metavar: str) -> Kind:
    return Kind(key.null_or(key.text()), metavar)


def _number(schema: Key) -> Kind:
    return Kind(key.null_or(schema), "N", "number")


def _list(metavar: str, about: str, spelling: Spelling = "names") -> Kind:
    return Kind(Key({"type": ["string", "array", "null"], "items": {"type": "string"}}).about(about), metavar, spelling)


_DURATION = Kind(
    Key({"type": ["string", "number", "null"], "description": "15m, 2h, or a number of seconds"}), "DURATION"
)
_TRACE = key.null_or(key.line(0, LONGEST_TRACE))
_PARENTS = Key(
    {"type": "array", "items": {"type": "string", "pattern": f"^{BEGINNING_PATTERN}$"}, "maxItems": MOST_PARENTS},
    inner=key.job_id(),
)
_HOLDING = Key(
    {
        "type": "array",
        "description": "When the other job holds it; waiting and running by default",
        "items": {"type": "string", "enum": ["waiting", "running", "completed", "failed"]},
        "minItems": 1,
    },
    inner=key.text(),
)
_NEW_ID = Key(
    key.job_id("Its id; a second request with the same id changes nothing").schema
    | {"pattern": f"^{UUID_PATTERN}$", "maxLength": 36},
    typescript="JobId",
)
_INHERITED = "Inherited by children: priority,queue,retry,timeout,trace or none."
START = Key(key.line(20, 40, "Earliest start; RFC 3339").schema | {"format": "date-time"})
"""A start in the REST API."""
SPAWN_FIELDS = Shape[Any](
    {
        **dict.fromkeys(("handler", "operation_id"), key.null_or(key.line(1, LONGEST_NAME)).optional),
        **dict.fromkeys(
            ("max_spawn_count", "max_depth", "max_descendants", "spawn_delay_ms"), key.null_or(key.whole(0)).optional
        ),
        "batch_size": key.null_or(key.whole(1)).optional,
        **dict.fromkeys(INHERITED.values(), key.flag().optional),
        "on_error": key.null_or(key.text("", *ON_ERROR)).optional,
        "metadata": key.anything("For the handler").optional,
    }
)
"""The fields of a spawn configuration."""
SPAWN_CONFIG = Key(
    {
        "type": "object",
        "description": "Lets the job spawn: these values, then those of the payload, then the defaults",
        "properties": SPAWN_FIELDS.schema["properties"],
        "additionalProperties": False,
    },
    typescript="SpawnConfig",
)
"""A spawn configuration in the REST API."""

JOB_OPTIONS = (
    Option(
        "queue",
        Kind(key.null_or(key.text("Default: that of the command line, or default_queue")), "QUEUE", "name"),
        {
            ENQUEUE: "Queue of the job. [default: setting default_queue]",
            BATCH: "Queue of lines without one. [default: setting default_queue]",
            SCHEDULE: "Queue of its jobs.",
        },
        flags=("-q", "--queue"),
        rest=key.line(1, LONGEST_NAME, "Its queue"),
        callbacks=True,
    ),
    Option(
        "payload",
        Kind(key.anything("Any JSON; needed unless --payload gives a default"), "JSON"),
        dict.fromkeys((ENQUEUE, SCHEDULE), "Payload: JSON, @FILE, or - for stdin."),
        flags=("-j", "--payload"),
        rest=key.anything("Any JSON"),
        callbacks=True,
    ),
    Option(
        "priority",
        Kind(Key({"type": ["string", "integer", "null"], "description": "A word, or 0 to 4"}), "PRIORITY"),
        {
            ENQUEUE: "Priority: background, low, normal, high or critical.",
            BATCH: "Priority of lines without one.",
            SCHEDULE: "Priority of its jobs.",
        },
        _priority,
        flags=("-r", "--priority"),
        default=JobPriority.NORMAL.word,
        rest=key.priority(),
        callbacks=True,
    ),
    Option(
        "delay", _DURATION, {ENQUEUE: "Delay before it may start: 90 (seconds), 15m, 2h."}, _duration, callbacks=True
    ),
    Option(
        "at",
        Kind(key.null_or(key.instant("Earliest start")), "TIME"),
        {ENQUEUE: "Earliest start: 2026-12-24T18:00:00Z."},
        _at,
        argument="scheduled_at",
        rest=START,
        field="scheduled_at",
    ),
    Option(
        "max_attempts",
        _number(key.whole(1)),
        {
            ENQUEUE: "Attempts until it is Dead.",
            BATCH: "Attempts of lines without a number.",
            SCHEDULE: "Attempts until a job is Dead.",
        },
        _attempts,
        default=3,
        rest=key.whole(1, "Attempts until it is Dead; 3 by default"),
        callbacks=True,
    ),
    Option(
        "timeout",
        _DURATION,
        {
            ENQUEUE: "Time limit of an attempt: 90 (seconds), 15m.",
            BATCH: "Time limit of lines without one.",
            SCHEDULE: "Time limit of an attempt: 90 (seconds), 15m.",
        },
        _timeout,
        rest=key.null_or(key.whole(1, "Time limit of an attempt")),
        field="timeout_seconds",
        callbacks=True,
    ),
    Option(
        "depends_on",
        _list("JOB", "Whole ids, in a list or with commas between them"),
        {ENQUEUE: "Run after these jobs: ids (repeatable)."},
        _ids,
        rest=_PARENTS.about("Jobs that must complete first; ids or their first digits"),
    ),
    Option(
        "id",
        Kind(key.null_or(key.job_id("A job that exists stays unchanged")), "UUID"),
        {ENQUEUE: "Id to assign; repeating the command with it changes nothing."},
        _id,
        rest=_NEW_ID,
    ),
    Option("trace_id", _text("ID"), {ENQUEUE: "Id of its trace."}, fields.text, rest=_TRACE, callbacks=True),
    Option(
        "correlation_id",
        _text("ID"),
        {ENQUEUE: "Id that jobs of one request share."},
        fields.text,
        rest=_TRACE,
        callbacks=True,
    ),
    Option("workflow", Kind(None, "WORKFLOW"), {ENQUEUE: "Workflow that it joins."}),
    Option(
        "spawn_handler",
        _text("NAME"),
        {ENQUEUE: "Let it spawn with this handler.", SCHEDULE: "Let its jobs spawn with this handler."},
        spawns=_field("handler"),
    ),
    Option(
        "spawn_config",
        Kind(key.spawn_config(), "JSON", "json"),
        {
            ENQUEUE: "Let it spawn: JSON, @FILE, or - for stdin.",
            SCHEDULE: "Let its jobs spawn: JSON, @FILE, or - for stdin.",
            AGAIN: "Override the job's configuration: JSON, @FILE or -.",
        },
        rest=SPAWN_CONFIG,
    ),
    Option(
        "max_spawn_count",
        _number(key.count()),
        {
            ENQUEUE: "Maximum number of children. [default: 100]",
            SCHEDULE: "Maximum number of children of a job.",
            AGAIN: "Maximum number of children.",
        },
        spawns=_field("max_spawn_count"),
    ),
    Option(
        "operation_id",
        _text("ID"),
        {ENQUEUE: "Name of its operation.", AGAIN: "Name of the operation."},
        spawns=_field("operation_id"),
    ),
    Option(
        "spawn_delay",
        _DURATION,
        dict.fromkeys((ENQUEUE, AGAIN), "Delay between batches of children."),
        spawns=_delay_of_batches,
    ),
    Option(
        "batch_size",
        _number(key.whole(1, most=None)),
        dict.fromkeys((ENQUEUE, AGAIN), "Children per batch."),
        spawns=_field("batch_size"),
    ),
    Option(
        "inherit",
        _list("WORDS", "priority, queue, retry, timeout, trace or none", "words"),
        {ENQUEUE: f"{_INHERITED} [default: priority,retry,trace]", AGAIN: _INHERITED},
        spawns=_inheritance,
    ),
    Option(
        "encrypt",
        Kind(key.null_or(key.flag("Whether its payload is encrypted")), spelling="switch"),
        {ENQUEUE: "Encrypt its payload; needs --encryption-key."},
        flags=("--encrypt/--no-encrypt",),
        rest=key.flag(
            "True encrypts the payload, if the server has a key; false means plaintext, even beside encrypted jobs"
        ),
    ),
    Option(
        "pii_fields",
        _list("PATH", "Paths of the only fields to encrypt"),
        {ENQUEUE: "Encrypt only these fields: ssn,customer.email (repeatable)."},
        flags=("--pii-field",),
    ),
    Option(
        "unique",
        _text("TEXT"),
        {ENQUEUE: "Write it only while no other job of its queue holds this key."},
        rest=key.line(1, LONGEST_NAME, "Unique key: while another job holds it, that one is the answer"),
    ),
    Option(
        "unique_within",
        _DURATION,
        {ENQUEUE: "Time from the other job's enqueue in which it holds the key."},
        rest=key.whole(1, "Time from the other job's enqueue in which it holds the key"),
        field="unique_within_seconds",
    ),
    Option(
        "unique_while",
        _list("WORDS", "waiting, running, completed, failed"),
        {ENQUEUE: "While the other job is waiting, running, completed or failed. [default: waiting,running]"},
        rest=_HOLDING,
    ),
)
"""The options of a job, in the order of the command line."""

OPTION = {option.name: option for option in JOB_OPTIONS}
OPTIONS = dict.fromkeys(("queue", "payload", "id", *(option.name for option in JOB_OPTIONS if option.kind.line)))
"""Names of the options that :func:`wanted_job` reads, in order."""
_READ = [(option.name, option.argument or option.name, option.read) for option in JOB_OPTIONS if option.read]
_SPAWNING = [(option.name, option.spawns) for option in JOB_OPTIONS if option.spawns]
SPAWNING = {"spawn_config", *(name for name, _ in _SPAWNING)}
"""Names of the options that change the payload: what they say goes into its spawn configuration."""
CALLBACK_OPTIONS = [option.name for option in JOB_OPTIONS if option.callbacks]
"""Options that a job of a callback may have."""

"""Translates the errors of the drivers: a table of codes for each kind of database, and a sentence for each meaning."""

from enum import Enum, auto
from typing import Any, Protocol

from hammerwork_cli.database.timeouts import Timeouts
from hammerwork_cli.database.url import DatabaseUrl
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConnectionLostError,
    DatabaseError,
    DuplicateError,
    HammerworkError,
    LimitReachedError,
    MissingTablesError,
    RefusedValueError,
    RetryableError,
    UnreachableError,
)

MIGRATE = "Run: hammerwork migration run"
LATER = "Try again in a moment."


class ErrorMeaning(Enum):
    """Meanings of errors, each with its own way to go on."""

    # About the value.
    REFUSED = auto()
    """The server will refuse the same value again. Never the meaning of an error at COMMIT."""

    # About the session.
    LOST = auto()
    """The connection is gone. Whether a commit succeeded that was under way is unknown."""
    CONFLICT = auto()
    """Another transaction won. This one may succeed if it runs again at once."""
    LOCKED = auto()
    """Another session had a row or table locked for too long."""

    # About the server.
    READ_ONLY = auto()
    """The server refuses writes; another one may accept them."""
    NOT_LOGGED = auto()
    """The format of its binary log is not fit for READ COMMITTED."""
    FULL = auto()
    """The server does not accept more connections."""
    LIMIT = auto()
    """Time or memory ran out, or an administrator stopped the statement."""
    DUPLICATE = auto()
    """Another row has the same key. A transaction that runs again sees it."""
    NO_ROOM = auto()
    """The disk, or what the database may take of it, is full."""
    DENIED = auto()
    UNPRIVILEGED = auto()
    """The user is known, and lacks a privilege."""
    MISSING = auto()
    NO_DATABASE = auto()

    UNKNOWN = auto()
    """None of the above: a bug of hammerwork-cli, or a passing problem of the server."""


POSTGRES = {
    "08": ErrorMeaning.LOST,
    "22": ErrorMeaning.REFUSED,
    "23502": ErrorMeaning.REFUSED,  # NULL
    "23505": ErrorMeaning.DUPLICATE,  # UNIQUE
    "23514": ErrorMeaning.REFUSED,  # CHECK
    "25006": ErrorMeaning.READ_ONLY,
    "25P03": ErrorMeaning.LOST,  # idle_in_transaction_session_timeout
    "25P04": ErrorMeaning.LOST,  # transaction_timeout
    "28": ErrorMeaning.DENIED,
    "3D000": ErrorMeaning.NO_DATABASE,
    "40": ErrorMeaning.CONFLICT,
    "40003": ErrorMeaning.LOST,  # statement_completion_unknown
    "42501": ErrorMeaning.UNPRIVILEGED,
    "42703": ErrorMeaning.MISSING,
    "42P01": ErrorMeaning.MISSING,
    "53": ErrorMeaning.LIMIT,  # out_of_memory
    "53100": ErrorMeaning.NO_ROOM,
    "53300": ErrorMeaning.FULL,
    "54": ErrorMeaning.LIMIT,  # too many columns or arguments, whatever the values
    "54000": ErrorMeaning.REFUSED,  # an index row too large
    "54001": ErrorMeaning.REFUSED,  # JSON too deep
    "55": ErrorMeaning.LOCKED,  # in use, or in another state than necessary
    "55P03": ErrorMeaning.LOCKED,
    "57014": ErrorMeaning.LIMIT,  # statement_timeout, pg_cancel_backend
    "57P": ErrorMeaning.LOST,  # shutdown, pg_terminate_backend, idle_session_timeout
    "58": ErrorMeaning.LIMIT,  # io_error
    "XX": ErrorMeaning.UNKNOWN,  # internal error: of a damaged page, or of the whole server
}
"""SQLSTATE or the start of one -> meaning. The longest entry that matches wins."""
CONSTRAINTS = "23"
"""The class of SQLSTATE of constraints, which alone are checked at COMMIT if they are deferred."""

MYSQL = {
    1: ErrorMeaning.LIMIT,  # cannot create a file, for example 28: the disk is full
    3: ErrorMeaning.LIMIT,  # error writing a file
    5: ErrorMeaning.LIMIT,  # memory
    20: ErrorMeaning.NO_ROOM,
    23: ErrorMeaning.LIMIT,  # too many files are open
    200: ErrorMeaning.LIMIT,  # max_tmp_session_space_usage (MariaDB), of a storage engine
    201: ErrorMeaning.LIMIT,  # max_tmp_session_space_usage (MariaDB)
    202: ErrorMeaning.LIMIT,  # max_tmp_total_space_usage (MariaDB)
    1016: ErrorMeaning.LIMIT,  # cannot open a file: too many are open
    1020: ErrorMeaning.CONFLICT,  # changed since it was read
    1021: ErrorMeaning.NO_ROOM,
    1024: ErrorMeaning.LIMIT,  # error reading a file
    1026: ErrorMeaning.LIMIT,  # error writing a file
    1028: ErrorMeaning.LIMIT,  # sorting was aborted
    1030: ErrorMeaning.LIMIT,  # error of the storage engine, for example 28: the disk is full
    1036: ErrorMeaning.READ_ONLY,  # table
    1037: ErrorMeaning.LIMIT,  # memory
    1038: ErrorMeaning.LIMIT,  # memory for sorting
    1040: ErrorMeaning.FULL,
    1041: ErrorMeaning.LIMIT,  # memory
    1044: ErrorMeaning.UNPRIVILEGED,
    1045: ErrorMeaning.DENIED,
    1047: ErrorMeaning.LOST,  # the node has lost its cluster, and answers every statement like this
    1048: ErrorMeaning.REFUSED,  # NULL
    1049: ErrorMeaning.NO_DATABASE,
    1053: ErrorMeaning.LOST,  # shutdown
    1054: ErrorMeaning.MISSING,  # column
    1062: ErrorMeaning.DUPLICATE,  # UNIQUE
    1071: ErrorMeaning.REFUSED,  # key too long
    1079: ErrorMeaning.LOST,  # shutdown
    1080: ErrorMeaning.LOST,  # shutdown, forced
    1105: ErrorMeaning.UNKNOWN,  # ER_UNKNOWN_ERROR, which poolers and storage engines use for all sorts of things
    1114: ErrorMeaning.LIMIT,  # table full: disk or memory
    1118: ErrorMeaning.REFUSED,  # row too large
    1129: ErrorMeaning.DENIED,  # host blocked
    1130: ErrorMeaning.DENIED,  # host
    1135: ErrorMeaning.FULL,  # cannot create a thread
    1142: ErrorMeaning.UNPRIVILEGED,
    1143: ErrorMeaning.UNPRIVILEGED,
    1146: ErrorMeaning.MISSING,  # table
    1152: ErrorMeaning.LOST,
    1153: ErrorMeaning.REFUSED,  # packet too large
    1156: ErrorMeaning.LOST,
    1157: ErrorMeaning.LOST,
    1158: ErrorMeaning.LOST,
    1159: ErrorMeaning.LOST,
    1160: ErrorMeaning.LOST,
    1161: ErrorMeaning.LOST,
    1180: ErrorMeaning.CONFLICT,  # commit failed
    1184: ErrorMeaning.LOST,
    1197: ErrorMeaning.REFUSED,  # a transaction larger than max_binlog_cache_size
    1203: ErrorMeaning.FULL,
    1205: ErrorMeaning.LOCKED,
    1206: ErrorMeaning.LIMIT,  # memory for locks
    1213: ErrorMeaning.CONFLICT,
    1223: ErrorMeaning.LOCKED,  # FLUSH TABLES WITH READ LOCK
    1226: ErrorMeaning.FULL,
    1227: ErrorMeaning.UNPRIVILEGED,
    1264: ErrorMeaning.REFUSED,
    1265: ErrorMeaning.REFUSED,
    1290: ErrorMeaning.READ_ONLY,  # read_only, super_read_only
    1292: ErrorMeaning.REFUSED,
    1300: ErrorMeaning.REFUSED,  # not in the character set
    1301: ErrorMeaning.REFUSED,  # result of a function larger than a packet
    1317: ErrorMeaning.LIMIT,  # KILL QUERY
    1366: ErrorMeaning.REFUSED,
    1370: ErrorMeaning.UNPRIVILEGED,
    1406: ErrorMeaning.REFUSED,
    1412: ErrorMeaning.CONFLICT,  # a table changed since the snapshot
    1436: ErrorMeaning.REFUSED,  # JSON too deep for the stack
    1525: ErrorMeaning.REFUSED,
    1614: ErrorMeaning.CONFLICT,
    1615: ErrorMeaning.CONFLICT,  # another session altered the table
    1637: ErrorMeaning.CONFLICT,  # too many transactions at once
    1665: ErrorMeaning.NOT_LOGGED,  # binlog_format=STATEMENT
    1689: ErrorMeaning.CONFLICT,  # another session wants an exclusive lock of the table
    1690: ErrorMeaning.REFUSED,
    1698: ErrorMeaning.DENIED,
    1792: ErrorMeaning.READ_ONLY,  # transaction
    1799: ErrorMeaning.LIMIT,  # innodb_online_alter_log_max_size
    1820: ErrorMeaning.DENIED,  # password expired
    1835: ErrorMeaning.LOST,  # malformed packet
    1836: ErrorMeaning.READ_ONLY,
    1862: ErrorMeaning.DENIED,  # password expired
    1874: ErrorMeaning.READ_ONLY,  # InnoDB
    1878: ErrorMeaning.LIMIT,  # error writing a temporary file
    1927: ErrorMeaning.LOST,  # KILL
    1969: ErrorMeaning.LIMIT,  # max_statement_time
    1977: ErrorMeaning.REFUSED,  # not in the character set (MariaDB)
    2006: ErrorMeaning.LOST,
    2012: ErrorMeaning.LOST,
    2013: ErrorMeaning.LOST,
    2014: ErrorMeaning.LOST,  # commands out of sync: the connection is unusable
    2020: ErrorMeaning.REFUSED,  # packet too large for the client
    2026: ErrorMeaning.LOST,  # TLS broke
    2027: ErrorMeaning.LOST,  # malformed packet
    2055: ErrorMeaning.LOST,
    3015: ErrorMeaning.LIMIT,  # memory
    3019: ErrorMeaning.LIMIT,  # undo log full
    3024: ErrorMeaning.LIMIT,  # max_execution_time
    3032: ErrorMeaning.FULL,  # offline_mode
    3100: ErrorMeaning.CONFLICT,  # group replication
    3101: ErrorMeaning.CONFLICT,  # group replication
    3118: ErrorMeaning.DENIED,  # account locked
    3140: ErrorMeaning.REFUSED,  # JSON
    3141: ErrorMeaning.REFUSED,
    3144: ErrorMeaning.REFUSED,  # JSON in a character set
    3150: ErrorMeaning.REFUSED,  # JSON too large
    3151: ErrorMeaning.REFUSED,  # name in JSON too long
    3155: ErrorMeaning.REFUSED,
    3156: ErrorMeaning.REFUSED,
    3157: ErrorMeaning.REFUSED,  # JSON too deep
    3159: ErrorMeaning.DENIED,  # require_secure_transport
    3168: ErrorMeaning.LOST,  # the server is starting or stopping
    3169: ErrorMeaning.LOST,  # KILL
    3572: ErrorMeaning.LOCKED,
    3675: ErrorMeaning.NO_ROOM,
    3819: ErrorMeaning.REFUSED,  # CHECK
    3854: ErrorMeaning.REFUSED,  # not in the character set of a column beside it
    3884: ErrorMeaning.LIMIT,  # temporary tables
    3950: ErrorMeaning.LIMIT,  # memory
    3955: ErrorMeaning.DENIED,  # account blocked after wrong passwords
    3985: ErrorMeaning.LIMIT,  # memory for locks
    3988: ErrorMeaning.REFUSED,  # not in the character set
    3989: ErrorMeaning.READ_ONLY,  # database
    4025: ErrorMeaning.REFUSED,  # CHECK (MariaDB)
    4031: ErrorMeaning.LOST,  # idle for too long
    4037: ErrorMeaning.REFUSED,  # JSON (MariaDB)
    4038: ErrorMeaning.REFUSED,
    4040: ErrorMeaning.REFUSED,  # JSON too deep (MariaDB)
    4081: ErrorMeaning.LOST,  # global_connection_memory_limit
    4082: ErrorMeaning.LOST,  # connection_memory_limit
    4150: ErrorMeaning.DENIED,  # account blocked after wrong passwords (MariaDB)
    4151: ErrorMeaning.DENIED,  # account locked (MariaDB)
}
"""Error number -> meaning. 1 to 999 are about the server's files and memory, 1900 to 1999 and 4000 up are MariaDB's
own, 2000 to 2999 are the client library's.
"""

SQLITE = {
    "SQLITE_AUTH": ErrorMeaning.DENIED,
    "SQLITE_BUSY": ErrorMeaning.LOCKED,
    "SQLITE_BUSY_SNAPSHOT": ErrorMeaning.CONFLICT,
    "SQLITE_CONSTRAINT_CHECK": ErrorMeaning.REFUSED,
    "SQLITE_CONSTRAINT_NOTNULL": ErrorMeaning.REFUSED,
    "SQLITE_CONSTRAINT_PRIMARYKEY": ErrorMeaning.DUPLICATE,
    "SQLITE_CONSTRAINT_UNIQUE": ErrorMeaning.DUPLICATE,
    "SQLITE_FULL": ErrorMeaning.NO_ROOM,
    "SQLITE_INTERRUPT": ErrorMeaning.LIMIT,
    "SQLITE_IOERR": ErrorMeaning.LOST,
    "SQLITE_LOCKED": ErrorMeaning.LOCKED,
    "SQLITE_MISMATCH": ErrorMeaning.REFUSED,
    "SQLITE_NOMEM": ErrorMeaning.LIMIT,
    "SQLITE_PERM": ErrorMeaning.DENIED,
    "SQLITE_PROTOCOL": ErrorMeaning.LOCKED,
    "SQLITE_READONLY": ErrorMeaning.DENIED,
    "SQLITE_READONLY_DBMOVED": ErrorMeaning.LOST,
    "SQLITE_SCHEMA": ErrorMeaning.CONFLICT,
    "SQLITE_TOOBIG": ErrorMeaning.REFUSED,
}
"""Name of a result code or the start of one -> meaning. The longest entry that matches wins."""

SENTENCES: dict[ErrorMeaning, tuple[type[HammerworkError], str, str | None]] = {
    ErrorMeaning.LOST: (ConnectionLostError, "The connection to {url} was lost.", "Is the server restarting?"),
    ErrorMeaning.READ_ONLY: (
        UnreachableError,
        "{url} does not accept writes: it is a standby, or read-only.",
        "Give the URL of the primary.",
    ),
    ErrorMeaning.NOT_LOGGED: (
        UnreachableError,
        "{url} does not accept writes at READ COMMITTED: the format of its binary log is STATEMENT.",
        "Set binlog_format=MIXED, or ROW, on the server.",
    ),
    ErrorMeaning.FULL: (UnreachableError, "{url} does not accept more connections.", LATER),
    ErrorMeaning.CONFLICT: (RetryableError, "The database is busy: {text}.", LATER),
    ErrorMeaning.LOCKED: (RetryableError, "The database is busy: {text}.", LATER),
    ErrorMeaning.NO_ROOM: (
        LimitReachedError,
        "There is no room left for the database: {text}.",
        "Free space on its disk, then try again.",
    ),
    ErrorMeaning.LIMIT: (LimitReachedError, "The database gave up: {text}.", "Raise its limit, then try again."),
    ErrorMeaning.REFUSED: (RefusedValueError, "The database refuses the value: {text}.", None),
    ErrorMeaning.DUPLICATE: (DuplicateError, "The database has a row with the same key: {text}.", None),
    ErrorMeaning.DENIED: (AccessDeniedError, "{url} refuses: {text}.", "Check the user and the password."),
    ErrorMeaning.UNPRIVILEGED: (
        AccessDeniedError,
        "{url} refuses: {text}.",
        "Grant the user this privilege, or name another user in the URL.",
    ),
    ErrorMeaning.MISSING: (MissingTablesError, "A table or column is missing: {text}.", MIGRATE),
    ErrorMeaning.NO_DATABASE: (
        UnreachableError,
        "{url}: the database does not exist.",
        "Create it, or check the name.",
    ),
    ErrorMeaning.UNKNOWN: (DatabaseError, "The database reported an error: {text}.", None),
}


def by_prefix(table: dict[str, ErrorMeaning], code: str | None) -> ErrorMeaning:
    """Returns the meaning of the longest entry with which a code starts."""
    for length in range(len(code or ""), 1, -1):
        if (meaning := table.get(str(code)[:length])) is not None:
            return meaning
    return ErrorMeaning.UNKNOWN


class Scene(Protocol):
    """Where an error happened."""

    url: DatabaseUrl
    timeouts: Timeouts
    is_committing: bool


def error_for(meaning: ErrorMeaning, database: Scene, text: str, **details: Any) -> HammerworkError:
    """Makes the error to raise.

    Args:
        details: codes for a bug report.
    """
    if meaning == ErrorMeaning.LOCKED and database.timeouts.lock:
        # transaction() must not repeat a wait that the caller has limited.
        meaning = ErrorMeaning.LIMIT
    if meaning in (ErrorMeaning.REFUSED, ErrorMeaning.DUPLICATE) and database.is_committing:
        # The server has taken every value already. A deferred constraint compares them with rows of others, and time
        # decides; everything else is about the server, as a full queue of notifications.
        meaning = ErrorMeaning.UNKNOWN if str(details.get("state", "")).startswith(CONSTRAINTS) else ErrorMeaning.LIMIT
    kind, sentence, hint = SENTENCES[meaning]
    if meaning == ErrorMeaning.READ_ONLY and database.url.dialect == "postgresql":
        hint = f"{hint} PostgreSQL finds it among several hosts with ?target_session_attrs=read-write."
    return kind(sentence.format(url=database.url, text=text.strip().rstrip(".")), hint=hint, **details)


def unstorable(error: Exception) -> RefusedValueError | None:
    """Translates Python's own errors about values that no database can store: half a surrogate pair, a huge number."""
    if isinstance(error, UnicodeEncodeError):
        return RefusedValueError(f"The database cannot store the character {error.object[error.start]!a} of a text.")
    if isinstance(error, OverflowError):
        return RefusedValueError("One of the numbers is too large for the database.")
    return None

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


class Meaning(Enum):
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
    "08": Meaning.LOST,
    "22": Meaning.REFUSED,
    "23502": Meaning.REFUSED,  # NULL
    "23505": Meaning.DUPLICATE,  # UNIQUE
    "23514": Meaning.REFUSED,  # CHECK
    "25006": Meaning.READ_ONLY,
    "25P03": Meaning.LOST,  # idle_in_transaction_session_timeout
    "25P04": Meaning.LOST,  # transaction_timeout
    "28": Meaning.DENIED,
    "3D000": Meaning.NO_DATABASE,
    "40": Meaning.CONFLICT,
    "40003": Meaning.LOST,  # statement_completion_unknown
    "42501": Meaning.UNPRIVILEGED,
    "42703": Meaning.MISSING,
    "42P01": Meaning.MISSING,
    "53": Meaning.LIMIT,  # out_of_memory
    "53100": Meaning.NO_ROOM,
    "53300": Meaning.FULL,
    "54": Meaning.LIMIT,  # too many columns or arguments, whatever the values
    "54000": Meaning.REFUSED,  # an index row too large
    "54001": Meaning.REFUSED,  # JSON too deep
    "55": Meaning.LOCKED,  # in use, or in another state than necessary
    "55P03": Meaning.LOCKED,
    "57014": Meaning.LIMIT,  # statement_timeout, pg_cancel_backend
    "57P": Meaning.LOST,  # shutdown, pg_terminate_backend, idle_session_timeout
    "58": Meaning.LIMIT,  # io_error
    "XX": Meaning.UNKNOWN,  # internal error: of a damaged page, or of the whole server
}
"""SQLSTATE or the start of one -> meaning. The longest entry that matches wins."""
CONSTRAINTS = "23"
"""The class of SQLSTATE of constraints, which alone are checked at COMMIT if they are deferred."""

MYSQL = {
    1: Meaning.LIMIT,  # cannot create a file, for example 28: the disk is full
    3: Meaning.LIMIT,  # error writing a file
    5: Meaning.LIMIT,  # memory
    20: Meaning.NO_ROOM,
    23: Meaning.LIMIT,  # too many files are open
    200: Meaning.LIMIT,  # max_tmp_session_space_usage (MariaDB), of a storage engine
    201: Meaning.LIMIT,  # max_tmp_session_space_usage (MariaDB)
    202: Meaning.LIMIT,  # max_tmp_total_space_usage (MariaDB)
    1016: Meaning.LIMIT,  # cannot open a file: too many are open
    1020: Meaning.CONFLICT,  # changed since it was read
    1021: Meaning.NO_ROOM,
    1024: Meaning.LIMIT,  # error reading a file
    1026: Meaning.LIMIT,  # error writing a file
    1028: Meaning.LIMIT,  # sorting was aborted
    1030: Meaning.LIMIT,  # error of the storage engine, for example 28: the disk is full
    1036: Meaning.READ_ONLY,  # table
    1037: Meaning.LIMIT,  # memory
    1038: Meaning.LIMIT,  # memory for sorting
    1040: Meaning.FULL,
    1041: Meaning.LIMIT,  # memory
    1044: Meaning.UNPRIVILEGED,
    1045: Meaning.DENIED,
    1047: Meaning.LOST,  # the node has lost its cluster, and answers every statement like this
    1048: Meaning.REFUSED,  # NULL
    1049: Meaning.NO_DATABASE,
    1053: Meaning.LOST,  # shutdown
    1054: Meaning.MISSING,  # column
    1062: Meaning.DUPLICATE,  # UNIQUE
    1071: Meaning.REFUSED,  # key too long
    1079: Meaning.LOST,  # shutdown
    1080: Meaning.LOST,  # shutdown, forced
    1105: Meaning.UNKNOWN,  # ER_UNKNOWN_ERROR, which poolers and storage engines use for all sorts of things
    1114: Meaning.LIMIT,  # table full: disk or memory
    1118: Meaning.REFUSED,  # row too large
    1129: Meaning.DENIED,  # host blocked
    1130: Meaning.DENIED,  # host
    1135: Meaning.FULL,  # cannot create a thread
    1142: Meaning.UNPRIVILEGED,
    1143: Meaning.UNPRIVILEGED,
    1146: Meaning.MISSING,  # table
    1152: Meaning.LOST,
    1153: Meaning.REFUSED,  # packet too large
    1156: Meaning.LOST,
    1157: Meaning.LOST,
    1158: Meaning.LOST,
    1159: Meaning.LOST,
    1160: Meaning.LOST,
    1161: Meaning.LOST,
    1180: Meaning.CONFLICT,  # commit failed
    1184: Meaning.LOST,
    1197: Meaning.REFUSED,  # a transaction larger than max_binlog_cache_size
    1203: Meaning.FULL,
    1205: Meaning.LOCKED,
    1206: Meaning.LIMIT,  # memory for locks
    1213: Meaning.CONFLICT,
    1223: Meaning.LOCKED,  # FLUSH TABLES WITH READ LOCK
    1226: Meaning.FULL,
    1227: Meaning.UNPRIVILEGED,
    1264: Meaning.REFUSED,
    1265: Meaning.REFUSED,
    1290: Meaning.READ_ONLY,  # read_only, super_read_only
    1292: Meaning.REFUSED,
    1300: Meaning.REFUSED,  # not in the character set
    1301: Meaning.REFUSED,  # result of a function larger than a packet
    1317: Meaning.LIMIT,  # KILL QUERY
    1366: Meaning.REFUSED,
    1370: Meaning.UNPRIVILEGED,
    1406: Meaning.REFUSED,
    1412: Meaning.CONFLICT,  # a table changed since the snapshot
    1436: Meaning.REFUSED,  # JSON too deep for the stack
    1525: Meaning.REFUSED,
    1614: Meaning.CONFLICT,
    1615: Meaning.CONFLICT,  # another session altered the table
    1637: Meaning.CONFLICT,  # too many transactions at once
    1665: Meaning.NOT_LOGGED,  # binlog_format=STATEMENT
    1689: Meaning.CONFLICT,  # another session wants an exclusive lock of the table
    1690: Meaning.REFUSED,
    1698: Meaning.DENIED,
    1792: Meaning.READ_ONLY,  # transaction
    1799: Meaning.LIMIT,  # innodb_online_alter_log_max_size
    1820: Meaning.DENIED,  # password expired
    1835: Meaning.LOST,  # malformed packet
    1836: Meaning.READ_ONLY,
    1862: Meaning.DENIED,  # password expired
    1874: Meaning.READ_ONLY,  # InnoDB
    1878: Meaning.LIMIT,  # error writing a temporary file
    1927: Meaning.LOST,  # KILL
    1969: Meaning.LIMIT,  # max_statement_time
    1977: Meaning.REFUSED,  # not in the character set (MariaDB)
    2006: Meaning.LOST,
    2012: Meaning.LOST,
    2013: Meaning.LOST,
    2014: Meaning.LOST,  # commands out of sync: the connection is unusable
    2020: Meaning.REFUSED,  # packet too large for the client
    2026: Meaning.LOST,  # TLS broke
    2027: Meaning.LOST,  # malformed packet
    2055: Meaning.LOST,
    3015: Meaning.LIMIT,  # memory
    3019: Meaning.LIMIT,  # undo log full
    3024: Meaning.LIMIT,  # max_execution_time
    3032: Meaning.FULL,  # offline_mode
    3100: Meaning.CONFLICT,  # group replication
    3101: Meaning.CONFLICT,  # group replication
    3118: Meaning.DENIED,  # account locked
    3140: Meaning.REFUSED,  # JSON
    3141: Meaning.REFUSED,
    3144: Meaning.REFUSED,  # JSON in a character set
    3150: Meaning.REFUSED,  # JSON too large
    3151: Meaning.REFUSED,  # name in JSON too long
    3155: Meaning.REFUSED,
    3156: Meaning.REFUSED,
    3157: Meaning.REFUSED,  # JSON too deep
    3159: Meaning.DENIED,  # require_secure_transport
    3168: Meaning.LOST,  # the server is starting or stopping
    3169: Meaning.LOST,  # KILL
    3572: Meaning.LOCKED,
    3675: Meaning.NO_ROOM,
    3819: Meaning.REFUSED,  # CHECK
    3854: Meaning.REFUSED,  # not in the character set of a column beside it
    3884: Meaning.LIMIT,  # temporary tables
    3950: Meaning.LIMIT,  # memory
    3955: Meaning.DENIED,  # account blocked after wrong passwords
    3985: Meaning.LIMIT,  # memory for locks
    3988: Meaning.REFUSED,  # not in the character set
    3989: Meaning.READ_ONLY,  # database
    4025: Meaning.REFUSED,  # CHECK (MariaDB)
    4031: Meaning.LOST,  # idle for too long
    4037: Meaning.REFUSED,  # JSON (MariaDB)
    4038: Meaning.REFUSED,
    4040: Meaning.REFUSED,  # JSON too deep (MariaDB)
    4081: Meaning.LOST,  # global_connection_memory_limit
    4082: Meaning.LOST,  # connection_memory_limit
    4150: Meaning.DENIED,  # account blocked after wrong passwords (MariaDB)
    4151: Meaning.DENIED,  # account locked (MariaDB)
}
"""Error number -> meaning. 1 to 999 are about the server's files and memory, 1900 to 1999 and 4000 up are MariaDB's
own, 2000 to 2999 are the client library's.
"""

SQLITE = {
    "SQLITE_AUTH": Meaning.DENIED,
    "SQLITE_BUSY": Meaning.LOCKED,
    "SQLITE_BUSY_SNAPSHOT": Meaning.CONFLICT,
    "SQLITE_CONSTRAINT_CHECK": Meaning.REFUSED,
    "SQLITE_CONSTRAINT_NOTNULL": Meaning.REFUSED,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Meaning.DUPLICATE,
    "SQLITE_CONSTRAINT_UNIQUE": Meaning.DUPLICATE,
    "SQLITE_FULL": Meaning.NO_ROOM,
    "SQLITE_INTERRUPT": Meaning.LIMIT,
    "SQLITE_IOERR": Meaning.LOST,
    "SQLITE_LOCKED": Meaning.LOCKED,
    "SQLITE_MISMATCH": Meaning.REFUSED,
    "SQLITE_NOMEM": Meaning.LIMIT,
    "SQLITE_PERM": Meaning.DENIED,
    "SQLITE_PROTOCOL": Meaning.LOCKED,
    "SQLITE_READONLY": Meaning.DENIED,
    "SQLITE_READONLY_DBMOVED": Meaning.LOST,
    "SQLITE_SCHEMA": Meaning.CONFLICT,
    "SQLITE_TOOBIG": Meaning.REFUSED,
}
"""Name of a result code or the start of one -> meaning. The longest entry that matches wins."""

SENTENCES: dict[Meaning, tuple[type[HammerworkError], str, str | None]] = {
    Meaning.LOST: (ConnectionLostError, "The connection to {url} was lost.", "Is the server restarting?"),
    Meaning.READ_ONLY: (
        UnreachableError,
        "{url} does not accept writes: it is a standby, or read-only.",
        "Give the URL of the primary.",
    ),
    Meaning.NOT_LOGGED: (
        UnreachableError,
        "{url} does not accept writes at READ COMMITTED: the format of its binary log is STATEMENT.",
        "Set binlog_format=MIXED, or ROW, on the server.",
    ),
    Meaning.FULL: (UnreachableError, "{url} does not accept more connections.", LATER),
    Meaning.CONFLICT: (RetryableError, "The database is busy: {text}.", LATER),
    Meaning.LOCKED: (RetryableError, "The database is busy: {text}.", LATER),
    Meaning.NO_ROOM: (
        LimitReachedError,
        "There is no room left for the database: {text}.",
        "Free space on its disk, then try again.",
    ),
    Meaning.LIMIT: (LimitReachedError, "The database gave up: {text}.", "Raise its limit, then try again."),
    Meaning.REFUSED: (RefusedValueError, "The database refuses the value: {text}.", None),
    Meaning.DUPLICATE: (DuplicateError, "The database has a row with the same key: {text}.", None),
    Meaning.DENIED: (AccessDeniedError, "{url} refuses: {text}.", "Check the user and the password."),
    Meaning.UNPRIVILEGED: (
        AccessDeniedError,
        "{url} refuses: {text}.",
        "Grant the user this privilege, or name another user in the URL.",
    ),
    Meaning.MISSING: (MissingTablesError, "A table or column is missing: {text}.", MIGRATE),
    Meaning.NO_DATABASE: (UnreachableError, "{url}: the database does not exist.", "Create it, or check the name."),
    Meaning.UNKNOWN: (DatabaseError, "The database reported an error: {text}.", None),
}


def by_prefix(table: dict[str, Meaning], code: str | None) -> Meaning:
    """Returns the meaning of the longest entry with which a code starts."""
    for length in range(len(code or ""), 1, -1):
        if (meaning := table.get(str(code)[:length])) is not None:
            return meaning
    return Meaning.UNKNOWN


class Connection(Protocol):
    """Where an error happened."""

    url: DatabaseUrl
    timeouts: Timeouts
    is_committing: bool


def error_for(meaning: Meaning, database: Connection, text: str, **details: Any) -> HammerworkError:
    """Makes the error to raise.

    Args:
        meaning: meaning of the driver's error.
        database: the connection on which it happened.
        text: message of the driver or the server.
        details: codes for a bug report.
    """
    if meaning == Meaning.LOCKED and database.timeouts.lock:
        # transaction() must not repeat a wait that the caller has limited.
        meaning = Meaning.LIMIT
    if meaning in (Meaning.REFUSED, Meaning.DUPLICATE) and database.is_committing:
        # The server has taken every value already. A deferred constraint compares them with rows of others, and time
        # decides; everything else is about the server, as a full queue of notifications.
        meaning = Meaning.UNKNOWN if str(details.get("state", "")).startswith(CONSTRAINTS) else Meaning.LIMIT
    kind, sentence, hint = SENTENCES[meaning]
    if meaning == Meaning.READ_ONLY and database.url.dialect == "postgresql":
        hint = f"{hint} PostgreSQL finds it among several hosts with ?target_session_attrs=read-write."
    return kind(sentence.format(url=database.url, text=text.strip().rstrip(".")), hint=hint, **details)


def unstorable(error: Exception) -> RefusedValueError | None:
    """Translates Python's own errors about values that no database can store: half a surrogate pair, a huge number."""
    if isinstance(error, UnicodeEncodeError):
        return RefusedValueError(f"The database cannot store the character {error.object[error.start]!a} of a text.")
    if isinstance(error, OverflowError):
        return RefusedValueError("One of the numbers is too large for the database.")
    return None

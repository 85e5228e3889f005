"""What a command is handed: settings, the database, and a way to show an answer."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from hammerwork_cli import config
from hammerwork_cli.cached import cached
from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.errors import ConfigError, DeclinedError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.database.stalls import Stalls
    from hammerwork_cli.render.formats.json import Record

Model = TypeVar("Model")


class Context:
    """The world of one command.

    Attributes:
        options: the options that every verb takes, as far as they were given.
        aside: what notes go through while something is drawn on stderr.
        speaks_json: whether JSON was asked for, so that stderr holds nothing but an error, which is JSON too.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.environ = environ
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.options: dict[str, Any] = {}
        self.speaks_json = False
        self.aside: Callable[[str], None] | None = None
        self._databases: list[Database] = []
        self._stalls: list[Stalls] = []

    # Settings.

    @cached
    def settings(self) -> config.Settings:
        """What is configured."""
        return config.Settings(self.environ)

    def queue(self, given: str | None) -> str:
        """The queue that was named, else ``default_queue``.

        Raises:
            UsageError: neither is there.
        """
        queue = given or self.settings.get("default_queue").value
        if not queue:
            raise UsageError("No queue was named.", hint="Add --queue, or: hammerwork config set default_queue NAME")
        return str(queue)

    def url(self) -> DatabaseUrl:
        """Where the database is.

        Raises:
            ConfigError: the URL cannot be used, or the configuration file cannot be read.
        """
        _ = self.settings.file  # also where an option or a variable names the database: a mistake in it is told
        found = self.settings.get("database_url", self.options.get("database_url"))
        if found.source == "file":
            self.note_exposure()
        if found.value is not None:
            return DatabaseUrl.parse(found.value)
        path = config.embedded_path(self.environ)
        self.note(f"No database is configured: using the embedded {path}")
        return DatabaseUrl.of_file(path)

    def database(self, *, create: bool = False, changes: bool = False) -> Database:
        """Opens the configured database; it is closed when the command ends.

        Args:
            create: an SQLite file that does not exist is made.
            changes: something is to be changed there; when that takes long, it is told why.
        """
        url = self.url()
        if url.path is not None:
            _prepare_file(url.path, create)
        database = connect(url)
        self._databases.append(database)
        if changes and not self.is_quiet:
            from hammerwork_cli.database.stalls import Stalls

            self._stalls.append(Stalls(database, self._note_stall))
        return database

    def _note_stall(self, seconds: float) -> None:
        self.note(
            f"The database has been at one statement for {seconds:,.0f} s: as a rule it waits for a lock that another "
            "session holds. Ctrl-C gives it up."
        )

    def close(self) -> None:
        """Closes what the command opened."""
        for stalls in self._stalls:
            stalls.close()
        for database in self._databases:
            database.close()

    def now(self, database: Database | None = None) -> datetime:
        """The present, in UTC. ``HAMMERWORK_NOW`` (RFC 3339) sets it, for tests and demonstrations.

        Args:
            database: whose clock counts, for what is written there or chosen by its times to be changed; for what is
                only shown, that of this machine does.
        """
        fixed = self.environ.get("HAMMERWORK_NOW")
        if not fixed:
            return datetime.now(UTC) if database is None else database.now()
        try:
            return datetime.fromisoformat(fixed).astimezone(UTC)
        except ValueError as error:
            raise ConfigError("HAMMERWORK_NOW is not an RFC 3339 time.") from error

    @property
    def operator(self) -> str:
        """Who changes something, for those who ask later: ``user@host``."""
        import getpass
        import socket

        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):
            user = "unknown"
        return f"{user}@{socket.gethostname()}"

    # The terminal.

    @cached
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal that can do more than print."""
        return self.stdout.isatty() and self.environ.get("TERM") != "dumb"

    @cached
    def colour(self) -> bool:
        """Whether stdout gets colours: ``--color``, then NO_COLOR, then FORCE_COLOR, then what it is."""
        wanted = self.options.get("color") or "auto"
        if wanted != "auto":
            return bool(wanted == "always")
        if self.environ.get("NO_COLOR"):
            return False
        return bool(self.environ.get("FORCE_COLOR")) or self.is_terminal

    @property
    def width(self) -> int | None:
        """Columns of the terminal, ``None`` in a pipe."""
        return self._columns(self.stdout) if self.is_terminal else None

    def _columns(self, stream: TextIO) -> int:
        try:
            return int(self.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns) or 80
        except (ValueError, OSError):
            return 80

    @property
    def charset(self) -> str:
        """``utf8`` where stdout can print it, else ``ascii``."""
        return "utf8" if "utf" in (self.stdout.encoding or "").lower() else "ascii"

    def note(self, text: str) -> None:
        """A remark on stderr, for people."""
        if not self.is_quiet:
            self.tell(text)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing but errors goes to stderr: ``--quiet``, or JSON was asked for."""
        return self.speaks_json or bool(self.options.get("quiet"))

    def tell(self, text: str) -> None:
        """Writes a sentence to stderr, broken between words where a terminal is too narrow for it."""
        if self.aside is not None:
            self.aside(text)
            return
        if self.stderr.isatty():
            from hammerwork_cli.render.formats.text import fitted

            text = fitted(text, self._columns(self.stderr))
        self.say(text)

    def note_exposure(self) -> None:
        """Says when other users can read a password in the configuration file."""
        if self.settings.is_exposed:
            path = self.settings.path
            self.note(f"{path} holds a password, and others can read it. Run: chmod 600 {path}")

    def say(self, text: str, end: str = "\n") -> None:
        """Writes to stderr at once. Who closed it does not listen, and gets the exit code all the same."""
        with suppress(OSError):
            print(text, file=self.stderr, end=end, flush=True)

    # Answers.

    def write(self, parts: Iterable[str]) -> None:
        """Writes text to stdout as it comes."""
        for part in parts:
            self.stdout.write(part)

    def lines(self, lines: Iterable[str]) -> None:
        """Writes lines to stdout as they come."""
        self.write(f"{line}\n" for line in lines)

    def text(self, lines: Iterable[str]) -> None:
        """Writes lines for people to stdout, broken between words where a terminal is too narrow for them."""
        from hammerwork_cli.render.formats.text import fitted

        self.lines(fitted(line, self.width) for line in lines)

    def show(
        self,
        rows: Sequence[Model],
        form: str,
        *,
        columns: Sequence[Any] | Callable[[], Sequence[Any]],
        record: "Callable[[Model], Record]",
        keys: Sequence[str],
        empty: str,
    ) -> None:
        """Shows a list.

        Args:
            rows: models.
            form: ``table``, ``json``, ``jsonl``, ``csv`` or ``tsv``.
            columns: of the table, ``render.table.Column``, or what returns them.
            record: model -> JSON object.
            keys: of the record, in order: the header of csv and tsv.
            empty: the note on stderr when there is nothing for the table.
        """
        if form != "table":
            self.data([record(row) for row in rows], form, keys)
            return
        if not rows:
            self.note(empty)
            return
        self.show_table(rows, columns() if callable(columns) else columns)

    def show_table(self, rows: Sequence[Model], columns: Sequence[Any]) -> None:
        """Shows a list as a table: through rich on a terminal, plain in a pipe."""
        from hammerwork_cli.render.formats.table import table_text

        self.lines([table_text(rows, columns, terminal=self.is_terminal, width=self.width, colour=self.colour)])

    def answer(self, record: "Record", form: str, text: Callable[[], Iterable[str]]) -> None:
        """Shows one thing: lines of text for people, or its record."""
        if form == "table":
            self.text(text())
        elif form == "json":
            from hammerwork_cli.render.formats import json

            self.lines([json.document(record, pretty=self.is_terminal)])
        else:
            self.data([record], form, list(record))

    def data(self, records: "list[Record]", form: str, keys: Sequence[str]) -> None:
        """Writes records for programs: ``json``, ``jsonl``, ``csv`` or ``tsv``."""
        if form == "json":
            from hammerwork_cli.render.formats import json

            self.lines([json.document(records, pretty=self.is_terminal)])
        elif form == "jsonl":
            from hammerwork_cli.render.formats import json

            self.lines(json.lines(records))
        else:
            from hammerwork_cli.render.formats.delimited import delimited

            self.write([delimited(records, form, keys)])

    # Confirmation.

    def confirm(self, question: str, *, yes: bool, form: str = "table", **details: object) -> None:
        """Asks for confirmation on a terminal; elsewhere, and with a format for programs, ``--yes`` must give it.

        Args:
            question: what is asked.
            yes: whether ``--yes`` was given.
            form: how the answer will be shown.
            details: the plan, for ``--format json``.

        Raises:
            UsageError: there is no terminal to ask on, or the answer was no.
        """
        if yes:
            return
        if form != "table" or not (sys.stdin.isatty() and self.stderr.isatty()):
            raise UsageError("Confirmation required.", hint="Add --yes, or see the plan with --dry-run.", **details)
        self.say(f"{question} [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise DeclinedError("Nothing was changed.")


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, open to their owner only, unless they are there.

    Raises:
        ConfigError: it cannot be made.
    """
    from hammerwork_cli.config import writing

    try:
        writing.make_folder(folder)
    except FileExistsError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.filename} is a file.", hint="Name another one."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.strerror or error}.", hint="Name another one."
        ) from error


def _prepare_file(path: Path, create: bool) -> None:
    if create:
        make_folder(path.parent)
    else:
        DatabaseUrl.of_file(path).check_file()

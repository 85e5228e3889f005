"""The context of a command: settings, the database, stdout and stderr."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from hammerwork_cli import config
from hammerwork_cli.cached import cached
from hammerwork_cli.cli import files
from hammerwork_cli.core.input.reading import instant_of
from hammerwork_cli.core.values import Migrated
from hammerwork_cli.database import PATIENT, Database, DatabaseUrl, connect
from hammerwork_cli.errors import ConfigError, DeclinedError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.cli.protection import Protection
    from hammerwork_cli.core.encryption import Keys
    from hammerwork_cli.database.stalls import SlowStatementWatch
    from hammerwork_cli.runtime.delivery.allowed import Allowed
    from hammerwork_cli.view.json import Record
    from hammerwork_cli.view.shape import Shape

Model = TypeVar("Model")


class Context:
    """The settings, databases and streams of one command."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.environ = environ
        self.stdout, self.stderr = stdout or sys.stdout, stderr or sys.stderr
        self.options: dict[str, Any] = {}  # the given ones among the options that every verb takes
        self.json_output = False  # the caller asked for JSON: stderr gets no notes, and an error as JSON
        self.has_dry_run = False  # the verb has `--dry-run`
        self.found_rows = False  # the verb has found something: a list that is not empty, or jobs to change
        # Prints a line on stderr above the progress bar; `None` while no bar is drawn.
        self.print_above_bar: Callable[[str], None] | None = None
        self.databases: list[Database] = []  # those that the command has opened
        self._stalls: list[SlowStatementWatch] = []
        # What the statements do, if they take long without a lock in their way; another thread reads it.
        self.busy_with = ""
        self._noted: set[str] = set()

    # Settings.

    @cached
    def settings(self) -> config.Settings:
        return config.Settings(self.environ)

    def queue(self, given: str | None) -> str:
        """Returns the queue that the command line names, or else ``default_queue``."""
        queue = given or self.settings.get("default_queue").value
        if not queue:
            raise UsageError("No queue was given.", hint="Add --queue, or: hammerwork config set default_queue NAME")
        return str(queue)

    @cached
    def target(self) -> config.Target:
        """The configured database, and its profile.

        Raises ConfigError if a value is not valid, the profile does not exist, or the configuration file is unreadable.
        """
        _ = self.settings.file  # report a mistake in the file even if an option or a variable has the URL
        found = self.settings.database(self.options.get("database_url"))
        named, profile = self.options.get("confirm_profile"), found.profile.name if found.profile else None
        if named is not None and named != profile:
            used = f"the profile {profile}" if profile else "no profile"
            raise UsageError(f"--confirm-profile names {named[:60]!r}, but the database is that of {used}.")
        return found

    @cached
    def protection(self) -> "Protection | None":
        """The protection of the configured database, if it has a protected profile."""
        profile = self.target.profile
        if profile is None or not profile.protected:
            return None
        from hammerwork_cli.cli.protection import Protection

        return Protection(self, profile.name)

    def url(self, *, changes: bool = False) -> DatabaseUrl:
        """Returns the URL of the configured database, or of the embedded SQLite file.

        Raises ConfigError if the URL is not valid, or the configuration file is unreadable.

        Args:
            changes: whether the command changes the database. Only then a protected profile may be changed, once its
                name is confirmed.
        """
        target = self.target
        if target.source == "file" or target.profile:
            self.note_exposure()
        if target.url is None:
            path = config.embedded_path(self.environ)
            self.note(f"No database is configured: using the embedded {path}")
            return DatabaseUrl.of_file(path)
        url = DatabaseUrl.parse(target.url)
        if self.protection is None:
            return url
        from hammerwork_cli.cli.protection import ChangingGuard, ReadingGuard

        return replace(url, guard=ChangingGuard(self.protection) if changes else ReadingGuard(self.protection))

    def encryption_keys(self, given: Sequence[str] | None) -> "Keys | None":
        """The keys of encrypted payloads: those of ``--encryption-key``, else of the setting, else of the variables.

        Raises ConfigError if one cannot be read, or is no key.
        """
        setting = None if given else self.settings.get("encryption_keys").value
        if not given and not setting and not any(name.startswith("HAMMERWORK_ENCRYPTION_") for name in self.environ):
            return None
        from hammerwork_cli.runtime.api.encryption import EncryptionKeys, listed, places_of

        places = given or list(listed(setting or "")) or places_of(self.environ)
        return EncryptionKeys.read(*places, environ=self.environ) if places else None

    @cached
    def allowed(self) -> "Allowed":
        """What streams and webhooks may use of this host, by its settings."""
        from hammerwork_cli.runtime.delivery.allowed import Allowed

        def value(name: str) -> Any:
            return self.settings.get(name).value

        return Allowed.of(
            [value("allowed_programs") or ""],
            [value("allowed_env") or ""],
            private_addresses=value("allow_private_addresses"),
            insecure=value("allow_insecure"),
        )

    def lasting_url(self, *, changes: bool = True) -> DatabaseUrl:
        """Returns the URL for a program that opens its own connections, once the database has answered.

        A protected profile is confirmed now if the program changes it.
        """
        url = self._opened(replace(self.url(changes=changes), refuse_plaintext=True), changes=changes).url
        self.close()
        if not changes or self.protection is None:
            return url
        self.protection.confirm()
        return replace(url, guard=None)

    def database(
        self,
        *,
        create: bool = False,
        changes: bool = False,
        keys: "Keys | None" = None,
        plaintext_meant: bool = False,
    ) -> Database:
        """Opens the configured database until the command ends.

        Raises MissingTablesError if the command changes a database that is not current.

        Args:
            create: whether the command makes the tables.
            changes: whether the command changes rows: then a note explains a statement that takes long, and a protected
                profile asks for its name.
            plaintext_meant: whether jobs may be written in plaintext to queues that hold encrypted ones.
        """
        url = replace(self.url(changes=changes), keys=keys, refuse_plaintext=not plaintext_meant)
        database = self._opened(url, changes=changes, create=create)
        if changes and not create:
            database.check_current()
        return database

    def _opened(self, url: DatabaseUrl, *, changes: bool, create: bool = False) -> Database:
        if not create:
            url.check_file()
        elif url.path == config.embedded_path(self.environ):
            files.make_folder(url.path.parent)  # any other folder may be a mistyped one
        if url.ignored and not self.databases:
            self.note(f"Options of the URL that only hammerwork (Rust) uses have no effect: {', '.join(url.ignored)}.")
        patience = float(self.settings.get("connect_timeout_secs").value)
        database = connect(url, PATIENT._replace(connect=patience))
        database.tell = self._note_once
        self.databases.append(database)
        if changes and not self.is_quiet:
            from hammerwork_cli.database.stalls import SlowStatementWatch

            self._stalls.append(SlowStatementWatch(database, self._note_stall))
        return database

    def _note_stall(self, seconds: float) -> None:
        why = self.busy_with or "Usually it waits for a lock of another session"
        self.note(
            f"The database has been running one statement for {seconds:,.0f} s. {why}. Press Ctrl-C to stop waiting."
        )

    def close(self) -> None:
        """Closes the databases that the command opened."""
        opened: list[SlowStatementWatch | Database] = [*self._stalls, *self.databases]
        for one in opened:
            one.close()

    def now(self, database: Database | None = None) -> datetime:
        """Returns the present in UTC. ``HAMMERWORK_NOW`` (RFC 3339) overrides it, for tests and demonstrations.

        Args:
            database: a database whose clock to use. Pass it if the time is written there, or if it selects the rows to
                change; the clock of this machine is good enough for a time that is only shown.
        """
        fixed = self.environ.get("HAMMERWORK_NOW")
        if not fixed:
            return datetime.now(UTC) if database is None else database.now()
        try:
            return instant_of(fixed)
        except UsageError as error:
            raise ConfigError("HAMMERWORK_NOW is not an RFC 3339 time.", hint=error.hint) from error

    @property
    def operator(self) -> str:
        """``user@host``, which changes record as their author."""
        from hammerwork_cli.core.operator import operator

        return operator()

    # The terminal.

    @cached
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal that knows colours and cursor movements."""
        return self.stdout.isatty() and self.environ.get("TERM") != "dumb"

    @cached
    def colour(self) -> bool:
        """Whether stdout gets colours, by ``--color``, NO_COLOR, FORCE_COLOR or the kind of stdout, in this order."""
        wanted = self.options.get("color") or "auto"
        if wanted != "auto":
            return bool(wanted == "always")
        if self.environ.get("NO_COLOR"):
            return False
        return bool(self.environ.get("FORCE_COLOR")) or self.is_terminal

    @property
    def width(self) -> int | None:
        """Columns of the terminal; ``None`` in a pipe."""
        return self._columns(self.stdout) if self.is_terminal else None

    def _columns(self, stream: TextIO) -> int:
        try:
            return int(self.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns) or 80
        except (ValueError, OSError):
            return 80

    @property
    def charset(self) -> str:
        """``utf8`` if stdout can print it and ``LC_ALL`` does not ask for less, else ``ascii``."""
        # Python writes UTF-8 in the locale C, too, but whoever sets LC_ALL=C wants plain characters.
        if self.environ.get("LC_ALL") in {"C", "POSIX"}:
            return "ascii"
        return "utf8" if "utf" in (self.stdout.encoding or "").lower() else "ascii"

    # stderr: a note is for people and may be suppressed; wrapped and raw text is always printed.

    def note(self, text: str) -> None:
        """Prints a note for people to stderr, wrapped, unless the command is quiet."""
        if not self.is_quiet:
            self.print_wrapped(text)

    def _note_once(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)

    @property
    def is_quiet(self) -> bool:
        """Whether stderr gets errors only: with ``--quiet``, or if the caller asked for JSON."""
        return self.json_output or bool(self.options.get("quiet"))

    def print_wrapped(self, text: str) -> None:
        """Prints a line to stderr, wrapped to the width of a terminal."""
        text = self.runnable(text)
        if self.print_above_bar is not None:
            self.print_above_bar(text)
            return
        if self.stderr.isatty():
            from hammerwork_cli.view.text import fitted

            text = fitted(text, self._columns(self.stderr))
        self.print_raw(text)

    def note_exposure(self) -> None:
        """Prints a note if other users can read a password in the configuration file."""
        if self.settings.is_exposed:
            path = self.settings.path
            self.note(f"{path} contains a password, and other users can read it. Run: chmod 600 {path}")

    def print_raw(self, text: str, end: str = "\n") -> None:
        """Prints text to stderr as it is, at once."""
        with suppress(OSError):  # a caller that closed stderr still gets the exit code
            print(text, file=self.stderr, end=end, flush=True)

    # Answers.

    def write(self, parts: Iterable[str]) -> None:
        """Writes pieces of text to stdout one by one, so that long answers stream."""
        for part in parts:
            self.stdout.write(part)

    def lines(self, lines: Iterable[str]) -> None:
        """Writes lines to stdout one by one, so that long answers stream."""
        self.write(f"{line}\n" for line in lines)

    def text(self, lines: Iterable[str]) -> None:
        """Writes lines for people to stdout, wrapped to the width of a terminal."""
        from hammerwork_cli.view.text import fitted

        self.lines(fitted(self.runnable(line), self.width) for line in lines)

    def runnable(self, text: str, *, for_people: bool = True) -> str:
        """Returns a text whose commands run when they are pasted: first what the database needs for them.

        Those in a text for people open the database that ``-u`` names, as this one does.
        """
        if "hammerwork " not in text:  # as in nearly all lines of a large tree
            return text
        from hammerwork_cli.cli.printed_commands import with_database_option
        from hammerwork_cli.view.commands import runnable

        given = self.options.get("database_url") if for_people else None
        if given is None:
            return runnable(text, self._migrated)
        return with_database_option(text, given, self._migrated)

    def _with_steps(self, record: "Record") -> "Record":
        if self._migrated is Migrated.ALL:
            return record
        from hammerwork_cli.view.commands import with_steps

        return with_steps(record, self._migrated)  # type: ignore[no-any-return]  # of a record

    @property
    def _migrated(self) -> Migrated:
        return self.databases[-1].migrated if self.databases else Migrated.ALL

    def show(
        self,
        rows: Iterable[Model],
        form: str,
        *,
        shape: "Shape[Model]",
        columns: Sequence[Any] | Callable[[], Sequence[Any]],
        empty: str,
        fields: Sequence[str] | None = None,
    ) -> None:
        """Shows a list.

        Raises UsageError if ``fields`` names another key.

        Args:
            rows: the models to show. All formats but ``table`` take them one by one.
            columns: ``view.table.Column`` of the table, or a function that returns them.
            empty: note on stderr instead of a table without rows.
        """
        if fields is not None:
            from hammerwork_cli.view import fields as picking

            names = picking.chosen(fields, shape.columns)
            records = (picking.only(shape.record(row), names) for row in rows)
            if form != "table":
                self.data(records, form, names)
                return
            rows, columns = records, picking.columns(names)  # type: ignore[assignment]  # rows of other columns
        elif form != "table":
            self.data(map(shape.record, rows), form, shape.columns)
            return
        if listed := list(rows):
            self.show_table(listed, columns() if callable(columns) else columns)
        else:
            self.note(empty)

    def show_table(self, rows: Sequence[Model], columns: Sequence[Any]) -> None:
        """Shows a list as a table, which is plain text in a pipe."""
        from hammerwork_cli.view.table import table_text

        self.found_rows = True
        self.lines([table_text(rows, columns, terminal=self.is_terminal, width=self.width, colour=self.colour)])

    def answer(self, record: "Record", form: str, text: Callable[[], Iterable[str]]) -> None:
        """Shows a single thing: as lines of text for people, or as its record."""
        if form == "table":
            self.text(text())
        elif form == "json":
            from hammerwork_cli.view import json

            self.lines([json.document(self._with_steps(record), pretty=self.is_terminal)])
        else:
            self.data([record], form, list(record))

    def data(self, records: "Iterable[Record]", form: str, keys: Sequence[str]) -> None:
        """Writes records for programs one by one: ``json``, ``jsonl``, ``csv`` or ``tsv``."""
        records = map(self._with_steps, records)
        if form == "json":
            from hammerwork_cli.view import json

            if self.is_terminal:
                self.lines([json.document(list(records), pretty=True)])
            else:
                self.write(json.array(records))
        elif form == "jsonl":
            from hammerwork_cli.view import json

            self.lines(json.lines(records))
        else:
            from hammerwork_cli.view.delimited import delimited

            self.write(delimited(records, form, keys))

    # Confirmation.

    @property
    def can_ask(self) -> bool:
        """Whether somebody at a terminal can answer a question."""
        return sys.stdin.isatty() and self.stderr.isatty() and not self.json_output

    def confirm_profile(self) -> None:
        """Asks for the name of the profile now, if it is protected, and not in the middle of the change."""
        if self.protection is not None:
            self.protection.confirm()

    def confirm(self, question: str, *, yes: bool, form: str = "table", **details: object) -> None:
        """Asks a question on a terminal; in a script, and with a format for programs, ``--yes`` is required.

        The answer is y, or for a protected profile its name.

        Args:
            details: facts about the change, for the error with ``--format json``.
        """
        self.found_rows = True
        if yes:
            self.confirm_profile()
            return
        if form != "table" or not self.can_ask:
            plan = ", or see the plan with --dry-run" if self.has_dry_run else ""
            raise UsageError(f"Confirmation required: {question}", hint=f"Add --yes{plan}.", **details)
        if self.protection is not None and not self.protection.is_confirmed:
            self.protection.confirm(question)
            return
        from hammerwork_cli import disk

        self.print_raw(f"{question} [y/N] ", end="")
        if disk.line().lower() not in {"y", "yes"}:
            raise DeclinedError("Nothing was changed.")

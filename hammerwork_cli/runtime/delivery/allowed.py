"""What streams and webhooks may use of the host that serves them.

The host decides: whoever may write into the database could otherwise run programs there, and read its variables.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Self

from hammerwork_cli.errors import ConfigError

VARIABLE = "env:"
"""Begins a text that stands for the variable whose name follows."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = re.compile(r"HAMMERWORK_\w*|\w*DATABASE_URL|PGPASSWORD|PGPASSFILE|MYSQL_PWD", re.IGNORECASE)
"""Variables that nothing sends, whatever the settings say: they open the database, its payloads and the web server."""


class NotAllowedError(ConfigError):
    """A stream or a webhook wants something of this host that its settings do not allow."""

    code = "not_allowed"
    retryable = False


def is_own(variable: str) -> bool:
    """Whether a variable is never sent, even if the settings name it."""
    return bool(_OWN.fullmatch(variable))


def commands(text: str) -> list[tuple[str, ...]]:
    """The words of the commands in a text, which commas separate.

    Raises:
        ConfigError: a quotation mark has no end.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=",")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        raise ConfigError(f"{text[:60]!r} cannot be read: a quotation mark has no end.") from None
    groups = groupby(words, lambda word: bool(word) and not word.strip(","))
    return [tuple(command) for is_comma, command in groups if not is_comma]


def variables(text: str) -> list[str]:
    """The names of variables in a text, which commas separate.

    Raises:
        ConfigError: one is no name, or is never sent.
    """
    names = [name for part in text.split(",") if (name := part.strip())]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name[:60]!r} is not the name of a variable.", hint="Write NAME, without env: or $.")
        if is_own(name):
            raise ConfigError(f"{name[:60]} cannot be allowed: it opens the database or hammerwork.")
    return names


class Allowed(NamedTuple):
    """What the settings of a host allow; nothing by default."""

    programs: frozenset[tuple[str, ...]] = frozenset()  # words of whole commands
    env: frozenset[str] = frozenset()
    private_addresses: bool = False
    insecure: bool = False

    @classmethod
    def of(
        cls,
        programs: Iterable[str] = (),
        env: Iterable[str] = (),
        *,
        private_addresses: bool = False,
        insecure: bool = False,
    ) -> Self:
        """Reads what options, settings and arguments say.

        Raises:
            ConfigError: see :func:`commands` and :func:`variables`.
        """
        return cls(
            frozenset(words for text in programs for words in commands(text)),
            frozenset(name for text in env for name in variables(text)),
            private_addresses,
            insecure,
        )

    # Each of these raises a NotAllowedError with the option that would allow it.

    def check_program(self, words: Sequence[str]) -> None:
        """Checks a command. It is allowed word for word: with other arguments, ``python3`` is any program."""
        if tuple(words) not in self.programs:
            option = f"--allow-program {shlex.quote(' '.join(map(_quoted, words)))}"
            _refuse(f"the program {shlex.join(words)[:200]}", option, "allowed_programs")

    def check_variables(self, values: Iterable[Any]) -> None:
        """Checks the variables that values name with ``env:``."""
        for value in values:
            if not isinstance(value, str) or not value.startswith(VARIABLE):
                continue
            name = value.removeprefix(VARIABLE)
            if is_own(name):
                raise NotAllowedError(f"The variable {name[:60]} opens the database or hammerwork, and is not sent.")
            if name not in self.env:
                _refuse(f"the variable {name[:60]}", f"--allow-env {shlex.quote(name[:60])}", "allowed_env")

    def check_private(self, host: str, kind: str) -> None:
        """Checks whether a host may be reached whose address is not public."""
        if not self.private_addresses:
            what = f"{host}, whose address is not public ({kind})"
            _refuse(what, "--allow-private-addresses", "allow_private_addresses")

    def check_insecure(self, host: str) -> None:
        """Checks whether a host may get something without TLS, or without a check of its certificate."""
        if not self.insecure:
            _refuse(f"{host} without TLS or with an unchecked certificate", "--allow-insecure", "allow_insecure")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'" if "," in word else shlex.quote(word)


def _refuse(what: str, option: str, setting: str) -> None:
    raise NotAllowedError(
        f"Not allowed here: {what}.", hint=f"To allow it: worker start {option}, or the setting {setting}"
    )


NOTHING = Allowed()

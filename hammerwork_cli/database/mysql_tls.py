"""TLS of connections to MySQL and MariaDB, as the options of a URL ask for it.

The driver alone verifies nothing, also when a CA is named, and knows no way to insist on TLS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hammerwork_cli.database.tls import readable
from hammerwork_cli.errors import ConfigError, UnreachableError

MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
OF_POSTGRESQL = {
    "DISABLE": "DISABLED",
    "PREFER": "PREFERRED",
    "REQUIRE": "REQUIRED",
    "VERIFY_FULL": "VERIFY_IDENTITY",
}
VERIFYING = ("VERIFY_CA", "VERIFY_IDENTITY")
FILES = ("ssl_ca", "ssl_cert", "ssl_key")


@dataclass(frozen=True, slots=True)
class Tls:
    """What a URL asks for.

    Attributes:
        mode: one of :data:`MODES`, in the sense of MySQL's own programs.
        files: the driver's arguments for certificates.
    """

    mode: str
    files: dict[str, str]

    @classmethod
    def of(cls, options: Mapping[str, str]) -> "Tls":
        """Reads the options of a URL: ``ssl_mode`` or ``sslmode``, ``ssl_ca``, ``ssl_cert``, ``ssl_key``.

        Raises:
            ConfigError: a mode is not known or does not go with the files, or a file cannot be read.
        """
        files = {name: readable(name, options[name]) for name in FILES if name in options}
        asked = options.get("ssl_mode", options.get("sslmode"))
        if asked is None:
            return cls("VERIFY_IDENTITY" if "ssl_ca" in files else "PREFERRED", files)
        word = asked.upper().replace("-", "_")
        mode = OF_POSTGRESQL.get(word, word)
        if mode not in MODES:
            raise ConfigError(f"The URL's ssl-mode {asked!r} is not known.", hint=f"Known: {', '.join(MODES)}.")
        if mode in VERIFYING and "ssl_ca" not in files:
            raise ConfigError(
                f"ssl-mode={mode} needs a CA to verify with.", hint="Name its file: ssl_ca=/path/to/ca.pem"
            )
        if mode not in VERIFYING and "ssl_ca" in files:
            raise ConfigError(
                f"The URL names a CA, and ssl-mode={mode} would verify nothing.",
                hint="Leave ssl-mode out: ssl_ca alone verifies the certificate and the host.",
            )
        return cls(mode, files)

    def arguments(self) -> dict[str, Any]:
        """The driver's arguments."""
        return {
            **self.files,
            "ssl_disabled": self.mode == "DISABLED",
            "ssl_verify_cert": self.mode in VERIFYING,
            "ssl_verify_identity": self.mode == "VERIFY_IDENTITY",
        }

    def check(self, connection: Any, url: object) -> None:
        """Closes a connection without TLS when the URL asks for it.

        Without TLS the driver has proved that it knows the password and has not sent it. To ask the server would prove
        nothing: whoever cut TLS off between could have it with the server.

        Raises:
            UnreachableError: the connection has no cipher.
        """
        if self.mode in ("DISABLED", "PREFERRED") or cipher_of(connection):
            return
        connection.close()
        raise without_tls(url)


def cipher_of(connection: Any) -> str | None:
    """The cipher at this end of a connection; over a socket of the same machine nobody listens."""
    if connection.unix_socket:
        return "socket"
    if hasattr(connection, "_cmysql"):
        return connection._cmysql.get_ssl_cipher() or None  # the driver's ``is_secure`` does not know it
    return "unknown" if connection.is_secure else None


def without_tls(url: object) -> UnreachableError:
    """Our error for a server that offers no TLS."""
    return UnreachableError(
        f"{url} asks for TLS, and the server has none.", hint="Switch it on there, or off in the URL."
    )

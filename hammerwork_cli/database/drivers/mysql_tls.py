"""TLS of connections to MySQL and MariaDB by the options of the URL.

The driver by itself verifies nothing, even with a CA, and has no option that requires TLS.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

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


class Tls(NamedTuple):
    mode: str  # one of `MODES`, with the meaning that it has in MySQL's own programs
    files: dict[str, str]  # the driver's arguments for certificates

    @classmethod
    def of(cls, options: Mapping[str, str]) -> "Tls":
        """Reads the options of a URL: ``ssl_mode`` or ``sslmode``, ``ssl_ca``, ``ssl_cert``, ``ssl_key``."""
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
                f"ssl-mode={mode} needs a CA.", hint="Give the file of its certificate: ssl_ca=/path/to/ca.pem"
            )
        if mode not in VERIFYING and "ssl_ca" in files:
            raise ConfigError(
                f"The URL has a CA, but ssl-mode={mode} would not verify the certificate.",
                hint="Omit ssl-mode: ssl_ca alone verifies the certificate and the host.",
            )
        return cls(mode, files)

    def arguments(self) -> dict[str, Any]:
        return {
            **self.files,
            "ssl_disabled": self.mode == "DISABLED",
            "ssl_verify_cert": self.mode in VERIFYING,
            "ssl_verify_identity": self.mode == "VERIFY_IDENTITY",
        }

    def check(self, connection: Any, url: object) -> None:
        """Closes a connection without TLS if the URL requires TLS.

        Without TLS, the driver has proved that it knows the password without sending it. The answer of the server would
        prove nothing: an attacker between the two who stripped TLS may have TLS with the server. Raises
        UnreachableError if the connection has no cipher.
        """
        if self.mode in ("DISABLED", "PREFERRED") or cipher_of(connection):
            return
        connection.close()
        raise without_tls(url)


def cipher_of(connection: Any) -> str | None:
    """Returns the cipher at this end of the connection. A Unix socket needs none: nobody can read it on the way."""
    if connection.unix_socket:
        return "socket"
    if hasattr(connection, "_cmysql"):
        return connection._cmysql.get_ssl_cipher() or None  # ``is_secure`` does not ask the C library
    return "unknown" if connection.is_secure else None


def without_tls(url: object) -> UnreachableError:
    return UnreachableError(
        f"{url} requires TLS, which the server does not offer.", hint="Enable TLS on the server, or change ssl-mode."
    )

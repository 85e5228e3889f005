"""Database URLs: what they say, and that they never say the password."""

import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from hammerwork_cli.database import DatabaseUrl, Timeouts, connect, redact
from hammerwork_cli.database.driver_errors import MYSQL, POSTGRES, SQLITE, error_for
from hammerwork_cli.errors import ConfigError, HammerworkError
from tests.conftest import each_row

SECRET = "geheim"


@each_row(
    ("scheme", "dialect"),
    [
        ("postgres", "postgresql"),
        ("postgresql", "postgresql"),
        ("PostgreSQL", "postgresql"),
        ("mysql", "mysql"),
        ("mariadb", "mysql"),
        ("postgresql+psycopg", "postgresql"),
        ("postgresql+asyncpg", "postgresql"),
        ("mysql+mysqlconnector", "mysql"),
        ("mariadb+mysqlconnector", "mysql"),
        ("MySQL+PyMySQL", "mysql"),
    ],
)
def test_a_scheme_names_a_dialect(scheme, dialect):
    assert DatabaseUrl.parse(f"{scheme}://host/name").dialect == dialect


def test_all_parts_are_read_and_decoded():
    url = DatabaseUrl.parse(
        "mysql://us%40er:p%40ss%3Aw%2Frd%25%C3%A9@db.example:3307/my%20jobs?ssl_ca=%2Fca.pem&empty="
    )
    assert (url.user, url.password) == ("us@er", "p@ss:w/rd%é")
    assert (url.hosts, url.database) == ((("db.example", 3307),), "my jobs")
    assert url.options == {"ssl_ca": "/ca.pem", "empty": ""}


def test_parts_that_a_url_lacks_are_none():
    url = DatabaseUrl.parse("postgresql://")
    assert url.hosts == ((None, None),)
    assert (url.user, url.password, url.database, url.path) == (None,) * 4
    assert url.options == {}


def test_an_address_of_ip_version_6_and_a_list_of_hosts_are_understood():
    assert DatabaseUrl.parse("mysql://u@[::1]:3307/d").hosts == (("::1", 3307),)
    several = DatabaseUrl.parse("mysql://u:p,w@one:3307,two,[::1]:3308/d")
    assert several.hosts == (("one", 3307), ("two", None), ("::1", 3308))
    assert several.password == "p,w"
    assert DatabaseUrl.parse("mysql://mysql/mysql").hosts == (("mysql", None),)
    assert DatabaseUrl.parse("mysql://mysql/mysql").database == "mysql"


def test_white_space_around_a_url_is_no_part_of_it():
    url = DatabaseUrl.parse("  postgresql://u:p@h/d\n")
    assert url.raw == "postgresql://u:p@h/d"
    assert url.database == "d"


def test_a_scheme_in_capitals_reaches_the_driver_in_lower_case():
    assert DatabaseUrl.parse("POSTGRESQL://U@H/D").raw == "postgresql://U@H/D"


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_the_driver_in_a_url_for_sqlalchemy_is_dropped(driver):
    assert DatabaseUrl.parse(f"postgresql+{driver}://U:p@H/D?a=b").raw == "postgresql://U:p@H/D?a=b"


@each_row(
    ("text", "path"),
    [
        ("sqlite:///jobs.db", Path("jobs.db")),
        ("sqlite+pysqlite:///jobs.db", Path("jobs.db")),
        ("sqlite:////var/lib/jobs.db", Path("/var/lib/jobs.db")),
        ("sqlite:///folder/my%20jobs%20%C3%A9.db", Path("folder/my jobs é.db")),
        ("sqlite:///my jobs.db", Path("my jobs.db")),
        ("sqlite:///a:b@c.db", Path("a:b@c.db")),
        ("sqlite:///jobs.db?mode=rwc", Path("jobs.db")),
        ("sqlite:///~/jobs.db", Path.home() / "jobs.db"),
    ],
)
def test_an_sqlite_url_names_a_file(text, path):
    url = DatabaseUrl.parse(text)
    assert (url.dialect, url.path) == ("sqlite", path)


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///", "sqlite://jobs.db", "sqlite:jobs.db"])
def test_an_sqlite_url_without_a_path_is_refused(text):
    with pytest.raises(ConfigError):
        DatabaseUrl.parse(text)


@each_row(
    "text",
    [
        "",
        "jobs",
        "oracle+psycopg://h/d",
        "postgresql+://h/d",
        "+psycopg://h/d",
        "localhost/jobs",
        "oracle://h/d",
        "://h/d",
        "redis://h",
        "jdbc:mysql://h/d",
        "postgresql:h/d",
    ],
)
def test_an_unknown_scheme_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match="database URL is not valid") as caught:
        DatabaseUrl.parse(text)
    assert caught.value.exit_code == 3
    assert "postgresql://user@host/database" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["odd.db", "sqlite://odd.db"])
def test_the_path_of_a_file_is_answered_with_its_url(text):
    with pytest.raises(ConfigError) as caught:
        DatabaseUrl.parse(text)
    assert (caught.value.hint or "").endswith(": sqlite:///odd.db")


@pytest.mark.parametrize("port", ["99999", "-1", "five", "5432x"])
def test_a_port_that_is_no_port_is_refused(port):
    with pytest.raises(ConfigError, match="host or port"):
        DatabaseUrl.parse(f"postgresql://h:{port}/d")
    with pytest.raises(ConfigError, match="host or port"):
        DatabaseUrl.parse(f"mysql://one,two:{port}/d")


UNENCODED = [
    "postgresql://u:gehe/im@h/d",
    "postgresql://u:gehe?im@h/d",
    "postgresql://u:gehe#im@h/d",
    "postgresql://u:#geheim@h/d",
    "postgresql://u:12/geheim@h/d",
    "mysql://u:gehe im@h/d",
    "mysql://u:gehe\tim@h/d",
    "mysql://u:gehe\nim@h/d",
    "mysql://u:[geheim@h/d",
    "mysql://u:p@[geheim/d",
]


@each_row("text", UNENCODED)
def test_a_password_that_must_be_encoded_is_refused_and_no_piece_of_it_is_shown(text):
    with pytest.raises(ConfigError) as caught:
        DatabaseUrl.parse(text)
    told = "".join(traceback.format_exception(caught.value, chain=True)[-1:]) + (caught.value.hint or "")
    assert "percent-encoded" in told
    assert not [piece for piece in ("gehe", "im@", "12") if piece in told]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


URLS = [
    "postgresql://user:geheim@host:5432/jobs",
    "postgres://user:geheim@host",
    "mysql://user:geheim@host/jobs?ssl_ca=x",
    "mariadb://:geheim@host/jobs",
    "postgresql://user:ge%40heim:geheim%2F@host/jobs",
    "postgresql://user:p@geheim@host/jobs",
    "postgresql://user:geheim:geheim@host/jobs",
    "postgresql://user:geheim@[::1]:5432/jobs",
    "postgresql://user:geheim@one,two:5433/jobs",
    "mysql://user:gehe,geheim@one:3307,two:3308/jobs",
    "postgresql://host/jobs?user=user&password=geheim",
    "postgresql://host/jobs?sslpassword=geheim&sslmode=require",
    "postgresql://user:geheim@host/jobs?password=geheim",
    "POSTGRESQL://user:geheim@host/jobs",
]


@each_row("text", URLS)
def test_a_url_that_is_shown_has_no_password(text):
    url = DatabaseUrl.parse(text)
    for shown in (str(url), repr(url), f"{url}", f"{url!r}", redact(text)):
        assert "heim" not in shown
    assert "***" in str(url)


@each_row("text", URLS)
def test_a_url_that_is_shown_still_says_where_it_leads(text):
    assert "host" in str(DatabaseUrl.parse(text)) or "::1" in str(DatabaseUrl.parse(text)) or "one" in text
    assert str(DatabaseUrl.parse(text)).startswith(text.partition("://")[0].lower() + "://")


@each_row("text", UNENCODED[:5] + UNENCODED[8:9])
def test_a_password_is_cut_out_of_any_text_even_when_it_should_have_been_encoded(text):
    shown = redact(f"cannot connect to {text}, giving up")
    assert "gehe" not in shown
    assert shown.startswith("cannot connect to ")
    assert shown.endswith("@h/d, giving up")


@each_row(
    ("text", "shown"),
    [
        ("a mysql://u:geheim@h/d b postgresql://v:geheim@i/e", "a mysql://u:***@h/d b postgresql://v:***@i/e"),
        ("host=h password=geheim dbname=d", "host=h password=*** dbname=d"),
        ("host=h password = 'ge he\\'im' dbname=d", "host=h password = *** dbname=d"),
        ("PGPASSWORD=geheim MYSQL_PWD=geheim psql", "PGPASSWORD=*** MYSQL_PWD=*** psql"),
        ("passwd=geheim&user=u", "passwd=***&user=u"),
        ("password=env:geheim-and-more", "password=***"),
        ("password = env:'geheim", "password = ***"),
        ("password=ENV:geheim", "password=***"),
    ],
)
def test_every_password_in_a_text_is_cut_out(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


@each_row(
    "text",
    [
        "nothing to hide",
        "mail me@example.org",
        "sqlite:////folder/a:b@c.db",
        "postgresql://user@host:5432/jobs",
        "see https://example.org/a?b=c@d",
        "password authentication failed for user u",
        "10:30 @ noon",
        "Write --kafka-config sasl.password=env:NAME",
        "'sasl.password=env:KAFKA_PASSWORD', say",
    ],
)
def test_a_text_without_a_password_stays_as_it_is(text):
    assert redact(text) == text


def test_parsing_errors_are_errors_of_the_program():
    with pytest.raises(HammerworkError):
        DatabaseUrl.parse("nonsense")


@each_row(
    ("url", "message", "hint"),
    [
        ("postgresql://me@nohost.invalid/x", "The host name 'nohost.invalid' cannot be resolved.", "spelling"),
        ("mysql://me@nohost.invalid/x", "The host name 'nohost.invalid' cannot be resolved.", "spelling"),
        ("postgresql://me@h/x?ssl_mode=a", "'ssl_mode' is not known for PostgreSQL", "Did you mean sslmode?"),
        ("mysql://me@h/x?sslrootcert=a", "'sslrootcert' is not known for MySQL", "Did you mean ssl_ca?"),
        ("postgresql://me@h/x?aplication_name=a", "'aplication_name' is not", "Did you mean application_name?"),
        ("postgresql://me@h/x?zzz=a", "'zzz' is not known for PostgreSQL", "They are those of libpq: https://"),
    ],
)
def test_a_url_that_leads_nowhere_says_what_is_wrong_with_it(url: str, message: str, hint: str) -> None:
    with pytest.raises(HammerworkError) as raised:
        connect(url)
    assert message in raised.value.message
    assert hint in str(raised.value.hint)


def test_an_error_of_a_server_advises_what_helps_there() -> None:
    mysql, postgres, lite = (
        SimpleNamespace(url=DatabaseUrl.parse(text), timeouts=Timeouts())
        for text in ("mysql://me@h/x", "postgresql://me@h/x", "sqlite:///x.db")
    )
    assert "target_session_attrs" not in str(error_for(MYSQL[1290], mysql, "no").hint)
    assert "target_session_attrs" in str(error_for(POSTGRES["25006"], postgres, "no").hint)
    for meaning, where in ((MYSQL[1142], mysql), (POSTGRES["42501"], postgres)):
        error = error_for(meaning, where, "permission denied for table hammerwork_jobs")
        assert error.hint == "Grant the user this privilege, or name another user in the URL."
    full = error_for(SQLITE["SQLITE_FULL"], lite, "database or disk is full")
    assert (full.message, full.hint) == (
        "There is no room left for the database: database or disk is full.",
        "Free space on its disk, then try again.",
    )


@each_row(
    ("given", "raw", "options", "ignored"),
    [
        (
            "postgres://me@h/jobs?statement-cache-capacity=100&application_name=a%20b",
            "postgres://me@h/jobs?application_name=a%20b",
            {"application_name": "a b"},
            ("statement-cache-capacity",),
        ),
        (
            "postgresql://me@h/jobs?statement-cache-capacity=100",
            "postgresql://me@h/jobs",
            {},
            ("statement-cache-capacity",),
        ),
        (
            "postgresql://h/jobs?ssl-mode=require&ssl-root-cert=/ca.pem",
            "postgresql://h/jobs?sslmode=require&sslrootcert=%2Fca.pem",
            {"sslmode": "require", "sslrootcert": "/ca.pem"},
            (),
        ),
        (
            "postgresql://h/jobs?options[search_path]=my%20app&options[geqo]=off",
            "postgresql://h/jobs?options=-c%20search_path%3Dmy%5C%20app%20-c%20geqo%3Doff",
            {"options": "-c search_path=my\\ app -c geqo=off"},
            (),
        ),
        (
            "mysql://me@h/jobs?statement-cache-capacity=0&collation=utf8mb4_bin&timezone=%2B00:00&socket=/run/m.sock",
            "mysql://me@h/jobs?unix_socket=%2Frun%2Fm.sock",
            {"unix_socket": "/run/m.sock"},
            ("statement-cache-capacity", "collation", "timezone"),
        ),
        (
            "postgresql://h/jobs?connect_timeout=3",
            "postgresql://h/jobs?connect_timeout=3",
            {"connect_timeout": "3"},
            (),
        ),
    ],
)
def test_options_of_sqlx_in_a_shared_url_are_translated_or_ignored(
    given: str, raw: str, options: dict[str, str], ignored: tuple[str, ...]
) -> None:
    url = DatabaseUrl.parse(given)
    assert (url.raw, url.options, url.ignored) == (raw, options, ignored)

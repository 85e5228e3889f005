"""A stand-in for the full NOTIFY queue of PostgreSQL: the real one has room for 8 GB."""

from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.database import Database
from tests.databases import database_of

_FILL = """
CREATE TABLE chaos_notices (payload TEXT);
CREATE FUNCTION chaos_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000'; END $$;
CREATE CONSTRAINT TRIGGER chaos_full AFTER INSERT ON chaos_notices DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION chaos_full();
CREATE FUNCTION public.pg_notify(channel text, payload text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO public.chaos_notices VALUES (payload) $$
"""
_DRAIN = "DROP FUNCTION public.pg_notify(text, text); DROP TABLE chaos_notices; DROP FUNCTION chaos_full()"


def make_room_for_it(database: Database) -> None:
    """Lets a function of the schema ``public`` hide that of PostgreSQL from all sessions that begin from now on."""
    database.script(f"ALTER DATABASE {database_of(database.url.raw)} SET search_path = public, pg_catalog")


@contextmanager
def full_notify_queue(database: Database) -> Iterator[None]:
    """Meanwhile, whatever transaction has sent a notification fails at COMMIT, with the error of PostgreSQL."""
    database.script(_FILL)
    yield
    database.script(_DRAIN)

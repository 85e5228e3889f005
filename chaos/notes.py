"""Triggers that note what happens in the transaction in which it happens, so that what was undone later is seen too."""

from collections.abc import Iterator
from typing import NamedTuple

from chaos.notices import make_room_for_it
from chaos.plan import AT_ONCE, JOIN, JOINED, LIMITED, UNIQUE
from hammerwork_cli.database import connect

_TABLES = (
    "CREATE TABLE chaos_changes (job CHAR(36), was VARCHAR(20), became VARCHAR(20), attempts INTEGER)",
    "CREATE TABLE chaos_losses (job CHAR(36), worker CHAR(36))",
    "CREATE TABLE chaos_deleted (id CHAR(36), queue_name VARCHAR(255), status VARCHAR(20), payload TEXT,"
    " depends_on TEXT, dependency_status VARCHAR(20), result_data TEXT, attempts INTEGER, max_attempts INTEGER)",
    "CREATE TABLE chaos_overlaps (schedule VARCHAR(255), job CHAR(36))",
    "CREATE TABLE chaos_crowds (running INTEGER)",
    "CREATE TABLE chaos_early (job CHAR(36), open_job CHAR(36))",
    "CREATE TABLE chaos_holders (job CHAR(36), other CHAR(36))",
)


class _Note(NamedTuple):
    """Something that is noted in the transaction in which it happens.

    Attributes:
        event: of a trigger.
        when: its condition.
        statement: with ``{text}`` after what is no text for PostgreSQL; ``{name}`` and ``{other}`` are the names of
            the job and of a job ``j``.
    """

    event: str
    when: str
    statement: str


_IS_OPEN = "j.status IN ('Pending', 'Running', 'Retrying')"
_STARTS = "OLD.status <> 'Running' AND NEW.status = 'Running'"
_NAMES = {
    "postgresql": "({}.payload ->> 'name')",
    "mysql": "JSON_UNQUOTE(JSON_EXTRACT({}.payload, '$.name'))",
    "sqlite": "({}.payload ->> '$.name')",
}
_NOTES = {
    "changed": _Note(
        "UPDATE ON hammerwork_jobs",
        "OLD.status <> NEW.status",
        "INSERT INTO chaos_changes VALUES (NEW.id{text}, OLD.status, NEW.status, NEW.attempts)",
    ),
    "lost": _Note(
        "UPDATE ON hammerwork_jobs",
        "COALESCE(NEW.claim_losses, 0) > COALESCE(OLD.claim_losses, 0)",
        "INSERT INTO chaos_losses VALUES (NEW.id{text}, OLD.claimed_by{text})",
    ),
    "deleted": _Note(
        "DELETE ON hammerwork_jobs",
        "TRUE",
        "INSERT INTO chaos_deleted VALUES (OLD.id{text}, OLD.queue_name, OLD.status, OLD.payload{text},"
        " OLD.depends_on{text}, OLD.dependency_status, OLD.result_data{text}, OLD.attempts, OLD.max_attempts)",
    ),
    "overlapped": _Note(
        "INSERT ON hammerwork_schedule_runs",
        "NEW.outcome = 'enqueued'",
        "INSERT INTO chaos_overlaps SELECT s.name, j.id{text} FROM hammerwork_schedule_runs r"
        " JOIN hammerwork_schedules s ON s.id = r.schedule_id JOIN hammerwork_jobs j ON j.id = r.job_id"
        " WHERE r.schedule_id = NEW.schedule_id AND s.overlap <> 'allow'"
        f" AND {_IS_OPEN}",
    ),
    "crowded": _Note(
        "UPDATE ON hammerwork_jobs",
        f"{_STARTS} AND NEW.queue_name = '{LIMITED}'",
        f"INSERT INTO chaos_crowds SELECT COUNT(*) FROM hammerwork_jobs WHERE queue_name = '{LIMITED}'"
        f" AND status = 'Running' HAVING COUNT(*) > {AT_ONCE}",
    ),
    # Independent of what the product knows of the jobs that it waits for: by their names.
    "early": _Note(
        "UPDATE ON hammerwork_jobs",
        f"{_STARTS} AND NEW.queue_name = '{JOINED}'",
        "INSERT INTO chaos_early SELECT NEW.id{text}, j.id{text} FROM hammerwork_jobs j"
        f" WHERE {_IS_OPEN} AND j.id <> NEW.id AND ({{other}} = REPLACE({{name}}, '{JOIN}', '')"
        f" OR {{other}} LIKE REPLACE({{name}}, '{JOIN}', '+%') OR ({{other}} LIKE REPLACE({{name}}, '{JOIN}', '/%')"
        f" AND ({{name}} NOT LIKE '%:children:%' OR {{other}} NOT LIKE REPLACE({{name}}, '{JOIN}', '/%/%'))))",
    ),
    **{
        f"{word}_twice": _Note(
            f"{event} ON hammerwork_jobs",
            f"{when} AND NEW.queue_name = '{UNIQUE}'",
            "INSERT INTO chaos_holders SELECT NEW.id{text}, j.id{text} FROM hammerwork_jobs j"
            f" WHERE j.queue_name = '{UNIQUE}' AND {_IS_OPEN} AND j.id <> NEW.id AND {{other}} = {{name}}",
        )
        for word, event, when in (("written", "INSERT", "TRUE"), ("started", "UPDATE", _STARTS))
    },
}


def prepare(url: str) -> None:
    """Adds the triggers to a migrated database."""
    database = connect(url)
    if database.dialect == "postgresql":
        make_room_for_it(database)
    for statement in (*_TABLES, *_triggers(database.dialect)):
        database.script(statement)
    database.close()


def _triggers(dialect: str) -> Iterator[str]:
    text = "::text" if dialect == "postgresql" else ""
    for name, (event, when, statement) in _NOTES.items():
        insert = statement.format(text=text, name=_NAMES[dialect].format("NEW"), other=_NAMES[dialect].format("j"))
        begin = f"CREATE TRIGGER chaos_{name} AFTER {event}"
        if dialect == "sqlite":
            yield f"{begin} WHEN {when} BEGIN {insert}; END"
        elif dialect == "mysql":
            yield f"{begin} FOR EACH ROW IF {when} THEN {insert}; END IF"
        else:
            body = f"$$ BEGIN {insert}; RETURN NULL; END $$"
            yield f"CREATE FUNCTION chaos_{name}() RETURNS trigger LANGUAGE plpgsql AS {body}"
            yield f"{begin} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION chaos_{name}()"

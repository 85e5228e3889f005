"""What a database says about the hammerwork tables, in the shape of ``data/schema/*.json``.

Those after 014 describe tables that hammerwork (Rust) 1.15.5 made on PostgreSQL and MariaDB. That of MySQL describes
those that our migrations made on 9.7.4: they differ from MariaDB's only where the server forces it. Those after 018
describe the same tables after the statements of ``tests/rust3/migrations.py``: version 3 itself was not at hand, and
does not run on MariaDB.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.database.migration_files import steps
from hammerwork_cli.features.migration.model import Migration
from hammerwork_cli.features.migration.queries import MIGRATIONS

Schema = dict[str, dict[str, list[dict[str, Any]]]]

FOLDER = Path(__file__).parent.parent / "data" / "schema"
TRACKING = "hammerwork_migrations"


def expected_schema(database: Database, last: str = "014") -> Schema:
    """The tables of hammerwork (Rust) after a migration of its own, as this database would describe them."""
    schema: Schema = json.loads(dump(database, last).read_text(encoding="utf-8"))
    return schema


def dump(database: Database, last: str) -> Path:
    """The file that describes the tables after a migration."""
    name = "mysql" if is_mysql_proper(database) else "postgresql" if database.dialect == "postgresql" else "mariadb"
    return FOLDER / f"{name}-after-{last}.json"


def is_mysql_proper(database: Database) -> bool:
    return database.dialect == "mysql" and not getattr(database, "is_mariadb", False)


def read_schema(database: Database) -> Schema:
    """All tables named ``hammerwork_*`` with their columns, indexes and checks, each list sorted by name."""
    return READERS[database.dialect](database)


def _collect(columns: list[Any], indexes: list[Any], checks: list[Any]) -> Schema:
    """Puts ``(table, entry)`` pairs together."""
    schema: Schema = {}
    for kind, found in (("columns", columns), ("indexes", indexes), ("checks", checks)):
        for table, entry in found:
            schema.setdefault(table, {"columns": [], "indexes": [], "checks": []})[kind].append(entry)
    for parts in schema.values():
        for entries in parts.values():
            entries.sort(key=lambda entry: str(entry["name"]).lower())
    if TRACKING in schema and "unique" in schema[TRACKING]["indexes"][0]:
        _fold_primary_key(schema[TRACKING])
    return schema


def _fold_primary_key(table: dict[str, list[dict[str, Any]]]) -> None:
    """The tracking table is described with its key at the column."""
    (key,) = table["indexes"]
    order = ["migration_id", "executed_at", "execution_time_ms"]
    table["columns"].sort(key=lambda column: order.index(column["name"]))
    for column in table["columns"]:
        if [column["name"]] == key["columns"] and key["unique"]:
            column["primary_key"] = True
    table["indexes"] = []


def _postgresql(database: Database) -> Schema:
    columns = database.query(
        "SELECT table_name, column_name, CASE data_type WHEN 'ARRAY' THEN udt_name ELSE data_type END,"
        " character_maximum_length, is_nullable = 'YES', column_default FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name LIKE 'hammerwork%%'"
    )
    indexes = database.query(
        "SELECT t.relname, i.relname, m.amname, x.indisunique, pg_get_expr(x.indpred, x.indrelid, true),"
        " ARRAY(SELECT pg_get_indexdef(i.oid, n, true) FROM generate_series(1, x.indnkeyatts) n ORDER BY n)"
        " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
        " JOIN pg_am m ON m.oid = i.relam WHERE t.relname LIKE 'hammerwork%%'"
        " AND t.relnamespace = current_schema()::regnamespace"
    )
    checks = database.query(
        "SELECT t.relname, k.conname, pg_get_constraintdef(k.oid, true) FROM pg_constraint k"
        " JOIN pg_class t ON t.oid = k.conrelid WHERE k.contype = 'c' AND t.relname LIKE 'hammerwork%%'"
        " AND t.relnamespace = current_schema()::regnamespace"
    )
    return _collect(
        [
            (table, {"name": name, "type": kind, "length": length, "nullable": nullable, "default": default})
            for table, name, kind, length, nullable, default in columns
        ],
        [
            (table, {"name": name, "method": method, "unique": unique, "where": where, "columns": members})
            for table, name, method, unique, where, members in indexes
        ],
        [(table, {"name": name, "definition": definition}) for table, name, definition in checks],
    )


def _mysql(database: Database) -> Schema:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        return [
            tuple(value.decode() if isinstance(value, (bytes, bytearray)) else value for value in row)
            for row in database.query(sql)
        ]

    columns = rows(
        "SELECT table_name, column_name, column_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork%'"
    )
    indexes = rows(
        "SELECT table_name, index_name, MIN(non_unique), GROUP_CONCAT(CONCAT(column_name,"
        " IF(collation = 'D', ' DESC', '')) ORDER BY seq_in_index) FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name LIKE 'hammerwork%' GROUP BY table_name, index_name"
    )
    # MariaDB's names are unique in a table only, and its view of the clauses tells the table; MySQL's is the other way.
    told = "k.table_name = t.table_name AND" if getattr(database, "is_mariadb", False) else ""
    checks = rows(
        "SELECT t.table_name, t.constraint_name, k.check_clause FROM information_schema.table_constraints t"
        f" JOIN information_schema.check_constraints k ON {told} k.constraint_schema = t.constraint_schema"
        " AND k.constraint_name = t.constraint_name WHERE t.table_schema = DATABASE()"
        " AND t.table_name LIKE 'hammerwork%' AND t.constraint_type = 'CHECK'"
    )
    return _collect(
        [
            (table, {"name": name, "type": kind, "nullable": nullable == "YES", "default": default})
            for table, name, kind, nullable, default in columns
        ],
        [
            (table, {"name": name, "unique": not non_unique, "columns": members.split(",")})
            for table, name, non_unique, members in indexes
        ],
        [
            (table, {"name": name, "definition": clause if told else bare_clause(clause)})
            for table, name, clause in checks
        ],
    )


def _sqlite(database: Database) -> Schema:
    columns = database.query(
        'SELECT t.name, c.name, c.type, NOT c."notnull", c.dflt_value FROM sqlite_schema t'
        " JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table' AND t.name LIKE 'hammerwork%'"
    )
    rest = database.query("SELECT tbl_name, type, name, sql FROM sqlite_schema WHERE tbl_name LIKE 'hammerwork%'")
    return _collect(
        [
            (table, {"name": name, "type": kind, "nullable": bool(nullable), "default": default})
            for table, name, kind, nullable, default in columns
        ],
        [(table, {"name": name, "definition": sql}) for table, kind, name, sql in rest if kind != "table"],
        [
            (table, {"name": name or valid, "definition": name or valid})
            for table, kind, _, sql in rest
            if kind == "table"
            for name, valid in re.findall(r"CONSTRAINT (\w+) CHECK|CHECK \((json_valid\(\w+\))\)", sql)
        ],
    )


READERS: dict[str, Callable[[Database], Schema]] = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}


def without_ours(schema: Schema, database: Database, theirs: Sequence[Migration] = MIGRATIONS) -> Schema:
    """Hammerwork (Rust)'s part of the schema: takes out all that our migrations make, which must be there."""
    ours = made_by(database, MIGRATIONS, "ours") - made_by(database, theirs, "upstream")
    there = {
        *(f"table {table}" for table in schema),
        *(f"column {table}.{column['name']}" for table, parts in schema.items() for column in parts["columns"]),
        *(f"index {index['name']}" for parts in schema.values() for index in parts["indexes"]),
    }
    assert {made for made in ours if made.startswith(("table ", "column ", "index "))} <= there
    return {
        table: {
            "columns": [entry for entry in parts["columns"] if f"column {table}.{entry['name']}" not in ours],
            "indexes": [entry for entry in parts["indexes"] if f"index {entry['name']}" not in ours],
            "checks": parts["checks"],
        }
        for table, parts in schema.items()
        if f"table {table}" not in ours
    }


def made_by(database: Database, among: Sequence[Migration], owner: str) -> set[str]:
    """The objects that migrations of an owner make."""
    return {
        clause.makes
        for migration in among
        if migration.owner == owner
        for step in steps(migration.id, database.dialect)
        for clause in step.clauses
    }


def bare_clause(clause: str) -> str:
    """A check without the quotes, character sets and parentheses that MySQL adds."""
    bare = clause.replace("_utf8mb4", "").replace("\\", "")
    return re.sub(r"[`()\s]", "", bare).lower()

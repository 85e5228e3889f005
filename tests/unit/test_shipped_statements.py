"""The statements that the program ships, and their names in the code."""

import ast
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby, product
from pathlib import Path
from typing import NamedTuple

from hammerwork_cli.database import statements
from hammerwork_cli.database.statements import TOKEN, load
from hammerwork_cli.database.statements.__main__ import fragments, subjects

DATA = Path(__file__).parents[1] / "data"
SHIPPED = {subject: statements.file_of(subject).read_text("utf-8") for subject in subjects()}

# What the tables of hammerwork (Rust) have gained, in order.
GAINED = [set(list(statements.GROWN)[:number]) for number in range(len(statements.GROWN) + 1)]
STATES = {
    "postgresql": [{"original", "by_gin"}, {"original", "by_scan", "jsonb"}],
    "mysql": [{"original", "by_scan"}],
    "sqlite": [{"original", "by_scan"}],
}
TAG_SETS = [
    frozenset({dialect, *state, *more})
    for dialect, originals in STATES.items()
    for state, gained in [({"current"}, GAINED[-1:]), *((original, GAINED) for original in originals)]
    for found in gained
    for more in (found, found | {"rust_3"}, *([found | {"narrow"}] if dialect == "mysql" else []))
]

STATE_SETS = {
    tags
    for tags in TAG_SETS
    if "narrow" not in tags and len(tags & statements.GROWN.keys()) in {0, len(statements.GROWN)}
}
"""The newest and the oldest tables of each state."""


@cache
def tags_that_matter(subject: str, block: str) -> frozenset[str]:
    """The tags of the variants of a block, and of its fragments: others change nothing of it."""
    found = set[str]()
    for wanted, sql in statements.blocks(statements.subject_of(subject, block)).get(block, ()):
        parts = [token["block"] for token in TOKEN.finditer(sql) if token["block"]]
        found |= wanted.union(*(tags_that_matter(subject, part) for part in parts))
    return frozenset(found)


def that_differ(name: str, among: Iterable[frozenset[str]] = TAG_SETS) -> list[frozenset[str]]:
    """One of all sets of tags for which a statement is the same."""
    subject, _, block = name.rpartition(".")
    matter = tags_that_matter(subject, block)
    return list({tags & matter: tags for tags in among}.values())


def with_tags(names: Iterable[str], among: Iterable[frozenset[str]] = TAG_SETS) -> Iterator[tuple[str, frozenset[str]]]:
    """Each statement with each set of tags for which it differs."""
    for name in names:
        for tags in that_differ(name, among):
            yield name, tags


def names_in(subject: str) -> set[str]:
    return {head["name"] for head in statements.NAME.finditer(SHIPPED[subject])}


def headers(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"\s*--\s*name\b", line)]


def repeated(names: Iterable[Hashable]) -> list[Hashable]:
    return [name for name, number in Counter(names).items() if number > 1]


def selected(name: str, tags: frozenset[str]) -> int | None:
    """How many columns a statement returns; ``None`` if it begins with another word."""
    text = load(name, tags).text.strip()
    if not text.upper().startswith("SELECT "):
        return None
    columns, depth = 1, 0
    for token in re.findall(r"'(?:[^']|'')*'|[(),]|\w+", text):
        depth += (token == "(") - (token == ")")
        if depth == 0 and token == "FROM":
            break
        columns += depth == 0 and token == ","
    return columns


def test_a_statement_returns_as_many_columns_in_every_state_of_a_database():
    compared, different, parts = 0, {}, fragments()
    for name, dialect in product((f"{subject}.{one}" for subject in SHIPPED for one in names_in(subject)), STATES):
        subject, _, block = name.rpartition(".")
        variants = [wanted for wanted, _ in statements.blocks(subject)[block]]
        fitting = [tags for tags in STATE_SETS if dialect in tags and any(wanted <= tags for wanted in variants)]
        if name not in parts and fitting:
            found = {selected(name, tags) for tags in that_differ(name, fitting)}
            compared += found != {None}
            if len(found) > 1:
                different[name, dialect] = found
    assert compared > 500
    assert different == {}


def test_every_header_is_one_that_the_loader_reads():
    lines = [(subject, line) for subject, text in SHIPPED.items() for line in headers(text)]
    assert [one for one in lines if not statements.NAME.fullmatch(one[1])] == []
    assert repeated(lines) == []


def test_the_variants_of_a_name_stand_side_by_side():
    heads = [(subject, head["name"]) for subject, text in SHIPPED.items() for head in statements.NAME.finditer(text)]
    assert repeated(name for name, _ in groupby(heads)) == []


def test_every_statement_and_fragment_has_a_sentence_that_says_what_it_does():
    silent, seen = [], set()
    for subject, text in SHIPPED.items():
        for head in statements.NAME.finditer(text):
            comment, name = re.match(r"(?:\n-- .*)*", text[head.end() :]), f"{subject}.{head['name']}"
            # Of several variants the first says it.
            if name not in seen and not re.fullmatch(r"\n-- [^a-z][^\0]*\.", comment[0]):
                silent.append(name)
            seen.add(name)
    assert silent == []


def test_no_statement_is_ambiguous_and_no_block_is_missing():
    wrong = []
    names = [f"{subject}.{name}" for subject in SHIPPED for name in names_in(subject)]
    for name, tags in with_tags(names):
        subject, _, block = name.rpartition(".")
        if not any(wanted <= tags for wanted, _ in statements.blocks(subject)[block]):
            continue  # it has none for this database
        try:
            lines = load(name, tags)
        except (LookupError, ValueError) as error:
            wrong.append(f"{name} {sorted(tags)}: {error}")
        else:
            # Drivers would take this for the place of a value.
            wrong += [name for _, parts in lines for part, _ in parts if "%s" in part]
    assert wrong == []


def test_a_value_that_a_line_depends_on_is_used_in_such_lines_only():
    """A formatter that breaks a line in two leaves its second half without the condition."""
    for subject in SHIPPED:
        for name in statements.blocks(subject):
            for tags in that_differ(f"{subject}.{name}"):
                try:
                    lines = load(f"{subject}.{name}", tags)
                except LookupError:
                    continue  # it has no variant for this database
                optional = {condition for condition, _ in lines} - {None}
                always = {value for condition, parts in lines if condition is None for _, value in parts}
                assert not optional & always, f"{subject}.{name} {sorted(tags)}"


CHANGED_OR_LOCKED = re.compile(r"\A(?:UPDATE|DELETE)\b|\bFOR UPDATE\b")
JOBS_BY_ID = re.compile(r"hammerwork_jobs(?:_archive)?\b.*\bid IN \(:ids", re.DOTALL)


def for_mysql() -> Iterator[tuple[str, str]]:
    """The name and the text of each statement in each variant for MySQL and MariaDB."""
    names = [f"{subject}.{name}" for subject in SHIPPED for name in statements.blocks(subject)]
    for name, tags in with_tags(names, [tags for tags in TAG_SETS if "mysql" in tags]):
        try:
            lines = load(name, tags)
        except LookupError:
            continue  # it has no variant for this database
        yield name, "".join(part + (f":{value}" if value else "") for _, parts in lines for part, value in parts)


RESERVED = set((DATA / "mysql_reserved_words.txt").read_text("utf-8").split())
"""Those of MySQL 9.7 (``information_schema.keywords``). MariaDB reserves fewer."""
ALIAS = re.compile(r"\b(?:AS|WITH(?: RECURSIVE)?) (\w+)|, (\w+) AS \(")
TYPES = {"binary", "char", "datetime", "decimal", "double", "json", "signed", "unsigned"}
"""What CAST takes after AS."""


def test_no_name_in_a_statement_for_mysql_is_a_word_that_mysql_reserves():
    found = set()
    for name, sql in for_mysql():
        aliases = {next(filter(None, groups)).lower() for groups in ALIAS.findall(sql)}
        assert not (aliases - TYPES) & RESERVED, f"{name}: {sql}"
        found |= aliases
    assert {"row_status", "childless"} <= found
    assert {"empty", "stored"} <= RESERVED


def test_on_mysql_a_change_of_jobs_by_their_ids_looks_at_no_other_job():
    """Of a small table InnoDB would rather look at all rows, and wait for those that others have locked."""
    found = set()
    for name, sql in for_mysql():
        if CHANGED_OR_LOCKED.search(sql) and JOBS_BY_ID.search(sql):
            found.add(name)
            assert "FORCE INDEX (PRIMARY)" in sql, sql
    assert {"worker.claim.claim", "worker.finish.complete", "job.changes.lock", "archive.moving.delete_jobs"} <= found


BY_AGE = {
    "archive.moving.delete": "whoever asks: the retention thread by a proven clock, or an operator who sees the plan",
    "batch.callbacks.forget": "UpkeepThread._takes_history",
    "cron.schedules.forget_ahead": "ServerClock.trusted_now; such rows have no job",
    "cron.schedules.forget_runs": "UpkeepThread._takes_history",
    "job.attempts.forget_surplus": "no clock: a number of attempts is kept",
    "streaming.forget_sent": "a clock that is ahead lets a failure that was sent be sent once more, which is allowed",
    "worker.limits.forget": "the server's clock, which wrote these times, while the limit is locked",
    "worker.registry.forget": "worker.registry.long_ended: the start of another worker",
    "worker.spawn.forget_earlier_operations": "no clock: a number of operations is kept",
}
"""What keeps a clock that is ahead, by which all is old, from deleting what is not."""


def test_of_each_deletion_by_age_it_is_known_who_asks_whether_the_clock_is_right():
    deletes = re.compile(r"^\s*DELETE\b.*\b\w+_at\s*[<>]=?\s", re.DOTALL | re.MULTILINE)
    assert {name for name, sql in for_mysql() if deletes.search(sql)} == BY_AGE.keys()


# The names in the code.

PACKAGE = statements.FOLDER.parent
BLOCKS = {f"{subject}.{head['name']}" for subject, text in SHIPPED.items() for head in statements.NAME.finditer(text)}
FRAGMENTS = fragments()
OF_A_SUBJECT = re.compile(rf"(?:{'|'.join(map(re.escape, SHIPPED))})\.")
STATEMENT = re.compile(rf"{OF_A_SUBJECT.pattern}(?!sql$)[a-z_]+")
IN_QUOTES = re.compile(rf"""["']{OF_A_SUBJECT.pattern}""")
GROUPS = ("tree", "job", "worker", "queue", "spawn", "batch", "cron", "monitor", "backup", "maintenance", "archive")


class Named(NamedTuple):
    """What a module says of statements."""

    texts: set[str]  # that name a statement, right or wrong
    composed: list[int]  # lines that put a name together
    given: list[tuple[str, frozenset[str]]]  # a statement, and the values that a call gives it by name


@cache
def modules() -> dict[Path, Named]:
    """The modules of the package that may name a statement, each read once."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        if IN_QUOTES.search(text):
            found[path.relative_to(PACKAGE)] = named_in(ast.parse(text))
    return found


def named_in(tree: ast.Module) -> Named:
    named = Named(set(), [], [])
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Constant(value=str(text)), *_], keywords=[_, *_]) if STATEMENT.fullmatch(text):
                named.given.append((text, frozenset(keyword.arg for keyword in node.keywords if keyword.arg)))
            case ast.Constant(value=str(text)) if STATEMENT.fullmatch(text):
                named.texts.add(text)
            case (
                ast.JoinedStr(values=[ast.Constant(value=str(start)), *_])
                | ast.BinOp(left=ast.Constant(value=str(start)), op=ast.Add() | ast.Mod())
                | ast.Attribute(value=ast.Constant(value=str(start)), attr="format" | "join" | "replace")
            ) if OF_A_SUBJECT.match(start):
                named.composed.append(node.lineno)
    return named


def test_every_statement_that_the_code_names_is_shipped():
    named = {name for module in modules().values() for name in module.texts}
    assert "shared.schema" in named
    assert named - BLOCKS == set()


def test_the_code_names_each_statement_in_full_so_that_a_search_finds_it_and_no_fragment():
    named = {name for module in modules().values() for name in module.texts}
    assert named & BLOCKS == BLOCKS - FRAGMENTS


OF_OTHER_VARIANTS = {
    ("job.changes.lock", "locks"),
    ("job.enqueue.stored", "latest"),
    ("job.unique.take_over", "listed"),
    ("job.unique.take_over", "rows"),
    ("monitor.health.running", "now"),
    ("queue.open", "ages"),
    ("queue.open", "priorities"),
    ("queue.states", "pending"),
    ("queue.states", "running"),
    ("spawn.monitor.spawners", "most_running"),
    ("worker.finish.complete_each", "ids"),
}
"""Values that only some databases or tables have a use for."""


def test_each_variant_of_a_statement_uses_every_value_that_the_code_gives():
    """A statement that has lost the condition on the id reads, changes or deletes all there is."""
    calls = [(name, values) for module in modules().values() for name, values in module.given if name in BLOCKS]
    unused = set()
    for name, values in calls:
        subject, _, block = name.rpartition(".")
        variants = [wanted for wanted, _ in statements.blocks(subject)[block]]
        for tags in that_differ(name):
            if any(wanted <= tags for wanted in variants):
                found = load(name, tags)
                used = {value for line in found for _, value in line.parts} | {*found.conditions}
                unused |= {(name, value) for value in values - used}
    assert len(calls) > 300
    assert unused == OF_OTHER_VARIANTS


def test_no_name_of_a_statement_is_composed():
    assert [f"{path}:{line}" for path, module in modules().items() for line in module.composed] == []


def test_a_query_uses_the_statements_of_its_own_subject_or_of_one_below():
    above, queries = {}, {path: named.texts for path, named in modules().items() if "queries" in path.parts}
    assert queries
    for path, texts in queries.items():
        own = path.parts[path.parts.index("queries") - 1]
        below = GROUPS[: GROUPS.index(own)] if own in GROUPS else ()
        used = {name.partition(".")[0] for name in texts}
        above |= {str(path): used - {own, *below}} if used - {own, *below} else {}
    assert above == {}


# The statements that there are.

GROUPED = re.compile(
    r"(?:GROUP|PARTITION) BY [^(\n]*(?<!by_name \w\.)\b(?:queue_name|spawn_key|handler|operation_id|cron_schedule)\b"
)
COMPARED = re.compile(r"([\w.}]+)\)*\s*(?:=|<>|\bNOT IN|\bIN|\bLIKE)\s*\(?(?:\{exactly )?:\w+")
WITHOUT_LETTERS_THAT_DIFFER = re.compile(
    r"(?:^|\.)(?:(?:\w+_)?id|parent\}?|value|key_hash|claim_token|claimed_by|first_parent)$"  # ids, in one spelling
    r"|(?:^|[._{])(?:\w*status|state)\}?$"  # words of ours, looked for in each of their spellings
    r"|(?:^|\.)(?:priority|beats|events|occurrence|revision)$|_at$"  # numbers and times
)
EXACT_BY_ITSELF = {
    # Ids in lower case, between quotes.
    "j.ancestry LIKE :mark",
    # Its column holds bytes.
    "c.spawn_key = :key",
    # Parts of keys: ids, times, occurrences, and keys, which are bytes.
    ":owner = :id",
    ":second = :value",
    ":third = :other",
    # The names that the collation takes for the same are what is looked for.
    "WHERE j.queue_name = :name LIMIT :sample",
    "LEFT(MIN(j.queue_name), CHAR_LENGTH(:prefix)) = :prefix",
    # Compares bytes where there is a collation.
    "{exactly j.cron_schedule} IN (:schedules)",
    "{exactly j.queue_name} NOT IN (:but_queues)",
    "{operation_id} IN (:operations)",
    "CAST({operation_id} AS BINARY) IN (:operations)",
    # A fragment whose text has a binary collation.
    "{limit_key :per} NOT IN (:full)",
    # Ids.
    "COALESCE({webhook_of}, '') NOT IN (:left_webhooks)",
    # An id, for which somebody typed a name.
    "CAST(o.id AS CHAR(36)) IN (:operations)",
    # An occurrence, which is a timestamp, and the id of a root.
    "j.ancestry LIKE :place",
    "{ancestry} LIKE :place",
    # Words of ours, looked for in each of their spellings.
    "{status j} IN (:derived)",
    "{status j} IN (:accepted)",
    # Names of the catalogue, which come from the code.
    "table_name = :table AND column_name = :column",
    "table_name = :name",
    "c.relname = :name",
    # An assignment in a fragment.
    "queue_counts = :queue_counts",
    # The blocks themselves.
    "$1 = $2",
}
ASSIGNED = re.compile(r"\bSET\b.*?(?=\bWHERE\b|\Z)", re.DOTALL)


def test_names_are_compared_to_the_letter_in_every_statement():
    """``{same column value}`` and ``{by_name column}`` do so; a bare ``=`` follows MySQL's collation."""
    compared = set()
    for subject in SHIPPED:
        for name, variants in statements.blocks(subject).items():
            for tags, body in variants:
                looked_at = "" if (subject, name) == ("worker.registry", "figures") else ASSIGNED.sub("", body)
                for exact in EXACT_BY_ITSELF:
                    looked_at = looked_at.replace(exact, "")
                assert not GROUPED.search(looked_at), f"{subject} {sorted(tags)}: {body}"
                for found in COMPARED.finditer(looked_at):
                    compared.add(found[1])
                    assert WITHOUT_LETTERS_THAT_DIFFER.search(found[1]), f"{subject}: {found[0]!r} in {body}"
    assert {"j.id", "j.status"} <= compared


def test_every_class_and_module_that_a_comment_names_is_there():
    place = re.compile(r"\b(?:\w+\.)(?:models?|queries|ancestry)(?:\.\w+)+")
    named = {
        name
        for text in SHIPPED.values()
        for line in text.splitlines()
        if line.startswith("--")
        for name in place.findall(line)
    }
    assert named
    missing = []
    for name in named:
        module, _, last = f"hammerwork_cli.features.{name}".rpartition(".")
        if not hasattr(import_module(module), last) and find_spec(f"{module}.{last}") is None:
            missing.append(name)
    assert missing == []

"""``job export JOB --tree`` and ``job import``, between all databases."""

import base64
import contextlib
import gzip
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.core.values import PERSONAL
from hammerwork_cli.database import connect
from hammerwork_cli.features.backup.models.tables import TABLES
from hammerwork_cli.features.backup.queries import files, importing
from hammerwork_cli.features.backup.queries.rows import Rows as Stored
from hammerwork_cli.features.job.queries import enqueue
from tests import night as nights
from tests.conftest import Outcome, each_row
from tests.jobs import CLOCK, NOW, execute, identity, rows
from tests.rows import Rows
from tests.whole_tree import AROUND, CHILD, HOSTILE, JOIN, PACKED, ROOT, fill, records

Run = Callable[..., Outcome]
DIRECTIONS = [("sqlite", "postgres"), ("postgres", "mysql"), ("mysql", "sqlite")]
"""Each database is once the source and once the target."""


def marked(*dialects: str) -> Any:
    return pytest.param(*dialects, marks=[getattr(pytest.mark, one) for one in sorted({*dialects})])


def drawn(run: Run, url: str, job: str = ROOT) -> str:
    outcome = run("spawn", "tree", job, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def exported(run: Run, url: str, path: Path, job: str = ROOT, *options: str) -> Path:
    outcome = run("job", "export", job, "--tree", "-o", str(path), *options, url=url, env=CLOCK)
    assert outcome.exit_code == 0, outcome.stderr
    return path


@pytest.mark.parametrize(("source", "target"), [marked(*pair) for pair in DIRECTIONS])
def test_a_tree_arrives_in_another_database_as_it_was_and_looks_the_same(
    run: Run, new_database: Callable[..., str], tmp_path: Path, source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    fill(old)
    path = exported(run, old, tmp_path / "tree.jsonl.gz")
    imported = run("job", "import", str(path), url=new, env=CLOCK)
    assert (imported.exit_code, imported.stdout) == (0, f"{ROOT}\n"), imported.stderr
    assert records(new, without=AROUND) == records(old, without=AROUND)
    assert drawn(run, new) == drawn(run, old)


@pytest.mark.parametrize(("source", "target"), [marked("postgres", "mysql")])
def test_a_tree_of_the_demonstration_looks_the_same_elsewhere(
    run: Run, new_database: Callable[..., str], tmp_path: Path, source: str, target: str
) -> None:
    old, new = new_database(source, migrated=True), new_database(target, migrated=True)
    night = nights.night(NOW)
    with contextlib.closing(connect(old)) as database:
        enqueue.insert(database, night)
    root = nights.broken_root(night)
    path = exported(run, old, tmp_path / "tree.jsonl", root)
    assert run("job", "import", str(path), url=new, env=CLOCK).exit_code == 0
    assert drawn(run, new, root) == drawn(run, old, root)


@pytest.fixture
def filled(migrated_url: str) -> str:
    fill(migrated_url)
    return migrated_url


def test_a_file_is_for_its_owner_alone_and_appears_when_it_is_whole(run: Run, filled: str, tmp_path: Path) -> None:
    path = exported(run, filled, tmp_path / "tree.jsonl")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    assert run("job", "export", "ffff", "--tree", "-o", str(path), url=filled).exit_code == 5
    assert path.read_bytes() == kept
    assert [one.name for one in tmp_path.iterdir() if "jsonl" in one.name] == ["tree.jsonl"]
    assert run("job", "export", ROOT, "--tree", "-o", "/nowhere/tree", url=filled).exit_code == 2


def test_stdout_and_packed_files_hold_the_same(run: Run, filled: str, tmp_path: Path) -> None:
    lines = exported(run, filled, tmp_path / "a.jsonl").read_text()
    assert gzip.decompress(exported(run, filled, tmp_path / "a.jsonl.gz").read_bytes()).decode() == lines
    outcome = run("job", "export", ROOT[:4], "--tree", url=filled, env=CLOCK)
    assert outcome.stdout == lines
    assert "Exported 4 jobs." in outcome.stderr
    header, *_, trailer = map(json.loads, lines.splitlines())
    assert (header["format"], header["kind"], header["filter"]) == ("hammerwork-backup", "tree", {"job": ROOT})
    assert trailer["counts"]["jobs"] == 3
    assert trailer["sha256"] == hashlib.sha256("".join(lines.splitlines(keepends=True)[:-1]).encode()).hexdigest()


def test_jobs_that_exist_are_a_conflict_and_new_ids_are_used_everywhere(run: Run, filled: str, tmp_path: Path) -> None:
    execute(filled, f"UPDATE hammerwork_jobs SET payload = '{{\"other\": \"{CHILD}\"}}' WHERE id = '{JOIN}'")
    path = exported(run, filled, tmp_path / "tree.jsonl")
    again = run("job", "import", str(path), url=filled)
    assert (again.exit_code, again.stdout) == (6, "")
    assert "4 jobs of the file exist in this database" in again.stderr
    done = run("job", "import", str(path), "--new-ids", "--queue-prefix", "dev-", "--format", "json", url=filled).json
    assert (done["jobs"], done["mentioned"], done["outside"]) == (4, 1, [])
    assert {one["queue"][:4] for one in done["by"]} == {"dev-"}
    old = [line.replace(ROOT[:8], done["id"][:8]) for line in drawn(run, filled).splitlines()]
    new = drawn(run, filled, done["id"]).splitlines()
    assert len(new) == len(old)
    text = json.dumps({word: [one for one in found if "dev-" in str(one)] for word, found in records(filled).items()})
    assert ROOT not in text
    assert text.count(CHILD) == 1  # in the payload
    with contextlib.closing(connect(filled)) as database:
        operations = list(Stored(database, "operations").of("parent_id", [done["id"]]))
        assert [(one["handler"], one["root_id"]) for one in operations] == [(HOSTILE, done["id"])]
        [child] = Stored(database, "children").of("parent_id", [done["id"]])
        assert (
            json.loads(next(Stored(database, "jobs").of("id", [child["child_id"]]))["ancestry"])["root"] == done["id"]
        )


def test_pending_jobs_run_again_in_their_order_and_their_parents_do_not_spawn_again(
    run: Run, filled: str, tmp_path: Path
) -> None:
    execute(filled, f"DELETE FROM hammerwork_spawn_operations WHERE parent_id = '{ROOT}'")
    execute(
        filled,
        f"UPDATE hammerwork_jobs SET recurring = {'1' if 'sqlite' in filled else 'TRUE'}, cron_schedule = "
        f"'0 0 3 * * *' WHERE id = '{CHILD}'",
    )
    path = exported(run, filled, tmp_path / "tree.jsonl")
    done = run("job", "import", str(path), "--as", "pending", "--new-ids", "--format", "json", url=filled, env=CLOCK)
    assert done.exit_code == 0, done.stderr
    assert done.json["by"] == [
        {"queue": queue, "status": "Pending", "jobs": 1} for queue in sorted(["video", HOSTILE[:8], "join", "old"])
    ]
    assert done.json["unscheduled"] == 1
    with contextlib.closing(connect(filled)) as database:
        found = {one["queue_name"]: one for one in Stored(database, "jobs").all() if one["status"] == "Pending"}
        new = [one for one in found.values() if one["id"] != JOIN]
        spawned = list(Stored(database, "operations").of("parent_id", [done.json["id"]]))
        assert Stored(database, "attempts").count() == 1
    assert {one["attempts"] for one in new} == {0}
    assert not {"error_message", "started_at", "failed_at", "result_data", "claimed_by", "cron_schedule"} & {
        name for one in new for name in one
    }
    states = {name: one["dependency_status"] for name, one in found.items()}
    # The child was spawned early, so it does not wait for its parent.
    assert (states["video"], states[HOSTILE[:8]], states["old"]) == ("none", "satisfied", "waiting")
    assert found["old"]["payload"] == {"packed": True}
    assert [(one["outcome"], one["children"]) for one in spawned] == [("spawned", 2)]


APP = """
from hammerwork_cli import Handlers, Job

app = Handlers()


@app.job("parent")
def parent(job):
    return 1


@app.spawn("parent")
def children(context):
    yield Job("child")
    yield Job("child")


@app.job("child")
def child(job):
    return 2
"""


def test_a_worker_runs_a_tree_that_arrives_as_pending_and_spawns_nothing_twice(
    hammerwork: Run, lite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    root = hammerwork("job", "enqueue", "-q", "parent", "-j", "{}", url=lite_url).stdout.strip()
    drain = ("worker", "start", "--handlers", "app:app", "--drain", "--poll-interval", "0.05")
    assert hammerwork(*drain, url=lite_url).exit_code == 0
    assert hammerwork("job", "export", root, "--tree", "-o", "tree", url=lite_url).exit_code == 0
    words = ("job", "import", "tree", "--as", "pending", "--new-ids")
    new = hammerwork(*words, url=lite_url).stdout.strip()
    assert hammerwork(*drain, url=lite_url).exit_code == 0
    nodes = hammerwork("spawn", "tree", new, "--format", "json", url=lite_url).json["nodes"]
    assert [node["status"] for node in nodes] == ["Completed"] * 3


def test_a_prefix_that_makes_a_name_too_long_is_refused(run: Run, filled: str, tmp_path: Path) -> None:
    path = exported(run, filled, tmp_path / "tree")
    outcome = run("job", "import", str(path), "--new-ids", "--queue-prefix", "x" * 250, url=filled)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "has more than 255 characters" in outcome.stderr


def test_a_part_of_a_tree_says_what_is_above_it(run: Run, filled: str, new_database: Any, tmp_path: Path) -> None:
    outcome = run("job", "export", CHILD, "--tree", "-o", str(tmp_path / "part"), url=filled)
    assert outcome.exit_code == 0
    assert "Its jobs depend on a job that is not in the file" in outcome.stderr
    other = new_database("sqlite", migrated=True)
    plan = run("job", "import", str(tmp_path / "part"), "--dry-run", "--format", "json", url=other)
    assert plan.exit_code == 0, plan.stderr
    assert (plan.json["dry_run"], plan.json["jobs"], plan.json["outside"]) == (True, 3, [ROOT])
    assert rows(other) == []
    assert run("job", "import", str(tmp_path / "part"), "--as", "pending", url=other).exit_code == 0
    with contextlib.closing(connect(other)) as database:
        parents = {one["id"]: one["depends_on"] for one in Stored(database, "jobs").all()}
    assert (parents[CHILD], parents[JOIN]) == ([], [CHILD])


def test_hidden_values_are_in_no_column(run: Run, filled: str, new_database: Any, tmp_path: Path) -> None:
    for table, column in (("hammerwork_spawn_requests", "requested_by"), ("hammerwork_jobs_archive", "archived_by")):
        execute(filled, f"UPDATE {table} SET {column} = 'ada@host'")
    path = exported(run, filled, tmp_path / "tree", ROOT, "--redact", "payload,result,error")
    text = path.read_text()
    assert "nested" not in text
    assert "line one" not in text
    assert '"rows"' not in text
    assert base64.b64encode(gzip.compress(b'{"packed": true}')).decode()[:20] not in text
    people = [
        value
        for line in text.splitlines()[1:-1]
        for record in json.loads(line).values()
        for name, value in record.items()
        if name in PERSONAL
    ]
    assert set(people) == {"[redacted]"}
    other = new_database("sqlite", migrated=True)
    imported = run("job", "import", str(path), url=other)
    assert imported.exit_code == 0, imported.stderr
    assert run("job", "show", PACKED, "--format", "json", url=other).json["payload"] == "[redacted]"


# Files that are not whole.


@pytest.fixture
def lines(run: Run, lite_url: str, tmp_path: Path) -> list[bytes]:
    """The lines of a whole file."""
    fill(lite_url)
    return exported(run, lite_url, tmp_path / "whole").read_bytes().splitlines(keepends=True)


def sealed(lines: list[bytes]) -> bytes:
    """A file of these lines with a trailer that fits: what somebody with bad intentions writes."""
    counts: dict[str, int] = {}
    for line in lines[1:]:
        for word in json.loads(line):
            counts[word] = counts.get(word, 0) + 1
    body = b"".join(lines)
    return body + json.dumps({"counts": counts, "sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"


@pytest.fixture
def refuses(run: Run, tmp_path: Path, new_database: Callable[..., str]) -> Callable[..., str]:
    """``refuses(data)``: what an import of these bytes says, which writes nothing."""
    url = new_database("sqlite", migrated=True)

    def call(data: bytes, *options: str) -> str:
        path = tmp_path / "file"
        path.write_bytes(data)
        outcome = run("job", "import", str(path), *options, url=url)
        assert outcome.exit_code in {2, 3}, outcome  # a value that is refused, or a damaged file
        assert outcome.stdout == ""
        assert "Traceback" not in outcome.stderr
        with contextlib.closing(connect(url)) as database:
            assert {word: Stored(database, word).count() for word in TABLES} == dict.fromkeys(TABLES, 0)
        return str(outcome.stderr)

    return call


def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(lines: list[bytes], refuses: Any) -> None:
    whole = b"".join(lines)
    for end in (
        0,
        1,
        len(lines[0]) - 2,
        len(lines[0]),
        len(lines[0]) + 30,
        len(whole) - len(lines[-1]),
        len(whole) - 9,
    ):
        assert "Error" in refuses(whole[:end])
    packed = gzip.compress(whole)
    for end in (3, 20, len(packed) // 2, len(packed) - 1, len(packed) - 8):
        refuses(packed[:end])
    refuses(packed[:40] + b"x" * 40 + packed[80:])


@pytest.mark.parametrize("asked", [5, None, {"job": []}, []])
def test_a_header_that_says_nonsense_of_its_filter_harms_nothing(
    lines: list[bytes], run: Run, new_database: Callable[..., str], tmp_path: Path, asked: object
) -> None:
    header = json.dumps({**json.loads(lines[0]), "filter": asked}).encode() + b"\n"
    path = tmp_path / "file"
    path.write_bytes(sealed([header, *lines[1:-1]]))
    outcome = run("job", "import", str(path), url=new_database("sqlite", migrated=True))
    assert outcome.exit_code == 0, outcome.stderr


def test_a_file_that_was_changed_is_refused(lines: list[bytes], refuses: Any) -> None:
    whole = b"".join(lines)
    assert "checksum does not match" in refuses(whole.replace(b"Dead", b"Fail"))
    assert "checksum does not match" in refuses(b"".join([*lines[:-2], lines[-1]]))
    assert "continues after its last line" in refuses(whole + lines[1])
    assert "checksum does not match" in refuses(whole.replace(b'"counts":{"jobs":3', b'"counts":{"jobs":2'))


@each_row(
    ("line", "says"),
    [
        ({"jobs": {"id": "x"}}, "id is not a value of the kind id"),
        ({"jobs": {"id": identity(1), "evil": 1}}, "jobs has no column 'evil'"),
        ({"jobs": {"id": identity(1)}}, "queue_name is missing"),
        ({"jobs": []}, "is not a record"),
        ({"jobs": {}, "archive": {}}, "is not a record"),
        ({"hammerwork_workers": {"id": identity(1)}}, "is not a record"),
        ({"pauses": {"queue_name": "q"}}, "does not belong to a tree"),
        ({"operations": {"id": identity(1), "parent_id": identity(2)}}, "belongs to a job that does not come"),
        ({"workflows": {"id": identity(1), "created_at": "yesterday"}}, "created_at is not a value of the kind time"),
        ({"workflows": {"id": identity(1), "total_jobs": 2**80}}, "total_jobs is not a value of the kind number"),
        ({"workflows": {"id": identity(1), "name": "\ud800"}}, "half a character"),
        ({"workflows": {"id": identity(1), "name": ["a"]}}, "name is not a value of the kind text"),
    ],
)
def test_a_record_that_is_not_one_is_named_and_nothing_is_written(
    lines: list[bytes], refuses: Any, line: Any, says: str
) -> None:
    assert says in refuses(sealed([*lines[:-1], json.dumps(line).encode() + b"\n"]))


def test_a_job_that_comes_twice_is_refused(lines: list[bytes], refuses: Any) -> None:
    assert "repeats a job of the file" in refuses(sealed([*lines[:-1], lines[1]]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"\x80\x04\x95",
        b"SQLite format 3\0",
        b'{"format":"hammerwork-backup","version":99}\n',
        b'{"format":"hammerwork-backup","version":1,"kind":"backup"}\n',
        b'{"format":"hammerwork-backup","version":1,"kind":"tree"}\n',
        b"[" * 100_000 + b"\n",
        b'{"a":' + b"9" * 10_000 + b"}\n",
        gzip.compress(b"", mtime=0),
    ],
)
def test_something_else_is_refused(refuses: Any, data: bytes) -> None:
    refuses(data)


def test_a_file_of_endless_records_is_refused(
    lines: list[bytes], refuses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_RECORDS", 3)
    assert "more than 3 jobs and records" in refuses(b"".join(lines))


def test_a_file_that_unpacks_to_a_line_without_an_end_is_refused(refuses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_HEADER", 10_000)
    assert "is longer than 10,000 bytes" in refuses(gzip.compress(b"[" + b" " * 1_000_000))


@pytest.mark.postgres
def test_values_that_the_database_cannot_store_are_named_before_anything_is_written(
    run: Run, new_database: Callable[..., str], tmp_path: Path
) -> None:
    old, new = new_database("sqlite", migrated=True), new_database("postgres", migrated=True)
    with contextlib.closing(connect(old)) as database:
        made = Rows(database)
        made.job(id=ROOT, payload={"nul": "\0"}, trace_id="nul\0")
        made.job(ROOT, id=CHILD)
    path = exported(run, old, tmp_path / "tree")
    outcome = run("job", "import", str(path), url=new)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "Line 2: " in outcome.stderr
    assert "NUL" in outcome.stderr
    assert "1 record cannot be stored. Nothing was written." in outcome.stderr
    assert rows(new) == []
    error = json.loads(run("job", "import", str(path), "--format", "json", url=new).stderr)["error"]
    assert [problem["line"] for problem in error["lines"]] == [2]


def test_numbers_keep_their_digits(run: Run, new_database: Callable[..., str], tmp_path: Path) -> None:
    old, new = new_database("sqlite", migrated=True), new_database("sqlite", migrated=True)
    exact = '{"exact":0.1234567890123456789,"huge":1e999}'
    with contextlib.closing(connect(old)) as database:
        Rows(database).job(id=ROOT)
    execute(old, f"UPDATE hammerwork_jobs SET payload = '{exact}'")
    path = exported(run, old, tmp_path / "tree")
    assert json.loads(path.read_text().splitlines()[1])["jobs"]["payload_text"] == exact
    assert run("job", "import", str(path), url=new).exit_code == 0
    assert rows(new, "payload") == [(exact,)]


@pytest.mark.mysql
def test_a_tree_of_a_database_without_our_tables_can_be_taken_along_but_not_put_there(
    run: Run, restored: Callable[[str], str], new_database: Callable[..., str], tmp_path: Path
) -> None:
    old, new = restored("media.mariadb"), new_database("sqlite", migrated=True)
    words = ("spawn", "list", "--queue", "video_ingest", "--format", "json", "--limit", "1")
    root = run(*words, url=old).json[0]["parent_id"]
    path = exported(run, old, tmp_path / "tree.gz", root)
    assert run("job", "import", str(path), url=new).exit_code == 0
    assert drawn(run, new, root).splitlines()[1:] == drawn(run, old, root).splitlines()[1:]
    back = run("job", "import", str(path), "--new-ids", url=old)
    assert back.exit_code == 4
    assert "migration run" in back.stderr


def test_an_import_is_all_or_nothing(run: Run, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exported(run, filled, tmp_path / "tree")
    insert, inserted = importing.Rows.insert, 0

    def failing(self: Any, values: Any) -> int:
        nonlocal inserted
        inserted += 1
        if inserted == 3:
            raise KeyboardInterrupt
        return insert(self, values)

    before = records(filled)
    monkeypatch.setattr(importing.Rows, "insert", failing)
    assert run("job", "import", str(path), "--new-ids", url=filled).exit_code == 130
    assert records(filled) == before


@each_row(
    "words",
    [
        ("export", ROOT),
        ("export", "--tree"),
        ("export", ROOT, "--tree", "--queue", "q"),
        ("export", ROOT, "--tree", "--fields", "id"),
        ("export", ROOT, "--tree", "--format", "csv"),
        ("export", ROOT, "--tree", "--redact", "id"),
        ("export", "-o", "file"),
        ("import", "/nowhere"),
        ("import", "/"),
        ("import", "x", "--as", "dead"),
        ("import", "x", "--queue-prefix", "x" * 255),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(run: Run, filled: str, words: tuple[str, ...]) -> None:
    outcome = run("job", *words, url=filled)
    assert (outcome.exit_code, outcome.stdout) == (2, ""), outcome

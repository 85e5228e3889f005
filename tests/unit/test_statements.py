"""The loader of named statements."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hammerwork_cli.database import statements
from hammerwork_cli.database.statements import Assignments, Names, bind, load
from tests.conftest import each_row


@pytest.fixture
def sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``sql(subject=text)``: the files that the loader finds instead of the shipped ones; ``_`` stands for a folder."""

    def clear() -> None:
        statements._bodies.cache_clear()
        statements.blocks.cache_clear()
        load.cache_clear()

    def write(**subjects: str) -> None:
        for subject, text in {"shared": "", **subjects}.items():
            file = statements.file_of(subject.replace("_", "."))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    clear()
    monkeypatch.setattr(statements, "FOLDER", tmp_path)
    yield write
    clear()


def bound(name: str, *tags: str, placeholder: str = "?", percent: str = "%", **values: object) -> tuple[str, list]:
    text, given = bind(load(name, frozenset(tags)), values, placeholder, percent)
    return text.strip(), given


# Which variant.


def test_an_untagged_statement_serves_every_database(sql):
    sql(jobs="-- name: count\n-- How many.\nSELECT count(*) FROM j\n")
    for dialect in ("postgresql", "mysql", "sqlite"):
        assert bound("jobs.count", dialect) == ("SELECT count(*) FROM j", [])


def test_the_variant_with_most_fitting_tags_is_taken(sql):
    sql(jobs="-- name: x\nSELECT 0\n-- name: x [mysql]\nSELECT 1\n-- name: x [mysql indexed]\nSELECT 2\n")
    assert bound("jobs.x", "sqlite")[0] == "SELECT 0"
    assert bound("jobs.x", "mysql")[0] == "SELECT 1"
    assert bound("jobs.x", "mysql", "indexed", "archive")[0] == "SELECT 2"
    assert bound("jobs.x", "sqlite", "indexed")[0] == "SELECT 0"


def test_a_statement_that_is_not_there_is_named(sql):
    sql(jobs="-- name: x [mysql]\nSELECT 1\n")
    with pytest.raises(LookupError, match=r"no statement .*\.missing"):
        load("jobs.missing", frozenset({"mysql"}))
    with pytest.raises(LookupError, match=r"no statement nowhere\.missing"):
        load("nowhere.missing", frozenset({"mysql"}))
    with pytest.raises(LookupError, match=r"no statement jobs\.x for \['sqlite'\]"):
        load("jobs.x", frozenset({"sqlite"}))


def test_variants_that_fit_equally_well_are_refused(sql):
    sql(jobs="-- name: x [mysql]\nSELECT 1\n-- name: x [indexed]\nSELECT 2\n")
    with pytest.raises(LookupError, match="several statements"):
        load("jobs.x", frozenset({"mysql", "indexed"}))


# What is left out.


def test_comments_and_empty_lines_are_left_out(sql):
    sql(
        jobs="-- About: it's all comments.\n\n-- name: x\n-- Doesn't run :that.\nSELECT 1\n\n   -- nor {this}\nFROM t\n"
    )
    assert bound("jobs.x") == ("SELECT 1\nFROM t", [])


def test_a_line_is_left_out_when_its_value_is_not_given(sql):
    sql(jobs="-- name: x\nSELECT 1 WHERE a = :a\n/* if :b */ AND b IN (:b)\n/* if :c */ AND c\nLIMIT :n\n")
    left_out = ("SELECT 1 WHERE a = ?\nLIMIT ?", [1, 9])
    for nothing in (None, False, [], ()):
        assert bound("jobs.x", a=1, b=nothing, c=nothing, n=9) == left_out
    everything = ("SELECT 1 WHERE a = ?\nAND b IN (?,?)\nAND c\nLIMIT ?", [1, 5, 6, 9])
    assert bound("jobs.x", a=1, b=[5, 6], c=True, n=9) == everything


def test_zero_and_empty_text_are_values_that_were_given(sql):
    sql(jobs="-- name: x\nSELECT 1\n/* if :a */ WHERE a = :a\n/* if :b */ AND b = :b\n")
    assert bound("jobs.x", a=0, b="") == ("SELECT 1\nWHERE a = ?\nAND b = ?", [0, ""])


def test_a_condition_holds_for_the_whole_of_a_block(sql):
    sql(jobs="-- name: x\nSELECT 1\n/* if :a */ {more}\n-- name: more\nWHERE a = :a\nAND b\n")
    assert bound("jobs.x", a=None) == ("SELECT 1", [])
    assert bound("jobs.x", a=7) == ("SELECT 1\nWHERE a = ? AND b", [7])


def test_a_condition_inside_a_condition_is_refused(sql):
    sql(jobs="-- name: x\nSELECT 1\n/* if :a */ {more}\n-- name: more\nWHERE TRUE\n/* if :b */ AND b = :b\n")
    with pytest.raises(ValueError, match="a condition inside a condition"):
        load("jobs.x", frozenset())


@each_row(
    "text",
    [
        "SELECT 1 /* if :a */ WHERE a = :a",
        "SELECT 1\nWHERE a = :a /* if :a */",
        "SELECT 1\n/* if :a */\nWHERE a = :a",
        "SELECT 1\n/*if :a*/ WHERE a = :a",
        "SELECT 1\n/* IF :a */ WHERE a = :a",
        "SELECT 1\n/* if a */ WHERE a = :a",
        "SELECT 1\n/* if :a */ WHERE a = :a /* if :b */ AND b = :b",
        "SELECT 1\n/* if\n:a */ WHERE a = :a",
        "SELECT 1\nWHERE a = :a -- when :a",
        "SELECT 1 -- one",
        "SELECT /* one */ 1",
    ],
)
def test_a_condition_that_somebody_moved_or_misspelt_is_refused(sql, text):
    sql(jobs=f"-- name: x\n{text}\n")
    with pytest.raises(ValueError, match=r"condition in"):
        load("jobs.x", frozenset())


def test_nothing_follows_a_fragment_that_ends_in_a_condition(sql):
    sql(jobs="-- name: x\nSELECT 1 {more} LIMIT 1\n-- name: more\nWHERE TRUE\n/* if :a */ AND a = :a\n")
    with pytest.raises(ValueError, match="text after a condition"):
        load("jobs.x", frozenset())


def test_a_condition_may_be_indented_and_what_is_quoted_is_no_comment(sql):
    sql(jobs="-- name: x\nSELECT '/* if :a */ -- b'\n    /* if :a */ WHERE a = :a\n")
    assert bound("jobs.x", a=1) == ("SELECT '/* if :a */ -- b'\nWHERE a = ?", [1])


def test_a_condition_on_an_empty_fragment_leaves_nothing(sql):
    sql(jobs="-- name: x\nSELECT 1\n/* if :a */ {nothing}\nLIMIT 1\n-- name: nothing\n-- None here.\n")
    assert bound("jobs.x", a=1) == ("SELECT 1\n\nLIMIT 1", [])


# Values.


def test_values_come_in_the_order_of_their_places_and_as_often(sql):
    sql(jobs="-- name: x\nSELECT :b, :a\nWHERE c = :b\n")
    assert bound("jobs.x", a="A", b="B") == ("SELECT ?, ?\nWHERE c = ?", ["B", "A", "B"])


def test_a_list_becomes_as_many_values_and_an_empty_one_matches_nothing(sql):
    sql(jobs="-- name: x\nSELECT 1 WHERE a IN (:ids)\n")
    assert bound("jobs.x", placeholder="%s", ids=["a", "b", "c"]) == ("SELECT 1 WHERE a IN (%s,%s,%s)", ["a", "b", "c"])
    assert bound("jobs.x", ids=("a",)) == ("SELECT 1 WHERE a IN (?)", ["a"])
    assert bound("jobs.x", ids=[]) == ("SELECT 1 WHERE a IN (NULL)", [])


def test_a_list_of_tuples_becomes_rows(sql):
    sql(jobs="-- name: x\nINSERT INTO t VALUES :rows\n")
    assert bound("jobs.x", rows=[(1, "a"), (2, None)]) == ("INSERT INTO t VALUES (?,?),(?,?)", [1, "a", 2, None])


def test_assignments_name_their_columns_before_their_values(sql):
    sql(jobs="-- name: x\nUPDATE t SET :said, n = :n\n")
    sent = bound("jobs.x", placeholder="%s", said=Assignments({"a": "A", "b": None}), n=1)
    assert sent == ("UPDATE t SET a = %s, b = %s, n = %s", ["A", None, 1])
    with pytest.raises(ValueError, match="not names"):
        Assignments({"a = 1, b": 2})


def test_names_stand_in_the_text_which_is_kept_for_each_list_of_them(sql):
    sql(jobs="-- name: x\nSELECT :columns FROM t WHERE a LIKE '%' AND b = :b\n/* if :more */ AND :more\n")
    given = {"b": 1, "more": ()}
    for columns, text in ((Names(["a"]), "a"), (Names(["b", "c"]), "b, c"), (Names(["a"]), "a")):
        for _ in range(2):
            sent = bound("jobs.x", percent="%%", columns=columns, **given)
            assert sent == (f"SELECT {text} FROM t WHERE a LIKE '%%' AND b = ?", [1])
    assert len(load("jobs.x", frozenset()).texts) == 2
    more = bound("jobs.x", columns=Names(["a"]), b=[1, 2], more=Names(["d"]))
    assert more == ("SELECT a FROM t WHERE a LIKE '%' AND b = ?,?\nAND d", [1, 2])
    assert bound("jobs.x", columns=Names(["a"]), **given) == ("SELECT a FROM t WHERE a LIKE '%' AND b = ?", [1])


def test_a_missing_value_is_named_and_one_too_many_is_not_used(sql):
    sql(jobs="-- name: x\nSELECT :a\n")
    with pytest.raises(KeyError, match="a"):
        bound("jobs.x")
    assert bound("jobs.x", a=1, b=2) == ("SELECT ?", [1])


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a::text, '{a,b}'::uuid[]",
        "SELECT 'a :b {c} it''s :d'",
        "SELECT a[1:2]",
        "SELECT '2026-11-24 10:30'",
        "SELECT a FROM t WHERE b ->> '$.c:d' = 'x'",
    ],
)
def test_a_colon_that_is_no_value_stays(sql, text):
    sql(jobs=f"-- name: x\n{text}\n")
    assert bound("jobs.x") == (text, [])


def test_a_cast_value_is_a_value(sql):
    sql(jobs="-- name: x\nSELECT :a::text, ARRAY[:ids]::uuid[]\n")
    assert bound("jobs.x", a=1, ids=[2, 3]) == ("SELECT ?::text, ARRAY[?,?]::uuid[]", [1, 2, 3])


def test_a_value_is_never_read_as_a_statement(sql):
    sql(jobs="-- name: x\nSELECT :a, :b\n")
    hostile = "'; DROP TABLE j; -- :b {x} % ?"
    assert bound("jobs.x", a=hostile, b=1) == ("SELECT ?, ?", [hostile, 1])


def test_a_literal_percent_sign_is_written_as_the_driver_wants_it(sql):
    sql(jobs="-- name: x\nSELECT 5 % 2 WHERE a LIKE 'b%' AND c = :c\n")
    doubled = ("SELECT 5 %% 2 WHERE a LIKE 'b%%' AND c = %s", [1])
    assert bound("jobs.x", placeholder="%s", percent="%%", c=1) == doubled
    assert bound("jobs.x", placeholder="%s", c=1) == ("SELECT 5 % 2 WHERE a LIKE 'b%' AND c = %s", [1])


# Blocks.


def test_a_block_is_found_in_its_own_file_then_in_shared_and_in_its_variant(sql):
    sql(
        shared="-- name: text\nshared\n-- name: other\n:o\n",
        jobs="-- name: x\nSELECT {text}, {other}\n-- name: text\nown\n-- name: text [mysql]\n{other}\n",
    )
    assert bound("jobs.x", o=1) == ("SELECT own, ?", [1])
    assert bound("jobs.x", "mysql", o=1) == ("SELECT ?, ?", [1, 1])


def test_a_folder_shares_blocks_that_come_before_those_that_all_share(sql):
    sql(
        shared="-- name: a\nfrom above\n-- name: b\nfrom above\n",
        worker_shared="-- name: a\nfrom the folder\n",
        worker_claim="-- name: x\nSELECT {a}, {b}\n",
        job_list="-- name: x\nSELECT {a}\n",
    )
    assert bound("worker.claim.x") == ("SELECT from the folder, from above", [])
    assert bound("job.list.x") == ("SELECT from above", [])


def test_a_block_that_is_not_there_is_named(sql):
    sql(jobs="-- name: x\nSELECT {nothing}\n")
    with pytest.raises(LookupError, match="nothing"):
        load("jobs.x", frozenset())


def test_fragments_are_nested_three_deep_at_most(sql):
    sql(
        jobs="-- name: x\n{a}\n-- name: y\n{b}\n-- name: a\n{b}\n"
        "-- name: b\n{c}\n-- name: c\n{d}\n-- name: d\nSELECT 1\n"
    )
    assert bound("jobs.y") == ("SELECT 1", [])
    with pytest.raises(ValueError, match=r"nested more than 3 deep in jobs: \{d\}"):
        load("jobs.x", frozenset())


def test_a_block_may_take_words(sql):
    sql(jobs="-- name: same\n$1 = $2\n-- name: x\nSELECT 1\n/* if :c */ WHERE {same a.b :c} AND {same d e.f}\n")
    assert bound("jobs.x", c=7) == ("SELECT 1\nWHERE a.b = ? AND d = e.f", [7])

"""The second line of defence alone: hostile SQL goes straight to the check of the bound plan, with no gate before it.

Columns that were not projected are not there, and what passes may read nothing but the projections, with operators that a
governed query can need. Nothing that stands behind a semicolon runs.
"""

from dataclasses import asdict

import duckdb
import pytest

from gongshu.compute.adapters import child
from gongshu.compute.rules import jobs
from gongshu.compute.rules.projections import PLAN_OPERATORS
from tests.escape.hostile import effects, names

SECRET = "no_text"
"""A column of the relation that the statement does not use: it is not in the projection."""
HUGE, LARGE = "1000000000", "1000"
"""The engine reckons constants while it plans: a text of a gigabyte takes a minute there. How much is for limits to stop (the
third line), not for what the plan may hold."""
QUICK = tuple(
    sql.replace(HUGE, LARGE)
    for part in (effects, names) for sql, _ in part.CORPUS if sql.strip() and "{v}" not in sql and "RECURSIVE" not in sql
)  # fmt: skip

NAMED_ONLY = {
    "SELECT /* ; SELECT no_text FROM people */ count(*) AS n FROM people",
    "SELECT json_serialize_sql('SELECT no_text FROM people')",
    "SELECT json_serialize_plan('SELECT no_text FROM people')",
    "WITH a AS (SELECT no_text FROM people) SELECT count(*) AS n FROM people",
    "SELECT * RENAME (no_text AS reveal_text) FROM people",
    "SELECT reveal_text AS no_text, no_text AS reveal_text FROM people",
    "SELECT reveal_text FROM people AS p(reveal_text, no_text)",
}
"""Statements in which the name stands without the column being read: in a comment, in a text, in a CTE that nobody reads, or as a
name for something else. The column is not in the file in any case."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    rows = "SELECT i AS filter_int, 'open' AS reveal_text, i % 5 AS group_text FROM range(100) AS t(i)"
    duckdb.sql(rows).write_parquet(str(folder / "p0.parquet"))
    request = {
        "relations": {"people": str(folder / "p0.parquet")}, "files": ["r.parquet"], "outbox": str(folder), "kept": [],
        "trace": None, "operators": list(PLAN_OPERATORS), "limits": {**asdict(jobs.LIMITS), "threads": 1},
    }  # fmt: skip
    engine, marks = child.open_engine(request)
    yield lambda sql: child.check_plan(engine, sql, request, {"people"}, marks), engine
    engine.close()


def passes(check, sql: str) -> bool:
    try:
        check(sql)
    except (child.RefusedError, duckdb.Error):
        return False
    return True


def test_no_statement_with_an_effect_or_a_way_out_passes(opened):
    check, engine = opened
    assert len(QUICK) > 300
    passed = [sql for sql in QUICK if passes(check, sql)]
    reading = [sql for sql in passed if "people" not in sql.lower() and "areas" not in sql.lower()]
    assert [sql for sql in reading if "(" in sql and "FROM" in sql] == []
    assert {sql for sql in passed if SECRET in sql.lower().replace("ｎｏ＿ｔｅｘｔ", SECRET)} <= NAMED_ONLY
    assert engine.execute("SELECT count(*) FROM people").fetchall() == [(100,)]
    left = engine.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert left == [("people",)]


UNEXPECTED = [
    "SELECT 1; DROP VIEW people",
    "SELECT filter_int FROM people; CREATE TABLE stolen AS SELECT * FROM people",
    "DROP VIEW people",
    "CREATE TABLE stolen AS SELECT * FROM people",
    "INSERT INTO people VALUES (1, 'x', 2)",
    "SELECT * FROM query('SELECT * FROM duckdb_settings()')",
    "SELECT * FROM people, duckdb_settings()",
    "SELECT * FROM people, range(5)",
    "SELECT unnest([1, 2]) FROM people",
    "SELECT * FROM people USING SAMPLE 5",
    "SELECT * FROM read_parquet('*.parquet')",
    "SELECT * FROM people POSITIONAL JOIN people p",
    "SELECT * FROM people WHERE filter_int IN (SELECT count(*) FROM duckdb_tables())",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r, people",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM pg_catalog.pg_class",
    "PRAGMA table_info('people')",
    "CALL pragma_database_size()",
    "SET memory_limit = '1TB'",
    "COPY people TO 'out.csv'",
    "EXPLAIN SELECT * FROM people",
    "",
]


@pytest.mark.parametrize("sql", UNEXPECTED)
def test_what_a_governed_query_never_needs_is_refused(opened, sql):
    check, engine = opened
    with pytest.raises((child.RefusedError, duckdb.Error)):
        check(sql)
    assert engine.execute("SELECT count(*) FROM people").fetchall() == [(100,)]


def test_what_a_governed_query_needs_passes(opened):
    check, _ = opened
    assert check(
        "SELECT group_text, count(*) FROM people WHERE filter_int > 3 GROUP BY group_text ORDER BY 2 LIMIT 3"
    ) == {"people"}

"""Every way in which two relations are linked by a key: what passes, what is refused, and what comes out of it."""

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pytest

from gongshu.compute.rules import decide_query
from gongshu.policies.types import ContributionBounds, Protection
from tests.governed import RELATIONS, THRESHOLDS, decide, open_engine, permitted, run

BY_UNIT = "v.join_compare_text = p.join_compare_text"
"""Links two relations by the privacy unit of both."""
BY_KEY = "v.join_int = p.join_int"
"""Links them by another key: units of both decide."""

ACCEPTED = [
    # EXISTS
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND v.filter_int2 > 7000500)",
    f"SELECT count(*) FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND v.filter_int2 > 7000500)",
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT * FROM visits v WHERE {BY_UNIT} AND p.compare_int >= v.compare_int3)",
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND p.filter_int <> 1 + v.filter_int2)",
    f"SELECT group_text, sum(total_int) FROM people p WHERE NOT (NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT})) GROUP BY group_text",
    f"SELECT sum(CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND filter_int2 > 7000500) THEN total_int END) FROM people p",
    f"SELECT count(*) FROM people p WHERE filter_flag OR EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND v.filter_int2 > 7000500)",
    f"SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND v.filter_int2 > 7000500)) FROM people p",
    f"SELECT n, count(*) FROM (SELECT group_text AS n FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT})) AS s GROUP BY n",
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v, people q WHERE {BY_UNIT} AND q.join_compare_text = p.join_compare_text)",
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND EXISTS (SELECT 1 FROM people q WHERE q.join_compare_text = v.join_compare_text AND q.filter_flag))",
    "SELECT all_text FROM people p WHERE EXISTS (SELECT 1 FROM areas a WHERE a.all_text = p.all_text AND a.all_int2 > 3)",
    "SELECT count(*) FROM people p WHERE EXISTS (WITH a AS (SELECT * FROM areas WHERE all_int2 > 3) SELECT 1 FROM a WHERE a.all_text = p.all_text)",
    "SELECT count(*) FROM people WHERE EXISTS (SELECT count(*) FROM visits)",
    "SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM (SELECT all_text AS g, count(*) AS n FROM people GROUP BY all_text) AS s WHERE s.n > 57 AND s.g = p.all_text)",
    # IN
    "SELECT count(*) FROM people WHERE join_compare_text IN (SELECT join_compare_text FROM visits WHERE filter_int2 > 7000500)",
    "SELECT count(*) FROM people WHERE join_compare_text NOT IN (SELECT join_compare_text FROM visits WHERE filter_int2 > 7000500)",
    "SELECT count(*) FROM people WHERE (join_compare_text, join_int) IN (SELECT join_compare_text, join_int FROM visits)",
    "SELECT count(*) FROM people WHERE (join_compare_text, join_int) NOT IN (SELECT join_compare_text, join_int FROM visits WHERE filter_int2 > 7000500)",
    "SELECT count(*) FROM people p WHERE join_compare_text IN (SELECT join_compare_text FROM visits v WHERE p.compare_int >= v.compare_int3)",
    "SELECT count(*) FROM people WHERE all_text IN (SELECT all_text FROM areas WHERE all_int2 > 20)",
    "SELECT count(*) FROM people WHERE filter_text IN (SELECT group_text FROM people GROUP BY group_text)",
    "SELECT count(*) FROM people WHERE filter_text NOT IN (SELECT DISTINCT group_text FROM people WHERE filter_text = 'kind 3')",
    # SEMI and ANTI
    "SELECT count(*) FROM people SEMI JOIN visits USING (join_compare_text)",
    "SELECT count(*) FROM people p SEMI JOIN visits v ON p.join_compare_text = v.join_compare_text AND filter_int2 > 7000500",
    "SELECT count(*) FROM people p ANTI JOIN visits v ON p.join_compare_text = v.join_compare_text AND v.filter_int2 > 7000500",
    "SELECT count(*) FROM people p ANTI JOIN visits v ON p.join_compare_text = v.join_compare_text AND p.compare_int < v.compare_int3",
    "SELECT count(*) FROM people p SEMI JOIN (SELECT join_compare_text AS k FROM visits WHERE filter_int2 > 7000500) AS v ON p.join_compare_text = v.k",
    "SELECT all_text FROM people NATURAL SEMI JOIN (SELECT all_text FROM areas WHERE all_int2 > 20) AS a",
    # another unit decides: it travels on
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 > 7000500)",
    f"SELECT group_text, count(*), sum(total_int) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 > 7000200) GROUP BY group_text",
    f"SELECT group_text, count(*), sum(total_int) FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 > 7000500) GROUP BY group_text",
    "SELECT count(*) FROM people WHERE join_int NOT IN (SELECT join_int FROM visits WHERE filter_int2 > 7000500)",
    "SELECT sum(x) FROM (SELECT total_int AS x FROM people SEMI JOIN visits USING (join_int)) AS s",
    f"SELECT count(*) FROM (SELECT * FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY})) AS s WHERE join_int IN (SELECT join_int FROM visits WHERE filter_int2 > 7000500)",
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND join_int IN (SELECT q.join_int FROM people q WHERE filter_flag))",
    "SELECT count(*) FROM (SELECT * FROM people SEMI JOIN visits USING (join_int) UNION ALL SELECT * FROM people SEMI JOIN visits USING (join_int)) AS s",
    "SELECT count(*) FROM areas WHERE all_text IN (SELECT all_text FROM people WHERE filter_flag)",
    "SELECT count(*), count(*) FILTER (WHERE all_int2 < 7) FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE all_text = 'open 3')",
    "SELECT group_text, count(*) FROM people p JOIN areas a USING (all_text) ANTI JOIN visits v ON v.join_int = p.join_int AND v.filter_int2 > 7000500 GROUP BY group_text",
    # one unit, joined with itself
    "SELECT count(*), count(DISTINCT p.join_compare_text), count(DISTINCT v.join_compare_text) FROM people p LEFT JOIN visits v ON v.join_compare_text = p.join_compare_text AND v.filter_int2 > 7000500",
    "SELECT count(*) FROM people p LEFT JOIN visits v ON v.join_compare_text = p.join_compare_text AND v.filter_int2 > 7000500 WHERE v.join_compare_text IS NULL",
    "SELECT group_text, sum(v.total_dec2) FROM people p JOIN visits v ON v.join_compare_text = p.join_compare_text GROUP BY group_text",
    # merged keys where one side may be missing
    "SELECT all_text, count(*) FROM people RIGHT JOIN areas USING (all_text) GROUP BY all_text",
    "SELECT all_text, people.all_text AS b, areas.all_text AS c, count(*) FROM people FULL JOIN areas USING (all_text) GROUP BY ALL_TEXT, b, c",
    "SELECT group_text2, count(*) FROM people FULL JOIN visits USING (join_int) GROUP BY group_text2",
    "SELECT count(*) FROM people FULL JOIN visits USING (join_int) LEFT JOIN people AS q USING (join_int)",
    "SELECT all_text, all_int2, x FROM areas NATURAL RIGHT JOIN (SELECT all_text, all_int2 AS x FROM areas WHERE all_int2 > 20) AS s",
]  # fmt: skip

REFUSED = [
    # the link itself
    ("SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.filter_int2 > 3)", {"join-without-key"}),
    ("SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.join_int = p.compare_int)", {"join-missing", "join-without-key"}),
    ("SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE p.compare_int < v.compare_int3)", {"join-without-key"}),
    ("SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v, people q WHERE v.join_compare_text = p.join_compare_text)", {"join-without-key"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} OR 1 = 1)", {"join-without-key"}),
    ("SELECT count(*) FROM people WHERE total_int IN (SELECT join_int FROM visits)", {"join-missing", "join-without-key"}),
    ("SELECT count(*) FROM people WHERE 'SECRET 42' IN (SELECT join_compare_text FROM visits)", {"filter-missing", "join-without-key"}),
    ("SELECT count(*) FROM people WHERE join_compare_text IN (SELECT 'SECRET 42')", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE join_compare_text IN (SELECT join_compare_text || '' FROM visits)", {"filter-missing", "join-without-key"}),
    ("SELECT count(*) FROM people WHERE join_compare_text IN (SELECT DISTINCT group_text FROM people)", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE join_int IN (SELECT count(*) FROM visits)", {"filter-missing"}),
    ("SELECT count(*) FROM people WHERE (join_compare_text, join_int) IN (SELECT join_compare_text FROM visits)", {"subquery-columns"}),
    ("SELECT count(*) FROM people WHERE join_int IN (SELECT join_compare_text FROM visits)", {"types-differ"}),
    ("SELECT count(*) FROM people SEMI JOIN visits USING (nothing)", {"column-unknown", "join-without-key"}),
    ("SELECT count(*) FROM people SEMI JOIN visits", {"join-without-key"}),
    ("SELECT count(*) FROM people p SEMI JOIN visits v ON join_int = v.join_int", {"identifier-ambiguous"}),
    ("SELECT count(*), v.join_int FROM people p SEMI JOIN visits v USING (join_compare_text)", {"column-unknown"}),
    ("SELECT count(*) FROM people p SEMI JOIN visits v USING (join_compare_text) RIGHT JOIN areas USING (all_text)", {"link-misplaced"}),
    ("SELECT count(*) FROM people POSITIONAL JOIN visits", {"join-by-place", "join-without-key"}),
    ("SELECT count(*) FROM people ASOF JOIN visits USING (join_int)", {"join-by-place"}),
    # conditions within it
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND v.total_dec2 > 3)", {"filter-missing"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND p.total_int > v.compare_int3)", {"compare-missing"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND p.no_int IS NULL)", {"filter-missing"}),
    # rows that are shown
    (f"SELECT reveal_text FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT})", {"rows-betray"}),
    ("SELECT reveal_text FROM people WHERE join_compare_text IN (SELECT join_compare_text FROM visits)", {"rows-betray"}),
    ("SELECT reveal_text FROM people SEMI JOIN visits USING (join_compare_text)", {"rows-betray"}),
    ("SELECT reveal_text FROM people ANTI JOIN visits USING (join_compare_text)", {"rows-betray"}),
    (f"SELECT reveal_text, EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT}) AS x FROM people p", {"rows-betray"}),
    (f"SELECT reveal_text FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT}) LIMIT 3", {"rows-betray", "order-betrays"}),
    ("SELECT all_text FROM areas WHERE all_text IN (SELECT all_text FROM people WHERE filter_int = 7)", {"rows-betray"}),
    # where it may stand
    (f"SELECT sum(x) FROM (SELECT total_int AS x FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY})) AS s", {"absence-misplaced"}),
    ("SELECT count(*) FROM (SELECT * FROM people ANTI JOIN visits USING (join_int)) AS s", {"absence-misplaced"}),
    ("SELECT all_text FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 7)", {"absence-misplaced", "rows-betray"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND NOT EXISTS (SELECT 1 FROM people q WHERE q.join_int = v.join_int))", {"link-misplaced"}),
    (f"SELECT sum(CASE WHEN EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY}) THEN 1 ELSE 0 END) FROM people p", {"link-misplaced"}),
    ("SELECT count(*) FROM people p WHERE filter_flag OR EXISTS (SELECT 1 FROM visits v WHERE v.join_int = p.join_int)", {"link-misplaced"}),
    (f"SELECT count(*) FROM people p JOIN visits w ON p.join_int = w.join_int AND EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT})", {"link-misplaced"}),
    ("SELECT group_join_text, EXISTS (SELECT 1 FROM people q WHERE q.group_join_text = p.group_join_text) AS x FROM people p GROUP BY group_join_text", {"link-misplaced", "column-not-grouped"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT p.reveal_text FROM visits v WHERE {BY_UNIT})", {"construct-refused"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM (SELECT * FROM visits v WHERE {BY_UNIT}) AS s)", {"column-unknown"}),
    (f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_UNIT} AND EXISTS (SELECT 1 FROM areas a WHERE a.all_text = p.all_text))", {"column-unknown"}),
    ("SELECT count(*) FROM people WHERE EXISTS (SELECT 1)", {"construct-refused"}),
    ("SELECT count(*) FROM people WHERE EXISTS (SELECT sneak(1) FROM visits v WHERE v.join_compare_text = people.join_compare_text)", {"function-unknown"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400) as opened:
        yield opened


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_link_passes_and_gives_what_the_statement_itself_gives(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    governed, raw = run(engine, permitted(sql)), engine.execute(sql).fetchall()
    assert sorted(map(repr, governed)) == sorted(map(repr, raw)) != []


WITHHELD = [
    # one unit of the other relation decides
    f"SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 = 7000546)",
    f"SELECT count(*) FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 = 7000546)",
    "SELECT count(*) FROM areas WHERE all_text IN (SELECT all_text FROM people WHERE filter_int = 7000546)",
    "SELECT count(*) FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 7000546)",
    # units that a join makes the same are counted once, but each number of them is looked at
    "SELECT count(DISTINCT v.join_compare_text) FROM people p LEFT JOIN visits v ON v.join_compare_text = p.join_compare_text AND v.filter_int2 = 7000546",
    "SELECT count(DISTINCT v.join_compare_text) FROM people p LEFT JOIN visits v ON v.join_compare_text = p.join_compare_text AND v.filter_int2 = 7000546 WHERE p.join_int IN (SELECT join_int FROM people WHERE filter_flag)",
    "SELECT sum(v.total_dec2) FROM people p LEFT JOIN visits v ON v.join_compare_text = p.join_compare_text AND v.filter_int2 = 7000546",
    "SELECT count(DISTINCT p.join_compare_text) FROM people p RIGHT JOIN visits v ON v.join_compare_text = p.join_compare_text AND p.filter_int = 7000546",
    # nobody decides: that would say of somebody that the condition does not fit
    "SELECT count(*) FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 1)",
    f"SELECT count(*) FROM people p WHERE NOT EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 = 1)",
    # many decide, but of the group or the cell in which somebody is looked for only that one does
    "SELECT count(*) FROM areas WHERE all_text = 'open 0' AND all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 7000546 OR all_text = 'open 3')",
    "SELECT count(*), count(*) FILTER (WHERE all_text = 'open 0') FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 7000546 OR all_text = 'open 3')",
    "SELECT sum(CASE WHEN all_text = 'open 0' THEN all_int2 ELSE 0 END) FROM areas WHERE all_text NOT IN (SELECT all_text FROM people WHERE filter_int = 7000546 OR all_text = 'open 3')",
    "SELECT count(*) FILTER (WHERE all_text = 'open 0') FROM areas WHERE all_text IN (SELECT all_text FROM people WHERE filter_int = 7000546 OR all_text = 'open 3')",
]  # fmt: skip


@pytest.mark.parametrize("sql", WITHHELD)
def test_nothing_is_shown_where_few_units_of_the_other_relation_decide(
    engine: duckdb.DuckDBPyConnection, sql: str
) -> None:
    assert run(engine, permitted(sql)) == []


def test_not_in_finds_nothing_beside_a_missing_value() -> None:
    """``x NOT IN (…, NULL)`` is true of no row, as SQL has it."""
    sql = "SELECT count(*) FROM people WHERE join_compare_text NOT IN (SELECT join_compare_text FROM visits WHERE filter_int2 > 7000500)"
    with open_engine(400) as engine:
        assert run(engine, permitted(sql)) == [(210,)]
        engine.execute('UPDATE visits SET "key:join_compare_text" = NULL WHERE filter_int2 > 7000980')
        assert run(engine, permitted(sql)) == []


def test_a_group_needs_as_many_units_of_each_kind_as_after_a_join() -> None:
    joined = "SELECT group_text, count(DISTINCT p.join_compare_text) FROM people p JOIN visits v ON {key} WHERE v.filter_int2 < 7000300 GROUP BY group_text"
    exists = "SELECT group_text, count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {key} AND v.filter_int2 < 7000300) GROUP BY group_text"
    for key in (BY_KEY, BY_UNIT, "v.join_int = p.join_int AND v.join_compare_text = p.join_compare_text"):
        with open_engine(300) as engine:
            answers = [sorted(run(engine, permitted(sql.format(key=key)))) for sql in (joined, exists)]
        assert answers[0] == answers[1] != []


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_a_link_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql)) >= codes
    assert set(decide(sql)) - codes <= {"link-misplaced", "join-without-key"}


def test_where_contributions_are_bounded_only_the_unit_itself_may_decide() -> None:
    bounded = replace(THRESHOLDS, protection=Protection(bounds=ContributionBounds(rows_per_group_max=3)))
    sql = "SELECT count(*) FROM people p WHERE {test} EXISTS (SELECT 1 FROM visits v WHERE {key} AND v.filter_int2 > 7000500)"
    for test in ("", "NOT"):
        codes = [
            [reason.code for reason in decide_query(RELATIONS, bounded, sql.format(test=test, key=key)).reasons]
            for key in (BY_UNIT, BY_KEY)
        ]
        assert codes == [[], ["link-bounded"]]


def test_columns_that_decide_on_the_other_side_are_lineage() -> None:
    query = permitted(
        f"SELECT sum(total_int) AS s FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE {BY_KEY} AND v.filter_int2 > 3)"
    )
    (line,) = query.lineage
    assert line.direct == {"people.total_int"}
    assert line.indirect == {"people.join_int", "visits.join_int", "visits.filter_int2"}


def test_a_sum_in_which_one_unit_of_the_other_relation_decides_nearly_all_is_withheld() -> None:
    """The payroll of one employer is not shown as the income of its staff."""
    sql = "SELECT {} FROM areas WHERE all_text IN (SELECT all_text FROM people WHERE filter_flag)"
    with open_engine(30) as engine:
        engine.execute("UPDATE people SET \"key:all_text\" = 'k' || rowid, filter_flag = TRUE")
        engine.execute("UPDATE areas SET \"key:all_text\" = 'k' || rowid")
        engine.execute("UPDATE areas SET all_int2 = CASE rowid WHEN 0 THEN 1000000 ELSE 1 END")
        assert run(engine, permitted(sql.format("count(*)"))) == [(30,)]
        assert run(engine, permitted(sql.format("sum(all_int2)"))) == []
        engine.execute("UPDATE areas SET all_int2 = 7")
        assert run(engine, permitted(sql.format("sum(all_int2)"))) == [(210,)]

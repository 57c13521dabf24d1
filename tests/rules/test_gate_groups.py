"""Groups at the gate: by the privacy unit (rows stay rows), by several sets of keys, by all items, by alias and position."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from tests.governed import RELATIONS, decide, permitted, relation, run, unexpected_operators

U = "group_join_text"
TRIPS = relation(
    "trips", U, "group_text2", "total_int", "filter_group_rank_total_int", "filter_flag", "join_int", "all_int", "no_int",
    unit=(U,),
)  # fmt: skip
STAYS = relation("stays", "group_join_text3", "join_int", "total_int3", "filter_int3", unit=("group_join_text3",))
SHOPS = relation("shops", "all_text", "all_int4", "all_date", "total_int5", unit=("all_text",))
PAIRS = relation("pairs", "group_text6", "group_int6", "total_int6", unit=("group_text6", "group_int6"))
GIVEN = (TRIPS, STAYS, SHOPS, PAIRS, *RELATIONS)
PEOPLE, ROWS = 60, 400

ACCEPTED = [
    # rows of one unit, used as a source
    f"SELECT n, count(*) AS people FROM (SELECT {U}, count(*) AS n FROM trips GROUP BY {U}) AS s GROUP BY n",
    f"SELECT avg(s) FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U} HAVING count(*) > 2) AS q",
    f"SELECT sum(s) FROM (SELECT {U} AS u, sum(total_int) AS s FROM trips GROUP BY u) AS q",
    f"SELECT g, sum(s), count(*) FROM (SELECT {U} AS u, group_text2 AS g, sum(total_int) AS s FROM trips GROUP BY u, g) AS q GROUP BY g",
    f"SELECT median(m) FROM (SELECT max(filter_group_rank_total_int) AS m FROM trips GROUP BY {U}) AS q",
    f"SELECT count(*) FROM (SELECT {U} FROM trips GROUP BY {U} HAVING sum(filter_group_rank_total_int) > 20) AS q",
    f"SELECT count(DISTINCT {U}) FROM (SELECT {U}, count(*) FROM trips GROUP BY {U}) AS q",
    f"SELECT count(*) FROM (SELECT DISTINCT {U}, group_text2 FROM trips) AS q",
    f"SELECT count(*) FROM (SELECT {U} FROM trips UNION SELECT {U} FROM trips WHERE filter_flag) AS q",
    f"SELECT count(*) FROM (SELECT {U}, sum(total_int3) AS c FROM trips LEFT JOIN stays ON {U} = group_join_text3 AND filter_int3 > 3 GROUP BY {U}) AS q",
    f"SELECT sum(q.s), sum(total_int3) FROM (SELECT {U} AS u, sum(total_int) AS s FROM trips GROUP BY u) AS q JOIN stays ON group_join_text3 = q.u",
    f"SELECT sum(y) FROM (SELECT u, sum(x) AS y FROM (SELECT {U} AS u, group_text2, sum(total_int) AS x FROM trips GROUP BY u, group_text2) AS a GROUP BY u) AS b",
    f"WITH per AS (SELECT {U} AS u, count(*) AS n FROM trips GROUP BY u) SELECT count(*), avg(n) FROM per WHERE n > 3",
    "SELECT count(*) FROM (SELECT group_text6, group_int6, sum(total_int6) AS s FROM pairs GROUP BY group_text6, group_int6) AS q",
    # at the top, where the unit may be seen
    "SELECT all_text, count(*) AS n, sum(all_int4) AS s, max(all_date) AS d FROM shops GROUP BY all_text ORDER BY n LIMIT 5",
    "SELECT DISTINCT all_text, all_int4 FROM shops",
    "SELECT all_text, string_agg(all_text, ',') AS l FROM shops GROUP BY all_text",
    # windows by the unit
    f"SELECT sum(t) FROM (SELECT total_int AS t, count(*) FILTER (WHERE filter_flag) OVER (PARTITION BY {U}) AS n FROM trips) AS s WHERE n > 1",
    # several sets of keys
    "SELECT group_text2, count(*) AS n, sum(total_int) AS s, grouping(group_text2) AS g FROM trips GROUP BY ROLLUP (group_text2)",
    "SELECT group_text2, filter_group_rank_total_int AS k, count(*) AS n, grouping_id(group_text2) AS g FROM trips GROUP BY CUBE (group_text2, k) HAVING grouping(group_text2) = 0 ORDER BY n",
    "SELECT group_text2, filter_flag, count(*) FROM (SELECT group_text2, filter_group_rank_total_int AS filter_flag FROM trips) AS s GROUP BY GROUPING SETS ((group_text2, filter_flag), group_text2, ())",
    "SELECT group_text2, filter_group_rank_total_int AS k, count(*) FROM trips GROUP BY group_text2, ROLLUP (k)",
    "SELECT group_text2, rank() OVER (PARTITION BY grouping(group_text2) ORDER BY sum(total_int) DESC) AS place FROM trips GROUP BY ROLLUP (group_text2)",
    "SELECT group_text2, filter_group_rank_total_int % 2 AS odd, count(*) AS n FROM trips GROUP BY ALL",
    "SELECT group_text2, count(*) FROM trips GROUP BY (group_text2), ()",
    "SELECT group_text2, 3 AS three, count(*) FROM trips GROUP BY ALL ORDER BY group_text2",
]  # fmt: skip

REFUSED = [
    (f"SELECT {U}, count(*) FROM trips GROUP BY {U}", {"reveal-missing", "rows-betray"}),
    (f"SELECT count(*) FROM trips GROUP BY {U}", {"reveal-missing", "rows-betray"}),
    ("SELECT all_text, sum(total_int5) FROM shops GROUP BY all_text", {"reveal-missing"}),
    (f"SELECT max(s) FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q", {"rank-missing"}),
    (f"SELECT count(*) FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q WHERE s > 5", {"filter-missing"}),
    (f"SELECT s, count(*) FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U}) AS q GROUP BY s", {"group-missing"}),
    (f"SELECT count(*) FROM (SELECT {U} FROM trips GROUP BY {U} HAVING sum(total_int) > 5) AS q", {"filter-missing"}),
    (f"SELECT sum(s) FROM (SELECT avg(total_int) AS s FROM trips GROUP BY {U}) AS q", {"use-spent"}),
    (f"SELECT sum(s) FROM (SELECT max(total_int) AS s FROM trips GROUP BY {U}) AS q", {"use-spent"}),
    (f"SELECT sum(s) FROM (SELECT sum(no_int) AS s FROM trips GROUP BY {U}) AS q", {"total-missing"}),
    (f"SELECT count(*) FROM (SELECT {U}, no_int FROM trips GROUP BY {U}, no_int) AS q", {"group-missing"}),
    (f"SELECT count(*) FROM (SELECT {U}, total_int FROM trips GROUP BY {U}) AS q", {"column-not-grouped"}),
    (f"SELECT count(*) FROM (SELECT {U}, count(*) FROM trips GROUP BY {U} LIMIT 5) AS q", {"order-betrays"}),
    (f"SELECT count(*) FROM (SELECT DISTINCT count(*) AS n FROM trips GROUP BY {U}) AS q", {"construct-refused"}),
    (f"SELECT count(*) FROM (SELECT any_value(total_int) AS n FROM trips GROUP BY {U}) AS q", {"listing-refused"}),
    ("SELECT count(*) FROM (SELECT join_compare_text, count(*) FROM people GROUP BY join_compare_text) AS q", {"group-missing"}),
    (f"SELECT {U}, count(*) FROM trips GROUP BY ROLLUP ({U})", {"construct-refused"}),
    ("SELECT no_int, count(*) FROM trips GROUP BY CUBE (group_text2, no_int)", {"group-missing"}),
    (f"SELECT all_int, count(*) OVER (PARTITION BY {U}) AS n FROM trips", {"reveal-missing", "rows-betray"}),
    (f"SELECT sum(s) FROM (SELECT sum(no_int) OVER (PARTITION BY {U}) AS s FROM trips) AS q", {"total-missing"}),
    (f"SELECT count(*) FROM (SELECT sum(total_int) OVER (PARTITION BY {U}) AS s FROM trips) AS q WHERE s > 3", {"filter-missing"}),
    ("SELECT total_int, count(*) FROM trips GROUP BY ALL", {"group-missing"}),
    ("SELECT grouping(join_int), count(*) FROM trips GROUP BY ROLLUP (group_text2)", {"column-not-grouped"}),
    ("SELECT grouping(all_int) FROM trips", {"column-not-grouped"}),
    ("SELECT count(*) FROM trips WHERE grouping(all_int) = 0", {"aggregate-misplaced"}),
    ("SELECT count(*) FROM trips GROUP BY CUBE (all_int, all_int + 1, all_int + 2, all_int + 3, all_int + 4, all_int + 5)", {"statement-too-large"}),
    ("SELECT count(*) FROM trips GROUP BY ROLLUP (1)", {"position-refused"}),
    ("SELECT group_text2, count(*) AS n FROM trips GROUP BY group_text2 ORDER BY ALL", {"construct-refused"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        made = {
            "trips": f"SELECT 'u' || (i % {PEOPLE}) AS {U}, 'g' || (i % 3) AS group_text2, 100 + i % 13 AS total_int, i % 7 AS"
            " filter_group_rank_total_int, i % 5 = 0 AS filter_flag, i % 17 AS join_int, i % 10 AS all_int, i AS no_int",
            "stays": f"SELECT 'u' || (i % {PEOPLE}) AS group_join_text3, i % 17 AS join_int, 50 + i % 11 AS total_int3, i % 9 AS filter_int3",
            "shops": "SELECT 'shop ' || (i % 40) AS all_text, i % 5 AS all_int4, DATE '2020-01-01' + CAST(i AS INTEGER) AS all_date, i AS total_int5",
            "pairs": "SELECT 'a' || (i % 5) AS group_text6, i % 13 AS group_int6, i AS total_int6",
        }
        for given in GIVEN[:4]:
            items = [f'"{c.name}", sha256(CAST("{c.name}" AS VARCHAR)) AS "key:{c.name}"' for c in given.columns]
            unit = ", ".join(f'"{name}"' for name in given.policy.unit)
            opened.execute(
                f'CREATE TABLE "{given.name}" AS SELECT {", ".join(items)}, hash({unit}) AS "unit:"'
                f" FROM ({made[given.name]} FROM range({ROWS}) AS t(i))"
            )
        yield opened


def rows(engine: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return run(engine, permitted(sql, GIVEN))


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_group_is_accepted_and_runs(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    query = permitted(sql, GIVEN)
    assert unexpected_operators(engine, query) == set()
    run(engine, query)


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_a_group_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql, GIVEN)) == codes


EQUAL = [
    f"SELECT count(*), sum(t) FROM (SELECT count(*) OVER (PARTITION BY {U}) AS n, total_int AS t FROM trips) AS s WHERE n > 6",
    f"SELECT n, count(*) FROM (SELECT count(*) OVER (PARTITION BY {U}) AS n, sum(total_int) OVER (PARTITION BY {U}) AS t FROM trips) AS s GROUP BY n",
    f"SELECT count(*) FROM (SELECT filter_group_rank_total_int AS f, avg(filter_group_rank_total_int) OVER (PARTITION BY {U}, group_text2) AS m FROM trips) AS s WHERE f > m",
    "SELECT all_text, sum(all_int4) OVER (PARTITION BY all_text) AS s FROM shops QUALIFY all_date = max(all_date) OVER (PARTITION BY all_text)",
    f"SELECT n, count(*) AS people FROM (SELECT {U}, count(*) AS n FROM trips GROUP BY {U}) AS s GROUP BY n",
    f"SELECT avg(s), count(s) FROM (SELECT sum(total_int) AS s FROM trips GROUP BY {U} HAVING count(*) > 2) AS q",
    f"SELECT g, sum(s), count(*) FROM (SELECT {U} AS u, group_text2 AS g, sum(total_int) AS s FROM trips GROUP BY u, g) AS q GROUP BY g",
    f"SELECT sum(y), sum(z) FROM (SELECT {U}, sum(CASE WHEN filter_group_rank_total_int > 2 THEN total_int ELSE 0 END) AS y, sum(total_int) AS z FROM trips GROUP BY {U}) AS b",
    f"SELECT sum(n) FROM (SELECT count(*) FILTER (WHERE filter_flag) AS n FROM trips GROUP BY {U}) AS q",
    f"SELECT sum(q.s) AS a, sum(total_int3) AS b FROM (SELECT {U} AS u, sum(total_int) AS s FROM trips GROUP BY u) AS q JOIN stays ON group_join_text3 = q.u",
    "SELECT all_text, count(*) AS n, sum(all_int4) AS s, max(all_date) AS d FROM shops GROUP BY all_text",
    "SELECT group_text2, filter_group_rank_total_int AS k, count(*) AS n, grouping(group_text2) AS g FROM trips GROUP BY ROLLUP (group_text2), k",
    "SELECT group_text2, sum(total_int) AS s, grouping(group_text2) AS g FROM trips GROUP BY ROLLUP (group_text2)",
]  # fmt: skip


@pytest.mark.parametrize("sql", EQUAL)
def test_the_governed_answer_is_the_raw_one_where_nothing_is_withheld(
    engine: duckdb.DuckDBPyConnection, sql: str
) -> None:
    assert sorted(rows(engine, sql), key=repr) == sorted(engine.execute(sql).fetchall(), key=repr)


def test_only_the_hash_of_a_unit_is_read_where_nobody_looks_at_it() -> None:
    query = permitted(f"SELECT avg(n) FROM (SELECT {U}, count(*) AS n FROM trips GROUP BY {U}) AS s", GIVEN)
    projection = query.projections[0]
    assert (projection.columns, projection.keys, projection.has_unit) == ((), (), True)


def test_a_total_is_withheld_from_where_its_parts_would_tell_of_few(engine: duckdb.DuckDBPyConnection) -> None:
    """Three people alone have the key 7: with the total, and the other parts, they could be reckoned."""
    sql = "SELECT CASE WHEN filter_group_int = 8 AND filter_flag THEN 7 ELSE filter_group_int % 2 END AS k, count(*) AS n FROM small GROUP BY ROLLUP (k)"
    small = relation("small", "group_join_text3", "filter_group_int", "filter_flag", unit=("group_join_text3",))
    with duckdb.connect() as opened:
        opened.execute(
            "CREATE TABLE small AS SELECT 'u' || i AS group_join_text3, i % 9 AS filter_group_int, i < 27 AS filter_flag,"
            " hash('u' || i) AS \"unit:\" FROM range(90) AS t(i)"
        )
        found = run(opened, permitted(sql, (small,)))
    counts = dict(found)
    whole, parts = counts.pop(None, None), sum(counts.values())
    assert 7 not in counts
    assert whole is None or whole - parts >= 10


def test_a_position_is_refused_with_the_name_to_write() -> None:
    from gongshu.compute.rules import decide_query
    from tests.governed import THRESHOLDS

    sql = "SELECT group_text2 AS place, count(*) AS n FROM trips GROUP BY 1 ORDER BY 2, 9"
    reasons = decide_query(GIVEN, THRESHOLDS, sql).reasons
    assert [(dict(r.facts)["construct"], dict(r.facts)["name"]) for r in reasons] == [
        ("GROUP BY 1", "place"), ("ORDER BY 2", "n"), ("ORDER BY 9", "—"),
    ]  # fmt: skip
    assert "place" in reasons[0].fix.en

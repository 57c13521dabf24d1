"""Subqueries that look at the SELECT around them and give values: what passes, what is refused, what comes out of it."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.governed import RELATIONS, decide, open_engine, permitted, relation, run

UNIT = ("group_join_text",)
CLIENTS = relation(
    "clients", "group_join_text", "group_join_text2", "total_int", "filter_int", "filter_total_int", "all_text",
    "reveal_text", unit=UNIT,
)  # fmt: skip
DEALS = relation(
    "deals", "group_join_text", "group_join_text3", "filter_total_dec", "filter_int2", "total_dec3", unit=UNIT
)
ALL = (*RELATIONS, CLIENTS, DEALS)
BY_UNIT = "d.group_join_text = c.group_join_text"
"""Groups by the privacy unit: the aggregate stays each unit's own."""
BY_KEY = "q.all_text = p.all_text"

ACCEPTED = [
    # released groups, joined back to the rows
    f"SELECT count(*) FROM people p WHERE filter_int < (SELECT avg(q.total_int) FROM people q WHERE {BY_KEY})",
    f"SELECT count(*) FROM people p WHERE filter_total_int < (SELECT 0.2 * avg(q.total_int) + 6000000 FROM people q WHERE filter_flag AND {BY_KEY})",
    f"SELECT sum(total_int) FROM people p WHERE filter_int > (SELECT sum(q.total_int) / count(*) FROM people q WHERE {BY_KEY})",
    f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(q.total_int) FROM people q JOIN visits v USING (join_int) WHERE {BY_KEY} AND v.filter_int2 > 7000500)",
    "SELECT all_text, (SELECT count(*) FROM people q WHERE q.all_text = a.all_text) AS n FROM areas a",
    "SELECT all_text, all_int2 - (SELECT avg(total_int) FROM people q WHERE q.all_text = a.all_text) AS x FROM areas a WHERE (SELECT count(*) FROM people q WHERE q.all_text = a.all_text) > 57",
    "SELECT all_text, (SELECT count(*) FROM areas b WHERE b.all_int2 = a.all_int2 AND b.all_int2 < 10) AS n FROM areas a",
    f"SELECT n, count(*) FROM (SELECT (SELECT count(*) FROM people q WHERE {BY_KEY}) AS n FROM people p) AS s GROUP BY n HAVING count(*) > 57",
    f"SELECT reveal_text, (SELECT sum(reveal_int) FROM people q WHERE {BY_KEY}) AS s FROM people p",
    "SELECT count(*) FROM people p WHERE EXISTS (SELECT 1 FROM visits v WHERE v.join_compare_text = p.join_compare_text AND v.filter_int2 > (SELECT avg(total_int) FROM people))",
    "SELECT count(*) FROM areas a WHERE all_text IN (SELECT all_text FROM people p WHERE filter_int > (SELECT avg(q.total_int) FROM people q WHERE q.all_text = p.all_text))",
    f"SELECT (SELECT count(*) FROM people q WHERE {BY_KEY}) AS n, count(*) FROM people p GROUP BY n",
    # a unit's own
    f"SELECT count(*) FROM clients c WHERE (SELECT sum(filter_total_dec) FROM deals d WHERE {BY_UNIT}) > 10000050",
    f"SELECT count(*) FROM clients c WHERE (SELECT count(*) FROM deals d WHERE {BY_UNIT} AND d.filter_int2 > 7000500) = 0",
    f"SELECT all_text, sum(n) FROM (SELECT all_text, (SELECT count(*) FROM deals d WHERE {BY_UNIT} AND d.filter_int2 > 7000500) AS n FROM clients c) AS s GROUP BY all_text",
    f"SELECT all_text, sum(x) FROM (SELECT all_text, (SELECT sum(total_dec3) FROM deals d WHERE {BY_UNIT}) AS x FROM clients c) AS s GROUP BY all_text",
    f"SELECT count(*) FROM clients c WHERE filter_total_int > (SELECT coalesce(sum(filter_total_dec), 0) / 10 FROM deals d WHERE {BY_UNIT} AND d.filter_int2 > 7000500)",
    f"SELECT all_text, count(*) FROM clients c WHERE (SELECT count(*) + 1 FROM deals d WHERE {BY_UNIT}) = 2 GROUP BY all_text",
    # LATERAL
    "SELECT a.all_text, a.all_int2, l.s, n FROM areas a, LATERAL (SELECT sum(q.total_int) AS s, count(*) AS n FROM people q WHERE q.all_text = a.all_text) AS l",
    "SELECT a.all_text, l.* FROM areas a LEFT JOIN LATERAL (SELECT sum(q.total_int) AS s, count(*) AS n FROM people q WHERE q.all_text = a.all_text) AS l ON TRUE",
    "SELECT group_text, sum(l.total_dec2) FROM people p JOIN LATERAL (SELECT total_dec2 FROM visits v WHERE v.join_int = p.join_int AND v.filter_int2 > 7000200) AS l ON TRUE GROUP BY group_text",
    "SELECT group_text, count(l.x) FROM people p LEFT JOIN LATERAL (SELECT total_dec2 AS x FROM visits v WHERE v.join_int = p.join_int AND v.filter_int2 > 7000200) AS l ON TRUE GROUP BY group_text",
    f"SELECT all_text, sum(l.n) FROM clients c, LATERAL (SELECT count(*) AS n FROM deals d WHERE {BY_UNIT} AND d.filter_int2 > 7000500) AS l GROUP BY all_text",
    "SELECT count(*) FROM areas a, LATERAL (SELECT avg(total_int) AS m FROM people) AS l WHERE l.m > 3",
    # a grouped subquery joined back by its key
    "SELECT count(*) FROM people p JOIN (SELECT all_text AS g, avg(total_int) AS m FROM people GROUP BY all_text) AS s ON s.g = p.all_text WHERE p.filter_int > s.m",
    "SELECT count(*) FROM clients c JOIN (SELECT group_join_text AS k, sum(filter_total_dec) AS x FROM deals GROUP BY group_join_text) AS s ON s.k = c.group_join_text WHERE s.x > 10000050",
    "SELECT count(*) FROM people WHERE all_text IN (SELECT all_text FROM people GROUP BY all_text HAVING count(*) > 57)",
    "SELECT count(*) FROM clients WHERE group_join_text IN (SELECT group_join_text FROM deals GROUP BY group_join_text HAVING sum(filter_total_dec) > 10000050)",
]  # fmt: skip

REFUSED = [
    ("SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.join_int = p.join_int)", {"group-missing"}),
    ("SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.group_text = p.filter_text)", {"join-missing", "join-without-key"}),
    ("SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE q.all_text < p.all_text)", {"correlation-not-equal"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE {BY_KEY} AND q.compare_int < p.compare_int)", {"correlation-not-equal"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE {BY_KEY} OR filter_flag)", {"correlation-not-equal"}),
    (f"SELECT count(*) FROM people p WHERE total_int > (SELECT avg(total_int) FROM people q WHERE {BY_KEY})", {"filter-missing"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(no_int) FROM people q WHERE {BY_KEY} AND no_int > 3)", {"filter-missing", "total-missing"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT filter_int FROM people q WHERE {BY_KEY})", {"subquery-not-released"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT max(rank_int) FROM people q WHERE {BY_KEY} GROUP BY group_text)", {"construct-refused"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM people q WHERE {BY_KEY} LIMIT 1)", {"construct-refused"}),
    (f"SELECT count(*) FROM people p WHERE filter_int > (SELECT avg(total_int) FROM (SELECT * FROM people q WHERE {BY_KEY}) AS s)", {"column-unknown"}),
    (f"SELECT sum((SELECT avg(total_int) FROM people q WHERE {BY_KEY})) FROM people p", {"link-misplaced"}),
    (f"SELECT all_text, (SELECT avg(total_int) FROM people q WHERE {BY_KEY}) AS x FROM people p GROUP BY all_text", {"link-misplaced"}),
    ("SELECT reveal_text, (SELECT sum(total_dec2) FROM visits v WHERE v.join_compare_text = p.join_compare_text) AS s FROM people p", {"group-missing", "reveal-missing", "rows-betray"}),
    (f"SELECT reveal_text, (SELECT sum(total_dec3) FROM deals d WHERE {BY_UNIT}) AS s FROM clients c", {"reveal-missing", "rows-betray"}),
    (f"SELECT count(*) FROM clients c WHERE (SELECT sum(total_dec3) FROM deals d WHERE {BY_UNIT}) > 3", {"filter-missing"}),
    (f"SELECT reveal_text FROM clients c WHERE (SELECT count(*) FROM deals d WHERE {BY_UNIT}) > 3", {"rows-betray"}),
    ('SELECT l."key:0" FROM people p, LATERAL (SELECT sum(q.total_int) AS s FROM people q WHERE q.all_text = p.all_text) AS l', {"column-unknown"}),
    ('SELECT count(*) FROM areas a, LATERAL (SELECT count(*) AS n FROM people q WHERE q.all_text = a.all_text) AS l JOIN (SELECT all_text AS "key:0" FROM areas) AS s USING ("key:0")', {"column-unknown"}),
    ('SELECT count(*) FROM areas a, LATERAL (SELECT count(*) AS n FROM people q WHERE q.all_text = a.all_text) AS l NATURAL JOIN (SELECT all_text AS "key:0" FROM areas) AS s', {"join-without-key"}),
    ("SELECT count(*) FROM people p, LATERAL (SELECT no_text) AS l", {"column-unknown"}),
    ("SELECT count(*) FROM people p, LATERAL (SELECT v.join_int FROM visits v) AS l", {"join-without-key"}),
    ("SELECT p.reveal_text, l.total_dec2 FROM people p, LATERAL (SELECT total_dec2 FROM visits v WHERE v.join_int = p.join_int) AS l", {"reveal-missing", "rows-betray"}),
    ("SELECT count(*) FROM people p RIGHT JOIN LATERAL (SELECT total_dec2 FROM visits v WHERE v.join_int = p.join_int) AS l ON TRUE", {"construct-refused"}),
    ("SELECT count(*) FROM people p, LATERAL (SELECT total_dec2 FROM visits v WHERE v.join_int = p.join_int ORDER BY total_dec2 LIMIT 1) AS l", {"construct-refused"}),
    ("SELECT count(*) FROM people p, LATERAL (SELECT no_int FROM areas UNION ALL SELECT p.no_int FROM areas) AS l", {"construct-refused"}),
    ("SELECT count(*) FROM people p LEFT JOIN visits v ON p.join_compare_text = v.join_compare_text WHERE v.join_int IS NULL", {"filter-missing"}),
    ("SELECT count(*) FROM people p FULL JOIN visits v ON p.join_int = v.join_int WHERE p.join_int IS NULL", {"filter-missing"}),
]  # fmt: skip

WITHHELD = [
    # a group of few units, or of nobody, is as if it were not there
    "SELECT count(*) FROM people p WHERE (SELECT count(*) FROM people q WHERE q.all_text = p.all_text AND q.filter_int = 7000546) >= 0",
    "SELECT count(*) FROM people p WHERE (SELECT count(*) FROM people q WHERE q.all_text = p.all_text AND q.filter_int = 1) = 0",
    "SELECT count(*) FROM people p WHERE filter_int < (SELECT avg(q.total_int) FROM people q WHERE q.group_join_text = p.group_join_text)",
    "SELECT sum(l.s) FROM people p, LATERAL (SELECT sum(q.total_int) AS s FROM people q WHERE q.all_text = p.all_text AND q.filter_int = 7000546) AS l",
    f"SELECT count(*) FROM clients c WHERE (SELECT sum(filter_total_dec) FROM deals d WHERE {BY_UNIT} AND d.filter_int2 = 7000546) > 0",
    f"SELECT sum(x) FROM (SELECT (SELECT sum(total_dec3) FROM deals d WHERE {BY_UNIT} AND d.filter_int2 = 7000546) AS x FROM clients c) AS s",
    f"SELECT sum(x) FROM (SELECT coalesce((SELECT sum(total_dec3) FROM deals d WHERE {BY_UNIT} AND d.filter_int2 = 7000546), 0) AS x FROM clients c) AS s",
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400, ALL) as opened:
        yield opened


@pytest.mark.parametrize("sql", ACCEPTED)
def test_it_passes_and_gives_what_the_statement_itself_gives(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    governed, raw = run(engine, permitted(sql, ALL)), engine.execute(sql).fetchall()
    assert sorted(map(_rounded, governed)) == sorted(map(_rounded, raw)) != []


def _rounded(row: tuple[object, ...]) -> str:
    return repr([f"{float(v):.6g}" if not isinstance(v, str) and v is not None else v for v in row])


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_it_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql, ALL)) >= codes
    assert set(decide(sql, ALL)) - codes <= {"join-without-key"}


@pytest.mark.parametrize("sql", WITHHELD)
def test_nothing_is_shown_of_few_units(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert run(engine, permitted(sql, ALL)) == []


def test_only_the_hash_of_a_key_is_there_when_its_value_is_not_needed() -> None:
    query = permitted(
        "SELECT count(*) FROM people p WHERE filter_int < (SELECT avg(q.total_int) FROM people q WHERE q.group_join_text = p.group_join_text)"
    )
    (people,) = query.projections
    assert people.keys == ("group_join_text",)
    assert "group_join_text" not in people.columns


def test_subqueries_within_subqueries_end_by_a_reason_not_by_time() -> None:
    """Each is looked at twice, so the work doubles with the depth; all of it counts against one limit."""
    inner = "SELECT all_int FROM people"
    for _ in range(12):
        correlated = f"SELECT count(*) FROM ({inner}) AS c WHERE c.all_int = b.all_int"
        inner = f"SELECT a.all_int FROM (SELECT all_int FROM people b WHERE b.all_int > ({correlated})) AS a"
    assert decide(inner) == ("statement-too-large",)

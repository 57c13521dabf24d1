"""Listing aggregates, DISTINCT ON and the other aggregates: what passes, what is refused, and what comes out."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.governed import decide, open_engine, permitted, run, unexpected_operators

GROUPS = "(SELECT group_text AS g, group_date AS d, count(*) AS n FROM people GROUP BY g, d) AS s"

ACCEPTED = [
    # of rows that may be seen
    "SELECT reveal_text, any_value(reveal_int) AS a, mode(all_int) AS b FROM people GROUP BY reveal_text",
    "SELECT reveal_text, first(reveal_int ORDER BY all_date) AS a, last(all_text ORDER BY reveal_int DESC) AS b FROM people GROUP BY reveal_text",
    "SELECT arg_max(reveal_text, all_date) AS a, min_by(all_text, reveal_int) AS b FROM people",
    "SELECT list(reveal_text) AS a, array_agg(all_int ORDER BY all_date DESC) AS b, list(DISTINCT reveal_text) AS c FROM people",
    "SELECT string_agg(reveal_text, '; ' ORDER BY all_int) AS a, listagg(all_text) AS b, group_concat(DISTINCT all_text, '/') AS c FROM people",
    "SELECT histogram(all_int) FILTER (WHERE all_int > 3) AS a FROM people",
    # of released values
    f"SELECT list(n ORDER BY n DESC) AS a, arg_max(g, n) AS b, any_value(d) AS c, string_agg(g, ',') AS t FROM {GROUPS}",
    f"SELECT DISTINCT ON (g) g, d, n FROM {GROUPS} ORDER BY g, n DESC",
    # DISTINCT ON of rows that may be seen
    "SELECT DISTINCT ON (all_text) all_text, reveal_int FROM people ORDER BY all_text, all_date",
    "SELECT count(*) FROM (SELECT DISTINCT ON (all_text, all_int) reveal_text FROM people ORDER BY all_date) AS s",
    # counts and quantiles
    "SELECT count(DISTINCT total_int, total_dec) AS a, approx_count_distinct(total_int) AS b, count(DISTINCT (total_int)) AS c FROM people",
    "SELECT approx_quantile(rank_int, 0.25) AS a, quantile(rank_int, 0.5) AS b, percentile_disc(0.9) WITHIN GROUP (ORDER BY rank_date) AS c FROM people",
    "SELECT covar_pop(total_int, total_dec) AS a, covar_samp(total_int, total_dec) AS b, regr_intercept(total_int, total_dec) AS c FROM people",
    # dates and texts
    "SELECT all_text || '-' || CAST(all_int AS VARCHAR) AS a, all_date + 30 AS b, all_date - 1 AS c, all_date + INTERVAL '3' MONTH AS d FROM people",
    "SELECT count(*) FROM people WHERE filter_date BETWEEN DATE '2014-01-01' AND DATE '2014-01-01' + 365",
    "SELECT count(*) FROM people WHERE filter_date < CAST('1998-12-01' AS DATE) - INTERVAL '90' DAY",
    "SELECT extract(year FROM all_date) AS a, substring(all_text FROM 1 FOR 2) AS b, substr(all_text, 2) AS c FROM people",
    "SELECT CASE all_int WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END AS a, CASE WHEN all_int BETWEEN 1 AND 3 THEN 1 END AS b FROM people",
]  # fmt: skip

REFUSED = [
    ("SELECT any_value(filter_text) FROM people", {"listing-refused"}),
    ("SELECT mode(no_text), list(total_int), string_agg(group_text, ','), histogram(rank_int) FROM people", {"listing-refused"}),
    ("SELECT arg_max(reveal_text, total_int) FROM people", {"listing-refused"}),
    ("SELECT first(reveal_text ORDER BY total_int) FROM people", {"listing-refused"}),
    ("SELECT group_text, any_value(reveal_text) FROM people GROUP BY group_text", {"listing-refused"}),
    ("SELECT any_value(reveal_text) FROM people WHERE filter_int > 3", {"listing-refused"}),
    ("SELECT any_value(reveal_text) FILTER (WHERE filter_flag) FROM people", {"listing-refused"}),
    ("SELECT list(a.all_text) FROM people p JOIN areas a ON p.all_text = a.all_text JOIN visits v ON v.join_int = p.join_int", {"listing-refused"}),
    ("SELECT first(reveal_text) FROM people", {"function-arguments"}),
    ("SELECT last(reveal_text), arg_min(reveal_text) FROM people", {"function-arguments"}),
    ("SELECT string_agg(all_int, ',') FROM people", {"function-arguments"}),
    ("SELECT string_agg(all_text, all_text) FROM people", {"function-arguments"}),
    ("SELECT list(DISTINCT all_text ORDER BY all_int) FROM people", {"construct-refused"}),
    ("SELECT upper(list(all_int)) || 3 FROM people", {"types-differ"}),
    ("SELECT DISTINCT ON (all_text) all_text, reveal_int FROM people", {"function-arguments"}),
    ("SELECT DISTINCT ON (all_text) total_int FROM people ORDER BY all_date", {"order-betrays", "reveal-missing"}),
    ("SELECT DISTINCT ON (group_text) reveal_int FROM people ORDER BY all_date", {"order-betrays"}),
    ("SELECT sum(x) FROM (SELECT DISTINCT ON (all_int) total_int AS x FROM people ORDER BY all_date) AS s", {"order-betrays"}),
    ("SELECT count(*) FROM (SELECT DISTINCT ON (all_int) all_text FROM people WHERE filter_int > 3 ORDER BY all_date) AS s", {"order-betrays"}),
    ("SELECT count(DISTINCT total_int, no_int) FROM people", {"total-missing"}),
    ("SELECT approx_quantile(total_int, 0.5), approx_count_distinct(filter_int) FROM people", {"rank-missing", "total-missing"}),
    ("SELECT quantile_cont(rank_int, [0.1, 0.9]) FROM people", {"function-unknown", "function-arguments"}),
    ("SELECT regr_count(total_int, total_dec), kurtosis(total_int), bool_or(filter_flag) FROM people", {"function-unknown"}),
    ("SELECT approx_top_k(total_int, 3), product(total_int), entropy(total_int) FROM people", {"function-unknown"}),
    ("SELECT all_date + all_int FROM people", {"types-differ"}),
    ("SELECT all_date + 9999999 FROM people", {"function-arguments"}),
    ("SELECT all_text || 5 FROM people", {"types-differ"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400) as opened:
        yield opened


@pytest.mark.parametrize("sql", ACCEPTED)
def test_it_is_accepted_and_runs(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    query = permitted(sql)
    assert unexpected_operators(engine, query) == set()
    run(engine, query)


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_it_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql)) == codes


def test_a_list_holds_the_values_in_their_order(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT list(DISTINCT reveal_text) AS a, string_agg(DISTINCT all_text, '|') AS b FROM people"
    assert run(engine, permitted(sql)) == [
        ("[open 0, open 1, open 2, open 3, open 4, open 5, open 6]", "open 0|open 1|open 2|open 3|open 4|open 5|open 6")
    ]


def test_texts_beside_a_missing_one_are_missing(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT all_text || CASE WHEN all_int > 1000 THEN 'x' END AS a FROM people LIMIT 1"
    assert run(engine, permitted(sql)) == [(None,)]


def test_rows_are_counted_by_several_columns_only_where_all_are_there(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT count(DISTINCT total_int, CASE WHEN filter_flag THEN total_int END) AS a FROM people"
    assert (
        run(engine, permitted(sql))[0][0]
        == engine.execute("SELECT count(DISTINCT total_int) FROM people WHERE filter_flag").fetchone()[0]
    )


def test_of_several_rows_that_fit_the_same_one_is_meant_every_time(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT arg_max(reveal_text, all_date) AS a, arg_min(reveal_text, all_date) AS b, first(reveal_text ORDER BY all_date) AS c FROM people"
    found = run(engine, permitted(sql))
    latest, earliest = (
        engine.execute(f"SELECT list(DISTINCT reveal_text) FROM people WHERE all_date = (SELECT {call}(all_date) FROM people)").fetchone()[0]
        for call in ("max", "min")
    )  # fmt: skip
    assert len(latest) > 1
    assert len(earliest) > 1
    assert found == [(max(latest), min(earliest), min(earliest))]

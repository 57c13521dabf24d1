"""Windows at the gate: free over released groups; over rows with thresholds, or where everything may be seen."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.governed import decide, open_engine, permitted, run, unexpected_operators

GROUPS = "(SELECT group_text AS g, group_date AS d, count(*) AS n FROM people GROUP BY g, d) AS s"

ACCEPTED = [
    # over groups: every window, every frame
    f"SELECT g, sum(n) OVER (PARTITION BY g ORDER BY d ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS x FROM {GROUPS}",
    f"SELECT lag(n, 2, 0) OVER (ORDER BY d, g) AS a, lead(n IGNORE NULLS) OVER (ORDER BY d, g) AS b FROM {GROUPS}",
    f"SELECT first_value(n) OVER (ORDER BY d) AS a, last_value(g) OVER (ORDER BY d) AS b, nth_value(n, 2) OVER (ORDER BY d) AS c FROM {GROUPS}",
    f"SELECT stddev_samp(n) OVER (PARTITION BY g) AS a, median(n) OVER () AS b, count(*) FILTER (WHERE n > 20) OVER () AS c FROM {GROUPS}",
    f"SELECT percent_rank() OVER (ORDER BY n) AS a, cume_dist() OVER (ORDER BY n) AS b, ntile(4) OVER (ORDER BY n DESC) AS c FROM {GROUPS}",
    "SELECT group_text, sum(sum(total_int)) OVER () AS whole FROM people GROUP BY group_text",
    "SELECT group_text, sum(total_int) / sum(sum(total_int)) OVER () AS share FROM people GROUP BY group_text",
    "SELECT group_text, count(*) AS n FROM people GROUP BY group_text QUALIFY n > 20",
    "SELECT group_text FROM people GROUP BY group_text QUALIFY dense_rank() OVER (ORDER BY sum(total_int) DESC) <= 3",
    # over rows, by partition alone: a group by, with thresholds
    "SELECT reveal_text, sum(total_int) OVER (PARTITION BY reveal_text) AS s FROM people",
    "SELECT reveal_text, avg(total_dec) OVER () AS mean FROM people",
    "SELECT reveal_text, count(*) FILTER (WHERE filter_flag) OVER (PARTITION BY reveal_text) AS n FROM people",
    "SELECT reveal_text, median(rank_int) OVER (PARTITION BY reveal_int, reveal_text) AS m FROM people",
    "SELECT count(*) FROM (SELECT filter_int AS f, avg(total_int) OVER () AS mean FROM people) AS s WHERE f > mean",
    "SELECT count(*) FROM (SELECT group_filter_text AS g, sum(total_int) OVER (PARTITION BY group_filter_text) AS s FROM people) AS s WHERE s > 5 AND g = 'x'",
    "SELECT reveal_text FROM people QUALIFY sum(total_int) OVER () > 5",
    # over rows, all of which may be seen
    "SELECT all_text, row_number() OVER (ORDER BY all_int, reveal_text) AS r FROM people",
    "SELECT all_text, lag(all_int) OVER (PARTITION BY reveal_text ORDER BY all_date) AS before FROM people WHERE all_int > 3",
    "SELECT all_text, sum(all_int) OVER (ORDER BY all_date ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS x FROM people",
    "SELECT all_text FROM areas QUALIFY row_number() OVER (PARTITION BY all_text ORDER BY all_int2 DESC) = 1",
    "SELECT all_text, nth_value(all_int2, 2) OVER (ORDER BY all_int2) AS second FROM areas",
]  # fmt: skip

REFUSED = [
    # a row's own value, or its place among others
    ("SELECT reveal_text, sum(total_int) OVER (ORDER BY reveal_int) AS s FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT reveal_text, sum(total_int) OVER (ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS s FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT sum(x) FROM (SELECT max(rank_int) OVER (ROWS BETWEEN CURRENT ROW AND CURRENT ROW) AS x FROM people) AS s", {"window-on-rows", "total-missing"}),
    ("SELECT reveal_text, lag(total_int) OVER (ORDER BY reveal_int) AS x FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT reveal_text, first_value(rank_int) OVER (PARTITION BY reveal_text ORDER BY reveal_int) AS x FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT reveal_text, nth_value(filter_int, 2) OVER (ORDER BY filter_int) AS x FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT reveal_text, rank() OVER (ORDER BY total_int) AS x FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT reveal_text, ntile(2) OVER (PARTITION BY group_text ORDER BY reveal_int) AS x FROM people", {"window-on-rows", "reveal-missing"}),
    ("SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY filter_int) AS r FROM people) AS s WHERE r = 1", {"window-on-rows"}),
    ("SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY all_int) AS r FROM people WHERE filter_int > 3) AS s WHERE r = 1", {"window-on-rows"}),
    ("SELECT all_text, row_number() OVER () AS r FROM people", {"window-on-rows"}),
    ("SELECT all_text, lead(all_int) OVER (PARTITION BY all_text) AS r FROM people", {"window-on-rows"}),
    ("SELECT all_text FROM people QUALIFY row_number() OVER (PARTITION BY no_text ORDER BY all_int) = 1", {"window-on-rows", "filter-missing", "rows-betray"}),
    # the partition is a group
    ("SELECT reveal_text, count(*) OVER (PARTITION BY no_text) AS n FROM people", {"group-missing", "reveal-missing"}),
    ("SELECT reveal_text, count(*) OVER (PARTITION BY group_text) AS n FROM people", {"reveal-missing"}),
    ("SELECT reveal_text, max(total_int) OVER (PARTITION BY reveal_text) AS n FROM people", {"rank-missing"}),
    ("SELECT reveal_text, count(*) FILTER (WHERE no_int > 3) OVER (PARTITION BY reveal_text) AS n FROM people", {"filter-missing"}),
    ("SELECT count(*) FROM (SELECT count(*) OVER (PARTITION BY group_text) AS n FROM people) AS s WHERE n > 3", {"filter-missing"}),
    ("SELECT sum(n) FROM (SELECT count(*) OVER (PARTITION BY group_text) AS n FROM people) AS s", {"total-missing"}),
    # places and forms
    ("SELECT count(*) FROM people WHERE count(*) OVER () > 3", {"aggregate-misplaced"}),
    ("SELECT sum(rank() OVER (ORDER BY all_int)) FROM people", {"aggregate-misplaced"}),
    ("SELECT group_text, count(*) FROM people GROUP BY group_text HAVING rank() OVER (ORDER BY count(*)) = 1", {"aggregate-misplaced"}),
    (f"SELECT sum(n) OVER (ORDER BY d ROWS BETWEEN n PRECEDING AND CURRENT ROW) AS x FROM {GROUPS}", {"construct-refused"}),
    (f"SELECT string_agg(g, ',') OVER () AS x FROM {GROUPS}", {"construct-refused"}),
    (f"SELECT sum(n) OVER w AS x FROM {GROUPS} WINDOW w AS (ORDER BY d)", {"construct-refused"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400) as opened:
        yield opened


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_window_is_accepted_and_runs(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    query = permitted(sql)
    assert unexpected_operators(engine, query) == set()
    run(engine, query)


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_a_window_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql)) == codes


def test_a_window_over_rows_shows_what_grouping_would(engine: duckdb.DuckDBPyConnection) -> None:
    rows = run(engine, permitted("SELECT reveal_text, sum(total_int) OVER (PARTITION BY reveal_text) AS s FROM people"))
    groups = run(engine, permitted("SELECT reveal_text, sum(total_int) FROM people GROUP BY reveal_text"))
    assert len(rows) == 400
    assert set(rows) == set(groups)


def test_a_withheld_window_value_is_null_and_the_row_stays(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT all_int, sum(total_int) OVER (PARTITION BY all_int) AS s FROM people"
    assert {row[1] for row in run(engine, permitted(sql))} == {None}  # eight people have each value
    assert len(run(engine, permitted(sql))) == 400
    whole = "SELECT all_int, sum(total_int) FILTER (WHERE filter_int = 7000546) OVER () AS s FROM people"
    assert {row[1] for row in run(engine, permitted(whole))} == {None}


def test_windows_of_one_partition_share_a_stage() -> None:
    query = permitted(
        "SELECT reveal_text, sum(total_int) OVER (PARTITION BY reveal_text) AS s,"
        " avg(total_int) OVER (PARTITION BY reveal_text) AS m FROM people"
    )
    assert len(query.stages) == 1


def test_lineage_of_a_window_over_rows_names_argument_and_partition() -> None:
    query = permitted("SELECT sum(total_int) OVER (PARTITION BY reveal_text) AS s FROM people")
    assert query.lineage[0].direct == {"people.total_int"}
    assert query.lineage[0].indirect == {"people.reveal_text"}

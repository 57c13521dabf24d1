"""Results are made of the parts that thresholds keep of every unit: the same numbers, with the rows behind read once."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.governed import PEOPLE, VISITS, open_engine, permitted, relation, run

BRIDGE = relation("bridge", "all_text", unit=())
TABLES = (PEOPLE, VISITS, BRIDGE)
ROWS = 400


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an engine in which every eleventh value is missing, and every thirteenth row's unit."""
    with open_engine(ROWS, TABLES) as made:
        for name, columns in (("people", ("total_int", "total_dec", "filter_int")), ("visits", ("total_dec2",))):
            for column in columns:
                made.execute(f'UPDATE "{name}" SET "{column}" = NULL WHERE rowid % 11 = 3')
        made.execute('UPDATE people SET "unit:" = 0 WHERE rowid % 13 = 5')
        yield made


ASKED = [
    "count(*)", "count(total_int)", "sum(total_int)", "sum(total_dec)", "avg(total_int)", "avg(total_dec)", "sum(total_int * 2 + 1)",
    "count(*) FILTER (WHERE filter_int > 7000500)", "sum(total_dec) FILTER (WHERE filter_int > 7000500)",
    "avg(total_int) FILTER (WHERE filter_int > 7000500)", "sum(CASE WHEN filter_int > 7000500 THEN total_int ELSE 0 END)",
    "count(CASE WHEN filter_int > 7000500 THEN total_int END)",
]  # fmt: skip


@pytest.mark.parametrize("by", ["", "GROUP BY group_text"])
@pytest.mark.parametrize("asked", ASKED)
def test_results_made_of_units_parts_are_those_of_the_rows(
    engine: duckdb.DuckDBPyConnection, asked: str, by: str
) -> None:
    query = permitted(f"SELECT {asked} AS x FROM people {by} ORDER BY x")
    assert "main:" not in query.stages[0].sql
    rows = engine.execute(f"SELECT {asked} AS x FROM people {by} ORDER BY x").fetchall()
    mine = run(engine, query)
    assert len(mine) == len(rows) > 0
    assert [float(x) for (x,) in mine] == pytest.approx([float(x) for (x,) in rows], rel=1e-12)


def test_whole_numbers_stay_whole(engine: duckdb.DuckDBPyConnection) -> None:
    query = permitted("SELECT count(*) AS n, sum(total_int) AS total FROM people")
    ((count, total),) = run(engine, query)
    assert (type(count), type(total), count) == (int, int, ROWS)


def test_not_of_a_missing_value_is_missing(engine: duckdb.DuckDBPyConnection) -> None:
    condition = "filter_int > 7000500"
    sql = f"SELECT count(*) FILTER (WHERE {condition}) AS a, count(*) FILTER (WHERE NOT ({condition})) AS b FROM people"
    above, below = engine.execute(sql).fetchall()[0]
    assert above + below < ROWS
    assert run(engine, permitted(sql)) == [(above, below)]


def test_how_many_units_there_are_is_what_thresholds_count(engine: duckdb.DuckDBPyConnection) -> None:
    query = permitted("SELECT count(DISTINCT join_compare_text) AS n FROM people")
    assert "DISTINCT" not in query.stages[0].sql
    assert run(engine, query) == engine.execute('SELECT count(DISTINCT nullif("unit:", 0)) FROM people').fetchall()


def test_what_units_parts_cannot_give_is_read_of_the_rows(engine: duckdb.DuckDBPyConnection) -> None:
    query = permitted("SELECT count(*) AS n, var_samp(total_int) AS v, count(DISTINCT total_int) AS d FROM people")
    assert query.stages[0].sql.count('"main:"') > 0
    rows = engine.execute("SELECT count(*), var_samp(total_int), count(DISTINCT total_int) FROM people").fetchall()
    assert run(engine, query)[0] == pytest.approx(rows[0])


def test_rows_without_a_unit_belong_to_the_result_but_to_no_threshold(engine: duckdb.DuckDBPyConnection) -> None:
    joined = "visits LEFT JOIN people ON people.join_int = visits.join_int AND people.filter_int < {most}"
    sql = f"SELECT count(*) AS n, sum(total_dec2) AS total, count(people.total_int) AS there FROM {joined}"
    some, nobody = sql.format(most=7000500), sql.format(most=0)
    rows = engine.execute(some).fetchall()
    assert rows[0][0] > rows[0][2] > 0
    assert run(engine, permitted(some, TABLES)) == rows
    assert run(engine, permitted(f"{nobody} GROUP BY group_text", TABLES)) == []


def test_units_that_are_equal_through_another_column_are_counted_once(engine: duckdb.DuckDBPyConnection) -> None:
    joined = (
        "people JOIN bridge ON bridge.all_text = people.join_compare_text "
        "JOIN visits ON visits.join_compare_text = bridge.all_text"
    )
    sql = f"SELECT count(*) AS n, count(DISTINCT visits.join_compare_text) AS units FROM {joined}"
    query = permitted(sql, TABLES)
    assert "per:u1" not in query.stages[0].sql
    apart = permitted(
        sql.replace("bridge.all_text", "bridge.all_text", 1).replace("JOIN visits", "LEFT JOIN visits"), TABLES
    )
    assert "per:u1" in apart.stages[0].sql


def test_compared_stages_are_made_of_tables_of_units_parts(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT group_text, count(*) AS n, sum(total_int) AS t FROM people GROUP BY ROLLUP (group_text)"
    query = permitted(sql)
    tables = [stage for stage in query.stages if stage.name.startswith("units:")]
    assert len(tables) == 2
    assert all('"people"' not in stage.sql for stage in query.stages if stage not in tables)
    rows = engine.execute(sql).fetchall()
    assert sorted(run(engine, query), key=str) == sorted(rows, key=str)

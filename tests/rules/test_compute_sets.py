"""INTERSECT and EXCEPT over rows: every column is a key; what passes, what is refused, what comes out of it."""

from collections.abc import Iterator

import duckdb
import pytest

from tests.governed import decide, open_engine, permitted, run
from tests.rules.test_compute_correlated import ALL

ACCEPTED = [
    # groups of enough units on both sides
    "SELECT all_text FROM people INTERSECT SELECT all_text FROM areas",
    "SELECT group_filter_text FROM people EXCEPT SELECT 'kind 3' FROM areas",
    "SELECT all_text FROM people EXCEPT SELECT all_text FROM people WHERE all_text = 'open 3'",
    "SELECT all_text, all_int2 FROM areas EXCEPT SELECT all_text, all_int2 FROM areas WHERE all_int2 < 20",
    "SELECT all_text AS a FROM people EXCEPT SELECT all_text FROM areas WHERE all_text > 'open 2' ORDER BY a DESC LIMIT 2",
    "SELECT all_text FROM areas INTERSECT (SELECT all_text FROM people GROUP BY all_text HAVING count(*) > 57)",
    "SELECT count(*) FROM (SELECT all_text FROM people INTERSECT SELECT all_text FROM areas EXCEPT SELECT 'open 3' FROM areas) AS s",
    # a unit's own
    "SELECT count(*) FROM (SELECT group_join_text FROM clients INTERSECT SELECT group_join_text FROM deals WHERE filter_int2 > 7000500) AS s",
    "SELECT count(*) FROM (SELECT group_join_text FROM clients EXCEPT SELECT group_join_text FROM deals WHERE filter_int2 > 7000500) AS s",
    "SELECT n, count(*) FROM (SELECT group_join_text AS k, all_text AS n FROM clients INTERSECT SELECT group_join_text, all_text FROM clients WHERE filter_int > 7000500) AS s GROUP BY n",
    # every row may be seen
    "SELECT all_text FROM people INTERSECT ALL SELECT all_text FROM areas",
    "SELECT all_text FROM people EXCEPT ALL SELECT all_text FROM areas WHERE all_int2 > 20",
    "SELECT all_text, count(*) FROM (SELECT all_text FROM people EXCEPT ALL SELECT all_text FROM areas WHERE all_int2 > 20) AS s GROUP BY all_text",
]  # fmt: skip

REFUSED = [
    ("SELECT reveal_text FROM people INTERSECT SELECT reveal_text FROM people", {"join-missing"}),
    ("SELECT group_text FROM people EXCEPT SELECT group_text2 FROM visits", {"join-missing"}),
    ("SELECT join_int FROM people INTERSECT SELECT join_int FROM visits", {"group-missing"}),
    ("SELECT no_text FROM people EXCEPT SELECT all_text FROM areas", {"join-missing", "group-missing"}),
    ("SELECT group_text || '' FROM people INTERSECT SELECT all_text FROM areas", {"filter-missing", "use-spent"}),
    ("SELECT group_text FROM people INTERSECT SELECT 'kind 3' FROM areas", {"filter-missing"}),
    ("SELECT count(*) FROM (SELECT group_join_text, upper(all_text) AS x FROM clients INTERSECT SELECT group_join_text, upper(all_text) FROM clients) AS s", {"construct-refused"}),
    ("SELECT all_text FROM people INTERSECT SELECT all_int2 FROM areas", {"union-columns-differ"}),
    ("SELECT group_join_text FROM clients INTERSECT SELECT group_join_text3 FROM deals", {"union-units-differ", "reveal-missing", "rows-betray"}),
    ("SELECT group_join_text FROM clients EXCEPT SELECT group_join_text FROM deals", {"reveal-missing", "rows-betray"}),
    ("SELECT all_text FROM people WHERE filter_flag EXCEPT ALL SELECT all_text FROM areas", {"rows-betray"}),
    ("SELECT count(*) FROM (SELECT all_text FROM areas EXCEPT ALL SELECT all_text FROM people WHERE filter_int = 7000546) AS s", {"rows-betray"}),
    ("SELECT group_join_text FROM people INTERSECT ALL SELECT group_join_text FROM people", {"rows-betray", "reveal-missing"}),
    ("SELECT all_text FROM people EXCEPT BY NAME SELECT all_text FROM areas", {"construct-refused"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_engine(400, ALL) as opened:
        yield opened


@pytest.mark.parametrize("sql", ACCEPTED)
def test_it_passes_and_gives_what_the_statement_itself_gives(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert sorted(run(engine, permitted(sql, ALL))) == sorted(engine.execute(sql).fetchall())


@pytest.mark.parametrize(("sql", "codes"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_it_is_refused_with_the_reason(sql: str, codes: set[str]) -> None:
    assert set(decide(sql, ALL)) == codes


def test_a_group_of_few_units_is_on_neither_side(engine: duckdb.DuckDBPyConnection) -> None:
    """Whether one person has a value is not told: neither by what is left nor by what is gone."""
    one = "SELECT all_text FROM people WHERE filter_int = 7000546"
    everybody = run(engine, permitted("SELECT DISTINCT all_text FROM people"))
    assert sorted(run(engine, permitted(f"SELECT all_text FROM people EXCEPT {one}"))) == sorted(everybody)
    assert run(engine, permitted(f"SELECT all_text FROM areas INTERSECT {one}")) == []

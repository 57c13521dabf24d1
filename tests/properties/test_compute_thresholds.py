"""What is withheld beside a total cannot be found by subtraction. Values are compared in ``tests/differential``."""

import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use
from tests.governed import run

Row = dict[str, Any]
THRESHOLDS = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
COLUMNS = {
    "who": DataType.TEXT, "place": DataType.TEXT, "size": DataType.INTEGER, "amount": DataType.DECIMAL, "flag": DataType.BOOLEAN,
}  # fmt: skip
ALL = Relation(
    "t", ResourceId("r"), tuple(RelationColumn(name, kind) for name, kind in COLUMNS.items()),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(Use)) for name in COLUMNS), ("who",)),
)  # fmt: skip

few_rows = st.lists(
    st.fixed_dictionaries({
        "who": st.none() | st.integers(0, 12).map(str),
        "place": st.none() | st.sampled_from("abc"),
        "size": st.none() | st.integers(-20, 60),
        "amount": st.none() | st.decimals(-50, 500, places=2),
        "flag": st.none() | st.booleans(),
    }),
    max_size=60,
)  # fmt: skip


def many_rows(draw: random.Random) -> list[Row]:
    """Return enough rows that groups pass, most of them alike, so that little is left where they are told apart."""

    def mostly(usual: Any, other: Any) -> Any:
        return usual if draw.random() < 0.9 else other

    return [
        {
            "who": mostly(str(draw.randrange(20)), None), "place": draw.choice("ab"),
            "size": mostly(draw.randrange(11, 60), draw.choice([None, 3])),
            "amount": mostly(Decimal(draw.randrange(100, 50_000)) / 100, None), "flag": mostly(True, draw.choice([None, False])),
        }
        for _ in range(draw.randrange(20, 60))
    ]  # fmt: skip


rows_of_t = few_rows | st.randoms(use_true_random=False).map(many_rows)


def size_over_ten(row: Row) -> bool:
    return row["size"] is not None and row["size"] > 10


def is_flagged(row: Row) -> bool:
    return row["flag"] is True


def fill(engine: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    kinds = {"who": "VARCHAR", "place": "VARCHAR", "size": "BIGINT", "amount": "DECIMAL(18, 4)", "flag": "BOOLEAN"}
    engine.execute(f"CREATE TABLE given ({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
    if rows:
        lists = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds.values())
        engine.execute(f"INSERT INTO given SELECT {lists}", [[row[name] for row in rows] for name in kinds])
    engine.execute('CREATE TABLE t AS SELECT *, CASE WHEN who IS NOT NULL THEN hash(who) END AS "unit:" FROM given')


@settings(max_examples=40)
@given(rows_of_t)
def test_a_group_withheld_alone_takes_one_more_along_when_a_total_stands_beside(rows: list[Row]) -> None:
    sql = "SELECT place, count(*) AS n, (SELECT count(*) FROM t) AS total FROM t GROUP BY place"
    decision = decide_query((ALL,), THRESHOLDS, sql)
    assert isinstance(decision, Permitted)
    with duckdb.connect() as engine:
        fill(engine, rows)
        found = run(engine, decision.value)
    shown = {row[0] for row in found}
    withheld: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        if row["place"] not in shown:
            withheld[row["place"]].update({row["who"]} - {None})
    if found and withheld:
        assert len(withheld) >= 2
        assert sum(len(units) for units in withheld.values()) >= THRESHOLDS.units_min

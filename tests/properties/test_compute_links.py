"""Rows that another relation keeps or takes away: the governed answer equals the same reckoned over Python lists."""

from collections import defaultdict
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
FEWEST = 3
THRESHOLDS = Thresholds(units_min=FEWEST, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
HIDDEN = frozenset(Use) - {Use.REVEAL}
COLUMNS = {"who": DataType.TEXT, "k": DataType.INTEGER, "g": DataType.TEXT, "flag": DataType.BOOLEAN}
P, V = (
    Relation(
        name, ResourceId(name), tuple(RelationColumn(column, kind) for column, kind in COLUMNS.items()),
        ResourcePolicy(tuple(ColumnPolicy(column, HIDDEN) for column in COLUMNS), ("who",)),
    )
    for name in ("p", "v")
)  # fmt: skip

rows_of = st.lists(
    st.fixed_dictionaries({
        "who": st.none() | st.integers(0, 14).map(str), "k": st.none() | st.integers(0, 9), "g": st.sampled_from("ab"),
        "flag": st.booleans(),
    }),
    min_size=10, max_size=70,
)  # fmt: skip

FORMS = {
    "EXISTS": "EXISTS (SELECT 1 FROM v WHERE v.{key} = p.{key} AND v.flag)",
    "IN": "p.{key} IN (SELECT {key} FROM v WHERE flag)",
    "SEMI": "SEMI JOIN v ON v.{key} = p.{key} AND v.flag",
    "NOT EXISTS": "NOT EXISTS (SELECT 1 FROM v WHERE v.{key} = p.{key} AND v.flag)",
    "NOT IN": "p.{key} NOT IN (SELECT {key} FROM v WHERE flag)",
    "ANTI": "ANTI JOIN v ON v.{key} = p.{key} AND v.flag",
}
"""By what a row is kept."""


def statement(form: str, key: str) -> str:
    test = FORMS[form].format(key=key)
    return f"SELECT g, count(*) FROM p {test if form in {'SEMI', 'ANTI'} else f'WHERE {test}'} GROUP BY g"


def is_there(row: Row, v: list[Row], form: str, key: str) -> bool:
    """Return what SQL says, missing values included."""
    listed = [other[key] for other in v if other["flag"]]
    is_met = row[key] is not None and row[key] in listed
    if form in {"EXISTS", "IN", "SEMI"}:
        return is_met
    if form == "NOT IN" and listed and (row[key] is None or None in listed):
        return False
    return not is_met


def units(rows: list[Row]) -> int:
    return len({row["who"] for row in rows if row["who"] is not None})


def answer(p: list[Row], v: list[Row], form: str, key: str) -> set[tuple[str, int]]:
    groups = defaultdict[str, list[Row]](list)
    for row in p:
        groups[row["g"]].append(row)
    shown = set()
    for g, members in groups.items():
        there = [row for row in members if is_there(row, v, form, key)]
        decided = there if form in {"EXISTS", "IN", "SEMI"} else [row for row in members if row not in there]
        met = [o for o in v if o["flag"] and o[key] is not None and any(row[key] == o[key] for row in decided)]
        if there and units(there) >= FEWEST and (key == "who" or units(met) >= FEWEST):
            shown.add((g, len(there)))
    return shown


def fill(engine: duckdb.DuckDBPyConnection, name: str, rows: list[Row]) -> None:
    kinds = {"who": "VARCHAR", "k": "BIGINT", "g": "VARCHAR", "flag": "BOOLEAN"}
    lists = ", ".join(f"unnest(CAST(? AS {kind}[])) AS {column}" for column, kind in kinds.items())
    engine.execute(f"CREATE TABLE given_{name} AS SELECT {lists}", [[row[column] for row in rows] for column in kinds])
    engine.execute(f"""
        CREATE TABLE {name} AS SELECT *, sha256(who) AS "key:who", sha256(CAST(k AS VARCHAR)) AS "key:k",
            CASE WHEN who IS NOT NULL THEN hash(who) ELSE 0 END AS "unit:" FROM given_{name}
    """)


@settings(max_examples=25, deadline=None)
@given(p=rows_of, v=rows_of)
def test_the_governed_answer_equals_the_reference(p: list[Row], v: list[Row]) -> None:
    with duckdb.connect() as engine:
        fill(engine, "p", p)
        fill(engine, "v", v)
        for form in FORMS:
            for key in ("who", "k"):
                decision = decide_query((P, V), THRESHOLDS, statement(form, key))
                assert isinstance(decision, Permitted)
                assert set(run(engine, decision.value)) == answer(p, v, form, key), statement(form, key)

"""Several sets of keys in one statement: what is left of a total beside its parts is nobody, or enough people."""

from collections import defaultdict
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use
from tests.governed import run

THRESHOLDS = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
COLUMNS = ("who", "a", "b")
T = Relation(
    "t", ResourceId("r"), tuple(RelationColumn(name, DataType.TEXT) for name in COLUMNS),
    ResourcePolicy(tuple(ColumnPolicy(name, frozenset(Use)) for name in COLUMNS), ("who",)),
)  # fmt: skip
Row = tuple[str, str, str]

people = st.lists(
    st.tuples(st.sampled_from("pqrstuvwxyz0123456789"), st.sampled_from("abc"), st.sampled_from("xyz")),
    min_size=3,
    max_size=40,
)


def shown(rows: list[Row], sets: str) -> set[tuple[Any, ...]]:
    sql = f"SELECT a, b, grouping(a, b) AS g, count(*) AS n FROM t GROUP BY {sets}"
    decision = decide_query((T,), THRESHOLDS, sql)
    assert isinstance(decision, Permitted)
    with duckdb.connect() as engine:
        engine.execute("CREATE TABLE given (who VARCHAR, a VARCHAR, b VARCHAR)")
        engine.executemany("INSERT INTO given VALUES (?, ?, ?)", rows)
        engine.execute('CREATE TABLE t AS SELECT *, hash(who) AS "unit:" FROM given')
        found = run(engine, decision.value)
        for a, b, _, n in found:  # what is shown is true
            assert n == sum((a is None or row[1] == a) and (b is None or row[2] == b) for row in rows)
    return {(a, b, g) for a, b, g, _ in found}


def holds(group: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(mine is None or mine == theirs for mine, theirs in zip(group[:2], other[:2], strict=True))


@pytest.mark.parametrize("sets", ["ROLLUP (a, b)", "CUBE (a, b)", "GROUPING SETS ((a, b), (b), ())"])
@settings(max_examples=10)
@given(people)
def test_what_is_left_of_a_total_beside_its_parts_is_nobody_or_enough(sets: str, rows: list[Row]) -> None:
    groups = shown(rows, sets)
    by_set: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for group in groups:
        by_set[group[2]].append(group)
    for total in groups:
        inside = [row for row in rows if holds(total, (row[1], row[2]))]
        for finer, members in by_set.items():
            parts = [m for m in members if holds(total, m)]
            if (finer & total[2]) != finer or finer == total[2] or not parts:
                continue
            left = {row[0] for row in inside if not any(holds(part, (row[1], row[2])) for part in parts)}
            assert len(left) == 0 or len(left) >= THRESHOLDS.units_min, (total, parts)


@settings(max_examples=10)
@given(people)
def test_a_part_is_shown_only_below_a_total_that_is_shown(rows: list[Row]) -> None:
    groups = shown(rows, "ROLLUP (a, b)")
    for a, b, _ in groups:
        assert b is None or (a, None, 1) in groups
        assert a is None or (None, None, 3) in groups

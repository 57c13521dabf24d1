"""Random schemas, uses, data and statements: what the gate permits has one answer on both engines."""

import os
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.adapters.spark import Client
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation, RelationColumn
from gongshu.policies.service import closed
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use
from tests.compared import Comparison
from tools.spark_cluster import Cluster

THRESHOLDS = Thresholds(units_min=3, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)
WRITTEN = {
    DataType.TEXT: "VARCHAR", DataType.INTEGER: "BIGINT", DataType.DECIMAL: "DECIMAL(18, 2)", DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP", DataType.BOOLEAN: "BOOLEAN",
}  # fmt: skip
VALUES = {
    DataType.TEXT: st.sampled_from(["a", "b", "乙", "", "é😀"]),
    DataType.INTEGER: st.integers(-30, 90),
    DataType.DECIMAL: st.integers(-2_000, 90_000).map(lambda cents: Decimal(cents) / 100),
    DataType.DATE: st.integers(0, 900).map(lambda day: f"20{10 + day // 100}-0{1 + day % 9}-{1 + day % 28:02d}"),
    DataType.TIMESTAMP: st.integers(0, 900).map(lambda n: f"20{10 + n // 100}-0{1 + n % 9}-11 {n % 24:02d}:{n % 60:02d}:00"),
    DataType.BOOLEAN: st.booleans(),
}  # fmt: skip
UNIT, KEY = "who", "code"
EXAMPLES, STATEMENTS = int(os.environ.get("GONGSHU_TEST_SPARK_EXAMPLES", "25")), 2

Table = tuple[Relation, list[tuple[object, ...]]]


@st.composite
def tables(draw: st.DrawFn, name: str) -> Table:
    """Draw a relation with a privacy unit, a key and columns of random types and uses, and its rows."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=3, max_size=6))
    columns = {UNIT: DataType.TEXT, KEY: DataType.INTEGER} | {f"c{i}": kind for i, kind in enumerate(kinds)}
    fixed = {UNIT: frozenset({Use.JOIN, Use.COMPARE}), KEY: frozenset({Use.JOIN, Use.FILTER})}
    most = (
        st.sets(st.sampled_from(list(Use)), min_size=4).map(frozenset)
        | st.just(frozenset(Use))
        | st.just(frozenset(Use) - {Use.REVEAL})
    )
    uses = {column: fixed.get(column) or draw(most) for column in columns}
    values = {
        UNIT: st.integers(0, 14).map(str), KEY: st.integers(0, 12), **{c: VALUES[k] for c, k in columns.items() if c not in fixed},
    }  # fmt: skip
    row = st.tuples(
        *(st.one_of(st.just(None), values[c]) if draw(st.integers(0, 3)) == 0 else values[c] for c in columns)
    )
    rows = draw(st.lists(row, min_size=0, max_size=60))
    copies = draw(st.integers(1, 3))
    relation = Relation(
        name, ResourceId(name), tuple(RelationColumn(c, k) for c, k in columns.items()),
        ResourcePolicy(tuple(ColumnPolicy(c, uses[c]) for c in columns), (UNIT,)),
    )  # fmt: skip
    return relation, rows * copies


def of_kind(relation: Relation, *kinds: DataType) -> list[str]:
    return [c.name for c in relation.columns if c.data_type in kinds and c.name != UNIT]


@st.composite
def conditions(draw: st.DrawFn, relation: Relation, alias: str) -> str:
    """Draw a condition over one or two columns."""
    column = draw(st.sampled_from([c for c in relation.columns if c.name != UNIT]))
    name = f"{alias}.{column.name}"
    made = {
        DataType.TEXT: [f"{name} = 'a'", f"{name} LIKE '%b%'", f"{name} IN ('a', '乙')", f"length({name}) < 2", f"upper({name}) > 'A'"],
        DataType.INTEGER: [f"{name} > 10", f"{name} % 3 = 1", f"{name} BETWEEN -5 AND 40", f"abs({name}) < 25", f"{name} / 4 > 2.5"],
        DataType.DECIMAL: [f"{name} >= 100.5", f"round({name}) > 50", f"{name} * 2 < 900"],
        DataType.DATE: [f"{name} > DATE '2013-01-01'", f"month({name}) < 5", f"{name} + INTERVAL 2 MONTH > DATE '2014-06-15'"],
        DataType.TIMESTAMP: [f"hour({name}) < 12", f"{name} < TIMESTAMP '2014-01-01 00:00:00'", f"date_trunc('month', {name}) > '2012-01-01'"],
        DataType.BOOLEAN: [name, f"{name} IS NOT TRUE"],
    }[column.data_type]  # fmt: skip
    atom = draw(st.sampled_from([*made, f"{name} IS NOT NULL"]))
    return draw(st.sampled_from([atom, f"NOT ({atom})", f"coalesce({atom}, FALSE)"]))


@st.composite
def aggregates(draw: st.DrawFn, relation: Relation, alias: str) -> str:
    """Draw an aggregate, plain, over an expression, or over some rows."""
    numbers, times = of_kind(relation, DataType.INTEGER, DataType.DECIMAL), of_kind(relation, DataType.DATE)
    made = ["count(*)", f"count(DISTINCT {alias}.{UNIT})"]
    for number in numbers:
        name = f"{alias}.{number}"
        made += [
            f"{call}({name})" for call in ("sum", "avg", "count", "stddev_pop", "var_samp", "min", "max", "median")
        ]
        made += [f"sum({name} * 3 - 7)", f"sum(CASE WHEN {name} > 20 THEN {name} ELSE 0 END)", f"avg({name} / 3)"]
        made += [
            f"quantile_cont({name}, 0.3)",
            f"corr({name}, {alias}.{draw(st.sampled_from(numbers))})",
            f"sum(DISTINCT {name})",
        ]
        made += [f"regr_slope({name}, {alias}.{draw(st.sampled_from(numbers))})", f"count(DISTINCT {name})"]
    made += [f"max({alias}.{time})" for time in times]
    chosen = draw(st.sampled_from(made))
    if draw(st.integers(0, 3)) == 0 and chosen not in made[1:2]:
        return f"{chosen} FILTER (WHERE {draw(conditions(relation, alias))})"
    return chosen


@st.composite
def statements(draw: st.DrawFn, first: Relation, second: Relation) -> str:
    """Draw a statement with groups, conditions, a join, a subquery, a window or a set operation."""
    is_joined = draw(st.booleans())
    source = f"t AS x JOIN v AS y ON x.{draw(st.sampled_from([KEY, UNIT]))} = y.{KEY}" if is_joined else "t AS x"
    source = source.replace(f"x.{UNIT} = y.{KEY}", f"x.{UNIT} = y.{UNIT}")
    sides = [("x", first), ("y", second)] if is_joined else [("x", first)]

    def some(of: object, least: int, most: int) -> list[str]:
        return [draw(of(relation, alias)) for alias, relation in sides for _ in range(draw(st.integers(least, most)))]  # type: ignore[operator]

    keys = [
        draw(st.sampled_from(_keys(relation, alias)))
        for alias, relation in sides
        if draw(st.integers(0, 2)) and _keys(relation, alias)
    ]
    wanted = dict.fromkeys(some(aggregates, 1, 2))
    where = " AND ".join(some(conditions, 0, 1))
    items = [f"{key} AS k{i}" for i, key in enumerate(keys)] + [f"{made} AS a{i}" for i, made in enumerate(wanted)]
    inner = f"SELECT {', '.join(items)} FROM {source}" + (f" WHERE {where}" if where else "")
    inner += f" GROUP BY {', '.join(keys)}" if keys else ""
    names = [f"k{i}" for i in range(len(keys))] + [f"a{i}" for i in range(len(wanted))]
    outside = draw(st.sampled_from(["", "having", "window", "outer", "union"]))
    order = ", ".join(names)
    if outside == "having":
        return f"{inner} HAVING count(*) > 4 ORDER BY {order}"
    if outside == "window":
        return f"SELECT *, rank() OVER (ORDER BY a0 DESC) AS place, sum(a0) OVER () AS whole FROM ({inner}) AS s"
    if outside == "outer":
        return f"SELECT count(*) AS n, min(a0) AS low, avg(a0) AS mean FROM ({inner}) AS s WHERE a0 IS NOT NULL"
    return f"({inner}) UNION ALL ({inner})" if outside == "union" else inner


def _keys(relation: Relation, alias: str) -> list[str]:
    found: list[str] = []
    for column in relation.columns:
        name = f"{alias}.{column.name}"
        if column.name in (UNIT, KEY) or Use.GROUP not in closed(relation.policy.of(column.name).uses):
            continue
        found += {
            DataType.TEXT: [name, f"coalesce({name}, 'none')"], DataType.INTEGER: [f"CASE WHEN {name} > 20 THEN 'big' END", name],
            DataType.DATE: [f"year({name})", f"date_trunc('year', {name})"], DataType.TIMESTAMP: [f"year({name})"],
            DataType.BOOLEAN: [name],
        }.get(column.data_type, [])  # fmt: skip
    return found


def hold(comparison: Comparison, *made: Table) -> None:
    with duckdb.connect() as engine:
        for relation, rows in made:
            names = ", ".join(f'"{c.name}" {WRITTEN[c.data_type]}' for c in relation.columns)
            engine.execute(f"CREATE TABLE given ({names})")
            marks = ", ".join(f"unnest(CAST(? AS {WRITTEN[c.data_type]}[]))" for c in relation.columns)
            if rows:
                engine.execute(
                    f"INSERT INTO given SELECT {marks}", [list(column) for column in zip(*rows, strict=True)]
                )
            items = [f'"{c.name}"' for c in relation.columns]
            items += [f'sha256(CAST("{c.name}" AS VARCHAR)) AS "key:{c.name}"' for c in relation.columns]
            unit = f'coalesce(hash(nullif("{UNIT}", NULL)) * ("{UNIT}" IS NOT NULL)::UBIGINT, 0) AS "unit:"'
            engine.execute(f'CREATE TABLE "{relation.name}" AS SELECT {", ".join([*items, unit])} FROM given')
            engine.execute("DROP TABLE given")
        comparison.hold(engine, [relation.name for relation, _ in made])


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(data=st.data())
def test_a_permitted_statement_over_random_data_has_one_answer(
    cluster: Cluster, client: Client, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    first, second = data.draw(tables("t")), data.draw(tables("v"))
    relations = (first[0], second[0])
    folder: Path = tmp_path_factory.mktemp("compared")
    with Comparison(cluster.remote, client, folder) as comparison:
        hold(comparison, first, second)
        for _ in range(STATEMENTS):
            sql = data.draw(statements(*relations))
            decision = decide_query(relations, THRESHOLDS, sql)
            if isinstance(decision, Permitted):
                note(sql)
                assert comparison.differences(decision.value, relations) == []

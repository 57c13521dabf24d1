"""Relations whose columns are named by what may be done with them: ``reveal_text``, ``total_int``, ``filter_date`` …"""

import json
from decimal import Decimal
from typing import Any

import duckdb

from gongshu.base.decisions import Permitted
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.projections import PLAN_OPERATORS
from gongshu.compute.types import GovernedQuery, Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, Use

THRESHOLDS = Thresholds(units_min=10, dominance_p_percent=10, dominance_top_n=2, dominance_top_percent=90)

TYPES = {
    "text": DataType.TEXT, "int": DataType.INTEGER, "dec": DataType.DECIMAL, "date": DataType.DATE,
    "stamp": DataType.TIMESTAMP, "flag": DataType.BOOLEAN,
}  # fmt: skip
WRITTEN = {
    DataType.TEXT: "VARCHAR", DataType.INTEGER: "BIGINT", DataType.DECIMAL: "DECIMAL(18, 4)", DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP", DataType.BOOLEAN: "BOOLEAN",
}  # fmt: skip


def uses_of(name: str) -> frozenset[Use]:
    """Read the uses out of a column's name; ``all`` is all of them, ``no`` none."""
    words = name.split("_")
    if "all" in words:
        return frozenset(Use)
    return frozenset(use for use in Use if use.value in words)


def relation(name: str, *columns: str, unit: tuple[str, ...] = ("join_compare_text",)) -> Relation:
    """Make a relation; the last word of a column's name is its type (a digit after it tells two of a kind apart)."""
    return Relation(
        name, ResourceId(f"resource-{name}"),
        tuple(RelationColumn(c, TYPES[c.split("_")[-1].rstrip("0123456789")]) for c in columns),
        ResourcePolicy(tuple(ColumnPolicy(c, uses_of(c)) for c in columns), unit),
    )  # fmt: skip


PEOPLE = relation(
    "people", "join_compare_text", "reveal_text", "reveal_int", "group_text", "group_date", "total_int", "total_dec",
    "rank_int", "rank_date", "filter_text", "filter_int", "filter_date", "filter_flag", "compare_int", "compare_int2",
    "group_filter_text", "group_filter_date", "filter_total_int", "filter_total_dec", "group_join_text", "join_int",
    "filter_group_rank_total_int", "no_text", "no_int", "all_text", "all_int", "all_date",
)  # fmt: skip
VISITS = relation("visits", "join_compare_text", "total_dec2", "group_text2", "filter_int2", "join_int", "compare_int3")
AREAS = relation("areas", "all_text", "all_int2", unit=())
RELATIONS = (PEOPLE, VISITS, AREAS)


def decide(sql: str, relations: tuple[Relation, ...] = RELATIONS) -> tuple[str, ...]:
    """Return the codes of the gate's reasons; none when it permits."""
    return tuple(reason.code for reason in decide_query(relations, THRESHOLDS, sql).reasons)


def permitted(sql: str, relations: tuple[Relation, ...] = RELATIONS) -> GovernedQuery:
    """Return what the gate permits; fail when it refuses."""
    decision = decide_query(relations, THRESHOLDS, sql)
    assert isinstance(decision, Permitted), [(r.code, dict(r.facts)) for r in decision.reasons]
    return decision.value


def value_of(name: str, data_type: DataType, row: int) -> Any:
    """Return a made-up value. Every value of a protected column holds the word SECRET or lies above 7 000 000."""
    match data_type:
        case DataType.TEXT:
            if "reveal" in name or "all" in name:
                return f"open {row % 7}"
            return f"SECRET {row}" if "join" in name or "no" in name else f"kind {row % 7}"
        case DataType.INTEGER:
            return row % 50 if "reveal" in name or "all" in name else 7_000_000 + row * 13 % 1000
        case DataType.DECIMAL:
            return Decimal(70_000_000 + row * 17 % 997) / 7
        case DataType.BOOLEAN:
            return row % 3 == 0
        case _:
            return f"20{10 + row % 10}-0{1 + row % 9}-11"


def open_engine(rows: int = 400, relations: tuple[Relation, ...] = RELATIONS) -> duckdb.DuckDBPyConnection:
    """Give an engine that holds the projections of ``relations`` in every form, as the trusted side would write them."""
    engine = duckdb.connect()
    for made in relations:
        items = []
        for column in made.columns:
            kind = WRITTEN[column.data_type]
            items += [f'CAST("{column.name}" AS {kind}) AS "{column.name}"']
            items += [f'sha256(CAST("{column.name}" AS VARCHAR)) AS "key:{column.name}"']
            items += [f'CAST("{column.name}" AS {kind}) AS "raw:{column.name}"']
        unit = f'hash("{made.policy.unit[0]}")' if made.policy.unit else "NULL"
        names = ", ".join(f'"{c.name}" VARCHAR' for c in made.columns)
        engine.execute(f"CREATE TEMP TABLE given ({names})")
        values = [tuple(_text(value_of(c.name, c.data_type, row)) for c in made.columns) for row in range(rows)]
        engine.executemany(f"INSERT INTO given VALUES ({', '.join('?' for _ in made.columns)})", values)
        engine.execute(f'CREATE TABLE "{made.name}" AS SELECT {", ".join(items)}, {unit} AS "unit:" FROM given')
        engine.execute("DROP TABLE given")
    return engine


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unexpected_operators(engine: duckdb.DuckDBPyConnection, query: GovernedQuery) -> set[str]:
    """Run the stages; return the operators of their bound plans, and the last one's, that the second opinion refuses."""
    engine.execute("SET explain_output = 'all'")
    found = set[str]()
    for name, sql in (*((stage.name, stage.sql) for stage in query.stages), ("", query.sql)):
        rest = list(json.loads(dict(engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall())["logical_plan"]))
        while rest:
            node = rest.pop()
            found.add(node["name"])
            rest += node.get("children", [])
        if name:
            engine.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql}')
    return found - set(PLAN_OPERATORS)


def run(engine: duckdb.DuckDBPyConnection, query: GovernedQuery) -> list[tuple[Any, ...]]:
    """Run the stages and the final statement."""
    for stage in query.stages:
        engine.execute(f'CREATE OR REPLACE TEMP TABLE "{stage.name}" AS {stage.sql}')
    return engine.execute(query.sql).fetchall()

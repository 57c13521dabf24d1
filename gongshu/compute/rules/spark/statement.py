"""From a governed query to the same one in Spark's dialect, or the reason why there is none."""

from dataclasses import replace
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gongshu.base.decisions import Decision, Denied, Permitted, rule
from gongshu.base.decisions import Kind as ReasonKind
from gongshu.compute.rules.scopes import KEY_PREFIX, ORDER_COLUMN, RAW_PREFIX, UNIT_COLUMN
from gongshu.compute.rules.spark.kinds import KIND_OF, Columns, Kind, UnwritableError
from gongshu.compute.rules.spark.queries import QueryWriter
from gongshu.compute.rules.spark.steps import steps
from gongshu.compute.rules.terms import let_go
from gongshu.compute.types import GovernedQuery, Projection, Relation, Stage
from gongshu.policies.service import MASKS

SPARK_OPERATORS = (
    "Aggregate", "CTERelationDef", "CTERelationRef", "Distinct", "Except", "Filter", "GlobalLimit", "Intersect", "Join",
    "LocalLimit", "LogicalRDD", "Offset", "OneRowRelation", "Project", "Relation", "Sort", "SubqueryAlias", "Union", "View",
    "Window", "WithCTE",
)  # fmt: skip
"""Operators of Spark's analysed plan that a governed query can need. Any other refuses the job."""

SPARK_UNWRITABLE = rule(
    "spark-unwritable", ReasonKind.INVALID, zh="{construct} 在 Spark 上没有与 DuckDB 结果相同的写法。",
    en="{construct} has no form in Spark that gives what DuckDB gives.",
    fix_zh="请改写该处，或选择 DuckDB 引擎。", fix_en="Rewrite it, or choose the engine DuckDB.",
)  # fmt: skip
CONSTRUCT_CHARACTERS_MAX = 60


def decide_spark(query: GovernedQuery, relations: tuple[Relation, ...]) -> Decision[GovernedQuery]:
    """Return ``query`` with its stages and final statement in Spark's dialect; refuse what cannot be written so.

    ``relations`` are those of the entitlement; names, lineage and projections stay as the gate decided them.
    """
    known = {relation.name: relation for relation in relations}
    tables = {p.relation: columns_of(p, known[p.relation]) for p in query.projections}
    stages: list[Stage] = []
    try:
        for stage in query.stages:
            for name, tree in steps(stage.name, _read(stage.sql), [made.name for made in stages]):
                text, columns = _written(tree, tables)
                is_whole = name == stage.name
                stages.append(replace(stage, name=name, sql=text, is_counted=stage.is_counted and is_whole))
                tables[name] = columns
        final, _ = _written(_read(query.sql), tables)
        traces = tuple(replace(trace, sql=_written(_read(trace.sql), tables)[0]) for trace in query.traces)
    except UnwritableError as error:
        return Denied((SPARK_UNWRITABLE.because(construct=str(error)[:CONSTRUCT_CHARACTERS_MAX]),))
    except (RecursionError, SqlglotError):
        return Denied((SPARK_UNWRITABLE.because(construct="SELECT …"),))
    return Permitted(replace(query, sql=final, stages=tuple(stages), traces=traces))


def columns_of(projection: Projection, relation: Relation) -> Columns:
    """Return the columns of a projection, as the trusted side writes them, with their kinds."""
    raw = {column.name: KIND_OF[column.data_type] for column in relation.columns}
    shown = dict(raw)
    for column in relation.policy.columns:
        if column.mask is not None and not MASKS[column.mask.kind].keeps_type:
            shown[column.column] = Kind.TEXT
    columns = {name: shown[name] for name in projection.columns}
    columns |= {KEY_PREFIX + name: Kind.BINARY for name in projection.keys}
    columns |= {RAW_PREFIX + name: raw[name] for name in projection.raws}
    columns |= {UNIT_COLUMN: Kind.INTEGER} if projection.has_unit else {}
    return columns | ({ORDER_COLUMN: Kind.INTEGER} if projection.has_order else {})


def _read(sql: str) -> exp.Expression:
    return cast(exp.Expression, sqlglot.parse_one(sql, dialect="duckdb"))


def _written(tree: exp.Expression, tables: dict[str, Columns]) -> tuple[str, Columns]:
    made, columns = QueryWriter(dict(tables)).query(tree)
    let_go(tree)
    text = made.sql(dialect="spark", copy=False)
    let_go(made)
    return text, columns

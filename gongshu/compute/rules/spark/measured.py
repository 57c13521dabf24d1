"""Statements with noise: Spark measures, and noise is drawn on this machine, where OpenDP is, before anything reads a number.

Of a stage with noise the exact measurements of each group are all that reads rows. They are made on the cluster, each as a
statement of its own; what comes back takes the place of the relations, and the rest of the statement runs in the sandbox
here, word for word as it does without Spark. So noise is drawn, kept and charged by the same code.
"""

from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, rule
from gongshu.compute.rules.spark.statement import decide_spark
from gongshu.compute.types import GovernedQuery, Relation, Stage

MEASURED = "measured:"
SPARK_WITHOUT_NOISE = rule(
    "spark-without-noise", Kind.INVALID, zh="加噪之后再读原数据行的语句只在 DuckDB 引擎上运行。",
    en="A statement that reads rows once more after noise was added runs on DuckDB alone.",
    fix_zh="请把该语句拆成几条，或选择 DuckDB 引擎。", fix_en="Ask in several statements, or choose the engine DuckDB.",
)  # fmt: skip


def decide_measured(query: GovernedQuery, relations: tuple[Relation, ...]) -> Decision[GovernedQuery]:
    """Return ``query`` with its measurements in Spark's dialect; everything after the noise stays DuckDB's."""
    given = {projection.relation for projection in query.projections}
    noisy = [stage for stage in query.stages if stage.noise is not None]
    after = [query.sql, *(stage.sql for stage in query.stages if stage.noise is None)]
    try:
        mixed = any(_reads(text) & given for text in after) or any(_reads(stage.sql) - given for stage in noisy)
    except (RecursionError, SqlglotError):
        mixed = True
    if mixed:
        return Denied((SPARK_WITHOUT_NOISE.because(),))
    stages: dict[str, Stage] = {}
    for stage in noisy:
        decided = decide_spark(replace(query, sql=stage.sql, stages=(), traces=()), relations)
        if isinstance(decided, Denied):
            return decided
        stages[stage.name] = replace(stage, sql=decided.value.sql)
    return Permitted(replace(query, stages=tuple(stages.get(stage.name, stage) for stage in query.stages)))


def measurements(query: GovernedQuery) -> tuple[GovernedQuery, ...]:
    """Return what the cluster is asked of a query that ``decide_measured`` wrote: one statement for each noisy stage."""
    return tuple(
        GovernedQuery(
            stage.sql, (), (), tuple(p for p in query.projections if p.relation in _reads(stage.sql, "spark")),
            is_aggregate=True,
        )
        for stage in query.stages if stage.noise is not None
    )  # fmt: skip


def beside(query: GovernedQuery, selected: tuple[str, ...]) -> GovernedQuery:
    """Return the rest of the statement: the exact numbers are read from ``measured:0`` … as ``selected`` says, and get noise."""
    numbers = iter(range(len(selected)))
    stages = tuple(
        replace(stage, sql=f'SELECT {selected[i]} FROM "{MEASURED}{i}"')  # noqa: S608 - quoted where it was made
        if stage.noise is not None and (i := next(numbers)) >= 0
        else stage
        for stage in query.stages
    )
    return replace(query, stages=stages, projections=())


def _reads(sql: str, dialect: str = "duckdb") -> set[str]:
    tree = sqlglot.parse_one(sql, dialect=dialect)
    return {table.name for table in tree.find_all(exp.Table)} - {cte.alias for cte in tree.find_all(exp.CTE)}

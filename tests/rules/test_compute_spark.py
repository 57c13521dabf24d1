"""Governed queries in Spark's dialect, without a cluster: what is written, what is refused, which engine is chosen."""

import re
from dataclasses import replace

import pytest
import sqlglot

from gongshu.base.decisions import Denied, Permitted
from gongshu.compute.adapters.spark_client import RefusedError, scanned_by
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.engines import Available, Sizes, decide_engine, queries_of_engines
from gongshu.compute.rules.spark import SPARK_OPERATORS, beside, decide_spark, measurements
from gongshu.compute.rules.spark.steps import STEP
from gongshu.compute.types import Engine, GovernedQuery, Stage
from gongshu.policies.types import Clamp, ContributionBounds, Noise, NoiseMechanism, Protection
from tests.governed import PEOPLE, RELATIONS, THRESHOLDS, permitted
from tests.rules.test_compute_gate import ACCEPTED

KNOWN = frozenset({
    "abs", "aggregate", "any_value", "array", "bool_or", "array_compact", "array_contains", "array_distinct", "array_size", "avg", "btrim", "ceil", "char",
    "coalesce", "collect_list", "collect_set", "concat_ws", "contains", "corr", "count", "count_if", "covar_pop", "covar_samp",
    "cume_dist", "date_format", "date_trunc", "datediff", "day", "dayofweek", "dayofyear", "dense_rank", "endswith", "exp",
    "first_value", "flatten", "floor", "get", "greatest", "hour", "instr", "lag", "last_day", "last_value", "lead", "least", "left",
    "length", "ln", "log10", "listagg", "lower", "ltrim", "max", "max_by", "min", "min_by", "minute", "month", "nth_value", "ntile", "nullif",
    "percent_rank", "percentile", "percentile_disc", "power", "quarter", "rank", "regexp_like", "regexp_replace", "regr_intercept",
    "regr_r2", "regr_slope", "replace", "right", "rint", "round", "row_number", "rtrim", "sha2", "sign", "slice", "sort_array", "sqrt",
    "startswith", "stddev_pop", "struct", "stddev_samp", "substring", "sum", "timestamp_micros", "timestampdiff", "transform", "trim",
    "unix_micros", "unix_date", "upper", "var_pop", "var_samp", "weekofyear", "xxhash64", "year",
})  # fmt: skip
"""Every function of Spark that may be written. None reads a file, a setting or the session, or runs code."""

SYNTAX = frozenset({"cast", "try_cast", "decimal", "exists", "filter"})


def spark(sql: str) -> GovernedQuery:
    """Return a permitted statement in Spark's dialect."""
    decision = decide_spark(permitted(sql), RELATIONS)
    assert isinstance(decision, Permitted), [(r.code, dict(r.facts)) for r in decision.reasons]
    return decision.value


def texts(query: GovernedQuery) -> list[str]:
    return [*(stage.sql for stage in query.stages), query.sql, *(trace.sql for trace in query.traces)]


@pytest.mark.parametrize("sql", ACCEPTED)
def test_an_accepted_statement_is_written_in_text_that_reads_back(sql: str) -> None:
    query = permitted(sql)
    written = spark(sql)
    assert replace(written, sql=query.sql, stages=query.stages, traces=query.traces) == query
    whole = [stage for stage in written.stages if not stage.name.startswith(STEP)]
    assert [(stage.name, stage.is_counted) for stage in whole] == [(s.name, s.is_counted) for s in query.stages]
    assert not any(stage.is_counted for stage in written.stages if stage not in whole)
    for text in texts(written):
        assert sqlglot.parse_one(text, dialect="spark").sql(dialect="spark")
    assert tuple(sqlglot.parse_one(written.sql, dialect="spark").named_selects) == query.outputs


@pytest.mark.parametrize("sql", ACCEPTED)
def test_only_known_functions_are_written(sql: str) -> None:
    for text in texts(spark(sql)):
        bare = re.sub(r"`(?:[^`]|``)*`|'(?:[^'\\]|\\.)*'", "''", text)
        called = {name.lower() for name in re.findall(r"([A-Za-z_0-9]+)\(", bare)}
        assert called <= KNOWN | SYNTAX


WRITTEN = {
    "SELECT sum(all_int2) AS a FROM areas": "SUM(CAST(`x0` AS DECIMAL(38, 0)))",
    "SELECT all_int2 / 0 AS a FROM areas": "CAST('Infinity' AS DOUBLE)",
    "SELECT all_text LIKE 'a\\b' AS a FROM areas": "LIKE REPLACE('a\\\\b', '\\\\', '\\\\\\\\')",
    "SELECT all_text = '${x}' AS a FROM areas": "'${x}'",
    "SELECT all_text = 'a\nb' AS a FROM areas": "CONCAT_WS('', 'a', CHAR(10), 'b')",
    "SELECT all_text IS NOT DISTINCT FROM 'x' AS a FROM areas": "IS NOT DISTINCT FROM",
    "SELECT all_date + INTERVAL 1 QUARTER AS a FROM people": "INTERVAL '3' MONTH",
    "SELECT dayofweek(all_date) AS a FROM people": "DAYOFWEEK(`r:1`.`all_date`) - 1",
    "SELECT CAST(all_int AS INTEGER) AS a FROM people": "TRY_CAST(`r:1`.`all_int` AS INT)",
    "SELECT a FROM (SELECT all_text AS a, count(*) AS n FROM areas GROUP BY all_text) AS s ORDER BY n": "NULLS LAST",
    "SELECT row_number() OVER (ORDER BY all_text) AS a FROM (SELECT all_text FROM areas GROUP BY all_text) AS s": "CAST(ROW_NUMBER() OVER (",
}  # fmt: skip


@pytest.mark.parametrize(("sql", "part"), WRITTEN.items())
def test_what_differs_between_the_dialects_is_written_out(sql: str, part: str) -> None:
    assert part in "\n".join(texts(spark(sql)))


UNWRITABLE = {
    "SELECT CAST(all_int / 3 AS VARCHAR) AS a FROM people": "CAST (DOUBLE AS VARCHAR)",
    "SELECT strftime(all_date, '%U') AS a FROM people": "STRFTIME (…)",
    "SELECT substring(all_text, 3, -2) AS a FROM people": "SUBSTRING (…, < 0)",
    'SELECT all_text AS "a\nb" FROM people': "AS (name with a control character)",
}


@pytest.mark.parametrize(("sql", "construct"), UNWRITABLE.items())
def test_what_has_no_equal_in_spark_is_refused_by_name(sql: str, construct: str) -> None:
    decision = decide_spark(permitted(sql), RELATIONS)
    assert [(r.code, dict(r.facts)) for r in decision.reasons] == [("spark-unwritable", {"construct": construct})]


@pytest.mark.parametrize("sql", [
    "SELECT gen_random_uuid() AS a FROM people",
    "SELECT * FROM read_csv('x')",
    "SELECT unnest([1, 2]) AS a",
    "SELECT a FROM nowhere",
    "SELECT b FROM people",
    "PIVOT people ON all_text",
    "DROP TABLE people",
    "SELECT sum(all_int) OVER (ORDER BY all_int GROUPS 2 PRECEDING) AS a FROM people",
    "SELECT #1 FROM people",
    "SELECT (",
])  # fmt: skip
def test_text_that_the_gate_would_never_write_is_not_passed_on(sql: str) -> None:
    made = permitted("SELECT all_text, all_int FROM people")
    assert isinstance(decide_spark(replace(made, sql=sql), RELATIONS), Denied)
    stage = Stage("stage:1", sql)
    assert isinstance(decide_spark(replace(made, stages=(stage,)), RELATIONS), Denied)


def test_a_statement_that_would_grow_beyond_bounds_is_refused() -> None:
    nested = "all_int"
    for _ in range(40):
        nested = f"({nested} / all_int2)"
    decision = decide_query(
        RELATIONS, THRESHOLDS, f"SELECT {nested} AS a FROM people p JOIN areas a ON p.all_text = a.all_text"
    )
    assert isinstance(decision, Permitted)
    assert [r.code for r in decide_spark(decision.value, RELATIONS).reasons] == ["spark-unwritable"]


# ----------------------------------------------------------------------------------------------- choice of the engine

EVERYTHING = Available(has_cluster=True, has_client=True, rows_min=1_000, bytes_min=1_000_000)
SMALL, MANY, LARGE = Sizes(10, 10), Sizes(1_000, 10), Sizes(10, 1_000_000)
COUNTED = "SELECT group_text, count(*) FROM people GROUP BY group_text"


@pytest.mark.parametrize(("asked", "sizes", "here", "chosen"), [
    (None, SMALL, EVERYTHING, Engine.DUCKDB),
    (None, MANY, EVERYTHING, Engine.SPARK),
    (None, LARGE, EVERYTHING, Engine.SPARK),
    (None, LARGE, replace(EVERYTHING, has_cluster=False), Engine.DUCKDB),
    (None, LARGE, replace(EVERYTHING, has_client=False), Engine.DUCKDB),
    (Engine.DUCKDB, LARGE, EVERYTHING, Engine.DUCKDB),
    (Engine.SPARK, SMALL, EVERYTHING, Engine.SPARK),
])  # fmt: skip
def test_the_engine_is_the_one_asked_for_or_the_one_that_the_data_calls_for(
    asked: Engine | None, sizes: Sizes, here: Available, chosen: Engine
) -> None:
    decision = decide_engine(asked, permitted(COUNTED), RELATIONS, sizes, here)
    assert isinstance(decision, Permitted)
    engine, query = decision.value
    assert engine is chosen
    assert ("`" in query.sql) is (chosen is Engine.SPARK)


def test_spark_that_is_not_there_is_refused_with_every_reason() -> None:
    nothing = replace(EVERYTHING, has_cluster=False, has_client=False)
    decision = decide_engine(Engine.SPARK, permitted(COUNTED), RELATIONS, SMALL, nothing)
    assert [reason.code for reason in decision.reasons] == ["spark-not-configured", "spark-client-missing"]
    assert "GONGSHU_SPARK_REMOTE" in decision.reasons[0].fix.en
    assert "gongshu[spark]" in decision.reasons[1].fix.zh


def test_a_statement_without_a_form_in_spark_is_refused_there_and_runs_here_when_nobody_asked() -> None:
    query = permitted(next(iter(UNWRITABLE)))
    asked = decide_engine(Engine.SPARK, query, RELATIONS, LARGE, EVERYTHING)
    assert [reason.code for reason in asked.reasons] == ["spark-unwritable"]
    assert decide_engine(None, query, RELATIONS, LARGE, EVERYTHING) == Permitted((Engine.DUCKDB, query))


NOISY = replace(THRESHOLDS, protection=Protection(
    ContributionBounds(2, 3),
    noise=Noise(NoiseMechanism.LAPLACE, 500, 1000, 10_000, 10_000, (Clamp(PEOPLE.resource, "total_int", 0, 100),)),
))  # fmt: skip


def test_with_noise_spark_measures_and_the_rest_is_run_here() -> None:
    sql = "SELECT n, count(*) AS m FROM (SELECT group_text, count(*) AS n, sum(total_int) AS s FROM people GROUP BY group_text) GROUP BY n"
    query = decide_query(RELATIONS, NOISY, sql).value_or_raise()
    decision = decide_engine(Engine.SPARK, query, RELATIONS, SMALL, EVERYTHING)
    assert isinstance(decision, Permitted)
    engine, written = decision.value
    assert (engine, written.sql, written.price) == (Engine.SPARK, query.sql, query.price)
    for before, after in zip(query.stages, written.stages, strict=True):
        assert (before.name, before.noise) == (after.name, after.noise)
        assert ("`" in after.sql) is (before.noise is not None)
    (asked,) = measurements(written)
    assert [p.relation for p in asked.projections] == ["people"]
    rest = beside(query, ("c0",))
    assert rest.projections == ()
    assert rest.stages[0].sql == 'SELECT c0 FROM "measured:0"'
    assert rest.stages[1:] == query.stages[1:]


def test_what_reads_rows_after_noise_is_refused_on_spark() -> None:
    sql = "SELECT all_int2 FROM areas WHERE all_int2 < (SELECT count(*) FROM people)"
    query = decide_query(RELATIONS, NOISY, sql).value_or_raise()
    decision = decide_engine(Engine.SPARK, query, RELATIONS, SMALL, EVERYTHING)
    assert [reason.code for reason in decision.reasons] == ["spark-without-noise"]
    assert decide_engine(None, query, RELATIONS, LARGE, EVERYTHING) == Permitted((Engine.DUCKDB, query))


def test_an_explanation_shows_the_sql_of_each_engine_or_why_there_is_none() -> None:
    duckdb, spark_ = queries_of_engines(permitted(COUNTED), RELATIONS)
    assert (duckdb.engine, spark_.engine) == (Engine.DUCKDB, Engine.SPARK)
    assert len(duckdb.stages) == len(spark_.stages) == 1
    _, none = queries_of_engines(permitted(next(iter(UNWRITABLE))), RELATIONS)
    assert (none.sql, [reason.code for reason in none.reasons]) == ("", ["spark-unwritable"])


# ------------------------------------------------------------------------------------------------- the second opinion

PLAN = """== Parsed Logical Plan ==
'Project ['a]

== Analyzed Logical Plan ==
a: bigint
Project [a#1L]
+- Join Inner
   :- SubqueryAlias people
   :  +- View (`people`, [a#1L])
   :     +- Relation [a#1L] parquet
   +- View (`stage:``1`, [a#2L])
      +- LogicalRDD [a#2L], false

== Optimized Logical Plan ==
Project [a#1L]

== Physical Plan ==
*(1) Project [a#1L]
"""
READABLE = {"people", "stage:`1"}


def test_the_analysed_plan_tells_which_relations_are_read() -> None:
    assert scanned_by(PLAN, frozenset(SPARK_OPERATORS), READABLE) == READABLE


@pytest.mark.parametrize(("old", "new"), [
    ("Join Inner", "ScriptTransformation cat"),
    ("Join Inner", "+- Join Inner\n== Optimized Logical Plan ==\n"),
    ("   +- View (`stage:``1`, [a#2L])\n      +- LogicalRDD", "   +- LogicalRDD"),
    ("   :  +- View (`people`, [a#1L])\n   :     +- Relation", "   :  +- Relation"),
    ("`people`, [", "`others`, ["),
    ("View (`people`", "View (people"),
    ("SubqueryAlias people", "a line that is no operator"),
    ("SubqueryAlias people", "\n"),
    ("== Analyzed Logical Plan ==", "== Analyzed ==")
])  # fmt: skip
def test_any_difference_in_the_plan_refuses_it(old: str, new: str) -> None:
    assert old in PLAN
    with pytest.raises(RefusedError, match="plan-unexpected"):
        scanned_by(PLAN.replace(old, new), frozenset(SPARK_OPERATORS), READABLE)

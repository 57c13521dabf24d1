"""Which engine runs a governed query: the one that was asked for, or the one that the amount of data calls for."""

from dataclasses import dataclass

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, rule
from gongshu.compute.rules.spark import decide_measured, decide_spark
from gongshu.compute.types import Engine, EngineQuery, GovernedQuery, Relation

SPARK_NOT_CONFIGURED = rule(
    "spark-not-configured", Kind.CONFLICT, zh="本平台没有配置 Spark 集群。", en="No Spark cluster is configured here.",
    fix_zh="请运维设置 GONGSHU_SPARK_REMOTE（如 sc://127.0.0.1:15002），或选择 DuckDB 引擎。",
    fix_en="Ask the operator of the machine to set GONGSHU_SPARK_REMOTE (for example sc://127.0.0.1:15002), or choose DuckDB.",
)  # fmt: skip
SPARK_CLIENT_MISSING = rule(
    "spark-client-missing", Kind.CONFLICT, zh="本机没有安装 Spark 客户端。", en="Spark's client is not installed on this machine.",
    fix_zh="请运维执行 pip install 'gongshu[spark]'（或在源码目录执行 make setup-spark），或选择 DuckDB 引擎。",
    fix_en="Ask the operator of the machine to run pip install 'gongshu[spark]' (or make setup-spark in the sources), or choose DuckDB.",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much a statement reads: rows and bytes of the registered versions behind it."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Available:
    """What there is of Spark here, and from which amount of data on it is chosen (dated parameters)."""

    has_cluster: bool
    has_client: bool
    rows_min: int
    bytes_min: int


def write_for_spark(query: GovernedQuery, relations: tuple[Relation, ...]) -> Decision[GovernedQuery]:
    """Return ``query`` as Spark runs it. With noise only the measurements are Spark's: noise is drawn where OpenDP is."""
    return decide_spark(query, relations) if query.price is None else decide_measured(query, relations)


def decide_engine(
    asked: Engine | None, query: GovernedQuery, relations: tuple[Relation, ...], sizes: Sizes, here: Available
) -> Decision[tuple[Engine, GovernedQuery]]:
    """Return the engine and the query in its dialect.

    Who asks for Spark gets it or every reason why not. Where nobody asks, Spark runs what reads many rows or bytes, if it is
    there and the statement has a form for it; DuckDB runs everything else.
    """
    missing = [] if here.has_cluster else [SPARK_NOT_CONFIGURED.because()]
    missing += [] if here.has_client else [SPARK_CLIENT_MISSING.because()]
    if asked is Engine.SPARK:
        written = write_for_spark(query, relations)
        if isinstance(written, Denied) or missing:
            return Denied((*missing, *written.reasons))
        return Permitted((asked, written.value))
    is_large = sizes.rows >= here.rows_min or sizes.bytes >= here.bytes_min
    if asked is None and is_large and not missing:
        written = write_for_spark(query, relations)
        if isinstance(written, Permitted):
            return Permitted((Engine.SPARK, written.value))
    return Permitted((Engine.DUCKDB, query))


def queries_of_engines(query: GovernedQuery, relations: tuple[Relation, ...]) -> tuple[EngineQuery, ...]:
    """Return how each engine runs ``query``, or why it cannot."""
    written = write_for_spark(query, relations)
    if isinstance(written, Permitted):
        spark = EngineQuery(Engine.SPARK, written.value.stages, written.value.sql)
    else:
        spark = EngineQuery(Engine.SPARK, reasons=written.reasons)
    return (EngineQuery(Engine.DUCKDB, query.stages, query.sql), spark)

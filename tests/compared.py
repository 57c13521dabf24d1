"""Runs one governed query on both engines over the same projections and says where they differ."""

import math
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from gongshu.base.decisions import Permitted
from gongshu.compute.adapters.sandbox import Outcome
from gongshu.compute.adapters.spark import Client, SparkRun, same_types
from gongshu.compute.rules.jobs import LIMITS
from gongshu.compute.rules.spark import SPARK_OPERATORS, decide_spark
from gongshu.compute.types import GovernedQuery, JobLimits, Relation

Row = tuple[Any, ...]
Answer = tuple[list[Row], int, int]
"""Rows, groups withheld, units withheld."""
TOLERANCE = 1e-9
"""Sums of floating-point numbers depend on the order of the rows, on either engine."""


class Comparison:
    """Two engines that hold the same projections."""

    def __init__(self, remote: str, client: Client, folder: Path) -> None:
        """Begin without relations."""
        self._remote, self._client, self._folder = remote, client, folder
        self._engine, self._shuffled = (duckdb.connect(config={"threads": 1}) for _ in range(2))
        self._urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Return the comparison."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the engine on this side."""
        self._engine.close()
        self._shuffled.close()

    def hold(self, engine: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
        """Take over tables of ``engine`` as projections."""
        for name in names:
            path = self._folder / f"{len(self._urls)}-{abs(hash(name))}.parquet"
            engine.table(name).write_parquet(str(path))
            read = f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM read_parquet(?)'
            self._engine.execute(read, [str(path)])
            self._shuffled.execute(
                f'CREATE OR REPLACE TABLE "{name}" AS SELECT * EXCLUDE file_row_number '
                "FROM read_parquet(?, file_row_number = true) ORDER BY hash(file_row_number)", [str(path)],
            )  # fmt: skip
            self._urls[name] = path.as_uri()

    def on_duckdb(self, query: GovernedQuery) -> Answer:
        return _answer(self._engine, query)

    def is_determined(self, query: GovernedQuery) -> bool:
        """Whether the answer is the same when the rows lie in another order: LIMIT and row numbers may leave a choice."""
        return not _differ(_answer(self._engine, query), _answer(self._shuffled, query), query.outputs)

    def on_spark(
        self, query: GovernedQuery, relations: tuple[Relation, ...], limits: JobLimits = LIMITS
    ) -> tuple[Outcome, list[Row]]:
        written = decide_spark(query, relations)
        assert isinstance(written, Permitted), [(r.code, dict(r.facts)) for r in written.reasons]
        return self.as_written(written.value, limits=limits)

    def as_written(
        self, query: GovernedQuery, *, limits: JobLimits = LIMITS, operators: tuple[str, ...] = SPARK_OPERATORS
    ) -> tuple[Outcome, list[Row]]:
        """Run a query that is in Spark's dialect already."""
        target = self._folder / "told.parquet"
        target.unlink(missing_ok=True)
        urls = {p.relation: self._urls[p.relation] for p in query.projections}
        outcome, columns = self._client.run(query, SparkRun(self._remote, urls, target, limits, operators))
        if outcome.code:
            return outcome, []
        rows = self._engine.execute(f"SELECT {same_types(columns)} FROM read_parquet(?)", [str(target)]).fetchall()
        return outcome, rows

    def differences(self, query: GovernedQuery, relations: tuple[Relation, ...]) -> list[str]:
        """Say where the two answers differ: rows, withheld groups, withheld units."""
        outcome, rows = self.on_spark(query, relations)
        if outcome.code:
            return [f"Spark: {outcome.code}"]
        mine, theirs = self.on_duckdb(query), (rows, outcome.groups_withheld, outcome.units_withheld)
        if self.is_determined(query):
            return _differ(mine, theirs, query.outputs)
        return [] if len(mine[0]) == len(rows) else [f"{len(mine[0])} rows, on Spark {len(rows)}"]


def _answer(engine: duckdb.DuckDBPyConnection, query: GovernedQuery) -> Answer:
    groups = units = 0
    for stage in query.stages:
        engine.execute(f'CREATE OR REPLACE TEMP TABLE "{stage.name}" AS {stage.sql}')
        if stage.is_counted:
            counted = engine.execute(
                f'SELECT count(*) FILTER (NOT passes), coalesce(max(units) FILTER (NOT passes), 0) FROM "{stage.name}"'
            ).fetchone()
            many, largest = int(counted[0]), int(counted[1]) if counted[0] > 1 else 0
            units = units if not many else min(units, largest) if groups else largest
            groups += many
    return engine.execute(query.sql).fetchall(), groups, units


def _differ(mine: Answer, theirs: Answer, outputs: tuple[str, ...]) -> list[str]:
    told = [] if mine[1:] == theirs[1:] else [f"withheld: {mine[1:]} groups and units, on Spark {theirs[1:]}"]
    return told + differing(mine[0], theirs[0], outputs)


def differing(mine: list[Row], theirs: list[Row], outputs: tuple[str, ...]) -> list[str]:
    """Say of each column the first value that differs; the order of rows does not matter."""
    if len(mine) != len(theirs):
        return [f"{len(mine)} rows, on Spark {len(theirs)}"]
    found: dict[str, str] = {}
    for one, other in zip(sorted(mine, key=sort_key), sorted(theirs, key=sort_key), strict=True):
        for name, a, b in zip(outputs, one, other, strict=True):
            if not is_same(a, b):
                found.setdefault(name, f"{name}: {a!r}, on Spark {b!r}")
    return list(found.values())


def sort_key(row: Row) -> tuple[str, ...]:
    return tuple(f"{float(value):.6g}" if is_number(value) else str(value) for value in row)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_same(a: Any, b: Any) -> bool:
    if is_number(a) and is_number(b):
        if isinstance(a, float) or isinstance(b, float):
            return (
                (math.isnan(a) and math.isnan(b))
                or float(a) == float(b)
                or math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            )
        return a == b
    return type(a) is type(b) and a == b


def with_limits(**changes: int) -> JobLimits:
    """Return the limits of a job with some of them changed."""
    return replace(LIMITS, **changes)

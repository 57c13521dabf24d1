"""What engine and reference say of a case, and whether it is the same."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from gongshu.catalog.types import DataType
from gongshu.compute.rules.projections import select_list
from gongshu.compute.types import GovernedQuery
from gongshu.policies.types import Thresholds
from tests.differential.making import Case, quoted
from tests.reference.aggregates import Rounded
from tests.reference.queries import Reference

WRITTEN = {
    DataType.TEXT: "VARCHAR", DataType.INTEGER: "BIGINT", DataType.DECIMAL: "DECIMAL(18, 4)", DataType.DATE: "DATE",
    DataType.BOOLEAN: "BOOLEAN",
}  # fmt: skip
JOB_KEY, MASK_KEY = b"a key of one job", b"a key of masks"
CLOSE, A_DIGIT, DIGITS = 1e-9, 0.011, 1e-14

Rows = list[tuple[Any, ...]]


def raw_tables(engine: duckdb.DuckDBPyConnection, case: Case) -> None:
    """Put the rows of a case into ``engine`` as ``raw:…``, before any projection."""
    for table in case.tables:
        columns = table.relation.columns
        kinds = [WRITTEN[c.data_type] for c in columns]
        described = ", ".join(f"{quoted(c.name)} {kind}" for c, kind in zip(columns, kinds, strict=True))
        name = quoted(f"raw:{table.relation.name}")
        engine.execute(f"CREATE OR REPLACE TABLE {name} ({described})")
        if table.rows:
            lists = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds)
            engine.execute(f"INSERT INTO {name} SELECT {lists}", [list(v) for v in zip(*table.rows, strict=True)])


def projected(case: Case, query: GovernedQuery) -> dict[str, str]:
    """Return, by relation, the SQL that makes its projection of ``raw:…`` as the trusted side does."""
    relations = {relation.name: relation for relation in case.relations}
    return {
        p.relation: f"SELECT {select_list(p, relations[p.relation], 'data', key=JOB_KEY, mask_key=MASK_KEY)} "
        f"FROM {quoted(f'raw:{p.relation}')} AS data"
        for p in query.projections
    }


def governed(engine: duckdb.DuckDBPyConnection, case: Case, query: GovernedQuery) -> Rows:
    """Run a governed query in this process: projections, stages, final statement."""
    raw_tables(engine, case)
    for name, sql in projected(case, query).items():
        engine.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS {sql}")
    for stage in query.stages:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(stage.name)} AS {stage.sql}")
    return engine.execute(query.sql).fetchall()


def referenced(case: Case, thresholds: Thresholds) -> Rows:
    """Return what the reference says."""
    tables = {table.relation.name.lower(): table for table in case.tables}
    return Reference(tables, thresholds).answer(case.sql)


def same_rows(case: Case, found: Rows, wanted: Rows) -> bool:
    """Whether both are the same rows, in whatever order; numbers as near as floating point allows."""
    if len(found) != len(wanted):
        return False
    size, rest = biggest(case), sorted(found, key=_exact)
    for row in sorted(wanted, key=_exact):
        place = next((i for i, other in enumerate(rest) if _same_row(other, row, size)), None)
        if place is None:
            return False
        del rest[place]
    return True


def _exact(row: tuple[Any, ...]) -> str:
    return str([None if _is_number(v) else str(_plain(v)) for v in row])


def _same_row(one: tuple[Any, ...], other: tuple[Any, ...], size: float) -> bool:
    return len(one) == len(other) and all(_same(a, b, size) for a, b in zip(one, other, strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return value.date() if isinstance(value, datetime) else value


def _same(found: Any, wanted: Any, size: float) -> bool:
    if not (_is_number(found) and _is_number(wanted)):
        return bool(_plain(found) == _plain(wanted))
    if isinstance(found, int) and isinstance(wanted, int):
        return found == wanted
    # What large numbers leave when they cancel is no more exact than they are.
    near, one, other = A_DIGIT if isinstance(wanted, Rounded) else CLOSE, float(found), float(wanted)
    return math.isclose(one, other, rel_tol=near, abs_tol=near + size * DIGITS) or (
        math.isnan(one) and math.isnan(other)
    )


def biggest(case: Case) -> float:
    """Return the largest number in the data."""
    return max((abs(float(v)) for t in case.tables for row in t.rows for v in row if _is_number(v)), default=0.0)

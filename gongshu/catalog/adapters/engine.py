"""DuckDB as a library: reads clean CSV, decides nothing, writes Parquet, counts. No network, no foreign files.

Messages of the engine may quote values, so none of them leaves this module.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from gongshu.catalog.adapters import expressions as sql
from gongshu.catalog.adapters.folders import part_name
from gongshu.catalog.adapters.scanner import SourceScan
from gongshu.catalog.types import ColumnPlan, DataType, DateForm, Fault, Limits, TypeCounts

COLUMNS_AT_ONCE = 40
ROW_GROUP_ROWS = 122_880
UNPRINTABLE = "\x1f"  # no column of a source can have this in its name


class EngineFault(Exception):  # noqa: N818 - carries no message of the engine
    """The engine could not do it; what it said is withheld because it may quote values."""


@contextmanager
def open_engine(folder: Path, readable: Sequence[Path], limits: Limits) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an engine that can write below ``folder``, read ``readable`` too, and reach nothing else."""
    spill = folder / "spill"
    settings: dict[str, Any] = {
        "memory_limit": f"{limits.engine_memory_bytes}B", "threads": min(limits.engine_threads, os.cpu_count() or 1),
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
        "allow_persistent_secrets": False,
    }  # fmt: skip
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET allowed_directories = [{sql.literal(str(folder) + '/')}]")
        connection.execute(f"SET allowed_paths = [{', '.join(sql.literal(str(path)) for path in readable)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    except duckdb.Error:
        raise EngineFault from None
    finally:
        connection.close()


def _columns(names: Sequence[str]) -> str:
    return "{" + ", ".join(f"{sql.literal(name)}: 'VARCHAR'" for name in names) + "}"


def _reading(scan: SourceScan, names: Sequence[str], limits: Limits) -> str:
    """Return the relation of a scanned source: every field as text, null words as NULL, nothing guessed."""
    return (
        f"read_csv({sql.literal(str(scan.path))}, auto_detect = false, header = {str(scan.has_header).lower()},"
        f" delim = {sql.literal(scan.opening.delimiter.decode())}, quote = '\"', escape = '\"', columns = {_columns(names)},"
        f" nullstr = {sql.NULL_LIST}, strict_mode = true, null_padding = false, ignore_errors = false,"
        f" max_line_size = {limits.record_bytes_max + limits.block_bytes})"
    )


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), COLUMNS_AT_ONCE):
        yield items[start : start + COLUMNS_AT_ONCE]


def one_row(engine: duckdb.DuckDBPyConnection, expressions: list[str], source: str) -> list[Any]:
    row = engine.execute(f"SELECT {', '.join(expressions)} FROM {source}").fetchone()  # noqa: S608 - all names are quoted
    return list(row or ())


# ---------------------------------------------------------------------------------------------------------- types


def count_types(
    engine: duckdb.DuckDBPyConnection, scans: Sequence[SourceScan], names: Sequence[str], limits: Limits, *, whole: bool
) -> tuple[TypeCounts, ...]:
    """Count the forms of values in each column: of the first ``guess_rows`` records per source, or of all."""
    end = "" if whole else f" LIMIT {limits.guess_rows}"
    parts = " UNION ALL ".join(f"(FROM {_reading(scan, names, limits)}{end})" for scan in scans)
    source = f"({parts})"
    if not whole:
        engine.execute(f"CREATE OR REPLACE TEMP TABLE beginning AS {source}")
        source = "beginning"
    found: list[TypeCounts] = []
    for chunk in chunks(names):
        row = iter(one_row(engine, [part for name in chunk for part in _type_expressions(name)], source))
        found.extend(_type_counts(row) for _ in chunk)
    if not whole:
        engine.execute("DROP TABLE beginning")
    return tuple(found)


def _type_expressions(name: str) -> list[str]:
    x = sql.identifier(name)
    is_integer, is_decimal = sql.matches(x, sql.INTEGER), sql.matches(x, sql.DECIMAL)
    return [
        f"count({x})", f"min(length({x}))", f"max(length({x}))", f"count_if({is_integer})",
        f"count_if({sql.matches(x, sql.ZERO_LED)})", f"count_if({is_decimal})",
        f"max(length({x}) - instr({x}, '.')) FILTER ({is_decimal})",
        f"max(length(regexp_extract({x}, '^-?([0-9]+)', 1))) FILTER ({is_integer} OR {is_decimal})",
        *(f"count_if({sql.has_date_form(x, form)})" for form in DateForm),
        f"count_if({sql.has_timestamp_form(x)})", f"count_if({sql.is_boolean(x)})", f"count_if({sql.is_amount(x)})",
    ]  # fmt: skip


def _type_counts(row: Iterator[Any]) -> TypeCounts:
    def number() -> int:
        return int(next(row) or 0)

    return TypeCounts(
        values=number(), length_min=number(), length_max=number(), integers=number(), zero_led=number(),
        decimals=number(), scale_max=number(), digits_max=number(),
        dates=tuple((form, number()) for form in DateForm), timestamps=number(), booleans=number(), amounts=number(),
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------- writing


def write_part(
    engine: duckdb.DuckDBPyConnection, scan: SourceScan, plans: Sequence[ColumnPlan], target: Path, limits: Limits
) -> int | None:
    """Write the kept records of a source as Parquet and return how many; ``None`` when a value has another form."""
    outputs: list[str] = []
    parsed: list[str] = []
    named: list[str] = []
    for index, plan in enumerate(plans):
        x = sql.identifier(plan.name)
        outputs.append(f"{sql.typed(plan)} AS {x}")
        if plan.amount:
            parts, currency = (sql.identifier(f"{UNPRINTABLE}{what}{index}") for what in ("parts", "currency"))
            parsed.append(f"{sql.amount_parts(x)} AS {parts}")
            named.append(f"{sql.currency(parts)} AS {currency}")
            outputs.append(f"{sql.amount(parts, currency)} AS {sql.identifier(plan.amount)}")
            outputs.append(f"{currency} AS {sql.identifier(plan.currency)}")
    reading = _reading(scan, [plan.name for plan in plans], limits)
    if parsed:
        inner = f"(SELECT *, {', '.join(parsed)} FROM {reading})"  # noqa: S608 - every name is quoted
        reading = f"(SELECT *, {', '.join(named)} FROM {inner})"  # noqa: S608 - every name is quoted
    copied = f"(SELECT {', '.join(outputs)} FROM {reading})"  # noqa: S608 - every name is quoted
    options = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    try:
        row = engine.execute(f"COPY {copied} TO {sql.literal(str(target))} {options}").fetchone()
    except duckdb.Error:
        if all(plan.data_type is DataType.TEXT for plan in plans):
            raise
        return None
    return int(row[0]) if row else 0


def write_parts(
    engine: duckdb.DuckDBPyConnection,
    scans: Sequence[SourceScan],
    plans: Sequence[ColumnPlan],
    folder: Path,
    limits: Limits,
) -> list[int] | None:
    """Write one part per source that has records; return the records of each, or ``None`` as ``write_part`` does."""
    written: list[int] = []
    for index, scan in enumerate(scans):
        rows = write_part(engine, scan, plans, folder / part_name(index), limits) if scan.source.rows_kept else 0
        if rows is None:
            return None
        written.append(rows)
    return written


def write_quarantine(engine: duckdb.DuckDBPyConnection, scans: Sequence[SourceScan], target: Path) -> int:
    """Write every line that was set aside as Parquet and return how many."""
    paths = ", ".join(sql.literal(str(scan.quarantine)) for scan in scans)
    columns = "{'source': 'VARCHAR', 'line': 'BIGINT', 'code': 'VARCHAR', 'raw': 'VARCHAR'}"
    row = engine.execute(
        f"COPY (FROM read_csv([{paths}], auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"',"
        f" columns = {columns}, nullstr = '\\N')) TO {sql.literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    ).fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class QuarantineRow:
    """A row of the quarantine file; ``position`` counts from 1."""

    position: int
    source: str
    line: int
    code: Fault
    raw: str


def read_quarantine(path: Path, after: int, rows_max: int, limits: Limits) -> tuple[QuarantineRow, ...]:
    """Return at most ``rows_max`` quarantined lines after position ``after``."""
    with open_engine(path.parent / "none", [path], limits) as engine:
        rows = engine.execute(
            "SELECT file_row_number + 1, source, line, code, raw FROM read_parquet($path, file_row_number = true)"
            " WHERE file_row_number >= $after ORDER BY file_row_number LIMIT $rows",
            {"path": str(path), "after": after, "rows": rows_max},
        ).fetchall()
    return tuple(QuarantineRow(row[0], row[1], row[2], Fault(row[3]), row[4] or "") for row in rows)

"""Writes a buyer's copy of a released table: rows in the order of its contract, values as they are.

The same table, contract and format give the same bytes, so that a copy that was dropped can be made again while somebody
is downloading it. Nothing of it is held in memory but what the engine sorts.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter

from gongshu.egress.types import PLACE_DIGITS, CopyFormat, CopyMark

READERS = {".parquet": "read_parquet", ".csv": "read_csv"}
MEMORY_MAX = "512MB"
ROWS_AT_ONCE = 2_000
EXCEL_ROWS_MAX = 1_048_575
"""Rows of a worksheet beside its header."""
EXCEL_CELL_CHARACTERS_MAX = 32_767
EXCEL_DIGITS_MAX = 15
EXCEL_YEAR_MIN = 1901
"""Workbooks know no earlier dates (and think that 1900 was a leap year)."""
MADE_AT = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands where a format wants a time of making: the real one would change the bytes."""
FORMULA = r"^\s*[=+@|%＝＋－＠-]|^[\t\r\n]"
"""Texts that a spreadsheet may run when it opens a CSV file. A number is none, whatever its sign."""


def count_rows(path: Path) -> int:
    """Return how many rows a released table has."""
    with _engine(path.parent) as engine:
        found = engine.execute(f"SELECT count(*) FROM {READERS[path.suffix]}($path)", {"path": str(path)}).fetchone()  # noqa: S608
        return int(found[0]) if found else 0


def write_copy(source: Path, target: Path, kind: CopyFormat, mark: CopyMark) -> None:
    """Write the copy of ``source`` to ``target``, which is not there yet; work files go beside it."""
    with _engine(target.parent) as engine:
        relation = engine.sql(f"SELECT * FROM {READERS[source.suffix]}($path)", params={"path": str(source)})  # noqa: S608
        columns = tuple(zip(relation.columns, (str(kind) for kind in relation.types), strict=True))
        if kind is CopyFormat.EXCEL:
            _write_excel(engine, _ordered(source, mark, [quoted(name) for name, _ in columns]), columns, target, mark)
        elif kind is CopyFormat.PARQUET:
            described = ", ".join(f"{name}: {_text(value)}" for name, value in mark.describes)
            options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{described}}}"
            _copy(engine, _ordered(source, mark, [quoted(name) for name, _ in columns]), target, options)
        else:
            shown = [_safe_column(name, kind_of) for name, kind_of in columns]
            _copy(engine, _ordered(source, mark, shown), target, "FORMAT csv, HEADER true")


def _engine(folder: Path) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoload_known_extensions": False, "autoinstall_known_extensions": False, "memory_limit": MEMORY_MAX,
        "threads": 1, "temp_directory": str(folder / ".sorting"),  # what it holds was released
    }  # fmt: skip
    return duckdb.connect(":memory:", config=config)


def quoted(name: str) -> str:
    """Return a column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _ordered(source: Path, mark: CopyMark, shown: list[str]) -> str:
    """Return the statement that reads the rows in the order of the mark."""
    return (
        f'SELECT {", ".join(shown)} FROM (SELECT *, row_number() OVER () - 1 AS "row:"'  # noqa: S608
        f" FROM {READERS[source.suffix]}({_text(str(source))}))"
        f' ORDER BY left(sha256({_text(mark.order_key)} || \':\' || "row:"), {PLACE_DIGITS:d}), "row:"'
    )


def _copy(engine: duckdb.DuckDBPyConnection, statement: str, target: Path, options: str) -> None:
    engine.execute(f"COPY ({statement}) TO {_text(str(target))} ({options})")


def _safe_column(name: str, kind: str) -> str:
    """Return a column in which no text is a formula: an apostrophe goes before one, as spreadsheets themselves write it."""
    column, shown = quoted(name), quoted(safe_text(name))
    if kind != "VARCHAR":
        return f"{column} AS {shown}"
    formula = f"regexp_matches({column}, {_text(FORMULA)}) AND TRY_CAST({column} AS DOUBLE) IS NULL"
    return f"CASE WHEN {formula} THEN '''' || {column} ELSE {column} END AS {shown}"


def safe_text(text: str) -> str:
    """Return a header that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in set("=+@|%＝＋－＠-\t\r\n") else text


def _write_excel(
    engine: duckdb.DuckDBPyConnection, statement: str, columns: tuple[tuple[str, str], ...], target: Path,
    mark: CopyMark,
) -> None:  # fmt: skip
    """Write a workbook row by row. Texts are cells of the type text: never formulas, links or numbers."""
    options = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        "tmpdir": str(target.parent), "nan_inf_to_errors": True,
    }  # fmt: skip
    with xlsxwriter.Workbook(str(target), options) as book:
        book.set_properties({"created": MADE_AT.replace(tzinfo=None)})
        for name, value in mark.describes:
            book.set_custom_property(name, value)
        formats = {
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        sheet = book.add_worksheet("data")
        for place, (name, _) in enumerate(columns):
            sheet.write_string(0, place, name)
        for number, row in enumerate(_rows(engine, statement), start=1):
            for place, value in enumerate(row):
                _write_cell(sheet, number, place, value, formats)


def _rows(engine: duckdb.DuckDBPyConnection, statement: str) -> Iterator[tuple[Any, ...]]:
    found = engine.execute(statement)
    while rows := found.fetchmany(ROWS_AT_ONCE):
        yield from rows


def _write_cell(sheet: Any, row: int, column: int, value: Any, formats: dict[type[date], Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, date) and value.year < EXCEL_YEAR_MIN:
        sheet.write_string(row, column, value.isoformat())
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value.replace(tzinfo=None), formats[datetime])
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, formats[date])
    elif isinstance(value, (int, float, Decimal)) and _is_exact(value):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(value)[:EXCEL_CELL_CHARACTERS_MAX])


def _is_exact(value: float | Decimal) -> bool:
    """Whether a spreadsheet keeps every digit of a number; what it would round is written as text."""
    if isinstance(value, float):
        return True
    return len(Decimal(value).normalize().as_tuple().digits) <= EXCEL_DIGITS_MAX

"""Finds the rows of a leaked file in a released table, in whatever format and with whatever columns are left.

A row is known by the values of the columns that both have. Values are compared as a spreadsheet or a CSV file may have
changed them: numbers to twelve digits, dates in any usual form, without spaces at the ends.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from gongshu.egress.adapters.copies import READERS, quoted
from gongshu.egress.types import MatchedRows

MEMORY_MAX = "1GB"
ROWS_MAX = 5_000_000
EXCEL_ROWS_AT_ONCE = 1_000
EXCEL_BYTES_MAX = 2_000_000_000
DATES = "['%Y-%m-%d', '%Y/%m/%d', '%Y-%m-%d %H:%M:%S', '%Y/%m/%d %H:%M:%S', '%Y/%m/%d %H:%M', '%Y-%m-%dT%H:%M:%S']"
SHARED_MIN = 0.5
"""A column under another name is taken for the one whose values hold at least this share of its own."""


class LeakUnreadable(Exception):  # noqa: N818 - whoever gave the file should know
    """The file is no table that can be read."""


def is_readable(name: str) -> bool:
    """Whether a file has one of the formats that copies are traced in."""
    return name.lower().endswith((".csv", ".parquet", ".xlsx"))


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoload_known_extensions": False, "autoinstall_known_extensions": False, "memory_limit": MEMORY_MAX,
        "threads": 2, "temp_directory": "",
    }  # fmt: skip
    with duckdb.connect(":memory:", config=config) as engine:
        yield engine


def _canonical(column: str) -> str:
    """Return the SQL of a cell as it is compared."""
    text = f"ltrim(trim(CAST({column} AS VARCHAR)), '''')"
    number, moment = f"TRY_CAST({text} AS DOUBLE)", f"TRY_STRPTIME({text}, {DATES})"
    return (
        f"CASE WHEN {column} IS NULL THEN '' WHEN {number} IS NOT NULL AND isfinite({number})"
        f" THEN format('{{:.11e}}', {number}) WHEN {moment} IS NOT NULL THEN CAST({moment} AS VARCHAR)"
        f" ELSE lower({text}) END"
    )


def match_rows(leaked: Path, source: Path) -> MatchedRows:
    """Return which rows of ``source`` the file ``leaked`` holds, in its order. Raises ``LeakUnreadable``."""
    try:
        with _engine() as engine:
            described = _load_leaked(engine, leaked)
            engine.execute(
                f'CREATE TABLE source AS SELECT row_number() OVER () - 1 AS "row:", * FROM {READERS[source.suffix]}($path)',  # noqa: S608
                {"path": str(source)},
            )
            return _match(engine, described)
    except (duckdb.Error, zipfile.BadZipFile, InvalidFileException, ValueError, KeyError, OSError) as error:
        raise LeakUnreadable(type(error).__name__) from None


def _load_leaked(engine: duckdb.DuckDBPyConnection, path: Path) -> tuple[tuple[str, str], ...]:
    """Make the table ``leaked`` with the place of each row; return the file's own description."""
    suffix, described = path.suffix.lower(), tuple[tuple[str, str], ...]()
    if suffix == ".xlsx":
        described = _load_excel(engine, path)
    else:
        options = ", all_varchar = true, header = true" if suffix == ".csv" else ""
        engine.execute(
            f"CREATE TABLE given AS SELECT * FROM {READERS[suffix]}($path{options}) LIMIT {ROWS_MAX:d}",  # noqa: S608
            {"path": str(path)},
        )
        if suffix == ".parquet":
            found = engine.execute(
                "SELECT decode(key), decode(value) FROM parquet_kv_metadata($path)", {"path": str(path)}
            )
            described = tuple((str(name), str(value)) for name, value in found.fetchall())
    engine.execute('CREATE TABLE leaked AS SELECT row_number() OVER () - 1 AS "row:", * FROM given')
    return described


def _load_excel(engine: duckdb.DuckDBPyConnection, path: Path) -> tuple[tuple[str, str], ...]:
    with zipfile.ZipFile(path) as packed:
        if sum(part.file_size for part in packed.infolist()) > EXCEL_BYTES_MAX:
            raise LeakUnreadable("too large")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        rows = book.worksheets[0].iter_rows(values_only=True, max_row=ROWS_MAX)
        names = [str(name) for name in next(iter(rows), ()) if name is not None]
        if not names or len(set(names)) != len(names):
            raise LeakUnreadable("no header")
        engine.execute(f"CREATE TABLE given ({', '.join(f'{quoted(name)} VARCHAR' for name in names)})")
        batch: list[list[str | None]] = []
        for row in rows:
            batch.append([_cell(value) for value in (*row, *[None] * len(names))[: len(names)]])
            if len(batch) == EXCEL_ROWS_AT_ONCE:
                _insert(engine, batch, len(names))
                batch = []
        _insert(engine, batch, len(names))
        return tuple((one.name or "", str(one.value)) for one in book.custom_doc_props.props)
    finally:
        book.close()


def _insert(engine: duckdb.DuckDBPyConnection, rows: list[list[str | None]], width: int) -> None:
    if rows:
        engine.execute(
            f"INSERT INTO given VALUES {', '.join(['(' + ', '.join('?' * width) + ')'] * len(rows))}",  # noqa: S608
            [cell for row in rows for cell in row],
        )


def _cell(value: Any) -> str | None:
    return None if value is None else str(value)


def _columns(engine: duckdb.DuckDBPyConnection, table: str) -> tuple[str, ...]:
    found = engine.execute(f"DESCRIBE {table}").fetchall()
    return tuple(name for name, *_ in found if name != "row:")


def _match(engine: duckdb.DuckDBPyConnection, described: tuple[tuple[str, str], ...]) -> MatchedRows:
    ours, theirs = _columns(engine, "source"), _columns(engine, "leaked")
    pairs = _same_columns(engine, ours, theirs)
    total = engine.execute("SELECT count(*) FROM leaked").fetchone()
    if not pairs:
        return MatchedRows(0, (), (), described)
    for table, places in (("source", [one for one, _ in pairs]), ("leaked", [other for _, other in pairs])):
        key = ", ".join(_canonical(quoted(name)) for name in places)
        engine.execute(f'CREATE TABLE {table}_keys AS SELECT "row:" AS place, hash({key}) AS key FROM {table}')  # noqa: S608
    # A row that stands twice in the released table could be either of them: it says nothing about the order.
    engine.execute(
        "CREATE TABLE found AS SELECT s.place AS place, min(l.place) AS at FROM leaked_keys l JOIN"
        " (SELECT key, min(place) AS place FROM source_keys GROUP BY key HAVING count(*) = 1) s USING (key) GROUP BY s.place"
    )
    values = ", ".join(f"hash({_canonical('source.' + quoted(name))}) >> 1" for name in ours)
    rows = engine.execute(
        f'SELECT found.place, {values} FROM found JOIN source ON source."row:" = found.place ORDER BY found.at'  # noqa: S608
    ).fetchall()
    columns = tuple((name, tuple(int(row[place]) for row in rows)) for place, name in enumerate(ours, start=1))
    return MatchedRows(int(total[0]) if total else 0, tuple(int(row[0]) for row in rows), columns, described)


def _same_columns(
    engine: duckdb.DuckDBPyConnection, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Pair columns by name (without regard to an apostrophe before it), what is left by the values that they share."""
    named = {name.strip().lstrip("'").lower(): name for name in theirs}
    pairs = [(name, named[name.strip().lower()]) for name in ours if name.strip().lower() in named]
    free = [name for name in theirs if name not in {other for _, other in pairs}]
    for name in (name for name in ours if name not in {one for one, _ in pairs}):
        best = max(((_shared(engine, name, other), other) for other in free), default=(0.0, ""))
        if best[0] >= SHARED_MIN:
            pairs.append((name, best[1]))
            free.remove(best[1])
    return pairs


def _shared(engine: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> float:
    """Return which share of the different values of a leaked column stand in a released one."""
    one, other = _canonical(quoted(ours)), _canonical(quoted(theirs))
    found = engine.execute(
        f"SELECT avg(CAST(v IN (SELECT {one} FROM source) AS INTEGER)) FROM (SELECT DISTINCT {other} AS v FROM leaked)"  # noqa: S608
    ).fetchone()
    return float(found[0] or 0) if found else 0.0

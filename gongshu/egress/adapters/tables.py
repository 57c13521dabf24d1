"""What DuckDB counts in a quarantined table, and the few rows that a reviewer asks to see."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import duckdb

from gongshu.base.identifiers import is_credit_code, is_id_card
from gongshu.egress.types import ColumnMeasure, Preview, TableMeasure

READERS = {".parquet": "read_parquet", ".csv": "read_csv"}
COMPARED_COLUMNS_MAX = 6
"""More columns than this are not tried in combination; those with the most distinct values are."""
CANDIDATES_MAX = 100_000
"""Cells per column that are looked at for identifiers. A table of so many rows fails for its size anyway."""

FORMULA = r"^\s*[=+@]|^\s*-[^0-9.\s]|^[\t\r]"
COARSE = r"[0-9A-Ha-hJ-Nj-nP-Rp-rT-Ut-uW-Yw-y]{18}|[0-9]{17}[0-9Xx]|1[3-9][0-9]{9}|@"
CREDIT_CODE = re.compile(r"(?<![0-9A-Z])[0-9A-HJ-NP-RT-UW-Y]{18}(?![0-9A-Z])", re.IGNORECASE)
ID_CARD = re.compile(r"(?<!\d)(\d{6})(\d{4})(\d{2})(\d{2})\d{3}[\dX](?![\dX])", re.IGNORECASE)
PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
MAILBOX = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoload_known_extensions": False, "autoinstall_known_extensions": False, "memory_limit": "1GB", "threads": 2,
        "temp_directory": "",  # no row is ever spilled to disk
    }  # fmt: skip
    with duckdb.connect(":memory:", config=config) as engine:
        yield engine


def is_table(name: str) -> bool:
    """Whether a file is one that tables are read from."""
    return name.endswith(tuple(READERS))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _read(engine: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    return engine.sql(f"SELECT * FROM {READERS[path.suffix]}($path)", params={"path": str(path)})  # noqa: S608


def identifiers_in(cell: str) -> set[str]:
    """Return the kinds of identifiers that stand anywhere in ``cell``, with valid check digits where there are any."""
    kinds = set()
    if any(is_id_card(found.group().upper()) for found in ID_CARD.finditer(cell)):
        kinds.add("id_card")
    if any(is_credit_code(found.group().upper()) for found in CREDIT_CODE.finditer(cell)):
        kinds.add("credit_code")
    if PHONE.search(cell):
        kinds.add("phone")
    if MAILBOX.search(cell):
        kinds.add("mailbox")
    return kinds


def _is_whole(kind: str) -> bool:
    return kind.endswith(("INT", "INTEGER")) or (kind.startswith("DECIMAL") and kind.endswith(",0)"))


def _is_number(kind: str) -> bool:
    return _is_whole(kind) or kind.startswith(("DECIMAL", "DOUBLE", "FLOAT"))


def _measure_column(engine: duckdb.DuckDBPyConnection, name: str, kind: str, units_min: int) -> ColumnMeasure:
    column, is_number = _quoted(name), _is_number(kind)
    number = f"TRY_CAST({column} AS DOUBLE)" if is_number else "NULL"
    formula = "false" if is_number else f"regexp_matches(CAST({column} AS VARCHAR), $formula)"
    counted = engine.execute(
        f"SELECT count(*) FILTER ({number} > 0 AND {number} < $units_min), count(*) FILTER ({number} = 0),"  # noqa: S608
        f" count(*) FILTER ({formula}) FROM measured",
        {"units_min": units_min} if is_number else {"units_min": units_min, "formula": FORMULA},
    ).fetchone()
    below, zeros, formulas = counted or (0, 0, 0)
    cells = engine.execute(
        f"SELECT CAST({column} AS VARCHAR) FROM measured"  # noqa: S608
        f" WHERE regexp_matches(CAST({column} AS VARCHAR), $coarse) LIMIT {CANDIDATES_MAX}",
        {"coarse": COARSE},
    )
    identifiers: dict[str, int] = {}
    while rows := cells.fetchmany(1000):
        for (cell,) in rows:
            for kind_found in identifiers_in(cell):
                identifiers[kind_found] = identifiers.get(kind_found, 0) + 1
    return ColumnMeasure(name, is_number, _is_whole(kind), identifiers, below, zeros, formulas)


def measure_table(path: Path, units_min: int) -> TableMeasure | None:
    """Return the counts about a table, or ``None`` when it cannot be read."""
    try:
        with _engine() as engine:
            _read(engine, path).create("measured")
            rows = engine.execute("SELECT count(*) FROM measured").fetchone()
            described = engine.execute("DESCRIBE measured").fetchall()
            columns = tuple(_measure_column(engine, name, kind, units_min) for name, kind, *_ in described)
            names = sorted(set().union(*(identifiers_in(column.name) for column in columns)))
            return TableMeasure(int(rows[0]) if rows else 0, columns, tuple(names))
    except (duckdb.Error, UnicodeDecodeError):
        return None


def _comparable(name: str, kind: str) -> str:
    # A sum and a value are equal whatever their types are called.
    column = _quoted(name)
    return f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)" if _is_number(kind) else f"CAST({column} AS VARCHAR)"


def _load(engine: duckdb.DuckDBPyConnection, name: str, read: str, paths: list[str], columns: list[str]) -> None:
    """Make the table ``name`` with ``columns`` as comparable text, called ``c0``, ``c1``, …, and the place of each row."""
    relation = engine.sql(f"SELECT * FROM {read}($paths)", params={"paths": paths})  # noqa: S608
    kinds = dict(zip(relation.columns, (str(kind) for kind in relation.types), strict=True))
    shown = (f"{_comparable(column, kinds[column])} AS c{place}" for place, column in enumerate(columns))
    relation.project(f"row_number() OVER () AS place, {', '.join(shown)}").create(name)


def count_matching(
    path: Path, shown: dict[str, str], sources: tuple[Path, ...], *, columns_min: int, rows_below: int
) -> int | None:
    """Count rows of a table that equal at least one and fewer than ``rows_below`` source rows on ``columns_min`` columns.

    ``shown``: which output column shows which source column. A group of many source rows is no copy of any of them.
    ``None``: they could not be compared within the memory allowed.
    """
    if not sources or not shown or len(shown) < columns_min:
        return 0
    try:
        return _count_matching(path, shown, sources, columns_min, rows_below)
    except duckdb.OutOfMemoryException:
        return None


def _count_matching(
    path: Path, shown: dict[str, str], sources: tuple[Path, ...], columns_min: int, rows_below: int
) -> int:
    with _engine() as engine:
        _load(engine, "ours", READERS[path.suffix], [str(path)], list(shown))
        _load(engine, "theirs", "read_parquet", [str(source) for source in sources], list(shown.values()))
        places = [f"c{place}" for place in range(len(shown))]
        distinct = engine.execute(f"SELECT {', '.join(f'count(DISTINCT {p})' for p in places)} FROM ours").fetchone()  # noqa: S608
        ranked = sorted(places, key=lambda place: -(distinct or (0,) * len(places))[places.index(place)])
        found = " UNION ".join(
            f"SELECT place FROM ours JOIN (SELECT {keys} FROM theirs GROUP BY ALL HAVING count(*) < {rows_below:d})"  # noqa: S608
            f" USING ({keys})"
            for keys in (", ".join(chosen) for chosen in combinations(ranked[:COMPARED_COLUMNS_MAX], columns_min))
        )
        counted = engine.execute(f"SELECT count(*) FROM ({found})").fetchone()  # noqa: S608
        return int(counted[0]) if counted else 0


def likely_columns(path: Path, sources: tuple[Path, ...], columns: tuple[str, ...]) -> dict[str, tuple[str, bool]]:
    """Return for each output column the source column that holds at least half of its values, and whether it is a text.

    For tables without lineage: whatever a program called a column, its values say where they are from.
    """
    if not sources or not columns:
        return {}
    try:
        with _engine() as engine:
            ours = engine.sql(f"SELECT * FROM {READERS[path.suffix]}($path)", params={"path": str(path)})  # noqa: S608
            kinds = dict(zip(ours.columns, (str(kind) for kind in ours.types), strict=True))
            _load(engine, "ours", READERS[path.suffix], [str(path)], list(kinds))
            _load(engine, "theirs", "read_parquet", [str(source) for source in sources], list(columns))
            found = {}
            for place, name in enumerate(kinds):
                source = _likely_source(engine, place, columns)
                if source:
                    found[name] = (source, not _is_number(kinds[name]))
            return found
    except duckdb.OutOfMemoryException:
        return {}


def _likely_source(engine: duckdb.DuckDBPyConnection, place: int, columns: tuple[str, ...]) -> str:
    best, most = "", 0
    for other, source in enumerate(columns):
        shared, values = engine.execute(
            f"SELECT count(*) FILTER (c{place} IN (SELECT c{other} FROM theirs WHERE c{other} IS NOT NULL)), count(*)"  # noqa: S608
            f" FROM (SELECT DISTINCT c{place} FROM ours WHERE c{place} IS NOT NULL)"
        ).fetchone() or (0, 0)
        if shared * 2 >= values and shared > most:
            best, most = source, int(shared)
    return best


def preview(path: Path, *, limit: int, offset: int) -> Preview:
    """Return ``limit`` rows of a table from ``offset`` on, every value as text."""
    with _engine() as engine:
        _read(engine, path).create_view("shown")
        counted = engine.execute("SELECT count(*) FROM shown").fetchone()
        names = tuple(row[0] for row in engine.execute("DESCRIBE shown").fetchall())
        texts = ", ".join(f"CAST({_quoted(name)} AS VARCHAR)" for name in names)
        rows = engine.execute(f"SELECT {texts} FROM shown LIMIT {limit:d} OFFSET {offset:d}").fetchall()  # noqa: S608
        total = int(counted[0]) if counted else 0
        after = str(offset + limit) if offset + limit < total else ""
        return Preview(path.name, names, tuple(rows), total, after)

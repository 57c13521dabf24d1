"""A released table in an engine that can do nothing but read it: no file, no network, no extension, no setting."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from gongshu.catalog.types import DataType
from gongshu.compute.types import RelationColumn

READERS = {".parquet": "read_parquet", ".csv": "read_csv"}
MEMORY_MAX = "512MB"
LOCKS = ("SET enable_external_access = false", "SET lock_configuration = true")


class TooSlow(Exception):  # noqa: N818 - what was asked takes too long
    """A statement was stopped at its time limit."""


class TooMuch(Exception):  # noqa: N818 - what was asked is too much
    """A statement gives more rows than an answer holds, or needs more memory."""


def type_of(kind: str) -> DataType:
    """Return our name for a type of the engine; what is none of ours is read as text."""
    if kind.endswith(("INT", "INTEGER")):
        return DataType.INTEGER
    if kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return DataType.DECIMAL
    if kind.startswith("TIMESTAMP"):
        return DataType.TIMESTAMP
    return {"DATE": DataType.DATE, "BOOLEAN": DataType.BOOLEAN}.get(kind, DataType.TEXT)


class ReleasedTable:
    """A released table, called ``released`` in statements. Used from several threads."""

    def __init__(self, path: Path) -> None:
        """Read the table and lock the engine."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoload_known_extensions": False, "autoinstall_known_extensions": False, "memory_limit": MEMORY_MAX,
            "threads": 1, "temp_directory": "",
        }  # fmt: skip
        self._engine = duckdb.connect(":memory:", config=config)
        self._engine.execute(
            f"CREATE TABLE released AS SELECT * FROM {READERS[path.suffix]}($path)",  # noqa: S608
            {"path": str(path)},
        )
        for lock in LOCKS:
            self._engine.execute(lock)

    def columns(self) -> tuple[RelationColumn, ...]:
        """Return the table's columns."""
        found = self._engine.cursor().execute("DESCRIBE released").fetchall()
        return tuple(RelationColumn(name, type_of(kind)) for name, kind, *_ in found)

    def ask(
        self, statement: str, values: Mapping[str, Any], *, rows_max: int, seconds_max: float
    ) -> tuple[tuple[RelationColumn, ...], list[tuple[Any, ...]]]:
        """Run one query with bound values. Raises ``TooSlow``, ``TooMuch``, or the engine's own error."""
        cursor = self._engine.cursor()
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            cursor.interrupt()

        timer = threading.Timer(seconds_max, stop)
        timer.daemon = True
        timer.start()
        try:
            found = cursor.execute(statement, dict(values) or None)
            columns = tuple(RelationColumn(name, type_of(str(kind))) for name, kind, *_ in found.description or ())
            rows = found.fetchmany(rows_max + 1)
        except duckdb.InterruptException:
            raise TooSlow from None
        except duckdb.OutOfMemoryException:
            raise TooMuch from None
        finally:
            timer.cancel()
            cursor.close()
        if stopped.is_set():
            raise TooSlow
        if len(rows) > rows_max:
            raise TooMuch
        return columns, rows

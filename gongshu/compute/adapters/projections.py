"""Writes the governed projections: the trusted side reads a version and copies exactly what a job may see.

This module and ``artifacts`` are the ones of this room that touch rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from gongshu.policies import service as policies
from gongshu.policies.service import PSEUDONYM_TABLE

MEMORY_LIMIT = "1GB"
BATCH_ROWS = 10_000
PSEUDONYMS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Pseudonyms:
    """A table of pseudonyms that a projection looks its values up in: cipher, its key, and the columns as written."""

    cipher: str
    key: bytes
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """How a projection is made of a version's files: written select list and condition (see ``rules.projections``)."""

    sources: tuple[Path, ...]
    alias: str
    select: str
    condition: str
    pseudonyms: tuple[Pseudonyms, ...] = ()


def _open() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False, "memory_limit": MEMORY_LIMIT,
            "threads": 2, "temp_directory": "", "preserve_insertion_order": True,
        },
    )  # fmt: skip


def _statement(recipe: Recipe) -> tuple[str, dict[str, Any]]:
    where = f" WHERE {recipe.condition}" if recipe.condition else ""
    sql = f'SELECT {recipe.select} FROM read_parquet($sources, union_by_name = true) AS "{recipe.alias}"{where}'  # noqa: S608 - written by rules
    return sql, {"sources": [str(path) for path in recipe.sources]}


def _make_pseudonyms(engine: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Encipher each different value once, in batches; the projection then looks values up inside the engine."""
    where = f" WHERE {recipe.condition}" if recipe.condition else ""
    sources = [str(path) for path in recipe.sources]
    for wanted in recipe.pseudonyms:
        table = f'"{PSEUDONYM_TABLE}{wanted.cipher}"'
        engine.execute(f"CREATE TABLE {table} (v VARCHAR, p VARCHAR)")
        values = " UNION ".join(
            f'SELECT {text} AS v FROM read_parquet($sources, union_by_name = true) AS "{recipe.alias}"{where}'  # noqa: S608 - written by rules
            for text in wanted.columns
        )
        distinct = f"CREATE TABLE plain AS SELECT DISTINCT v FROM ({values}) WHERE v IS NOT NULL"  # noqa: S608 - as above
        engine.execute(distinct, {"sources": sources})
        reading = engine.cursor()
        found = reading.execute("SELECT v FROM plain")
        while batch := [v for (v,) in found.fetchmany(PSEUDONYMS_AT_ONCE)]:
            made = policies.pseudonyms(wanted.cipher, wanted.key, batch)
            engine.execute(
                f"INSERT INTO {table} SELECT unnest(CAST(? AS VARCHAR[])), unnest(CAST(? AS VARCHAR[]))", [batch, made]
            )
        engine.execute("DROP TABLE plain")


def write(recipe: Recipe, target: Path) -> None:
    """Write a projection as Parquet."""
    sql, parameters = _statement(recipe)
    with _open() as engine:
        _make_pseudonyms(engine, recipe)
        engine.sql(sql, params=parameters).write_parquet(str(target), compression="zstd")


def read(recipe: Recipe) -> Iterator[list[tuple[Any, ...]]]:
    """Give the rows of a projection in batches, in the order of the files."""
    sql, parameters = _statement(recipe)
    with _open() as engine:
        _make_pseudonyms(engine, recipe)
        found = engine.execute(sql, parameters)
        while batch := found.fetchmany(BATCH_ROWS):
            yield batch


def write_rows(columns: dict[str, str], rows: list[tuple[Any, ...]], target: Path) -> None:
    """Write rows made by us (synthetic ones) as Parquet; ``columns`` are names and DuckDB types."""
    with _open() as engine:
        described = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, kind in columns.items())
        engine.execute(f"CREATE TABLE made ({described})")
        if rows:
            marks = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
            engine.execute(f"INSERT INTO made SELECT {marks}", [list(values) for values in zip(*rows, strict=True)])
        engine.table("made").write_parquet(str(target), compression="zstd")


def read_table(path: Path, rows_max: int) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the columns and first rows of a Parquet file. Only for results made of synthetic rows."""
    with _open() as engine:
        found = engine.read_parquet(str(path))
        return tuple(found.columns), found.limit(rows_max).fetchall()

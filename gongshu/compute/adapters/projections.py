"""Writes the governed projections: the trusted side reads a version and copies exactly what a job may see.

This module, ``worn`` and ``artifacts`` are the ones of this room that touch rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from gongshu.compute.adapters.worn import WORN_COLUMN, Worn, find_worn

MEMORY_LIMIT = "1GB"
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Recipe:
    """How a projection is made of a version's files: written select list and condition (see ``rules.projections``).

    ``worn`` columns stand beside the relation's own; they lie on ``shelf``. ``has_places``: the select list names the file
    and the row's number in it.
    """

    sources: tuple[Path, ...]
    alias: str
    select: str
    condition: str
    worn: tuple[Worn, ...] = ()
    shelf: Path | None = None
    has_places: bool = False


def _open() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False, "memory_limit": MEMORY_LIMIT,
            "threads": 2, "temp_directory": "", "preserve_insertion_order": True,
        },
    )  # fmt: skip


SOURCE = "read_parquet($sources, union_by_name = true)"


def _statement(engine: duckdb.DuckDBPyConnection, recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """Write a projection. Worn columns have the order of the relation's rows, and are laid beside it row by row."""
    given = {"sources": [str(path) for path in recipe.sources]}
    source = SOURCE
    if recipe.worn:
        shelf = recipe.shelf or recipe.sources[0].parent
        beside, names = "", ["own.*"]
        for place, wanted in enumerate(recipe.worn):
            relation = f'{SOURCE} AS "{recipe.alias}"'
            given[f"worn{place}"] = find_worn(engine, wanted, relation, given["sources"], shelf)
            beside += f" POSITIONAL JOIN read_parquet($worn{place}) AS worn{place}"
            names.append(f'worn{place}.{WORN_COLUMN} AS "{wanted.name.replace(chr(34), chr(34) * 2)}"')
        names += ["own.filename", "own.file_row_number"] if recipe.has_places else []
        source = f"(SELECT {', '.join(names)} FROM {SOURCE} AS own{beside})"  # noqa: S608 - names are quoted
    where = f" WHERE {recipe.condition}" if recipe.condition else ""
    return f'SELECT {recipe.select} FROM {source} AS "{recipe.alias}"{where}', given  # noqa: S608 - written by rules


def write(recipe: Recipe, target: Path) -> None:
    """Write a projection as Parquet."""
    with _open() as engine:
        sql, parameters = _statement(engine, recipe)
        engine.sql(sql, params=parameters).write_parquet(str(target), compression="zstd")


def read(recipe: Recipe) -> Iterator[list[tuple[Any, ...]]]:
    """Give the rows of a projection in batches, in the order of the files."""
    with _open() as engine:
        sql, parameters = _statement(engine, recipe)
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

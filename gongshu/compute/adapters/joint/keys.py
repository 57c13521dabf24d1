"""Key files for the node, and results of what it told. With ``projections`` and ``artifacts`` these touch rows.

A key file holds hashes of keys under the task's nonce, in the order of the hashes, each once, with the sum of its values.
Where no value is summed the engine makes it; a key that is not its own normal form is hashed one by one.
"""

import csv
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from gongshu.compute.adapters.projections import Recipe

KEY_BYTES = 16
MEMORY_LIMIT = "2GB"
THREADS = 2
BATCH_ROWS = 100_000


class KeysUnfit(Exception):  # noqa: N818 - says what the rows are
    """There are more keys than the task allows, or values that are none."""


@dataclass(frozen=True)
class Hashing:
    """How a key becomes its hash: by ``sql`` of the column ``k`` where ``plain`` (a pattern) fits, else by ``slowly``.

    ``slowly`` returns ``None`` for a key that does not count.
    """

    sql: str
    plain: str
    slowly: Callable[[str], bytes | None]


def decoys(rows: int, rows_max: int, *, is_padded: bool) -> Iterator[bytes]:
    """Give random keys: one, or as many as bring the file to one more than ``rows_max``.

    One is always drawn: the library compares a digest of each whole set, which must not be guessable.
    """
    wanted = rows_max - rows + 1 if is_padded else 1
    for start in range(0, wanted, BATCH_ROWS):
        drawn = secrets.token_bytes(KEY_BYTES * min(BATCH_ROWS, wanted - start))
        yield from (drawn[at : at + KEY_BYTES] for at in range(0, len(drawn), KEY_BYTES))


def write_keys(
    records: Iterable[tuple[bytes, int]], target: Path, *, has_values: bool, rows_max: int, is_padded: bool = False
) -> int:
    """Write a key file row by row and return how many keys of ours are in it. See ``decoys`` for the others."""
    sums: dict[bytes, int] = {}
    for key, value in records:
        sums[key] = sums.get(key, 0) + value
        if len(sums) > rows_max:
            raise KeysUnfit
    count = len(sums)
    sums.update(dict.fromkeys(decoys(count, rows_max, is_padded=is_padded), 0))
    with target.open("w", encoding="ascii", newline="\n") as file:
        file.write("key,value\n" if has_values else "key\n")
        file.writelines(f"{key.hex()},{sums[key]}\n" if has_values else f"{key.hex()}\n" for key in sorted(sums))
    return count


# ------------------------------------------------------------------------------------------------------ by the engine


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an engine without files of its own. What it says of a failure may hold a value: only its kind is raised."""
    options: dict[str, Any] = {
        "autoinstall_known_extensions": False, "autoload_known_extensions": False, "memory_limit": MEMORY_LIMIT,
        "threads": THREADS, "temp_directory": "", "preserve_insertion_order": False,
    }  # fmt: skip
    try:
        with duckdb.connect(":memory:", config=options) as engine:
            yield engine
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error:
        raise KeysUnfit from None


def _hash_rows(engine: duckdb.DuckDBPyConnection, recipe: Recipe, column: str, hashing: Hashing) -> None:
    """Make the table ``hashed`` of each key as stored (``k``) and its hash (``key``), each once."""
    where = f" WHERE {recipe.condition}" if recipe.condition else ""
    source = f'read_parquet($sources, union_by_name = true) AS "{recipe.alias}"{where}'
    name = column.replace('"', '""')
    given = {"sources": [str(path) for path in recipe.sources]}
    engine.execute(
        f'CREATE TABLE given AS SELECT DISTINCT "{name}" AS k FROM (SELECT {recipe.select} FROM {source})',  # noqa: S608 - written by rules
        given,
    )
    fits = f"regexp_full_match(k, '{hashing.plain}')"
    engine.execute(f"CREATE TABLE hashed AS SELECT k, {hashing.sql} AS key FROM given WHERE {fits}")  # noqa: S608 - written by rules
    reader = engine.cursor().execute(f"SELECT k FROM given WHERE k IS NOT NULL AND NOT {fits}")  # noqa: S608 - a constant
    while batch := reader.fetchmany(BATCH_ROWS):
        made = [(k, found.hex()) for (k,) in batch if (found := hashing.slowly(k)) is not None]
        _insert(engine, "hashed", ("k", "key"), made)


def _insert(
    engine: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    if rows:
        marks = ", ".join("unnest(CAST(? AS VARCHAR[]))" for _ in columns)
        given = [list(values) for values in zip(*rows, strict=True)]
        engine.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {marks}", given)


def write_plain_keys(
    recipe: Recipe, column: str, hashing: Hashing, target: Path, *, rows_max: int, is_padded: bool
) -> int:
    """Write a key file without values by the engine and return how many keys of ours are in it."""
    with _engine() as engine:
        _hash_rows(engine, recipe, column, hashing)
        engine.execute("CREATE TABLE made AS SELECT DISTINCT key FROM hashed")
        count = int((engine.execute("SELECT count(*) FROM made").fetchone() or (0,))[0])
        if count > rows_max:
            raise KeysUnfit
        batch: list[tuple[str, ...]] = []
        for key in decoys(count, rows_max, is_padded=is_padded):
            batch.append((key.hex(),))
            if len(batch) == BATCH_ROWS:
                _insert(engine, "made", ("key",), batch)
                batch = []
        _insert(engine, "made", ("key",), batch)
        engine.table("made").order("key").write_csv(str(target), header=True)
    return count


def write_matched(  # noqa: PLR0917 - the rows, what matched, and where to
    recipe: Recipe, column: str, hashing: Hashing, matched: Path, shown: str, parquet: Path, plain: Path
) -> int:
    """Write our own keys, as they are stored, whose hashes the node found in both sets; return how many."""
    name = shown.replace('"', '""')
    with _engine() as engine:
        _hash_rows(engine, recipe, column, hashing)
        found = engine.read_csv(str(matched), header=True, columns={"key": "VARCHAR"}, auto_detect=False)
        engine.register("found", found)
        engine.execute(f'CREATE TABLE result AS SELECT DISTINCT k AS "{name}" FROM hashed SEMI JOIN found USING (key)')  # noqa: S608 - quoted
        ordered = engine.table("result").order(f'"{name}"')
        ordered.write_parquet(str(parquet), compression="zstd")
        ordered.write_csv(str(plain), header=True)
        return int((engine.execute("SELECT count(*) FROM result").fetchone() or (0,))[0])


# -------------------------------------------------------------------------------------------------------- row by row


def read_matched(path: Path) -> frozenset[bytes]:
    """Return the hashes that the node wrote: those of our keys that the peer has too."""
    with path.open(encoding="ascii", newline="") as file:
        lines = csv.reader(file)
        next(lines, None)
        return frozenset(bytes.fromhex(line[0]) for line in lines)


def write_result(columns: dict[str, str], rows: Iterable[tuple[str, ...]], parquet: Path, plain: Path) -> int:
    """Write the result as Parquet and CSV; ``columns`` are names and DuckDB types. Return how many rows."""
    count = 0
    with plain.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            count += 1
    with _engine() as engine:
        read = engine.read_csv(str(plain), header=True, columns=columns, auto_detect=False, quotechar='"')
        read.write_parquet(str(parquet), compression="zstd")
    return count

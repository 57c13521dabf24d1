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
        "threads": THREADS, "temp_directory": "",
    }  # fmt: skip
    try:
        with duckdb.connect(":memory:", config=options) as engine:
            engine.execute("SET enable_progress_bar = false")
            yield engine
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error:
        raise KeysUnfit from None


def _hash_rows(engine: duckdb.DuckDBPyConnection, recipe: Recipe, column: str, hashing: Hashing) -> bool:
    """Make the table ``hashed`` of each key as stored (``k``), once, and its hash (``key``).

    Return whether every key was its own normal form: then no two of them share a hash.
    """
    where = f" WHERE {recipe.condition}" if recipe.condition else ""
    source = f'read_parquet($sources, union_by_name = true) AS "{recipe.alias}"{where}'
    name = column.replace('"', '""')
    given = f'SELECT DISTINCT "{name}" AS k FROM (SELECT {recipe.select} FROM {source})'  # noqa: S608 - written by rules
    hashed = f"CASE WHEN regexp_full_match(k, '{hashing.plain}') THEN {hashing.sql} END"
    engine.execute(
        f"CREATE TABLE hashed AS SELECT k, {hashed} AS key FROM ({given}) WHERE k IS NOT NULL",  # noqa: S608 - written by rules
        {"sources": [str(path) for path in recipe.sources]},
    )
    reader = engine.cursor().execute("SELECT k FROM hashed WHERE key IS NULL")
    odd: list[tuple[str, str]] = []
    while batch := reader.fetchmany(BATCH_ROWS):
        odd += [(k, found.hex()) for (k,) in batch if (found := hashing.slowly(k)) is not None]
    removed = engine.execute("DELETE FROM hashed WHERE key IS NULL").fetchall()
    for start in range(0, len(odd), BATCH_ROWS):
        _insert(engine, "hashed", ("k", "key"), odd[start : start + BATCH_ROWS])
    return removed == [(0,)]


def _insert(
    engine: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    if rows:
        marks = ", ".join("unnest(CAST(? AS VARCHAR[]))" for _ in columns)
        given = [list(values) for values in zip(*rows, strict=True)]
        engine.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {marks}", given)


def write_plain_keys(
    recipe: Recipe, column: str, hashing: Hashing, target: Path, kept: Path, *, rows_max: int, is_padded: bool
) -> int:
    """Write a key file without values by the engine and return how many keys of ours are in it.

    Which key has which hash goes to ``kept``, for ``write_matched``.
    """
    with _engine() as engine:
        is_plain = _hash_rows(engine, recipe, column, hashing)
        engine.table("hashed").write_parquet(str(kept), compression="uncompressed")
        unique = "hashed" if is_plain else "(SELECT DISTINCT key FROM hashed)"
        ((count,),) = engine.execute(f"SELECT count(*) FROM {unique}").fetchall()  # noqa: S608 - our own names
        if count > rows_max:
            raise KeysUnfit
        drawn = kept.with_name("decoys.csv")
        with drawn.open("w", encoding="ascii", newline="\n") as file:
            file.write("key\n")
            file.writelines(f"{key.hex()}\n" for key in decoys(count, rows_max, is_padded=is_padded))
        found = engine.read_csv(str(drawn), header=True, columns={"key": "VARCHAR"}, auto_detect=False)
        engine.register("decoys", found)
        made = engine.sql(f"SELECT key FROM {unique} UNION ALL SELECT key FROM decoys ORDER BY key")  # noqa: S608 - our own names
        made.write_csv(str(target), header=True)
    return int(count)


def write_matched(kept: Path, matched: Path, shown: str, parquet: Path, plain: Path) -> int:
    """Write our own keys, as they are stored, whose hashes the node found in both sets; return how many."""
    name = shown.replace('"', '""')
    with _engine() as engine:
        engine.register("hashed", engine.read_parquet(str(kept)))
        found = engine.read_csv(str(matched), header=True, columns={"key": "VARCHAR"}, auto_detect=False)
        engine.register("found", found)
        both = f'SELECT k AS "{name}" FROM hashed SEMI JOIN found USING (key) ORDER BY k'  # noqa: S608 - quoted
        engine.execute(f"CREATE TABLE result AS {both}")
        engine.table("result").write_parquet(str(parquet), compression="zstd")
        engine.table("result").write_csv(str(plain), header=True)
        ((count,),) = engine.execute("SELECT count(*) FROM result").fetchall()
        return int(count)


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

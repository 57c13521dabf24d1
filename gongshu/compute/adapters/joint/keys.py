"""Key files for the node, and results of what it told. With ``projections`` and ``artifacts`` these touch rows.

A key file holds hashes of keys under the task's nonce, in the order of the hashes, each once, with the sum of its values.
"""

import csv
import secrets
from collections.abc import Iterable
from pathlib import Path

import duckdb

KEY_BYTES = 16
MEMORY_LIMIT = "1GB"


class KeysUnfit(Exception):  # noqa: N818 - says what the rows are
    """There are more keys than the task allows."""


def write_keys(records: Iterable[tuple[bytes, int]], target: Path, *, has_values: bool, rows_max: int) -> int:
    """Write a key file and return how many keys of ours are in it.

    One key more is drawn at random: the library compares a digest of each whole set, which must not be guessable.
    """
    sums: dict[bytes, int] = {}
    for key, value in records:
        sums[key] = sums.get(key, 0) + value
        if len(sums) > rows_max:
            raise KeysUnfit
    sums[secrets.token_bytes(KEY_BYTES)] = 0
    with target.open("w", encoding="ascii", newline="\n") as file:
        file.write("key,value\n" if has_values else "key\n")
        file.writelines(f"{key.hex()},{sums[key]}\n" if has_values else f"{key.hex()}\n" for key in sorted(sums))
    return len(sums) - 1


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
    with duckdb.connect(":memory:", config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as engine:
        read = engine.read_csv(str(plain), header=True, columns=columns, auto_detect=False, quotechar='"')
        read.write_parquet(str(parquet), compression="zstd")
    return count

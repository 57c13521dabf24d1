"""Sealed segments as Parquet, and counts over many of them by the engine: what billing reads.

A table has one row per record: when, contract, product, key, result, whether charged, and where the record lies. It is made
once, when its segment is collected, and never written again.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from gongshu.metering.adapters.disk import LOCAL_DISK
from gongshu.metering.adapters.segments import sha256_of_file, stored_records

MEMORY_LIMIT = "2GB"
ROW_GROUP_ROWS = 122_880
COLUMNS = (
    "called_at",
    "contract",
    "contract_digest",
    "product",
    "key",
    "snapshot",
    "result",
    "refusal_code",
    "is_charged",
    "place",
)
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class SpanCount:
    """Records of one contract in one span of time, by result and charge. ``span`` is its place in the list of spans."""

    contract: str
    contract_digest: str
    span: int
    result: str
    is_charged: bool
    records: int


def table_path(folder: Path, identifier: str) -> Path:
    """Return where the table of a segment lies."""
    return folder / f"{identifier}.parquet"


def _open(threads: int) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False, "memory_limit": MEMORY_LIMIT,
            "threads": threads,
        },
    )  # fmt: skip


def write_table(folder: Path, identifier: str, data: bytes) -> str:
    """Write the records of a segment's bytes as Parquet, durably, and return the SHA-256 of the file."""
    found = [(offset, stored) for offset, stored in stored_records(data)]
    texts = {
        name: np.array([getattr(stored, name) for _, stored in found], dtype=object)
        for name in ("contract", "contract_digest", "product", "key", "refusal_code")
    }
    rows: dict[str, Any] = {  # read by the engine by its name
        **texts,
        "called_at": np.array([stored.at.replace(tzinfo=None) for _, stored in found], dtype="datetime64[us]"),
        "snapshot": np.array([stored.snapshot for _, stored in found], dtype=np.int64),
        "result": np.array([stored.result.value for _, stored in found], dtype=object),
        "is_charged": np.array([stored.is_charged for _, stored in found], dtype=bool),
        "place": np.array([offset for offset, _ in found], dtype=np.int64),
    }
    target = table_path(folder, identifier)
    draft = target.with_name(target.name + ".draft")
    with _open(1) as engine:
        if found:
            engine.register("rows", rows)
            engine.execute(f"CREATE TABLE made AS SELECT {', '.join(COLUMNS)} FROM rows")  # noqa: S608 - names of ours
        else:
            engine.execute(
                "CREATE TABLE made (called_at TIMESTAMP, contract VARCHAR, contract_digest VARCHAR, product VARCHAR, key VARCHAR, "
                "snapshot BIGINT, result VARCHAR, refusal_code VARCHAR, is_charged BOOLEAN, place BIGINT)"
            )
        engine.table("made").write_parquet(str(draft), compression="zstd", row_group_size=ROW_GROUP_ROWS)
    with draft.open("r+b") as file:
        os.fsync(file.fileno())
    draft.chmod(0o440)
    draft.replace(target)
    LOCAL_DISK.sync_folder(folder)
    return sha256_of_file(target)


def count_spans(
    paths: Sequence[Path], bounds: Sequence[datetime], contract: str = "", *, threads: int = 2
) -> tuple[SpanCount, ...]:
    """Count the records of tables between ``bounds`` (aware, rising; *n + 1* of them make *n* spans), by contract.

    With ``contract``, of that one alone. One pass over the files; the memory needed grows with the number of contracts.
    """
    if not paths or len(bounds) < 2:
        return ()
    marks = [bound.astimezone(UTC).replace(tzinfo=None) for bound in bounds]
    inner = " + ".join(f"CAST(called_at >= $b{i} AS INTEGER)" for i in range(1, len(marks) - 1)) or "0"
    of_one = " AND contract = $contract" if contract else ""
    sql = (
        f"SELECT contract, contract_digest, {inner} AS span, result, is_charged, count(*) "  # noqa: S608 - made of numbers
        f"FROM read_parquet($paths) WHERE called_at >= $b0 AND called_at < $b{len(marks) - 1}{of_one} GROUP BY ALL ORDER BY ALL"
    )
    given: dict[str, Any] = {"paths": [str(path) for path in paths]} | {f"b{i}": mark for i, mark in enumerate(marks)}
    if contract:
        given["contract"] = contract
    with _open(threads) as engine:
        return tuple(SpanCount(*row) for row in engine.execute(sql, given).fetchall())

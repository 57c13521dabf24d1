"""Worn columns: what a mask with a key makes of a column of a version, written once and read by every later job.

A keyed mask is a function of version, column, mask and key. What it makes lies beside the sealed data, in the order of its
rows: a folder per column, mask and key, with a seal (HMAC over the files' digests) by which whatever was changed or cut short
is found and made anew. This module touches rows.
"""

import hashlib
import hmac
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow as na
import numpy as np

from gongshu.policies import service as policies
from gongshu.policies.service import Texts
from gongshu.policies.types import Mask

WORN_COLUMN = "worn"
SEAL = "seal"
ROWS_AT_ONCE = 16_384
"""Rows that a cipher works on at once: what they need stays in the processor's own memory."""
THREADS = 2
BATCHES_PER_FILE = 8
NAME_DIGITS, KEY_DIGITS = 24, 12


@dataclass(frozen=True)
class Worn:
    """A column that wears a mask: its name beside the relation, the column as text (as written), mask and secret."""

    name: str
    text: str
    mask: Mask
    secret: bytes


def find_worn(
    engine: duckdb.DuckDBPyConnection, worn: Worn, relation: str, sources: list[str], shelf: Path
) -> list[str]:
    """Return the files of a worn column, in the order of rows; they are written on ``shelf`` when they are not there.

    ``relation`` is the written source (``read_parquet($sources) AS …``) that ``worn.text`` names columns of.
    """
    folder = shelf / _name(worn)
    found = _sealed(folder, worn)
    if not found:
        draft = shelf / f"{folder.name}.{secrets.token_hex(8)}"
        draft.mkdir(mode=0o700, parents=True)
        try:
            _write(engine, worn, f"SELECT {worn.text} AS {WORN_COLUMN} FROM {relation}", sources, draft)  # noqa: S608 - written by rules
            _publish(draft, folder, worn)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        found = _sealed(folder, worn)
    if not found:
        raise OSError("a worn column cannot be kept")
    return found


def _name(worn: Worn) -> str:
    """Name a folder by column and mask, and by the key: with another key the column is another one."""
    what = "\x1f".join((worn.text, worn.mask.kind.value, policies.parameter_of(worn.mask)))
    key = hmac.digest(worn.secret, b"worn column key", hashlib.sha256).hex()[:KEY_DIGITS]
    return f"{hashlib.sha256(what.encode()).hexdigest()[:NAME_DIGITS]}-{key}"


def _sealed(folder: Path, worn: Worn) -> list[str]:
    """Return the files of ``folder`` when its seal fits them, else none."""
    try:
        seal = (folder / SEAL).read_bytes()
        files = sorted(folder.glob("*.parquet"))
        return [str(file) for file in files] if hmac.compare_digest(seal, _seal(files, worn)) else []
    except OSError:
        return []


def _seal(files: list[Path], worn: Worn) -> bytes:
    lines = [_name(worn)]
    for path in files:
        with path.open("rb") as file:
            lines.append(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}")
    return hmac.digest(worn.secret, "\n".join(lines).encode(), hashlib.sha256).hex().encode()


def _publish(draft: Path, folder: Path, worn: Worn) -> None:
    """Seal a draft and put it where it is looked for; what stood there, or was made with a key of before, goes."""
    files = sorted(draft.glob("*.parquet"))
    (draft / SEAL).write_bytes(_seal(files, worn))
    for path in (*files, draft / SEAL):
        path.chmod(0o600)
    what = folder.name.partition("-")[0]
    for old in folder.parent.glob(f"{what}-*"):
        if old.name == folder.name or "." not in old.name:  # drafts of others have a dot
            shutil.rmtree(old, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:  # another run was first: its seal is looked at next
        return


def _write(engine: duckdb.DuckDBPyConnection, worn: Worn, sql: str, sources: list[str], draft: Path) -> None:
    """Write the masked values of what ``sql`` gives, one file for some batches of those that the engine hands over."""
    with engine.cursor() as reading, ThreadPoolExecutor(THREADS) as workers:
        reading.execute("SET arrow_large_buffer_size = true")
        batches = iter(na.c_array_stream(reading.sql(sql, params={"sources": sources})))
        for number in count(1):
            taken = list(islice(batches, BATCHES_PER_FILE))
            if not taken:
                break
            parts = chain.from_iterable(_texts(batch.child(0)).parts(ROWS_AT_ONCE) for batch in taken)
            made = workers.map(lambda part: policies.wear(worn.mask, worn.secret, part), parts)
            table = na.Array.from_chunks(list(_arrays(made)))
            engine.from_arrow(table).write_parquet(str(draft / f"{number:06d}.parquet"), compression="zstd")
        if not any(draft.iterdir()):
            engine.sql(f"SELECT CAST(NULL AS VARCHAR) AS {WORN_COLUMN} WHERE false").write_parquet(
                str(draft / "0.parquet")
            )


def _texts(column: Any) -> Texts:
    """Take over a column of texts as the engine hands it over."""
    view, rows, skipped = column.view(), len(column), column.offset
    valid, bounds, data = (np.asarray(view.buffer(place)) for place in range(3))
    known: np.ndarray[Any, np.dtype[np.bool_]] = np.ones(rows, dtype=np.bool_)
    if column.null_count != 0 and len(valid):
        bits = np.unpackbits(valid.view(np.uint8), bitorder="little")[skipped : skipped + rows]
        known = bits.astype(np.bool_)
    return Texts(bounds[skipped : skipped + rows + 1].astype(np.int64), data.view(np.uint8), known)


def _arrays(columns: Iterator[Texts]) -> Iterator[Any]:
    for column in columns:
        valid = None if column.known.all() else np.packbits(column.known, bitorder="little")
        rows = len(column.known)
        texts = na.c_array_from_buffers(na.large_string(), rows, [valid, column.bounds, column.data])
        yield na.c_array_from_buffers(na.struct({WORN_COLUMN: na.large_string()}), rows, [None], children=[texts])

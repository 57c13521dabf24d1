"""Artifacts of verification products: LMDB files of keyed hashes, and reading them in the gateway."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

MAP_BYTES_MAX = 1 << 40  # address space, not memory: the file grows as needed
BATCH_RECORDS = 50_000
PAGE_BYTES = 4096
RECORDS_PER_KEY_MAX = 256


def build(records: Iterable[tuple[bytes, bytes]], header: tuple[bytes, bytes], work: Path, target: Path) -> int:
    """Write ``records`` and ``header`` to ``target`` and return how many entries it has. Same records, same bytes.

    A key hash may have several records (two rows of one enterprise): one more byte of the key counts them from 0. The
    very same record counts once; beyond 256 different ones the rest is left out.
    """
    draft, compact = work / "draft", work / "compact"
    draft.mkdir()
    compact.mkdir()
    with lmdb.open(str(draft), map_size=MAP_BYTES_MAX, sync=False, metasync=False) as environment:
        for batch in _batches(records):
            with environment.begin(write=True) as tx:
                for key, value in batch:
                    _put(tx, key, value)
        with environment.begin(write=True) as tx:
            tx.put(*header)
        with environment.begin() as tx:
            count = int(tx.stat()["entries"])
        environment.copy(str(compact), compact=True)
    shutil.rmtree(draft)
    (compact / "data.mdb").rename(target)
    shutil.rmtree(compact)
    return count


def _put(tx: lmdb.Transaction, key: bytes, value: bytes) -> None:
    for ordinal in range(RECORDS_PER_KEY_MAX):
        full = key + bytes((ordinal,))
        found = tx.get(full)
        if found == value:
            return
        if found is None:
            tx.put(full, value)
            return


def _batches(records: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    batch: list[tuple[bytes, bytes]] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    yield batch


class ArtifactReader:
    """An open artifact. Reading is a memory look-up; many threads may read at once."""

    def __init__(self, path: Path) -> None:
        """Open read-only; no lock file is made beside it."""
        self._environment = lmdb.open(
            str(path), subdir=False, readonly=True, lock=False, map_size=max(path.stat().st_size, PAGE_BYTES),
            max_readers=256,
        )  # fmt: skip

    def exact(self, key: bytes) -> bytes | None:
        """Return the entry under the whole key ``key``."""
        with self._environment.begin() as tx:
            found = tx.get(key)
            return None if found is None else bytes(found)

    def values(self, key: bytes) -> tuple[bytes, ...]:
        """Return every record under the key hash ``key``, in order; one record takes the same look-ups as none."""
        with self._environment.begin() as tx:
            first = tx.get(key + b"\0")
            found = [first or b""]
            for ordinal in range(1, RECORDS_PER_KEY_MAX):
                value = tx.get(key + bytes((ordinal,)))
                if value is None:
                    break
                found.append(value)
        return tuple(found) if first is not None else ()

    def close(self) -> None:
        """Close the file."""
        self._environment.close()

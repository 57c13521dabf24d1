"""Artifacts of look-ups: gathering the rows of each subject beside the artifact, then writing one record for each.

This module touches values: the lists of labels, and which of them a subject has. What it gathers lies in the job's own
workplace and goes with it.
"""

import csv
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import lmdb

from gongshu.compute.adapters.artifacts import BATCH_RECORDS, MAP_BYTES_MAX

PLACE_BYTES = 2


class Gathering:
    """Subjects with the key of their record and the places of their labels, gathered from rows in any order."""

    def __init__(self, work: Path, outputs: int) -> None:
        """Gather in ``work``, for so many tags."""
        self._folder, self._outputs = work / "gathering", outputs
        self._folder.mkdir()
        self._open = lmdb.open(str(self._folder), map_size=MAP_BYTES_MAX, sync=False, metasync=False)

    def add(self, rows: Iterable[tuple[bytes, bytes, Sequence[int]]], nothing: int) -> None:
        """Add rows: name and key of the record, and the places. Where two rows of a subject differ stands ``nothing``."""
        for batch in _batches(rows):
            with self._open.begin(write=True) as tx:
                for name, key, places in batch:
                    found = tx.get(name)
                    if found is not None:
                        before = _read(bytes(found)[len(key) :])
                        places = [a if a == b else nothing for a, b in zip(before, places, strict=True)]  # noqa: PLW2901
                    tx.put(name, key + b"".join(place.to_bytes(PLACE_BYTES, "big") for place in places))

    def each(self) -> Iterator[tuple[bytes, bytes, tuple[int, ...]]]:
        """Give name, key and places of each subject, by name."""
        with self._open.begin() as tx:
            for name, value in tx.cursor():
                written = bytes(value)
                cut = len(written) - self._outputs * PLACE_BYTES
                yield bytes(name), written[:cut], _read(written[cut:])

    def close(self) -> None:
        """Remove what was gathered."""
        self._open.close()
        shutil.rmtree(self._folder)


def _read(written: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(written[at : at + PLACE_BYTES], "big") for at in range(0, len(written), PLACE_BYTES))


def _batches(rows: Iterable[tuple[bytes, bytes, Sequence[int]]]) -> Iterator[list[tuple[bytes, bytes, Sequence[int]]]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    yield batch


def write_artifact(entries: Iterable[tuple[bytes, bytes]], work: Path, target: Path) -> int:
    """Write entries, in the order of their names, and return how many there are. Same entries, same bytes."""
    draft, compact = work / "draft", work / "compact"
    draft.mkdir()
    compact.mkdir()
    with lmdb.open(str(draft), map_size=MAP_BYTES_MAX, sync=False, metasync=False) as environment:
        with environment.begin(write=True) as tx:
            count = sum(tx.put(name, value) for name, value in entries)
        environment.copy(str(compact), compact=True)
    shutil.rmtree(draft)
    (compact / "data.mdb").rename(target)
    shutil.rmtree(compact)
    return count


def write_distribution(rows: Iterable[tuple[str, str, int]], target: Path) -> int:
    """Write how many subjects have which value of which tag, for the reviewers; return the number of rows."""
    written = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("tag", "value", "subjects"))
        for row in rows:
            table.writerow(row)
            written += 1
    return written

"""Segment files of one gateway: made, appended to, sealed, recovered, read.

``<id>.segment`` holds the records; ``<id>.seal.json`` beside it says that it is finished and what it holds;
``<id>.tail`` keeps what was cut off after a crash. An id is ``<gateway>-<month>-<number>``; numbers have no gaps.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from gongshu.base.days import local_day
from gongshu.base.site import Clock
from gongshu.metering.adapters.disk import Disk, write_all, write_durably
from gongshu.metering.adapters.frames import (
    FORMAT,
    FRAME_PAYLOAD_MAX,
    HEAD_BYTES,
    SegmentHeader,
    as_record,
    frame_at,
    frames,
    header_frame,
    header_of,
    unpack_stored,
    whole_bytes,
)
from gongshu.metering.adapters.tally import Tally
from gongshu.metering.types import Cut, SealedSegment, SegmentSeal, StoredRecord, UsageRecord

GATEWAY_NAME = re.compile(r"[a-z][a-z0-9]{0,23}")
SEGMENT_ID = re.compile(r"(?P<gateway>[a-z][a-z0-9]{0,23})-(?P<month>\d{6})-(?P<number>\d{8})")
READ_BYTES = 1 << 20


def month_of(moment: datetime) -> str:
    """Return the month of China time in which ``moment`` falls: ``2026-11``."""
    return local_day(moment).isoformat()[:7]


def number_of(identifier: str) -> int:
    """Return the number of a segment id."""
    return int(identifier.rsplit("-", 1)[1])


def segment_path(folder: Path, identifier: str) -> Path:
    """Return where the records of a segment lie."""
    return folder / f"{identifier}.segment"


def seal_path(folder: Path, identifier: str) -> Path:
    """Return where the seal of a segment lies."""
    return folder / f"{identifier}.seal.json"


def segment_ids(folder: Path, suffix: str) -> list[str]:
    """Return the ids of all files of a kind, oldest first."""
    names = (path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    return sorted((name for name in names if SEGMENT_ID.fullmatch(name)), key=number_of)


def take_lock(folder: Path) -> int | None:
    """Take the exclusive lock of a gateway's folder and return its descriptor; ``None`` when another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@dataclass(frozen=True)
class Mark:
    """How far a segment was written, and the digest of that."""

    bytes: int
    hash: "hashlib._Hash"


class SegmentFile:
    """A segment that is being written. Used by one thread at a time."""

    def __init__(self, folder: Path, header: SegmentHeader, disk: Disk) -> None:
        """Make the file with its header; ``OSError`` leaves nothing behind."""
        self.header, self._disk = header, disk
        self.path = segment_path(folder, header.segment)
        self._descriptor = disk.create(self.path)
        self.bytes = 0
        self._hash = hashlib.sha256()
        try:
            self.write(header_frame(header))
            disk.sync_folder(folder)
        except OSError:
            self.discard()
            raise

    def write(self, data: bytes) -> None:
        """Append ``data``; it is on disk when this returns. After an ``OSError`` call ``go_back``."""
        self.bytes = write_all(self._disk, self._descriptor, data, self.bytes)
        self._hash.update(data)

    def mark(self) -> Mark:
        """Return a point that ``go_back`` can return to."""
        return Mark(self.bytes, self._hash.copy())

    def go_back(self, mark: Mark) -> None:
        """Cut off everything written since ``mark``, so that not even a power cut brings it back."""
        self._disk.truncate(self._descriptor, mark.bytes)
        self._disk.sync(self._descriptor)
        self.bytes, self._hash = mark.bytes, mark.hash

    def discard(self) -> None:
        """Remove the file for good: nothing in it was ever answered for."""
        self._disk.close(self._descriptor)
        self._disk.remove(self.path)
        self._disk.sync_folder(self.path.parent)

    def seal(self, tally: Tally, sealed_at: datetime) -> SegmentSeal:
        """Finish the segment; may be called again when it failed."""
        seal = make_seal(self.header, sha256=self._hash.hexdigest(), size=self.bytes, tally=tally, at=sealed_at)
        write_seal(self.path.parent, seal, self._disk)
        self.path.chmod(0o440)
        self._disk.close(self._descriptor)
        return seal


def header_for(gateway: str, month: str, number: int) -> SegmentHeader:
    """Return the header of a segment that is to be made."""
    return SegmentHeader(FORMAT, f"{gateway}-{month.replace('-', '')}-{number:08d}", gateway, month)


def header_named(identifier: str) -> SegmentHeader:
    """Return the header that the segment of this id should have."""
    gateway, digits, _ = identifier.split("-")
    return SegmentHeader(FORMAT, identifier, gateway, f"{digits[:4]}-{digits[4:]}")


def make_seal(
    header: SegmentHeader, *, sha256: str, size: int, tally: Tally, at: datetime, cut: Cut | None = None
) -> SegmentSeal:
    """Return the seal of a finished segment."""
    segment = SealedSegment(
        id=header.segment, gateway=header.gateway, sha256=sha256, records=tally.records, first_at=tally.first_at,
        last_at=tally.last_at, sealed_at=at,
    )  # fmt: skip
    return SegmentSeal(segment, header.month, size, tally.contracts(), cut)


def write_seal(folder: Path, seal: SegmentSeal, disk: Disk) -> None:
    """Write the seal beside its segment."""
    write_durably(disk, seal_path(folder, seal.segment.id), msgspec.json.encode(seal))


def read_seal(folder: Path, identifier: str) -> SegmentSeal | None:
    """Return the seal of a segment, or ``None`` when it is not sealed or the seal cannot be read."""
    try:
        return seal_in(seal_path(folder, identifier).read_bytes())
    except FileNotFoundError:
        return None


def seal_in(data: bytes) -> SegmentSeal | None:
    """Return the seal in ``data``, or ``None`` when it is none."""
    try:
        return msgspec.json.decode(data, type=SegmentSeal)
    except msgspec.DecodeError:
        return None


def recover(folder: Path, identifier: str, clock: Clock, disk: Disk) -> SegmentSeal | None:
    """Seal a segment that a crash left open: cut at its last whole record, the rest set aside in ``<id>.tail``.

    Returns ``None`` when the file was empty and is gone. A crash on the way here loses nothing: the next start goes on, and
    still knows what was cut.
    """
    path, tail = segment_path(folder, identifier), folder / f"{identifier}.tail"
    data = path.read_bytes()
    if not data:
        disk.remove(path)
        disk.sync_folder(folder)
        return None
    header = header_named(identifier)
    end = whole_records(data) if header_of(data) == header else 0
    if end < len(data):
        write_durably(disk, tail, data[end:])
    kept = data[:end] if end else header_frame(header)
    if not end:
        write_durably(disk, path, kept)
    else:
        _cut(disk, path, end)
    cut = Cut(end, tail.stat().st_size) if tail.exists() else None
    sha256, tally, _ = recount(kept)
    seal = make_seal(header, sha256=sha256, size=len(kept), tally=tally, at=clock(), cut=cut)
    write_seal(folder, seal, disk)
    path.chmod(0o440)
    return seal


def _cut(disk: Disk, path: Path, end: int) -> None:
    descriptor = disk.open(path)
    try:
        disk.truncate(descriptor, end)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def whole_records(data: bytes) -> int:
    """Return how many bytes from the start are whole frames that hold records (after the header)."""
    end = 0
    for offset, payload in frames(data):
        if offset:
            try:
                unpack_stored(payload)
            except msgspec.DecodeError:
                return end
        end = offset + HEAD_BYTES + len(payload)
    return end


def stored_records(data: bytes) -> Iterator[tuple[int, StoredRecord]]:
    """Yield offset and record of each record of a segment."""
    for offset, payload in frames(data):
        if offset:
            yield offset, unpack_stored(payload)


def read_segment(folder: Path, identifier: str) -> bytes:
    """Return the bytes of a segment."""
    return segment_path(folder, identifier).read_bytes()


def recount(data: bytes) -> tuple[str, Tally, bool]:
    """Return digest and tally of a segment's bytes, and whether every byte belongs to a whole record."""
    tally = Tally()
    for _, stored in stored_records(data):
        tally.add(stored)
    return hashlib.sha256(data).hexdigest(), tally, header_of(data) is not None and whole_bytes(data) == len(data)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file; an empty string when it is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def record_at(folder: Path, identifier: str, offset: int) -> UsageRecord | None:
    """Return the record at ``offset`` of a segment, or ``None`` when no whole record lies there."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError, OverflowError, OSError):
        with segment_path(folder, identifier).open("rb") as file:
            file.seek(offset)
            data = file.read(HEAD_BYTES + FRAME_PAYLOAD_MAX)
        payload = frame_at(data, offset, offset) if offset else None
        return None if payload is None else as_record(unpack_stored(payload), f"{identifier}:{offset}")
    return None

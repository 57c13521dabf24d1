"""What the meter asks of the file system, and nothing else: so few operations that a test can fail each of them.

What is promised of a disk: a write that was waited for survives a power cut; one that was not may be there in part, in any
order; a sector (512 bytes) is written as a whole or not at all; a name is there for certain once its folder was synced.
"""

import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Operations on the files of one gateway. Each raises ``OSError`` when it fails."""

    def create(self, path: Path) -> int:
        """Make an empty file that must not be there yet, and return its descriptor."""

    def open(self, path: Path) -> int:
        """Return the descriptor of a file that is there."""

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at ``offset`` and wait for the disk; returns how many bytes were written, which may be fewer."""

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file off at ``size``; not durable until ``sync``."""

    def sync(self, descriptor: int) -> None:
        """Wait until content and length of the file are durable."""

    def close(self, descriptor: int) -> None:
        """Let go of a file."""

    def remove(self, path: Path) -> None:
        """Take a name away; not durable until ``sync_folder``."""

    def replace(self, draft: Path, path: Path) -> None:
        """Give the file at ``draft`` the name ``path``, whatever had it; not durable until ``sync_folder``."""

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in ``folder`` are durable."""


class LocalDisk:
    """The file system of this machine."""

    def create(self, path: Path) -> int:
        """Make an empty file that must not be there yet, and return its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def open(self, path: Path) -> int:
        """Return the descriptor of a file that is there."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at ``offset`` and wait for the disk."""
        # As write and fdatasync, in one system call: each more costs the event loop a change of threads.
        return os.pwritev(descriptor, [data], offset, os.RWF_DSYNC)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file off at ``size``."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Wait until content and length of the file are durable."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Let go of a file."""
        os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()

    def replace(self, draft: Path, path: Path) -> None:
        """Give the file at ``draft`` the name ``path``."""
        draft.replace(path)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in ``folder`` are durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


LOCAL_DISK: Disk = LocalDisk()


def write_all(disk: Disk, descriptor: int, data: bytes, offset: int) -> int:
    """Write all of ``data`` from ``offset``, durable when this returns; returns where it ends."""
    left = memoryview(data)
    while left:
        written = disk.write(descriptor, left, offset)
        left, offset = left[written:], offset + written
    return offset


def write_durably(disk: Disk, path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` so that a reader sees all of it or the file before; durable when this returns."""
    draft = path.with_name(path.name + ".draft")
    if draft.exists():  # a crash left it
        disk.remove(draft)
    descriptor = disk.create(draft)
    try:
        write_all(disk, descriptor, data, 0)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.replace(draft, path)
    disk.sync_folder(path.parent)

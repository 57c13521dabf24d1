"""A disk that fails as disks do: it tears, reorders and loses what was not waited for, runs full, and breaks.

It passes each operation on to a real folder, which is what a running process sees, and keeps a log beside. After ``power cut``
the folder is made anew from what the log allows: of writes that were not waited for any sectors, of names that were not synced
any subset. ``write`` is durable when it returns, as the meter's disk promises.
"""

import errno
import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gongshu.metering.adapters.disk import LOCAL_DISK

SECTOR = 512
NEEDS_ROOM = frozenset({"create", "write", "replace"})


@dataclass
class Change:
    """One step of a file's content: a write at ``at``, or (``data`` is ``None``) a cut at ``at``."""

    at: int
    data: bytes | None
    is_durable: bool = False
    is_lost: bool = False  # its pages are gone: no later sync makes it durable


@dataclass
class Content:
    """What became of one file since the start."""

    changes: list[Change] = field(default_factory=list)

    def after_a_power_cut(self, draw: random.Random) -> bytes:
        """Return what the disk may hold."""
        found = bytearray()
        for change in self.changes:
            if change.data is None:
                if change.is_durable or draw.random() < 0.5:
                    del found[change.at :]
                continue
            pieces = [(change.at, change.data)] if change.is_durable else self._torn(change, draw)
            for at, piece in pieces:
                found.extend(self._left_over(at - len(found), draw))
                found[at : at + len(piece)] = piece
        return bytes(found)

    @staticmethod
    def _torn(change: Change, draw: random.Random) -> list[tuple[int, bytes]]:
        """Return the sectors of a write that reached the disk: a prefix, or any of them."""
        data = change.data or b""
        ends = [*range(SECTOR - change.at % SECTOR, len(data), SECTOR), len(data)]
        sectors = [(change.at + start, data[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        if draw.random() < 0.5:
            return sectors[: draw.randrange(len(sectors) + 1)]
        return [sector for sector in sectors if draw.random() < 0.5]

    def _left_over(self, size: int, draw: random.Random) -> bytes:
        """Return what lies in a hole of a file: zeros, noise, or what some file held here before."""
        if size <= 0:
            return b""
        old = b"".join(change.data or b"" for change in self.changes)[:size].ljust(size, b"\0")
        return draw.choice([bytes(size), draw.randbytes(size), old])


@dataclass
class Naming:
    """One step of the names: ``path`` is given to ``content``, or (``None``) taken away; ``draft`` loses its own."""

    path: Path
    content: Content | None
    draft: Path | None = None
    is_durable: bool = False


@dataclass
class Faults:
    """How often what happens, by operation; ``cut_at`` is the operation at which the power goes."""

    short: float = 0.0
    full: float = 0.0
    broken: float = 0.0
    cut_at: int = 1 << 60


class FaultyDisk:
    """The disk of one life of a gateway, from a start to the next."""

    def __init__(self, folder: Path, draw: random.Random, faults: Faults) -> None:
        """Take what lies in ``folder`` as durable."""
        self._folder, self._draw, self._faults = folder, draw, faults
        self._namings: list[Naming] = []
        self._names: dict[Path, Content] = {}
        self._open: dict[int, Content] = {}
        self._full_for = 0
        self.operations = 0
        self.is_dead = False
        self.seen: Counter[str] = Counter()
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_file():
                self._name(path, Content([Change(0, path.read_bytes(), is_durable=True)]), is_durable=True)

    # -------------------------------------------------------------------------------------------------- the operations

    def create(self, path: Path) -> int:
        """Make an empty file."""
        self._before("create")
        descriptor = LOCAL_DISK.create(path)
        self._open[descriptor] = self._name(path, Content())
        return descriptor

    def open(self, path: Path) -> int:
        """Open a file that is there."""
        self._before("open")
        descriptor = LOCAL_DISK.open(path)
        self._open[descriptor] = self._names[path]
        return descriptor

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write and wait; it may write less, tear, run out of room, or break."""
        content, whole = self._open[descriptor], bytes(data)
        try:
            self._before("write")
        except OSError as error:
            taken = whole[: self._draw.randrange(len(whole) + 1)]
            if error.errno == errno.ENOSPC and taken:  # what fits is written; the rest fails when it is tried
                return self._written(descriptor, content, taken, offset)
            content.changes.append(Change(offset, whole, is_lost=True))
            if not self.is_dead:  # the pages may stay in memory, though they never reach the disk
                os.pwrite(descriptor, taken, offset)
            raise
        if len(whole) > 1 and self._draw.random() < self._faults.short:
            self.seen["short"] += 1
            whole = whole[: self._draw.randrange(1, len(whole))]
        return self._written(descriptor, content, whole, offset)

    @staticmethod
    def _written(descriptor: int, content: Content, data: bytes, offset: int) -> int:
        written = LOCAL_DISK.write(descriptor, memoryview(data), offset)
        content.changes.append(Change(offset, data[:written], is_durable=True))
        return written

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file off."""
        self._before("truncate")
        LOCAL_DISK.truncate(descriptor, size)
        self._open[descriptor].changes.append(Change(size, None))

    def sync(self, descriptor: int) -> None:
        """Make a file's content durable, but for pages that were lost."""
        self._before("sync")
        for change in self._open[descriptor].changes:
            change.is_durable = not change.is_lost

    def close(self, descriptor: int) -> None:
        """Close a file; that never fails, and makes nothing durable."""
        del self._open[descriptor]
        LOCAL_DISK.close(descriptor)

    def remove(self, path: Path) -> None:
        """Take a name away."""
        self._before("remove")
        LOCAL_DISK.remove(path)
        del self._names[path]
        self._namings.append(Naming(path, None))

    def replace(self, draft: Path, path: Path) -> None:
        """Rename a file over another."""
        self._before("replace")
        LOCAL_DISK.replace(draft, path)
        content = self._names.pop(draft)
        self._name(path, content, draft=draft)

    def sync_folder(self, folder: Path) -> None:
        """Make names durable."""
        self._before("sync_folder")
        for naming in self._namings:
            naming.is_durable = naming.is_durable or naming.path.parent == folder

    def _name(self, path: Path, content: Content, **more: Any) -> Content:
        self._names[path] = content
        self._namings.append(Naming(path, content, **more))
        return content

    def _before(self, operation: str) -> None:
        """Count an operation, and let it fail when its time has come."""
        if self.is_dead:
            raise OSError(errno.EIO, "the power is off")
        self.operations += 1
        if self.operations >= self._faults.cut_at:
            self.is_dead = True
            self.seen["cut"] += 1
            raise OSError(errno.EIO, "the power went")
        if self._draw.random() < self._faults.broken:
            self.seen["broken"] += 1
            raise OSError(errno.EIO, "broken")
        if self._draw.random() < self._faults.full:
            self._full_for = self._draw.randrange(1, 6)
        if operation in NEEDS_ROOM and self._full_for:
            self._full_for -= 1
            self.seen["full"] += 1
            raise OSError(errno.ENOSPC, "full")

    # ----------------------------------------------------------------------------------------------------- afterwards

    def come_back(self) -> None:
        """Make the folder anew from what the disk may hold. Nobody may use it now."""
        self.is_dead = True
        held: dict[Path, Content] = {}
        for naming in self._namings:
            if not naming.is_durable and self._draw.random() < 0.5:
                continue
            if naming.draft is not None:
                held.pop(naming.draft, None)
            if naming.content is None:
                held.pop(naming.path, None)
            else:
                held[naming.path] = naming.content
        kept = {path: content.after_a_power_cut(self._draw) for path, content in held.items()}
        for path in self._folder.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path, data in kept.items():
            path.write_bytes(data)

"""The files of the log under ``audit/``: ``checkpoint``, ``tile/…`` (C2SP tlog-tiles), and the lock of its writer.

A file appears whole or not at all: it is written as a draft, synced, renamed, and its folder synced.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKPOINT = "checkpoint"
LOCK = "lock"
DRAFT = "draft"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread integrates or checks the log in ``folder``; then be the one."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # ends with the process, also when it is killed
        yield
    finally:
        os.close(handle)


def read(folder: Path, path: str) -> bytes | None:
    """Return the content of a file of the log, or ``None`` when it is not there."""
    try:
        return (folder / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(folder: Path, path: str, data: bytes) -> None:
    """Write one file durably. Only the holder of ``only_one`` may call it: the draft has one name."""
    target = folder / path
    missing = [parent for parent in (target.parent, *target.parent.parents) if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = folder / DRAFT
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    for changed in {target.parent, *(parent.parent for parent in missing)}:
        _sync_folder(changed)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exists(folder: Path, path: str) -> bool:
    """Whether a file of the log is there."""
    return (folder / path).is_file()


def drop_partials(folder: Path, path: str) -> None:
    """Delete the partial files of a tile that is full now; the standard allows it."""
    shutil.rmtree(folder / f"{path}.p", ignore_errors=True)


def partial_widths(folder: Path, path: str) -> list[int]:
    """Return the widths of the partial files kept of a tile, smallest first. Names that are no width are left out."""
    try:
        names = [file.name for file in (folder / f"{path}.p").iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and name[0] != "0")


def all_files(folder: Path) -> Iterator[str]:
    """Return every file of the log by its path, drafts and lock left out."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = (Path(parent) / name).relative_to(folder).as_posix()
            if path not in {LOCK, DRAFT}:
                yield path

"""The folders of versions: prepared aside, renamed into place once, never written again."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gongshu.base.digest import canonical_json
from gongshu.base.ids import ResourceId
from gongshu.catalog.types import FileEntry, Limits, Manifest

MANIFEST = "manifest.json"
QUARANTINE = "quarantine.parquet"
READ_ONLY = 0o444
NAME_BYTES_MAX = 200
COPY_BYTES = 1024 * 1024


def version_folder(home: Path, resource: ResourceId, number: int) -> Path:
    """Return where version ``number`` of ``resource`` lies, or will lie."""
    return home / "data" / resource / f"v{number}"


def part_name(index: int) -> str:
    """Return the name of the part made of the source at ``index``, from 0."""
    return f"part-{index + 1:04d}.parquet"


@contextmanager
def staging(home: Path, name: str) -> Iterator[Path]:
    """Give a folder with two empty ones, ``work`` and ``version``, where versions lie too; it is removed afterwards.

    What a killed process left behind is removed as well: its lock is free.
    """
    place = home / "data" / ".staging"
    place.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    folder, lock_path = place / name, place / f"{name}.lock"
    with lock_path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "work").mkdir(parents=True)
        (folder / "version").mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock_path.unlink(missing_ok=True)


def _remove_abandoned(place: Path) -> None:
    for path in place.glob("*.lock"):
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)


def entry_of(path: Path, rows: int) -> FileEntry:
    """Return the entry of a written file with its digest, after its bytes have reached the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return FileEntry(path.name, digest, path.stat().st_size, rows)


def publish(prepared: Path, manifest: Manifest, home: Path) -> Path:
    """Write the manifest and rename the prepared folder into place.

    Called inside the transaction that records the version. A folder that already stands there belongs to no version:
    that transaction did not commit. It is replaced.
    """
    (prepared / MANIFEST).write_bytes(canonical_json(manifest))
    entry_of(prepared / MANIFEST, 0)
    for path in prepared.iterdir():
        path.chmod(READ_ONLY)
    _sync_folder(prepared)
    target = version_folder(home, manifest.resource, manifest.number)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sync_folder(target.parent.parent)
    if target.exists():
        shutil.rmtree(target)
    prepared.rename(target)
    _sync_folder(target.parent)
    return target


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def changed_files(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return the names of the files that are not, byte for byte, what ``manifest`` says."""
    changed: list[str] = []
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file() or manifest_path.read_bytes() != canonical_json(manifest):
        changed.append(MANIFEST)
    for entry in manifest.files:
        path = folder / entry.name
        if not path.is_file() or path.stat().st_size != entry.bytes or _digest(path) != entry.sha256:
            changed.append(entry.name)
    return tuple(changed)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def receive(folder: Path, files: Iterable[tuple[str, IO[bytes]]], limits: Limits) -> list[Path] | None:
    """Copy named streams into ``folder``, each under its own name; ``None`` when they are too large together."""
    paths: list[Path] = []
    left = limits.upload_bytes_max
    for index, (name, file) in enumerate(files):
        path = (
            folder
            / str(index)
            / (name.replace("/", "_").strip(".") or "_").encode()[-NAME_BYTES_MAX:].decode(errors="ignore")
        )
        path.parent.mkdir()
        with path.open("wb") as target:
            while chunk := file.read(COPY_BYTES):
                left -= len(chunk)
                if left < 0:
                    return None
                target.write(chunk)
        paths.append(path)
    return paths

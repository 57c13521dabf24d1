"""Folders of jobs: worked on aside, renamed into place once."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gongshu.base.ids import JobId
from gongshu.compute.types import OutputFile

READ_ONLY = 0o444


def output_folder(home: Path, job_id: JobId) -> Path:
    """Return where the files of a job lie, in quarantine."""
    return home / "outputs" / job_id


@contextmanager
def workplace(home: Path, name: str) -> Iterator[Path]:
    """Give an empty folder with ``projections`` and ``outbox``; whatever is left in it is removed afterwards."""
    folder = home / "work" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "projections").mkdir(mode=0o700, parents=True)
    (folder / "outbox").mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def worn_folder(home: Path, source: Path) -> Path:
    """Return where columns lie that wear keyed masks: per version, or beside a file that is none of a version's."""
    data = home / "data"
    return home / "worn" / source.parent.relative_to(data) if data in source.parents else source.with_suffix(".worn")


def kept_folder(home: Path, job_id: JobId) -> Path:
    """Return where the noisy tables of a job stay until it is over, so that a run that is repeated draws no new noise."""
    return home / "kept" / job_id


@contextmanager
def kept(home: Path, job_id: JobId) -> Iterator[Path]:
    """Give that folder to one run at a time; a second run of the same job waits, and finds what the first has drawn."""
    folder = kept_folder(home, job_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def sweep(home: Path, job_id: JobId) -> None:
    """Remove the workplaces that killed runs of a job left behind: they may hold projections and keys."""
    for left in (home / "work").glob(f"{job_id}-*"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def shared(folder: Path, name: str) -> Iterator[Path]:
    """Give an empty folder where a cluster can read; it is removed afterwards."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o750, parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sweep_shared(folder: Path, job_id: JobId) -> None:
    """Remove what killed runs of a job left in the folder that a cluster reads."""
    for left in folder.glob(f"{job_id}-*"):
        shutil.rmtree(left, ignore_errors=True)


def describe(outbox: Path, rows: dict[str, int]) -> tuple[OutputFile, ...]:
    """Return the files of an outbox with digests, after their bytes have reached the disk. Links do not count."""
    found = []
    for name, count in rows.items():
        path = outbox / name
        if path.is_symlink() or not path.is_file():
            raise FileNotFoundError(name)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        path.chmod(READ_ONLY)
        found.append(OutputFile(name, digest, path.stat().st_size, count))
    return tuple(found)


def publish(outbox: Path, target: Path) -> None:
    """Rename the outbox to ``target``. A folder that stands there is of a run that was not recorded: it is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(target)
    outbox.rename(target)
    handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove a folder, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)

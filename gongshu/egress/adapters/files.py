"""Files in quarantine and on their way out: digests, strays, and a copy that survives a power cut."""

import hashlib
import os
import shutil
from pathlib import Path

from gongshu.compute.types import OutputFile

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(folder: Path, files: tuple[OutputFile, ...]) -> dict[str, str]:
    """Return the digests of the files that are there: plain files of ``folder`` only, no links, no other folders."""
    paths = {file.name: folder / file.name for file in files if "/" not in file.name}
    return {name: sha256_of(path) for name, path in paths.items() if path.is_file() and not path.is_symlink()}


def strays(folder: Path, files: tuple[OutputFile, ...]) -> tuple[str, ...]:
    """Return what lies in ``folder`` and was not declared, links and folders included."""
    declared = {file.name for file in files}
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_symlink() or path.name not in declared))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_hashed(source: Path, target: Path) -> str:
    hashed = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            hashed.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o444)
    return hashed.hexdigest()


def copy_out(source: Path, target: Path, files: tuple[OutputFile, ...]) -> str:
    """Copy ``files`` to the new folder ``target``, all or nothing; return the name of a file that was changed, or ``""``.

    The digest is taken from the very bytes written. Files and folders are on disk before ``target`` has its name.
    """
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for file in files:
        path = source / file.name
        if path.is_symlink() or not path.is_file() or _copy_hashed(path, draft / file.name) != file.sha256:
            shutil.rmtree(draft)
            return file.name
    _sync(draft)
    draft.rename(target)
    _sync(target.parent)
    return ""


def remove(folder: Path) -> None:
    """Remove a folder that nobody was told of: its release was not recorded."""
    shutil.rmtree(folder, ignore_errors=True)

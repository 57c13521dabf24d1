"""Files made for one buyer each: made when first asked for, kept for a while, made again the same when they are gone.

They lie in ``spool/<gateway>/`` under the home folder, named by what they are of and by their SHA-256. All of them together
stay below a limit: the one that nobody asked for longest goes first.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("gongshu.gateway")

BYTES_MAX = 20 << 30
KEPT_SECONDS_MAX = 7 * 86_400
NAME_DIGITS = 40


class BeingMade(Exception):  # noqa: N818 - no mistake: ask again
    """Another thread is making this very file."""


@dataclass(frozen=True)
class SpooledFile:
    """A file that is ready to be sent."""

    path: Path
    sha256: str
    bytes: int


class Spool:
    """The spool folder of one gateway. Used from several threads."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        """Drop what a crash left half made."""
        self._folder, self._bytes_max = folder, bytes_max
        self._lock = threading.Lock()
        self._making: set[str] = set()
        self._checked: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob("*.draft"):
            draft.unlink(missing_ok=True)

    def file(self, of: tuple[str, ...], suffix: str, make: Callable[[Path], None]) -> SpooledFile:
        """Return the file that ``of`` names, made by ``make`` if it is not there. Raises ``BeingMade`` while another makes it."""
        name = hashlib.sha256("\n".join(of).encode()).hexdigest()[:NAME_DIGITS]
        found = self._find(name, suffix)
        if found is not None:
            return found
        with self._lock:
            if name in self._making:
                raise BeingMade
            self._making.add(name)
        try:
            return self._find(name, suffix) or self._make(name, suffix, make)
        finally:
            with self._lock:
                self._making.discard(name)

    def _find(self, name: str, suffix: str) -> SpooledFile | None:
        for path in self._folder.glob(f"{name}-*.{suffix}"):
            sha256 = path.name.removeprefix(f"{name}-").removesuffix(f".{suffix}")
            if path.name not in self._checked and _sha256(path) != sha256:
                log.error("a file of the spool was damaged and is made again")
                path.unlink(missing_ok=True)
                continue
            self._checked.add(path.name)
            try:
                os.utime(path)  # it was asked for
                return SpooledFile(path, sha256, path.stat().st_size)
            except FileNotFoundError:
                continue
        return None

    def _make(self, name: str, suffix: str, make: Callable[[Path], None]) -> SpooledFile:
        draft = self._folder / f"{name}.{suffix}.draft"
        draft.unlink(missing_ok=True)
        try:
            make(draft)
            sha256, size = _sha256(draft), draft.stat().st_size
            path = self._folder / f"{name}-{sha256}.{suffix}"
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        self._checked.add(path.name)
        self._make_room(path)
        return SpooledFile(path, sha256, size)

    def _make_room(self, latest: Path) -> None:
        """Remove what is old, and what is too much; never the file that was just made."""
        with self._lock:
            files = sorted((p for p in self._folder.iterdir() if p.suffix != ".draft" and p.is_file()), key=_used_at)
            total, now = sum(path.stat().st_size for path in files), _used_at(latest)
            for path in files:
                if path != latest and (total > self._bytes_max or now - _used_at(path) > KEPT_SECONDS_MAX):
                    total -= path.stat().st_size
                    path.unlink(missing_ok=True)
                    self._checked.discard(path.name)


def _used_at(path: Path) -> float:
    return path.stat().st_mtime


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Lines that could not be read, on their way into the version's quarantine file."""

from pathlib import Path
from types import TracebackType
from typing import Self

from gongshu.catalog.types import Fault, Limits

BYTES_PER_CHARACTER_MAX = 4
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


class QuarantineFull(Exception):  # noqa: N818 - what happened, not a mistake of the program
    """More lines than ``quarantine_lines_max`` could not be read: this is a wrong file, not a dirty one."""


class QuarantineFile:
    """A CSV of our own making: line number, fault, and the beginning of the raw line as visible text."""

    def __init__(self, path: Path, source: str, encoding: str, limits: Limits) -> None:
        """Write to ``path`` about ``source``."""
        self._path, self._source, self._encoding, self._limits = path, source.replace('"', "'"), encoding, limits
        self._lines = 0

    def __enter__(self) -> Self:
        """Start the file."""
        self._file = self._path.open("w", encoding="utf-8", newline="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the file."""
        self._file.close()

    def add(self, line: int, fault: Fault, raw: bytes) -> None:
        """Add one line. Bytes that cannot be shown are written as backslash, x and two digits."""
        self._lines += 1
        if self._lines > self._limits.quarantine_lines_max:
            raise QuarantineFull
        beginning = raw[: self._limits.raw_chars_max * BYTES_PER_CHARACTER_MAX]
        text = beginning.decode(self._encoding, "backslashreplace").translate(_VISIBLE)[: self._limits.raw_chars_max]
        shown = text.encode("utf-8", "backslashreplace").decode().replace('"', '""')
        self._file.write(f'"{self._source}",{line},{fault},"{shown}"\n')

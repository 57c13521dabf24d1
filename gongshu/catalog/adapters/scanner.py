"""Reads a source file record by record in bounded memory, and sets aside every line that cannot be read.

Blocks that are plainly well formed are recognised as a whole with a few passes of C speed; only the others are read
line by line. The engine then reads the source itself, or a clean copy when something had to be set aside or
re-encoded. A record that cannot be read costs exactly its first physical line: reading goes on with the next one.
"""

import hashlib
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import IO, Self

from gongshu.catalog.adapters.dialect import GB18030, UTF8, Grammar, Opening, grammar, outside_quotes, shown_name
from gongshu.catalog.adapters.quarantine import QuarantineFile, QuarantineFull
from gongshu.catalog.types import Fault, Limits, SourceFault, SourceFile

INCOMPLETE = 0
COPY_BYTES = 1024 * 1024
_FIRST, _LAST = itemgetter(0), itemgetter(-1)


@dataclass
class CleanCopy:
    """The file that the engine reads: the source as it is, for as long as nothing in it has to be left out."""

    source: Path
    target: Path
    header: bytes
    encoding: str
    body_start: int
    file: IO[bytes] | None = None

    @property
    def path(self) -> Path:
        """The file to read."""
        return self.source if self.file is None else self.target

    def part_from(self, offset: int) -> None:
        """Write a copy from now on; what stands before ``offset`` in the source was good and is taken over."""
        if self.file is not None:
            return
        self.file = self.target.open("wb")
        self.file.write(self.header)
        with self.source.open("rb") as source:
            source.seek(self.body_start)
            left = offset - self.body_start
            while left > 0 and (chunk := source.read(min(left, COPY_BYTES))):
                self.write(chunk)
                left -= len(chunk)

    def write(self, records: bytes) -> None:
        """Add whole records."""
        if self.file is not None:
            self.file.write(records if self.encoding == UTF8 else records.decode(self.encoding).encode())


@dataclass
class Scanner:
    """One pass over one source. ``line`` is the physical number of the next line, ``offset`` where it starts."""

    opening: Opening
    columns: int
    copy: CleanCopy
    quarantine: QuarantineFile
    limits: Limits
    line: int = 1
    offset: int = 0
    kept: int = 0
    faults: dict[Fault, int] = field(default_factory=dict)
    bytes_read: int = 0
    sha256: str = ""
    _grammar: Grammar = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what every block needs."""
        d = self.opening.delimiter
        self._grammar = grammar(d)
        self._dropped = bytes(set(range(256)) - set(d + b"\n"))
        self._record_form = d * (self.columns - 1) + b"\n"
        self._edges_before = frozenset(d + b"\n")
        self._edges_after = frozenset(d + b"\r\n")
        self._line_end = b"\r\n" if self.opening.ends_with_crlf else b"\n"

    def run(self) -> Self:
        """Read the whole source once, from its first data record."""
        digest = hashlib.sha256()
        with self.copy.source.open("rb", buffering=0) as file:
            digest.update(file.read(self.copy.body_start))
            self.bytes_read = self.offset = self.copy.body_start
            carry = b""
            is_skipping = False
            while chunk := file.read(self.limits.block_bytes):
                digest.update(chunk)
                self.bytes_read += len(chunk)
                if is_skipping:
                    end = chunk.find(b"\n")
                    if end < 0:
                        continue
                    is_skipping = False
                    chunk = chunk[end + 1 :]
                end = chunk.rfind(b"\n") + 1
                carry = self._read_block(carry + chunk[:end]) + chunk[end:] if end else carry + chunk
                if len(carry) > self.limits.record_bytes_max:
                    carry, is_skipping = self._cut_short(carry)
            if carry:
                is_ended = carry.endswith(b"\n")  # as an open record is; else it is the last line of the file
                self._read_block(carry if is_ended else carry.removesuffix(b"\r") + self._line_end, is_last=True)
        if self.copy.file is not None:
            self.copy.file.close()
        self.sha256 = digest.hexdigest()
        return self

    def _cut_short(self, carry: bytes) -> tuple[bytes, bool]:
        """Give up on an open record that grew too long, and on a line that did; whether to skip to the next line."""
        end = carry.rfind(b"\n") + 1
        if end:
            self._read_block(carry[:end], is_last=True)
        rest = carry[end:]
        if len(rest) <= self.limits.record_bytes_max:
            return rest, False
        self.copy.part_from(self.offset)
        self.set_aside(rest, Fault.LINE_TOO_LONG)
        return b"", True

    def _read_block(self, block: bytes, *, is_last: bool = False) -> bytes:
        """Read whole lines; return the open record at their end, if any."""
        count = self._count_clean(block)
        if count >= 0:
            self.copy.write(block)
            self.kept += count
            self.offset += len(block)
            return b""
        kept, rest = self._read_lines(block, is_last=is_last)
        done = len(block) - len(rest)
        if kept != block[:done]:
            self.copy.part_from(self.offset)
        self.copy.write(kept)
        self.offset += done
        return rest

    def _count_clean(self, block: bytes) -> int:
        """Return how many records ``block`` has if all of them are well formed; -1 when it has to be read closely."""
        if len(block) > self.limits.field_bytes_max or b"\0" in block or not self._is_readable(block):
            return -1
        outside = block
        if b'"' in block:
            parts = block.split(b'"')
            if len(parts) % 2 == 0 or not self._are_quotes_at_edges(parts[::2]):
                return -1
            outside = b"".join(parts[::2])
        form = outside.translate(None, self._dropped)
        lines = form.count(b"\n")
        if form != self._record_form * lines:
            return -1
        if b"\r" in outside or self.opening.ends_with_crlf:
            ends = outside.count(b"\r\n")
            if not self.opening.ends_with_crlf or ends != lines or outside.count(b"\r") != ends:
                return -1
        if self.columns == 1 and (block.startswith((b"\n", b"\r")) or b"\n\n" in block or b"\n\r" in block):
            return -1
        breaks = block.count(b"\n")
        if breaks - lines > self.limits.record_lines_max:
            return -1
        self.line += breaks
        return lines

    def _is_readable(self, text: bytes) -> bool:
        if text.isascii():
            return True
        try:
            decoded = text.decode(self.opening.encoding)
            if self.opening.encoding != UTF8:
                decoded.encode()  # half a surrogate pair can be written in GB18030, not in UTF-8
        except UnicodeError:
            return False
        return True

    def _are_quotes_at_edges(self, outside: list[bytes]) -> bool:
        """Whether each quoted text fills its field: what stands ``outside`` touches quotes with a field's edge only."""
        if b"" in outside:  # an escaped quote, or a block that begins with one
            outside = [b"\n", *filter(None, outside)] if not outside[0] else [*filter(None, outside)]
        before, after = set(map(_LAST, outside[:-1])), set(map(_FIRST, outside[1:]))
        return before <= self._edges_before and after <= self._edges_after

    def _read_lines(self, block: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        """Read line by line; return the good records and the open one at the end."""
        lines = block[:-1].split(b"\n")
        kept: list[bytes] = []
        at = 0
        while at < len(lines):
            used, fault = self._try_record(lines, at, is_last=is_last)
            if used == INCOMPLETE:
                return b"".join(kept), b"\n".join(lines[at:]) + b"\n"
            if fault is None:
                record = lines[at] if used == 1 else b"\n".join(lines[at : at + used])
                record = record.removesuffix(b"\r")
                kept.append((record or b'""') + self._line_end)
                self.kept += 1
                self.line += used
            else:
                self.set_aside(lines[at], fault)
            at += used
        return b"".join(kept), b""

    def _try_record(self, lines: list[bytes], at: int, *, is_last: bool) -> tuple[int, Fault | None]:
        """Return how many lines the record at ``at`` takes, and what is wrong with it. A fault takes one line."""
        line = lines[at]
        if len(line) > self.limits.record_bytes_max:
            return 1, Fault.LINE_TOO_LONG
        if b"\0" in line:
            return 1, Fault.NUL_BYTE
        if not self._is_readable(line):
            return 1, Fault.UNDECODABLE
        used: int = 1
        record, outside = line, line
        if b'"' in line:
            used, fault = self._join_lines(lines, at, is_last=is_last)
            if fault is not None or used == INCOMPLETE:
                return used, fault
            record = b"\n".join(lines[at : at + used])
            if used > 1 and not self._is_readable(record):
                return 1, Fault.UNDECODABLE
            outside = outside_quotes(record)
        body = outside.removesuffix(b"\r")
        if b"\r" in body:
            return 1, Fault.LONE_CARRIAGE_RETURN
        if self.columns > 1 and record in {b"", b"\r"}:
            return 1, Fault.EMPTY_LINE
        if body.count(self.opening.delimiter) != self.columns - 1:
            return 1, Fault.FIELD_COUNT
        if len(record) > self.limits.field_bytes_max and self._has_long_field(record):
            return 1, Fault.FIELD_TOO_LONG
        return used, None

    def _join_lines(self, lines: list[bytes], at: int, *, is_last: bool) -> tuple[int, Fault | None]:
        """Return how many lines the record with quotes at ``at`` takes."""
        if self._grammar.closed.fullmatch(lines[at]):
            return 1, None
        if not self._grammar.opened.fullmatch(lines[at]):
            return 1, Fault.BROKEN_QUOTE
        size = len(lines[at])
        for place in range(at + 1, at + self.limits.record_lines_max):
            if place >= len(lines):
                return (1, Fault.UNCLOSED_QUOTE) if is_last else (INCOMPLETE, None)
            line = lines[place]
            size += len(line) + 1
            if size > self.limits.record_bytes_max or b"\0" in line:
                break
            if b'"' not in line:
                continue
            if self._grammar.closing.fullmatch(line):
                return place - at + 1, None
            if not self._grammar.inside.fullmatch(line):
                break
        return 1, Fault.UNCLOSED_QUOTE

    def _has_long_field(self, record: bytes) -> bool:
        """Whether a field of the well-formed ``record`` is too long, measured with its quotes."""
        length = longest = 0
        for index, part in enumerate(record.split(b'"')):
            if index % 2:
                length += len(part) + 2
                continue
            first, *more = part.split(self.opening.delimiter)
            longest = max(longest, length + len(first), *(len(field) for field in more))
            length = len(more[-1]) if more else length + len(first)
        return max(longest, length) > self.limits.field_bytes_max

    def set_aside(self, raw: bytes, fault: Fault) -> None:
        """Put the present line into quarantine and go on to the next one."""
        self.faults[fault] = self.faults.get(fault, 0) + 1
        self.quarantine.add(self.line, fault, raw)
        self.line += 1


@dataclass(frozen=True)
class SourceScan:
    """A source that was read: what the engine may read in its place, and what was set aside."""

    source: SourceFile
    opening: Opening
    path: Path
    has_header: bool
    quarantine: Path
    faults: dict[Fault, int]


def scan_source(
    source: Path, opening: Opening, *, columns: int, has_header: bool, stem: Path, limits: Limits
) -> SourceScan | SourceFault:
    """Read ``source``; files made on the way begin with ``stem``.

    When the beginning was all ASCII and text that is not UTF-8 turns up later, the file is read once more as GB18030,
    and the reading that understands more lines stands.
    """

    def read(encoding: str, stem: Path) -> tuple[SourceScan, int]:
        as_read = replace(opening, encoding=encoding)
        return _scan(source, as_read, columns=columns, has_header=has_header, stem=stem, limits=limits)

    try:
        scan, unread = read(opening.encoding, stem)
        if not opening.is_encoding_certain and unread:
            again, still_unread = read(GB18030, stem.with_name(f"{stem.name}-again"))
            scan = again if still_unread < unread else scan
    except QuarantineFull:
        return SourceFault(shown_name(source), "lines-unreadable", limits.quarantine_lines_max)
    return scan


def _scan(
    source: Path, opening: Opening, *, columns: int, has_header: bool, stem: Path, limits: Limits
) -> tuple[SourceScan, int]:
    d, line_end = opening.delimiter, b"\r\n" if opening.ends_with_crlf else b"\n"
    copy = CleanCopy(
        source, stem.with_suffix(".csv"), header=d.join([b"h"] * columns) + line_end, encoding=opening.encoding,
        body_start=opening.record_end if has_header else opening.record_start,
    )  # fmt: skip
    quarantine_path = stem.with_suffix(".quarantine")
    with QuarantineFile(quarantine_path, shown_name(source), opening.encoding, limits) as quarantine:
        scanner = Scanner(opening, columns, copy, quarantine, limits)
        for _ in range(opening.blank_lines):
            scanner.set_aside(b"", Fault.EMPTY_LINE)
        scanner.line += opening.record_lines * has_header
        if opening.blank_lines or opening.encoding != UTF8 or (has_header and opening.record_lines > 1):
            copy.part_from(copy.body_start)
        scanner.run()
    quarantined = sum(scanner.faults.values())
    found = SourceFile(
        name=shown_name(source), sha256=scanner.sha256, bytes=scanner.bytes_read, encoding=opening.encoding,
        rows_in=scanner.kept + quarantined, rows_kept=scanner.kept, rows_quarantined=quarantined,
    )  # fmt: skip
    is_copy = copy.file is not None
    scan = SourceScan(found, opening, copy.path, has_header or is_copy, quarantine_path, scanner.faults)
    return scan, scanner.faults.get(Fault.UNDECODABLE, 0)

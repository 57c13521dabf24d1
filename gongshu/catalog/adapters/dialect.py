"""How a source file is written: encoding, delimiter, header. Found from its beginning alone."""

import csv
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

from gongshu.catalog.types import Limits, SourceFault

UTF8, GB18030 = "utf-8", "gb18030"
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
DELIMITERS = (b",", b"\t", b";")
LINES_LOOKED_AT = 200
NAME_CHARS_MAX = 200
DETECTION_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Opening:
    """The beginning of a source: how it is written, the cells of its first record, and where the next one starts.

    ``is_encoding_certain`` is false when everything seen was ASCII. ``blank_lines`` stand before the first record.
    """

    encoding: str
    is_encoding_certain: bool
    delimiter: bytes
    cells: tuple[str, ...]
    record: bytes
    record_start: int
    blank_lines: int
    record_lines: int
    ends_with_crlf: bool

    @property
    def record_end(self) -> int:
        """The offset of the first byte after the first record and its line end."""
        return self.record_start + len(self.record)


@dataclass(frozen=True)
class Grammar:
    """What a record looks like with one delimiter, as patterns over physical lines without their line feed.

    Possessive quantifiers make every match linear in the length of the line.
    """

    closed: re.Pattern[bytes]  # a whole record
    opened: re.Pattern[bytes]  # the first line of a record that goes on inside quotes
    closing: re.Pattern[bytes]  # the last line of such a record
    inside: re.Pattern[bytes]  # a line within it


def grammar(delimiter: bytes) -> Grammar:
    """Return the patterns for ``delimiter``."""
    d = re.escape(delimiter)
    text = rb'(?:[^"]++|"")*+'
    field = rb'(?:"' + text + rb'"|[^"' + d + rb']*+(?!"))'
    more = rb"(?:" + d + field + rb")*+"
    return Grammar(
        closed=re.compile(field + more + rb"\r?"),
        opened=re.compile(rb"(?:" + field + d + rb')*+"' + text),
        closing=re.compile(text + rb'"' + more + rb"\r?"),
        inside=re.compile(text + rb'(?:"' + more + d + rb'"' + text + rb")?"),
    )


def outside_quotes(record: bytes) -> bytes:
    """Return the parts of ``record`` that stand outside quotes, run together."""
    return b"".join(record.split(b'"')[::2])


def find_encoding(head: bytes) -> tuple[str, bool]:
    """Return the encoding that reads most lines of ``head``, and whether anything in it told them apart."""
    if head.startswith(UTF8_MARK):
        return UTF8, True
    lines = [line for line in head.split(b"\n")[: None if head.endswith(b"\n") else -1] or [head] if not line.isascii()]
    readable = {name: sum(_is_readable(line, name) for line in lines) for name in (UTF8, GB18030)}
    return (GB18030 if readable[GB18030] > readable[UTF8] else UTF8), bool(lines)


def _is_readable(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def find_delimiter(lines: list[bytes]) -> bytes:
    """Return the delimiter that gives most lines as many fields as the first one has, the comma when none does."""
    first = next((line for line in lines if line.strip()), b"")

    def score(delimiter: bytes) -> tuple[int, int]:
        fields = outside_quotes(first).count(delimiter)
        return (sum(outside_quotes(line).count(delimiter) == fields for line in lines) if fields else 0), fields

    return max(DELIMITERS, key=score)


def _first_record(lines: list[bytes], rules: Grammar, limits: Limits) -> int:
    """Return how many lines the first record takes; 0 when it cannot be read."""
    if rules.closed.fullmatch(lines[0]):
        return 1
    if not rules.opened.fullmatch(lines[0]):
        return 0
    for count, line in enumerate(lines[1 : limits.record_lines_max], start=2):
        if rules.closing.fullmatch(line):
            return count
        if not rules.inside.fullmatch(line):
            return 0
    return 0


def shown_name(path: Path) -> str:
    """Return the name of a file as it may be written down: printable, at most ``NAME_CHARS_MAX`` characters."""
    return "".join(c if c.isprintable() else "�" for c in path.name)[-NAME_CHARS_MAX:]


def open_source(path: Path, limits: Limits) -> Opening | SourceFault:
    """Look at the beginning of ``path`` (at most ``record_bytes_max`` bytes): its dialect and first record."""
    fault = SourceFault(shown_name(path), "file-empty")
    try:
        with path.open("rb") as file:
            head = file.read(limits.record_bytes_max)
            is_whole = not file.read(1)
    except OSError:
        return replace(fault, code="file-unreadable")
    if not head.strip():
        return fault if is_whole else replace(fault, code="header-unreadable")
    if head.startswith(UTF16_MARKS):
        return replace(fault, code="encoding-unsupported")
    encoding, is_certain = find_encoding(head[:DETECTION_BYTES])
    mark = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    lines = head[mark:].split(b"\n")
    if not is_whole:
        lines.pop()  # cut off in the middle
    blank = next((i for i, line in enumerate(lines) if line.strip(b"\r")), len(lines))
    start = mark + sum(len(line) + 1 for line in lines[:blank])
    lines = lines[blank:]
    if not lines:
        return replace(fault, code="header-unreadable")
    delimiter = find_delimiter(lines[:LINES_LOOKED_AT])
    count = _first_record(lines, grammar(delimiter), limits)
    record = b"\n".join(lines[:count])
    cells = _cells(record, encoding, delimiter)
    if not count or cells is None:
        return replace(fault, code="header-unreadable")
    if len(lines) > count or not is_whole:
        record += b"\n"
    return Opening(
        encoding=encoding, is_encoding_certain=is_certain, delimiter=delimiter, cells=cells, record=record,
        record_start=start, blank_lines=blank, record_lines=count, ends_with_crlf=record.endswith(b"\r\n"),
    )  # fmt: skip


def _cells(record: bytes, encoding: str, delimiter: bytes) -> tuple[str, ...] | None:
    if b"\0" in record or b"\r" in outside_quotes(record).removesuffix(b"\r"):
        return None
    try:
        text = io.StringIO(record.removesuffix(b"\r").decode(encoding), newline="")
        return tuple(next(csv.reader(text, delimiter=delimiter.decode(), strict=True)))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return None

"""Files over HTTP: whole or from where an earlier attempt broke off (RFC 9110 §14), in bounded memory.

A download is one call, with one record that is on disk before the first byte leaves. Its parts carry the same request id.
One range is served; several in one request are not worth their trouble, and the whole file is sent, as RFC 9110 permits.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

import msgspec

from gongshu.delivery import service
from gongshu.delivery.types import Answered, Receipt

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

CHUNK_BYTES = 256 * 1024
CHUNK_SECONDS_MAX = 60.0
"""A caller that takes no byte for so long has gone; it may go on later from there."""
QUERY_BYTES_MAX, QUERY_FIELDS_MAX = 2_000, 10
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
MEDIA = {
    "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}  # fmt: skip


class _Sent(msgspec.Struct, frozen=True):
    """What the header ``X-Receipt`` says."""

    file: service.DeliveredFile
    receipt: Receipt


@dataclass(frozen=True)
class Part:
    """The bytes that are sent, from ``start`` to before ``end``; ``is_whole`` when no range was asked for."""

    start: int
    end: int
    is_whole: bool = True


def fields_of(query: bytes) -> bytes:
    """Return the fields of a query string as the body of a call; what is no set of fields becomes a body that is refused."""
    try:
        pairs = parse_qsl(
            query[: QUERY_BYTES_MAX + 1].decode("ascii"), keep_blank_values=True, strict_parsing=bool(query),
            errors="strict", max_num_fields=QUERY_FIELDS_MAX,
        )  # fmt: skip
    except ValueError:
        return b"[]"
    if len(query) > QUERY_BYTES_MAX or len(dict(pairs)) != len(pairs):
        return b"[]"
    return msgspec.json.encode(dict(pairs))


def part_of(wanted: str, if_range: str, etag: str, size: int) -> Part | None:
    """Return which part of a file of ``size`` bytes is sent, or ``None`` when none of it is within the range."""
    found = RANGE.fullmatch(wanted.strip())
    if found is None or (if_range and if_range != etag) or not (found[1] or found[2]):
        return Part(0, size)
    if not found[1]:  # the last so many bytes
        return Part(max(0, size - int(found[2])), size, is_whole=False) if size and int(found[2]) else None
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if found[2] and end <= start:
        return Part(0, size)  # no range at all
    return Part(start, min(end, size), is_whole=False) if start < size else None


async def send_file(answered: Answered, scope: Message, send: Send) -> None:
    """Send the file of an answer, or the part of it that is asked for."""
    told = msgspec.json.decode(answered.content, type=service.DeliveredFile)
    headers = dict(scope["headers"])
    etag = f'"{told.sha256}"'
    wanted, if_range = (headers.get(name, b"").decode("ascii", "replace") for name in (b"range", b"if-range"))
    part = part_of(wanted, if_range, etag, told.bytes)
    name = f"{answered.receipt.product}.{told.format}"
    digest = base64.b64encode(bytes.fromhex(told.sha256)).decode()
    given = [
        ("content-type", MEDIA[told.format]), ("accept-ranges", "bytes"), ("etag", etag),
        ("repr-digest", f"sha-256=:{digest}:"), ("cache-control", "private, no-store"),
        ("content-disposition", f'attachment; filename="{name}"'), ("x-content-type-options", "nosniff"),
        ("x-receipt", msgspec.json.encode(_Sent(told, answered.receipt)).decode("ascii", "replace")),
    ]  # fmt: skip
    if part is None:
        given += [("content-range", f"bytes */{told.bytes}"), ("content-length", "0")]
        await _start(send, 416, given)
        await send({"type": "http.response.body", "body": b""})
        return
    if not part.is_whole:
        given.append(("content-range", f"bytes {part.start}-{part.end - 1}/{told.bytes}"))
    given.append(("content-length", str(part.end - part.start)))
    # Opened before the answer begins: a file that is removed from the spool meanwhile stays readable.
    file = await asyncio.to_thread(Path(answered.file).open, "rb")
    try:
        await _start(send, 200 if part.is_whole else 206, given)
        await _stream(file, part, send)
    finally:
        await asyncio.to_thread(file.close)


async def _start(send: Send, status: int, headers: list[tuple[str, str]]) -> None:
    encoded = [(name.encode(), value.encode("ascii")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _stream(file: BinaryIO, part: Part, send: Send) -> None:
    """Send chunk by chunk: the next one is read when the last one has gone out."""
    await asyncio.to_thread(file.seek, part.start)
    left = part.end - part.start
    while left > 0:
        chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))
        if not chunk:
            raise OSError("a file of the spool is shorter than it was")
        left -= len(chunk)
        await asyncio.wait_for(
            send({"type": "http.response.body", "body": chunk, "more_body": left > 0}), CHUNK_SECONDS_MAX
        )
    if part.end == part.start:
        await send({"type": "http.response.body", "body": b""})

"""How a record lies in a segment: length, check value, payload.

The check value (CRC-32) covers the offset too, so that bytes left over from elsewhere are never taken for a record.
A file of zeros, as a disk may leave it after a power cut, holds no record: a length of zero is not valid.

    4 bytes  length of the payload, little-endian, 1 to FRAME_PAYLOAD_MAX
    4 bytes  CRC-32 of offset (8 bytes), length (4 bytes), payload
    n bytes  payload
"""

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

import msgspec

from gongshu.metering.types import ANSWERED, StoredRecord, UsageRecord

FRAME_PAYLOAD_MAX = 8192
_HEAD = Struct("<II")
_SEED = Struct("<QI")
HEAD_BYTES = _HEAD.size


class SegmentHeader(msgspec.Struct, frozen=True):
    """The first frame of a segment, as JSON."""

    format: str
    segment: str
    gateway: str
    month: str


FORMAT = "gongshu-usage-1"

_encode_record = msgspec.msgpack.Encoder().encode
_decode_record = msgspec.msgpack.Decoder(StoredRecord).decode


def frame(payload: bytes, offset: int) -> bytes:
    """Return the frame that holds ``payload`` at ``offset`` of its segment."""
    size = len(payload)
    return _HEAD.pack(size, crc32(payload, crc32(_SEED.pack(offset, size)))) + payload


def frame_at(data: bytes | memoryview, offset: int, base: int = 0) -> memoryview | None:
    """Return the payload of the frame at ``offset``, or ``None`` if there is no whole and undamaged one.

    ``data`` starts at offset ``base`` of the segment.
    """
    start = offset - base
    if start + HEAD_BYTES > len(data):
        return None
    size, check = _HEAD.unpack_from(data, start)
    if not 0 < size <= FRAME_PAYLOAD_MAX or start + HEAD_BYTES + size > len(data):
        return None
    payload = memoryview(data)[start + HEAD_BYTES : start + HEAD_BYTES + size]
    return payload if check == crc32(payload, crc32(_SEED.pack(offset, size))) else None


def frames(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield offset and payload of each frame from the start, up to the first that is not whole."""
    offset = 0
    while (payload := frame_at(data, offset)) is not None:
        yield offset, payload
        offset += HEAD_BYTES + len(payload)


def whole_bytes(data: bytes | memoryview) -> int:
    """Return how many bytes from the start are whole frames."""
    end = 0
    for offset, payload in frames(data):
        end = offset + HEAD_BYTES + len(payload)
    return end


def header_frame(header: SegmentHeader) -> bytes:
    """Return the first frame of a segment."""
    return frame(msgspec.json.encode(header), 0)


def header_of(data: bytes | memoryview) -> SegmentHeader | None:
    """Return the header of a segment, or ``None`` when its first frame is not whole or not ours."""
    payload = frame_at(data, 0)
    if payload is None:
        return None
    try:
        header = msgspec.json.decode(payload, type=SegmentHeader)
    except msgspec.DecodeError:
        return None
    return header if header.format == FORMAT else None


_LONGEST = max(len(result.value) for result in ANSWERED)
_PADDING = {result: b"\xc0" * (_LONGEST - len(result.value)) for result in ANSWERED}


def pack_record(record: StoredRecord) -> bytes:
    """Return the payload of ``record``: as long for each result, for receipts tell where records lie, and so how long they are.

    After the record come as many nils (``c0``) as its result is shorter than the longest. No record ends with that byte.
    """
    return _encode_record(record) + _PADDING.get(record.result, b"")


def unpack_stored(payload: bytes | memoryview) -> StoredRecord:
    """Return the stored record in ``payload``; ``msgspec.DecodeError`` when it is none."""
    return _decode_record(bytes(payload).rstrip(b"\xc0"))


def as_record(stored: StoredRecord, position: str) -> UsageRecord:
    """Return the usage record that lies at ``position``."""
    return UsageRecord(
        position=position, at=stored.at, request_id=stored.request_id, request_digest=stored.request_digest,
        contract=stored.contract, contract_digest=stored.contract_digest, product=stored.product, key=stored.key,
        snapshot=stored.snapshot, result=stored.result, refusal_code=stored.refusal_code, is_charged=stored.is_charged,
    )  # fmt: skip

"""Digests of values: what binds each object to the one before it.

The canonical form is JSON with sorted keys and no white space (in the manner of RFC 8785), hashed by SHA-256.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec


def canonical_json(value: Any) -> bytes:
    """Return the one byte string that stands for ``value``: dataclasses, enums, dates and mappings included."""
    return msgspec.json.encode(value, order="sorted")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical form of ``value``, 64 hexadecimal digits."""
    return sha256_hex(canonical_json(value))


@dataclass(frozen=True)
class Ref:
    """Names one object as it was: its kind (``grant``), its id, and the digest of what was decided about it."""

    kind: str
    id: str
    digest: str

"""Signed requests: what is signed and how, for whoever calls and whoever is called.

HMAC (RFC 2104) with SHA-256 or SM3 (GB/T 32905) over method, path, time, nonce, request id, purpose and the digest of the
body, one per line. The header is ``Authorization: GONGSHU-HMAC-SHA256 Key=<key id>, Signature=<hexadecimal>``.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

ALGORITHMS = {"GONGSHU-HMAC-SHA256": "sha256", "GONGSHU-HMAC-SM3": "sm3"}
DEFAULT_ALGORITHM = "GONGSHU-HMAC-SHA256"
NONCE = re.compile(r"[A-Za-z0-9._-]{16,64}")
_HEADER = re.compile(r"(GONGSHU-HMAC-(?:SHA256|SM3)) Key=([A-Za-z0-9_-]{1,80}), ?Signature=([0-9a-f]{64})")


@dataclass(frozen=True)
class SignedHeader:
    """The header of a signed request, taken apart."""

    algorithm: str
    key: str
    signature: str


def read_header(text: str) -> SignedHeader | None:
    """Return the parts of an ``Authorization`` header, or ``None`` when it is not one of a signed request."""
    found = _HEADER.fullmatch(text)
    return None if found is None else SignedHeader(*found.groups())


def text_to_sign(  # noqa: PLR0917 - the parts of a request
    algorithm: str, method: str, path: str, timestamp: str, nonce: str, request_id: str, purpose: str, body: bytes
) -> bytes:
    """Return the bytes that are signed. ``timestamp`` is in seconds since 1970."""
    digest = hashlib.new(ALGORITHMS[algorithm], body).hexdigest()
    return f"{algorithm}\n{method}\n{path}\n{timestamp}\n{nonce}\n{request_id}\n{purpose}\n{digest}".encode()


def signature_of(algorithm: str, secret: bytes, text: bytes) -> str:
    """Return the signature as hexadecimal digits."""
    return hmac.digest(secret, text, ALGORITHMS[algorithm]).hex()


def is_signature(algorithm: str, secret: bytes, text: bytes, signature: str) -> bool:
    """Whether ``signature`` is that of ``text``; takes the same time wherever they differ."""
    return hmac.compare_digest(signature_of(algorithm, secret, text), signature)


def header_of(algorithm: str, key: str, signature: str) -> str:
    """Return the ``Authorization`` header of a signed request."""
    return f"{algorithm} Key={key}, Signature={signature}"

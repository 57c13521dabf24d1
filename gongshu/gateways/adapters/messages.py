"""Signed messages between gateways and the control plane, and the proof that goes with a forwarded call."""

import base64
import hashlib
import hmac
import time
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gongshu.base.site import Keys
from gongshu.gateways.types import Signed

T = TypeVar("T")

KEY_BYTES = 32
SHARED_SECRETS = ("request-digest", "request-signing", "verification", "gateway-hop")
"""Secrets that every gateway of an installation holds, beside its own."""
HOP_SECRET = "gateway-hop"  # noqa: S105 - the name of a key, not a key
CONTEXT = b"gongshu gateways 1 "


class MessageInvalid(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """A message that cannot be read, or is not signed by whom it should be."""


def boot_seconds() -> float:
    """Return a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def public_key_of(seed: bytes) -> str:
    """Return the public key of the 32 bytes ``seed``, base64."""
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()).decode()


def is_public_key(text: str) -> bool:
    """Whether ``text`` is the base64 of 32 bytes."""
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False


def seal(kind: str, name: str, message: object, seed: bytes) -> bytes:
    """Return ``message`` signed by ``name``. ``kind`` is signed too, so that no message passes for one of another kind."""
    payload = msgspec.msgpack.encode(message)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(CONTEXT + kind.encode() + b"\n" + payload)
    return msgspec.msgpack.encode(Signed(name, signature, payload))


def signer_of(data: bytes) -> Signed:
    """Return a signed message before its signature is checked."""
    try:
        return msgspec.msgpack.decode(data, type=Signed)
    except msgspec.DecodeError:
        raise MessageInvalid("unreadable") from None


def unseal(kind: str, signed: Signed, public_key: str, of: type[T]) -> T:
    """Return the message if it is of ``kind`` and signed with ``public_key``; ``MessageInvalid`` otherwise."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
        key.verify(signed.signature, CONTEXT + kind.encode() + b"\n" + signed.payload)
        return msgspec.msgpack.decode(signed.payload, type=of)
    except (msgspec.DecodeError, InvalidSignature, ValueError):
        raise MessageInvalid(kind) from None


def keys_check(keys: Keys) -> str:
    """Return what tells whether two installations hold the same shared secrets, and nothing about them."""
    secrets = b"".join(keys.secret(name) for name in SHARED_SECRETS)
    return hmac.digest(secrets, b"gongshu gateways: the same secrets", "sha256").hex()


def hop_proof(secret: bytes, parts: tuple[str, ...], body: bytes) -> str:
    """Return what proves to another gateway that a call was forwarded by one that holds ``secret``."""
    text = "\n".join(parts).encode() + b"\n" + hashlib.sha256(body).digest()
    return hmac.digest(secret, text, "sha256").hex()


def is_hop_proof(secret: bytes, parts: tuple[str, ...], body: bytes, proof: str) -> bool:
    """Whether ``proof`` is right; takes the same time wherever it differs."""
    return hmac.compare_digest(hop_proof(secret, parts, body).encode(), proof.encode())

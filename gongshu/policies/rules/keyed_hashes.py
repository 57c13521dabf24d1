"""Keyed hashes of whole columns at once: AES-CMAC (NIST SP 800-38B, RFC 4493) of each value, as hexadecimal text. Pure.

CMAC is a pseudorandom function: without the key nothing can be told of a value but whether two are equal. All blocks at
one place of all values go through the cipher in one call, so that the processor's own AES bounds the speed.
"""

import hashlib
import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gongshu.policies.rules.texts import Bytes, Texts, by_length

BLOCK_BYTES = 16
DIGITS = 2 * BLOCK_BYTES
_REDUCTION = 0x87
"""R of SP 800-38B for blocks of 128 bits."""
_HEX = np.frombuffer(bytes(range(256)).hex().encode(), dtype=np.uint16)
"""The two digits of each byte."""


def hash_key(secret: bytes) -> bytes:
    """Derive the key of keyed hashes (AES-256) from a secret."""
    return hmac.digest(secret, b"keyed hash aes-cmac", hashlib.sha256)


def keyed_hashes(key: bytes, texts: Texts) -> Texts:
    """Return the keyed hash of each value: 32 digits. NULL stays NULL."""
    tags: Bytes = np.zeros((len(texts.known), BLOCK_BYTES), dtype=np.uint8)
    for rows, values in by_length(texts):
        tags[rows] = cmac(key, values)
    digits = _HEX[tags].view(np.uint8).reshape(-1)
    return Texts(np.arange(len(tags) + 1, dtype=np.int64) * DIGITS, digits, texts.known)


def cmac(key: bytes, values: Bytes) -> Bytes:
    """Return AES-CMAC of each row of ``values`` (``rows × length``, in bytes) as ``rows × 16``."""
    rows, length = values.shape
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - chained by ourselves, as CMAC says
    whole = _doubled(encryptor.update(bytes(BLOCK_BYTES)))
    is_whole = length > 0 and length % BLOCK_BYTES == 0
    last = np.frombuffer(whole if is_whole else _doubled(whole), dtype=np.uint8)
    blocks = max(1, -(-length // BLOCK_BYTES))
    state = bytearray((rows + 1) * BLOCK_BYTES)
    seen: Bytes = np.frombuffer(state, dtype=np.uint8)[: rows * BLOCK_BYTES].reshape(rows, BLOCK_BYTES)
    mixed: Bytes = np.empty((rows, BLOCK_BYTES), dtype=np.uint8)
    for place in range(blocks):
        part = values[:, place * BLOCK_BYTES : (place + 1) * BLOCK_BYTES]
        mixed[:] = seen
        mixed[:, : part.shape[1]] ^= part
        if place == blocks - 1:
            if not is_whole:
                mixed[:, part.shape[1]] ^= np.uint8(0x80)
            mixed ^= last
        encryptor.update_into(mixed.data.cast("B"), state)
    return seen


def _doubled(block: bytes) -> bytes:
    """Double an element of GF(2^128): how CMAC derives its subkeys."""
    number = int.from_bytes(block) << 1
    overflow = number >> (8 * BLOCK_BYTES)
    return (number % (1 << (8 * BLOCK_BYTES)) ^ _REDUCTION * overflow).to_bytes(BLOCK_BYTES)

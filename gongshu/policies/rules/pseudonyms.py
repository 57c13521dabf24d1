"""Format-preserving pseudonyms: FF1 (NIST SP 800-38G) with AES or SM4 (GB/T 32907), for whole columns at once. Pure.

A digit becomes a digit, a letter a letter of the same case, everything else stays where it is; equal values have equal
pseudonyms, and different values different ones. Positions are grouped by their pattern, so that the ten rounds run
on arrays. Where all positions have one radix this is FF1 itself; where digits and letters are mixed, the halves
are numbers of mixed radix and the pattern goes into the tweak.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Numbers = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
ROUNDS = 10
DOMAIN_MIN = 1_000_000
"""Fewer possible values than this can be tried one by one (SP 800-38G, revision 1)."""
HALF_BITS_MAX = 56
"""Halves are reckoned in 64 bits, a byte at a time."""
BLOCK_BYTES, TWEAK_BYTES = 16, 7
_FORMS = {ord(c): form for form, cs in (("0", "0123456789"), ("a", "abcdefghijklmnopqrstuvwxyz")) for c in cs}
_FORMS |= {ord(c): "A" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_RADIX = {"0": 10, "a": 26, "A": 26}


def cipher_key(secret: bytes, cipher: str) -> bytes:
    """Derive the key of ``cipher`` (``aes``: 32 bytes, ``sm4``: 16) from a secret."""
    return hmac.digest(secret, f"pseudonym {cipher}".encode(), hashlib.sha256)[: 16 if cipher == "sm4" else 32]


def _algorithm(cipher: str, key: bytes) -> Any:
    return algorithms.SM4(key) if cipher == "sm4" else algorithms.AES(key)


def pseudonyms(cipher: str, key: bytes, values: Sequence[str]) -> list[str | None]:
    """Return the pseudonym of each value; ``None`` where the format leaves too few, or too many, possible values.

    ``cipher`` is ``aes`` or ``sm4``, ``key`` fits it.
    """
    found: list[str | None] = [None] * len(values)
    patterns: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        patterns.setdefault(value.translate(_FORMS), []).append(place)
    for pattern, places in patterns.items():
        moving = [i for i, form in enumerate(pattern) if form in _RADIX]
        radices = [_RADIX[pattern[i]] for i in moving]
        if not is_in_range(radices) or "\0" in pattern:
            continue
        letters = np.array([values[p] for p in places], dtype=f"U{len(pattern)}").view(np.uint32)
        letters = letters.reshape(len(places), len(pattern))
        bases = np.array([ord(pattern[i]) for i in moving], dtype=np.uint32)
        digits = (letters[:, moving] - bases).astype(np.uint64)
        tweak = hashlib.sha256(pattern.encode()).digest()[:TWEAK_BYTES]
        letters[:, moving] = ff1(cipher, key, tweak, radices, digits).astype(np.uint32) + bases
        made = letters.view(f"U{len(pattern)}").reshape(-1).tolist()
        for place, pseudonym in zip(places, made, strict=True):
            found[place] = pseudonym
    return found


def is_in_range(radices: Sequence[int]) -> bool:
    """Whether values with these radices, position by position, are neither too few nor too long to encipher."""
    u = len(radices) // 2
    sizes = (prod(radices[:u]), prod(radices[u:]))
    return prod(sizes) >= DOMAIN_MIN and all(size.bit_length() <= HALF_BITS_MAX for size in sizes)


def ff1(cipher: str, key: bytes, tweak: bytes, radices: Sequence[int], digits: Numbers) -> Numbers:
    """Encipher rows of digits (``n × len(radices)``) by FF1 of SP 800-38G and return rows of the same shape.

    ``radices`` must be in range (``is_in_range``).
    """
    n, u = len(radices), len(radices) // 2
    sizes = (prod(radices[:u]), prod(radices[u:]))
    half_bytes = (max(size - 1 for size in sizes).bit_length() + 7) // 8
    wide = 4 * ((half_bytes + 3) // 4) + 4
    radix = radices[0] if len(set(radices)) == 1 else 0
    head = bytes([1, 2, 1]) + radix.to_bytes(3) + bytes([10, u % 256]) + n.to_bytes(4) + len(tweak).to_bytes(4)
    padded = tweak + bytes(-(len(tweak) + half_bytes + 1) % BLOCK_BYTES)
    encryptor = Cipher(_algorithm(cipher, key), modes.ECB()).encryptor()  # noqa: S305 - one block at a time, as FF1 says
    start = np.frombuffer(encryptor.update(head), dtype=np.uint8)
    left, right = _number(digits[:, :u], radices[:u]), _number(digits[:, u:], radices[u:])
    for turn in range(ROUNDS):
        size = sizes[turn % 2]
        text = _texts(padded + bytes([turn]), right, half_bytes)
        state = np.broadcast_to(start, (len(right), BLOCK_BYTES))
        for block in range(0, text.shape[1], BLOCK_BYTES):
            mixed = np.bitwise_xor(state, text[:, block : block + BLOCK_BYTES])
            state = np.frombuffer(encryptor.update(mixed.tobytes()), dtype=np.uint8).reshape(-1, BLOCK_BYTES)
        left, right = right, (left + _residue(state[:, :wide], size)) % np.uint64(size)
    made: Numbers = np.concatenate((_digits(left, radices[:u]), _digits(right, radices[u:])), axis=1)
    return made


def _number(digits: Numbers, radices: Sequence[int]) -> Numbers:
    found: Numbers = np.zeros(len(digits), dtype=np.uint64)
    for position, radix in enumerate(radices):
        found = found * np.uint64(radix) + digits[:, position]
    return found


def _digits(numbers: Numbers, radices: Sequence[int]) -> Numbers:
    found: Numbers = np.empty((len(numbers), len(radices)), dtype=np.uint64)
    for position in range(len(radices) - 1, -1, -1):
        numbers, found[:, position] = np.divmod(numbers, np.uint64(radices[position]))
    return found


def _texts(first: bytes, numbers: Numbers, half_bytes: int) -> Bytes:
    texts: Bytes = np.empty((len(numbers), len(first) + half_bytes), dtype=np.uint8)
    texts[:, : len(first)] = np.frombuffer(first, dtype=np.uint8)
    texts[:, len(first) :] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - half_bytes :]
    return texts


def _residue(state: Bytes, size: int) -> Numbers:
    """Return big-endian numbers modulo ``size``, as many bytes at a time as 64 bits hold."""
    step = min(4, (64 - size.bit_length()) // 8)
    found: Numbers = np.zeros(len(state), dtype=np.uint64)
    for part in _chunks(range(state.shape[1]), step):
        value: Numbers = np.zeros(len(state), dtype=np.uint64)
        for column in part:
            value = value << np.uint64(8) | state[:, column]
        found = (found << np.uint64(8 * len(part)) | value) % np.uint64(size)
    return found


def _chunks(columns: Sequence[int], step: int) -> Iterable[Sequence[int]]:
    return (columns[i : i + step] for i in range(0, len(columns), step))

"""Format-preserving pseudonyms: FF1 (NIST SP 800-38G) with AES or SM4 (GB/T 32907), for whole columns at once. Pure.

A digit becomes a digit, a letter a letter of the same case, everything else stays where it is; equal values have equal
pseudonyms, and different values different ones. Values are grouped by their pattern, so that the ten rounds run on arrays.
Where all positions have one radix this is FF1 itself; where digits and letters are mixed, the halves are numbers of
mixed radix and the pattern goes into the tweak.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gongshu.policies.rules.texts import Bytes, Places, Texts, Truths, by_length

Numbers = np.ndarray[Any, np.dtype[np.uint64]]
ROUNDS = 10
DOMAIN_MIN = 1_000_000
"""Fewer possible values than this can be tried one by one (SP 800-38G, revision 1)."""
HALF_BITS_MAX = 56
"""Halves are reckoned in words of 64 bits, to which a byte at a time is added."""
BLOCK_BYTES, TWEAK_BYTES, WORD_BYTES = 16, 7, 8
_FORMS: Bytes = np.arange(256, dtype=np.uint8)
for _first, _last in ("09", "az", "AZ"):
    _FORMS[ord(_first) : ord(_last) + 1] = ord(_first)
_RADIX = {ord("0"): 10, ord("a"): 26, ord("A"): 26}


def cipher_key(secret: bytes, cipher: str) -> bytes:
    """Derive the key of ``cipher`` (``aes``: 32 bytes, ``sm4``: 16) from a secret."""
    return hmac.digest(secret, f"pseudonym {cipher}".encode(), hashlib.sha256)[: 16 if cipher == "sm4" else 32]


def _algorithm(cipher: str, key: bytes) -> Any:
    return algorithms.SM4(key) if cipher == "sm4" else algorithms.AES(key)


def pseudonyms(cipher: str, key: bytes, texts: Texts) -> Texts:
    """Return the pseudonym of each value; NULL where the format leaves too few, or too many, possible values.

    ``cipher`` is ``aes`` or ``sm4``, ``key`` fits it.
    """
    start, end = int(texts.bounds[0]), int(texts.bounds[-1])
    data: Bytes = texts.data[start:end].copy()
    known: Truths = texts.known.copy()
    bounds: Places = texts.bounds - start
    for rows, values in by_length(texts):
        for own, pattern in _patterns(values):
            places = rows[own]
            moving = [i for i, form in enumerate(pattern) if form in _RADIX]
            radices = [_RADIX[pattern[i]] for i in moving]
            if not is_in_range(radices):
                known[places] = False
                continue
            bases = np.array([pattern[i] for i in moving], dtype=np.uint8)
            digits = values[:, moving] if len(own) == len(values) else values[np.ix_(own, moving)]
            tweak = hashlib.sha256(pattern).digest()[:TWEAK_BYTES]
            made = ff1(cipher, key, tweak, radices, digits - bases)
            made += bases
            if len(places) == len(known) and len(data) == len(known) * len(pattern):
                data.reshape(-1, len(pattern))[:, moving] = made
            else:
                data[bounds[places][:, None] + np.array(moving)] = made
    return Texts(bounds, data, known)


def _patterns(values: Bytes) -> Iterator[tuple[Places, bytes]]:
    """Give each pattern that occurs among ``values`` (all of one length), with its rows: mostly there is but one."""
    forms = _FORMS[values]
    if bool((forms == forms[0]).all()):
        yield np.arange(len(values)), forms[0].tobytes()
        return
    different, kinds = np.unique(forms.view(f"V{forms.shape[1]}").reshape(-1), return_inverse=True)
    for kind, pattern in enumerate(different):
        yield np.flatnonzero(kinds == kind), pattern.tobytes()


def is_in_range(radices: Sequence[int]) -> bool:
    """Whether values with these radices, position by position, are neither too few nor too long to encipher."""
    u = len(radices) // 2
    sizes = (prod(radices[:u]), prod(radices[u:]))
    return prod(sizes) >= DOMAIN_MIN and all(size.bit_length() <= HALF_BITS_MAX for size in sizes)


def ff1(cipher: str, key: bytes, tweak: bytes, radices: Sequence[int], digits: Bytes) -> Bytes:
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
    start = encryptor.update(head)
    block: Numbers = np.empty((len(digits), 2), dtype=">u8")
    answer = bytearray((len(digits) + 1) * BLOCK_BYTES)
    words: Numbers = np.frombuffer(answer, dtype=">u8")[: 2 * len(digits)].reshape(-1, 2)
    columns: Bytes = np.ascontiguousarray(digits.T)
    left, right = _number(columns[:u], radices[:u]), _number(columns[u:], radices[u:])
    for turn in range(ROUNDS):
        # The right half fills the end of the last block, at most 7 bytes: everything before it is the same in all rows.
        constant = padded + bytes([turn]) + bytes(half_bytes)
        state = start
        for place in range(0, len(constant) - BLOCK_BYTES, BLOCK_BYTES):
            state = encryptor.update(_xor(state, constant[place : place + BLOCK_BYTES]))
        first, second = np.frombuffer(_xor(state, constant[-BLOCK_BYTES:]), dtype=">u8").astype(np.uint64)
        block[:, 0] = first
        block[:, 1] = right ^ second
        encryptor.update_into(block.data.cast("B"), answer)
        left, right = right, _sum(_residue(words, wide, sizes[turn % 2]), left, sizes[turn % 2])
    made: Bytes = np.empty(columns.shape, dtype=np.uint8)
    _fill_digits(left, radices[:u], made[:u])
    _fill_digits(right, radices[u:], made[u:])
    rows: Bytes = np.ascontiguousarray(made.T)
    return rows


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _number(columns: Bytes, radices: Sequence[int]) -> Numbers:
    found: Numbers = np.zeros(columns.shape[1], dtype=np.uint64)
    for column, radix in zip(columns, radices, strict=True):
        found *= np.uint64(radix)
        found += column
    return found


def _fill_digits(numbers: Numbers, radices: Sequence[int], columns: Bytes) -> None:
    for position in range(len(radices) - 1, -1, -1):
        rest: Numbers = numbers // np.uint64(radices[position])
        columns[position] = numbers - rest * np.uint64(radices[position])
        numbers = rest


def _residue(words: Numbers, wide: int, size: int) -> Numbers:
    """Return the first ``wide`` bytes of each row of two big-endian words modulo ``size``, as many bits at a time as fit."""
    found = _modulo(words[:, 0].astype(np.uint64), size)
    left = 8 * (wide - WORD_BYTES)
    if left == 0:
        return found
    rest: Numbers = words[:, 1].astype(np.uint64)
    step = 64 - size.bit_length()
    taken = 0
    while taken < left:
        bits = min(step, left - taken)
        part = rest << np.uint64(taken) >> np.uint64(64 - bits)
        found = _modulo(found << np.uint64(bits) | part, size)
        taken += bits
    return found


def _modulo(numbers: Numbers, size: int) -> Numbers:
    """Return the remainders: numpy divides by one number in vectors, but takes remainders one by one."""
    whole: Numbers = numbers // np.uint64(size)
    whole *= np.uint64(size)
    rest: Numbers = numbers - whole
    return rest


def _sum(one: Numbers, other: Numbers, size: int) -> Numbers:
    """Return sums of two numbers below ``size``, modulo ``size``: what is below zero is a very large number here."""
    one += other
    least: Numbers = np.minimum(one, one - np.uint64(size))
    return least

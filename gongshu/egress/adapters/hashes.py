"""What is counted in the artifacts of verifications and look-ups: entries that look like keyed hashes, and those that do not."""

from pathlib import Path

import lmdb

from gongshu.egress.types import HashesMeasure

HASH_BYTES = 32
PAGE_BYTES = 4096
HEADER_KEY = bytes(HASH_BYTES)
"""The one entry that is no record: it holds the artifact's salt, as long as every record."""
VALUES_KEY = b"\xff" * HASH_BYTES
"""In a look-up's artifact, the enciphered lists of values."""


def _is_text(block: bytes) -> bool:
    """Whether ``block`` reads as text, padded or not. A hash does so less than once in 10^11."""
    try:
        text = block.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return False
    return text.isprintable()


def _is_odd_key(key: bytes) -> bool:
    # The last byte counts the records under one hash.
    return len(key) != HASH_BYTES or _is_text(key[:-1])


def _is_odd_record(value: bytes, length: int) -> bool:
    blocks = (value[start : start + HASH_BYTES] for start in range(0, len(value), HASH_BYTES))
    return len(value) != length or any(_is_text(block) for block in blocks)


def measure_sealed(path: Path, length: int) -> HashesMeasure | None:
    """Count the entries of a look-up's artifact: enciphered records of ``length`` bytes, a header, and the lists of values."""
    try:
        environment = lmdb.open(
            str(path), subdir=False, readonly=True, lock=False, map_size=max(path.stat().st_size, PAGE_BYTES)
        )
    except lmdb.Error:
        return None
    entries = odd_keys = odd_values = 0
    with environment, environment.begin() as tx:
        for key, value in tx.cursor():
            name, sealed = bytes(key), bytes(value)
            entries += 1
            odd_keys += name not in {HEADER_KEY, VALUES_KEY} and (len(name) != HASH_BYTES or _is_text(name))
            odd_values += (len(sealed) != length and name != VALUES_KEY) or _is_text(sealed)
    return HashesMeasure(entries, odd_keys, odd_values)


def measure_hashes(path: Path, compared: int) -> HashesMeasure | None:
    """Count the entries of an artifact whose records hold ``compared`` hashes; ``None`` when it cannot be read."""
    try:
        environment = lmdb.open(
            str(path), subdir=False, readonly=True, lock=False, map_size=max(path.stat().st_size, PAGE_BYTES)
        )
    except lmdb.Error:
        return None
    entries = odd_keys = odd_values = 0
    with environment, environment.begin() as tx:
        for key, value in tx.cursor():
            is_header = bytes(key) == HEADER_KEY
            entries += 1
            odd_keys += not is_header and _is_odd_key(bytes(key))
            odd_values += _is_odd_record(bytes(value), HASH_BYTES * compared)
    return HashesMeasure(entries, odd_keys, odd_values)

"""Where keys lie in the table that the circuit compares: one key in a bin on one side, a short column on the other.

The side with values places each key in one of three bins (cuckoo hashing); the other side puts each key into all three.
Two equal keys then meet in exactly one bin. Tags are 64 bits of a hash under the session's salt: a false match in a
whole run is less likely than 2^-40. Empty places hold random tags.
"""

import hashlib
import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

REGIONS = 3
BINS_PER_KEY = 1.27  # three hash functions fill 91 % of a table; at 79 % the search ends quickly
BINS_EXTRA = 96  # small tables are given more room: they fail more easily
FAILURE_BITS = 40
ROUNDS_MAX = 2_000

Integers: TypeAlias = NDArray[np.int64]


class OverfullError(Exception):
    """The keys do not fit under this salt; another attempt takes another."""


@dataclass(frozen=True)
class Shape:
    """A table of ``REGIONS`` regions; the other side puts at most ``depth`` keys into a bin."""

    region: int
    depth: int

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return REGIONS * self.region


def shape_of(rows_valued: int, rows_other: int) -> Shape:
    """Return the shape for two public numbers of rows; both sides compute the same."""
    region = math.ceil((BINS_PER_KEY * rows_valued + BINS_EXTRA) / REGIONS)
    return Shape(region, depth_of(rows_other, region))


def depth_of(rows: int, region: int) -> int:
    """Return how many keys a bin holds at most, but for a chance below 2^-40 in the whole table (union bound)."""
    mean = rows / region
    depth = max(1, math.ceil(mean))
    while _log2_tail(depth + 1, mean) + math.log2(REGIONS * region) > -FAILURE_BITS:
        depth += 1
    return min(depth, rows)


def _log2_tail(k: int, mean: float) -> float:
    """Bound log2 P[Poisson(mean) ≥ k] from above: the first term and a geometric rest. Binomial loads lie below."""
    if k <= mean:
        return 0.0
    first = k * math.log(mean) - mean - math.lgamma(k + 1)
    return (first - math.log1p(-mean / (k + 1))) / math.log(2)


@dataclass(frozen=True)
class Marks:
    """Tag and three bins of each key, in the order of the file."""

    tags: Integers
    places: Integers  # one row per region


def marks_of(keys: Iterable[bytes], salt: bytes, attempt: int, region: int) -> Marks:
    """Hash keys under the session's salt."""
    secret = hashlib.sha256(salt + attempt.to_bytes(8)).digest()
    hashed = b"".join(hashlib.blake2b(key, digest_size=32, key=secret).digest() for key in keys)
    words = np.frombuffer(hashed, dtype="<u8").reshape(-1, 4)
    offsets = np.arange(REGIONS, dtype=np.uint64) * np.uint64(region)
    places = (words[:, 1:] % np.uint64(region) + offsets).astype(np.int64).T
    return Marks(words[:, 0].astype(np.int64), np.ascontiguousarray(places))


def random_tags(shape: tuple[int, ...]) -> Integers:
    """Draw tags for empty places."""
    drawn = np.frombuffer(secrets.token_bytes(8 * math.prod(shape)), dtype=np.int64)
    return drawn.reshape(shape).copy()


def place_once(marks: Marks, shape: Shape) -> Integers:
    """Return for each bin the row of its key, or -1. Every round each homeless key takes its next place by force."""
    holder: Integers = np.full(shape.bins, -1, dtype=np.int64)
    turn = np.zeros(marks.tags.size, dtype=np.int64)
    homeless = np.arange(marks.tags.size, dtype=np.int64)
    for _ in range(ROUNDS_MAX):
        if not homeless.size:
            return holder
        wanted = marks.places[turn[homeless] % REGIONS, homeless]
        evicted = holder[wanted]
        holder[wanted] = homeless  # of several the last one stays
        lost = homeless[holder[wanted] != homeless]
        evicted = np.unique(evicted[evicted >= 0])
        homeless = np.concatenate([lost, evicted])
        turn[homeless] += 1
    raise OverfullError


def place_thrice(marks: Marks, shape: Shape) -> Integers:
    """Return a table of ``depth`` rows and one column per bin with the row of each key, or -1."""
    table: Integers = np.full((shape.depth, shape.bins), -1, dtype=np.int64)
    for region in range(REGIONS):
        places = marks.places[region]
        order = np.argsort(places, kind="stable")
        ranked = places[order]
        level = np.arange(ranked.size) - np.searchsorted(ranked, ranked, side="left")
        if level.size and int(level.max()) >= shape.depth:
            raise OverfullError
        table[level, ranked] = order
    return table


def fill(rows: Integers, values: Integers, empty: Integers) -> Integers:
    """Return ``values`` at the rows named, ``empty`` where there is none."""
    return np.where(rows >= 0, values[np.maximum(rows, 0)], empty)

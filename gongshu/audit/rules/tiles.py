"""Tile arithmetic of C2SP tlog-tiles: which hashes and entries stand in which file, and how a log grows by tiles."""

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gongshu.audit.rules.merkle import HASH_BYTES, HashAt, root_of

TILE_WIDTH = 256
TILE_HEIGHT = 8
ENTRY_BYTES_MAX = 65_535  # the length prefix of an entry bundle has two bytes

_PATH = re.compile(
    r"tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)


@dataclass(frozen=True)
class Tile:
    """Up to ``TILE_WIDTH`` consecutive hashes of one level: each is the root of a full tile of the level below."""

    level: int
    index: int
    hashes: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """The name of its file."""
        return tile_path(self.level, self.index, len(self.hashes))

    @property
    def data(self) -> bytes:
        """The content of its file."""
        return b"".join(self.hashes)


@dataclass(frozen=True)
class Edge:
    """A log at ``size`` leaves, as the hashes in the unfinished tile of each level, lowest first."""

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()

    def root(self) -> bytes:
        """Return the root of the whole tree. What is left over below is the last subtree of the level above."""
        below: list[bytes] = []
        for hashes in self.levels:
            row = [*hashes, *below]
            below = [root_of(row)] if row else []
        return root_of(below)

    def tiles(self) -> tuple[Tile, ...]:
        """Return the unfinished tiles; levels without one are left out."""
        return tuple(
            Tile(level, self.size >> (TILE_HEIGHT * (level + 1)), hashes)
            for level, hashes in enumerate(self.levels)
            if hashes
        )

    def at_tile_start(self) -> "Edge":
        """Return the log as it was when its last unfinished tile of leaves was still empty."""
        return Edge(self.size - self.size % TILE_WIDTH, ((), *self.levels[1:]) if self.levels else ())


def extend(edge: Edge, leaf_hashes: Iterable[bytes]) -> tuple[Edge, tuple[Tile, ...]]:
    """Return the log after ``leaf_hashes`` were added, and the tiles that became full by it, lower levels first."""
    levels, size, full = [list(hashes) for hashes in edge.levels], edge.size, []
    for leaf in leaf_hashes:
        size, level, grown = size + 1, 0, leaf
        while True:
            if level == len(levels):
                levels.append([])
            levels[level].append(grown)
            if len(levels[level]) < TILE_WIDTH:
                break
            full.append(Tile(level, (size >> (TILE_HEIGHT * (level + 1))) - 1, tuple(levels[level])))
            grown, levels[level] = root_of(levels[level]), []
            level += 1
    return Edge(size, tuple(tuple(hashes) for hashes in levels)), tuple(full)


def widths(size: int) -> tuple[int, ...]:
    """Return the width of the unfinished tile of each level, lowest first, of a log of ``size`` leaves."""
    found = []
    while size:
        found.append(size % TILE_WIDTH)
        size //= TILE_WIDTH
    return tuple(found)


def _number_path(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups)


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the file of a tile of hashes; a width below ``TILE_WIDTH`` names a partial tile."""
    return f"tile/{level}/{_number_path(index)}" + ("" if width == TILE_WIDTH else f".p/{width}")


def edge_paths(size: int) -> tuple[str, ...]:
    """Return the file of the unfinished tile of each level of a log of ``size`` leaves; empty where there is none."""
    return tuple(
        tile_path(level, size >> (TILE_HEIGHT * (level + 1)), width) if width else ""
        for level, width in enumerate(widths(size))
    )


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the file of a bundle of entries; a width below ``TILE_WIDTH`` names a partial bundle."""
    return f"tile/entries/{_number_path(index)}" + ("" if width == TILE_WIDTH else f".p/{width}")


def is_tile_path(path: str) -> bool:
    """Whether ``path`` names a tile or a bundle, and nothing else (no ``..``, no other file)."""
    return _PATH.fullmatch(path) is not None


def is_bundle_path(path: str) -> bool:
    """Whether ``path`` names a bundle of entries."""
    return is_tile_path(path) and path.startswith("tile/entries/")


def bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of an entry bundle: each entry behind its length in two bytes, big-endian."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def hashes_of(data: bytes) -> tuple[bytes, ...]:
    """Return the hashes in the content of a tile."""
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def hash_reader(size: int, read: Callable[[str], bytes]) -> HashAt:
    """Return how to find the hash of any perfect subtree of a log of ``size`` leaves in its tiles.

    ``read`` returns the content of a tile by its path.
    """

    def hash_at(height: int, index: int) -> bytes:
        level, rows = divmod(height, TILE_HEIGHT)
        first = index << rows
        number, offset = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH)
        hashes = hashes_of(read(tile_path(level, number, width)))
        return root_of(hashes[offset : offset + (1 << rows)])

    return hash_at

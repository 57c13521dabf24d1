"""``fsck``: recompute everything from the entries in the database, and believe nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gongshu.audit import adapters, store
from gongshu.audit.rules import entries as rules
from gongshu.audit.rules import merkle, notes, tiles
from gongshu.audit.service.sealing import ENTRIES_PER_READ, check_shown, folder_of, key_of, opened
from gongshu.audit.types import Fault, FsckReport
from gongshu.base.decisions import Refused
from gongshu.base.site import Site

FAULTS_MAX = 1_000
HANDED_OUT = "handed-out checkpoint"


@dataclass
class _Findings:
    """What one run has seen so far."""

    site: Site
    folder: Path
    signed_size: int = 0
    faults: list[Fault] = field(default_factory=list)
    roots: dict[int, list[tuple[str, str]]] = field(default_factory=dict)  # size → (where, hexadecimal root)
    files: set[str] = field(default_factory=set)
    origins: int = 0

    def fault(self, where: str, what: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(where, what))

    def refused(self, where: str, refused: Refused) -> None:
        facts = dict(refused.reasons[0].facts)
        self.fault(facts.get("where", where), facts.get("problem", str(refused)))

    def expect(self, where: str, size: int, root: str) -> None:
        self.roots.setdefault(size, []).append((where, root))


def fsck(site: Site, handed_out: str = "") -> FsckReport:
    """Recompute leaf hashes, tiles, bundles and the roots of all published checkpoints; return every fault found.

    ``handed_out`` is the text of a checkpoint that somebody kept: the log must still contain it. Without one, an
    attacker who holds the key and rewrites database and files together cannot be told from an honest log.
    """
    folder = folder_of(site)
    with adapters.only_one(folder):
        seen = _Findings(site, folder)
        kept = _check_checkpoints(seen, handed_out)
        end = _check_entries(seen)
        for size in sorted(size for size in seen.roots if size > end):
            for where, _ in seen.roots[size]:
                seen.fault(where, f"{size} entries were signed, {end} are left")
        for path in adapters.all_files(folder):
            if path not in seen.files:
                seen.fault(path, "is no file of this log")
    newest = kept[-1] if kept else None
    return FsckReport(
        size=newest.size if newest else 0,
        root=newest.root if newest else merkle.EMPTY_ROOT.hex(),
        faults=tuple(seen.faults),
        pending=max(end - seen.signed_size, 0),
        checkpoints=len(kept),
    )


def _check_checkpoints(seen: _Findings, handed_out: str) -> list[store.CheckpointRow]:
    with seen.site.db.reading() as tx:
        kept = store.checkpoints(tx)
    newest = None
    for row in kept:
        seen.expect(f"checkpoint {row.size}", row.size, row.root)
        try:
            newest = opened(seen.site, row)
        except Refused as refused:
            newest = None
            seen.refused(f"checkpoint {row.size}", refused)
    seen.signed_size = kept[-1].size if kept else 0
    seen.files.add(adapters.CHECKPOINT)
    if newest is not None or not kept:
        try:
            shown = check_shown(seen.site, seen.folder, newest)
        except Refused as refused:
            seen.refused(adapters.CHECKPOINT, refused)
        else:
            if newest is not None and shown != newest.note:
                seen.fault(adapters.CHECKPOINT, f"does not show the newest one, of {newest.size} entries")
    if handed_out:
        try:
            given = notes.open_checkpoint(handed_out, *key_of(seen.site))
        except ValueError as error:
            seen.fault(HANDED_OUT, str(error))
        else:
            seen.expect(HANDED_OUT, given.size, given.root.hex())
    return kept


def _check_entries(seen: _Findings) -> int:
    """Check all entries and what is made of them; return how many follow each other without a gap."""
    edge, stack = tiles.Edge(), tuple[bytes, ...]()
    _check_root(seen, 0, stack)
    last: list[bytes] = []
    for group in _groups(seen):
        hashes = [merkle.leaf_hash(row.leaf) for row in group]
        for size, leaf in enumerate(hashes, start=edge.size):
            stack = merkle.push(stack, size, leaf)
            if size + 1 in seen.roots:
                _check_root(seen, size + 1, stack)
        start = edge.size
        edge, full = tiles.extend(edge, hashes)
        for tile in full:
            _check_tile(seen, tile)
        last = [row.leaf for row in group]
        if len(last) == tiles.TILE_WIDTH:
            _check_bundle(seen, start // tiles.TILE_WIDTH, last)
            last = []
    for tile in edge.tiles():
        _check_tile(seen, tile)
    if last:
        _check_bundle(seen, edge.size // tiles.TILE_WIDTH, last)
    with seen.site.db.reading() as tx:
        if store.origins_count(tx) != seen.origins:
            seen.fault("origins", f"the entries name {seen.origins}, the index holds another number")
    return edge.size


def _check_root(seen: _Findings, size: int, stack: tuple[bytes, ...]) -> None:
    root = merkle.root_of_stack(stack).hex()
    for where, expected in seen.roots.get(size, ()):
        if expected != root:
            seen.fault(where, f"its root is not that of the first {size} entries")


def _groups(seen: _Findings) -> Iterator[list[store.EntryRow]]:
    """Give the entries by bundles, checked one by one, until the end or a gap."""
    at = 0
    while True:
        with seen.site.db.reading() as tx:
            rows = store.rows(tx, at, ENTRIES_PER_READ)
            good = [row for place, row in enumerate(rows, start=at) if row.sequence == place]
            wanted = [origin for row in good for origin in _check_row(seen, row)]
            missing = set(wanted) - store.kept_origins(tx, wanted)
        seen.origins += len(wanted)
        for _, _, entry_id in sorted(missing):
            seen.fault(f"entry {entry_id}", "an origin is missing from the index")
        for first in range(0, len(good), tiles.TILE_WIDTH):
            yield good[first : first + tiles.TILE_WIDTH]
        at += len(good)
        if len(good) < len(rows):
            seen.fault(f"entry {at}", f"is missing; the next is {rows[len(good)].sequence}")
        if len(good) < ENTRIES_PER_READ:
            return


def _check_row(seen: _Findings, row: store.EntryRow) -> list[tuple[str, str, str]]:
    """Check the searched columns of an entry; return its origins as (kind, id, entry id)."""
    try:
        entry = rules.decode(row.leaf)
    except ValueError:
        seen.fault(f"entry {row.sequence}", "is no entry")
        return []
    if rules.index_of(entry) != row.index:
        seen.fault(f"entry {row.sequence}", "its searched columns differ from it")
    return [(kind, object_id, entry.id) for kind, object_id in rules.origins_of(entry)]


def _check_tile(seen: _Findings, tile: tiles.Tile) -> None:
    needed = (seen.signed_size >> (tiles.TILE_HEIGHT * tile.level)) - tile.index * tiles.TILE_WIDTH
    path = tiles.tile_path(tile.level, tile.index)
    first = tile.index * tiles.TILE_WIDTH
    for width, data in _kept_widths(seen, path, needed):
        expected = b"".join(tile.hashes[:width])
        if width > len(tile.hashes) or data != expected:
            bad = _first_difference(tile.hashes[:width], tiles.hashes_of(data))
            place = f"first at entry {first + bad}" if tile.level == 0 else f"first at hash {bad}"
            seen.fault(_path(path, width), f"differs from the entries, {place}")


def _check_bundle(seen: _Findings, index: int, entries: list[bytes]) -> None:
    path = tiles.bundle_path(index)
    for width, data in _kept_widths(seen, path, seen.signed_size - index * tiles.TILE_WIDTH):
        if width > len(entries) or data != tiles.bundle(entries[:width]):
            seen.fault(_path(path, width), "differs from the entries")


def _kept_widths(seen: _Findings, path: str, needed: int) -> Iterator[tuple[int, bytes]]:
    """Give width and content of each file kept of a tile, full or partial; a needed one that is missing is a fault."""
    needed = min(max(needed, 0), tiles.TILE_WIDTH)
    widths = {*adapters.partial_widths(seen.folder, path), tiles.TILE_WIDTH}
    if needed and needed not in widths:
        widths.add(needed)
    for width in sorted(widths):
        name = _path(path, width)
        data = adapters.read(seen.folder, name)
        seen.files.add(name)
        if data is not None:
            yield width, data
        elif width == needed:
            seen.fault(name, "is missing")


def _path(path: str, width: int) -> str:
    return path if width == tiles.TILE_WIDTH else f"{path}.p/{width}"


def _first_difference(expected: Sequence[bytes], found: Sequence[bytes]) -> int:
    for place, (one, other) in enumerate(zip(expected, found, strict=False)):
        if one != other:
            return place
    return min(len(expected), len(found))

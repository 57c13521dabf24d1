"""From entries to tiles and signed checkpoints.

The tree is a function of the table of entries, and signatures are deterministic: whoever integrates, and however often
it is begun again, the same size gives the same bytes. The order of writing is tiles, then the checkpoint in the
database, then the file ``checkpoint``; so a checkpoint that anybody can have seen is kept, and its tiles are there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gongshu.audit import adapters, store
from gongshu.audit.rules import notes
from gongshu.audit.rules.entries import LOG_DAMAGED
from gongshu.audit.rules.merkle import leaf_hash
from gongshu.audit.rules.tiles import (
    TILE_WIDTH,
    Edge,
    Tile,
    bundle,
    bundle_path,
    edge_paths,
    extend,
    hashes_of,
    widths,
)
from gongshu.audit.types import Checkpoint
from gongshu.base.decisions import Refused
from gongshu.base.site import Site

SIGNING_KEY = "audit-signing"
FOLDER = "audit"
ENTRIES_PER_READ = 16 * TILE_WIDTH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def damaged(where: str, problem: str) -> Refused:
    """Return the refusal to go on with a log that does not hold what was signed."""
    return Refused((LOG_DAMAGED.because(where=where, problem=problem),))


def folder_of(site: Site) -> Path:
    """Return where the files of the log lie."""
    return site.home / FOLDER


def key_of(site: Site) -> tuple[str, bytes]:
    """Return name and public key of the log."""
    public = notes.public_bytes(site.keys.secret(SIGNING_KEY))
    return notes.origin_of(public), public


def public_key(site: Site) -> str:
    """Return the log's key as a signed-note verifier key, to be handed to everybody who checks the log."""
    return notes.verifier_key(*key_of(site))


def checkpoint(site: Site) -> Checkpoint:
    """Return the newest published checkpoint; a log that has none yet publishes its first."""
    with site.db.reading() as tx:
        row = store.newest_checkpoint(tx)
    return integrate(site) if row is None else opened(site, row)


def opened(site: Site, row: store.CheckpointRow) -> Checkpoint:
    """Return a kept checkpoint after checking its signature and its columns."""
    try:
        found = notes.open_checkpoint(row.note, *key_of(site))
    except ValueError as error:
        raise damaged(f"checkpoint {row.size}", str(error)) from None
    if (found.size, found.root.hex()) != (row.size, row.root):
        raise damaged(f"checkpoint {row.size}", "its columns differ from what was signed")
    return found


def integrate(site: Site) -> Checkpoint:
    """Put every committed entry into the tree, write the tiles, sign and publish the checkpoint; return it.

    Refused with ``audit-log-damaged``, and nothing is signed, when entries or tiles no longer agree with the last
    checkpoint. May be run by several processes and killed at any point.
    """
    folder = folder_of(site)
    with adapters.only_one(folder):
        with site.db.reading() as tx:
            row, end = store.newest_checkpoint(tx), store.end(tx)
        last = None if row is None else opened(site, row)
        shown = check_shown(site, folder, last)
        if last is not None and end < last.size:
            raise damaged("entries", f"{last.size} were signed, {end} are left")
        if last is None or end > last.size or not _has_edge(folder, last.size):
            last = _seal(site, folder, last, end)
        if shown != last.note:
            adapters.write(folder, adapters.CHECKPOINT, last.note.encode())
    return last


def check_shown(site: Site, folder: Path, last: Checkpoint | None) -> str:
    """Return the published file. It may lag behind the database after a crash; it may not say anything else."""
    data = adapters.read(folder, adapters.CHECKPOINT)
    if data is None:
        return ""
    try:
        shown = notes.open_checkpoint(data.decode(), *key_of(site))
    except ValueError as error:
        raise damaged(adapters.CHECKPOINT, str(error)) from None
    if last is None or shown.size > last.size:
        raise damaged(adapters.CHECKPOINT, "it is newer than the database, which lost entries")
    with site.db.reading() as tx:
        kept = store.checkpoint_at(tx, shown.size)
    if kept is None or kept.note != shown.note:
        raise damaged(adapters.CHECKPOINT, "the database does not hold it")
    return shown.note


def _seal(site: Site, folder: Path, last: Checkpoint | None, end: int) -> Checkpoint:
    edge = _start_edge(folder, last)
    full: list[str] = []
    tail: list[bytes] = []
    last_size = 0 if last is None else last.size
    for start, entries in _bundles(site, edge.size, end):
        upto = min(max(last_size - start, 0), len(entries))
        hashes = [leaf_hash(entry) for entry in entries]
        edge, tiles = extend(edge, hashes[:upto])
        if last is not None and edge.size == last.size and upto and edge.root() != last.root:
            raise damaged("entries", f"the first {last.size} differ from what was signed")
        edge, more = extend(edge, hashes[upto:])
        full += [_write_tile(folder, tile) for tile in (*tiles, *more)]
        if len(entries) == TILE_WIDTH:
            full.append(_write_bundle(folder, start // TILE_WIDTH, entries))
            tail = []
        else:
            tail = entries
    for tile in edge.tiles():
        _write_tile(folder, tile)
    if tail:
        _write_bundle(folder, edge.size // TILE_WIDTH, tail)
    made = notes.sign_checkpoint(edge.size, edge.root(), site.keys.secret(SIGNING_KEY))
    with site.db.transaction() as tx:
        at_ms = (site.now() - _EPOCH) // timedelta(milliseconds=1)
        store.add_checkpoint(tx, store.CheckpointRow(made.size, made.root.hex(), made.note), at_ms)
    for path in full:
        adapters.drop_partials(folder, path)
    return made


def _start_edge(folder: Path, last: Checkpoint | None) -> Edge:
    """Return where to go on: the last start of a bundle, as its tiles say and its checkpoint confirms.

    Tiles that are missing are made again from the entries, from the beginning; they are checked against the last
    checkpoint on the way.
    """
    if last is None:
        return Edge()
    levels: list[tuple[bytes, ...]] = []
    for path in edge_paths(last.size):
        data = adapters.read(folder, path) if path else b""
        if data is None:
            return Edge()
        levels.append(hashes_of(data))
    edge = Edge(last.size, tuple(levels))
    if tuple(len(hashes) for hashes in levels) != widths(last.size) or edge.root() != last.root:
        raise damaged("tile", f"the tiles at {last.size} entries differ from what was signed")
    return edge.at_tile_start()


def _has_edge(folder: Path, size: int) -> bool:
    """Whether the tiles that the next entries are added to are there; somebody may have deleted damaged ones."""
    return all(adapters.exists(folder, path) for path in edge_paths(size) if path)


def _bundles(site: Site, start: int, end: int) -> Iterator[tuple[int, list[bytes]]]:
    """Give the entries from ``start`` (the beginning of a bundle) to ``end``, a bundle at a time."""
    for first in range(start, end, ENTRIES_PER_READ):
        with site.db.reading() as tx:
            found = store.leaves(tx, first, min(ENTRIES_PER_READ, end - first))
        if [number for number, _ in found] != list(range(first, min(first + ENTRIES_PER_READ, end))):
            raise damaged("entries", f"some are missing between {first} and {end}")
        for at in range(0, len(found), TILE_WIDTH):
            yield first + at, [leaf for _, leaf in found[at : at + TILE_WIDTH]]


def _write_tile(folder: Path, tile: Tile) -> str:
    _write_once(folder, tile.path, tile.data)
    return tile.path


def _write_bundle(folder: Path, index: int, entries: list[bytes]) -> str:
    path = bundle_path(index, len(entries))
    _write_once(folder, path, bundle(entries))
    return path


def _write_once(folder: Path, path: str, data: bytes) -> None:
    """Write a file that never changes. One that is there already was left by a crash and says the same."""
    kept = adapters.read(folder, path)
    if kept is not None and kept != data:
        raise damaged(path, "it differs from the entries")
    if kept is None:
        adapters.write(folder, path, data)

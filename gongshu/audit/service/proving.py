"""Proofs for people who need not trust us, and the files of the log for standard tools."""

from pathlib import Path

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import adapters, store
from gongshu.audit.rules import merkle, notes, tiles
from gongshu.audit.rules.entries import ENTRY_NOT_SEALED, indexed
from gongshu.audit.service.sealing import checkpoint, damaged, folder_of, opened
from gongshu.audit.types import InclusionProof
from gongshu.base.decisions import NOT_FOUND, Refused
from gongshu.base.site import Site


def prove(site: Site, entry_id: str) -> InclusionProof:
    """Return the proof that an entry is in the log of the newest checkpoint.

    Refused with ``audit-entry-not-sealed`` when no checkpoint covers it yet. A proof that would not verify is never
    handed out: the log is damaged then, and says so.
    """
    with site.db.reading() as tx:
        found = store.find(tx, indexed(entry_id))
    if found is None:
        raise Refused((NOT_FOUND.because(kind="entry", id=entry_id),))
    index, entry = found
    newest = checkpoint(site)
    if index >= newest.size:
        raise Refused((ENTRY_NOT_SEALED.because(id=entry_id),))
    path = merkle.inclusion_proof(index, newest.size, _hash_at(site, newest.size))
    if not merkle.is_included(index, newest.size, merkle.leaf_hash(entry), path, newest.root):
        raise damaged(f"entry {index}", "entry or tiles differ from what was signed")
    return InclusionProof(index, entry, path, newest.note)


def prove_consistency(site: Site, old_size: int) -> tuple[bytes, ...]:
    """Return the proof that the log of ``old_size`` entries is a prefix of that of the newest checkpoint.

    For witnesses and for somebody who kept an old checkpoint. Empty for 0 and for the newest size.
    """
    newest = checkpoint(site)
    with site.db.reading() as tx:
        row = store.checkpoint_at(tx, old_size)
    if row is None:
        raise Refused((NOT_FOUND.because(kind="checkpoint", id=old_size),))
    path = merkle.consistency_proof(old_size, newest.size, _hash_at(site, newest.size))
    if not merkle.is_consistent(old_size, newest.size, opened(site, row).root, newest.root, path):
        raise damaged(f"checkpoint {old_size}", "tiles differ from what was signed")
    return path


def _hash_at(site: Site, size: int) -> merkle.HashAt:
    folder, kept = folder_of(site), dict[str, bytes]()

    def read(path: str) -> bytes:
        if path not in kept:
            data = adapters.read(folder, path)
            if data is None and ".p/" in path:
                # An integration may have completed the tile meanwhile; the full one begins with the partial one.
                data = adapters.read(folder, path[: path.index(".p/")])
            if data is None:
                raise damaged(path, "it is missing")
            kept[path] = data
        return kept[path]

    return tiles.hash_reader(size, read)


def proof_text(proof: InclusionProof) -> str:
    """Return the proof as a C2SP tlog-proof; the entry itself travels as its extra data."""
    return notes.proof_text(proof)


def write_proof(proof: InclusionProof, out: Path) -> None:
    """Write the proof to a file (its usual ending: ``.tlog-proof``)."""
    out.write_text(notes.proof_text(proof), encoding="utf-8")


def read_proof(site: Site, actor: Actor, entry_id: str) -> str:
    """Return the proof of an entry as text, for somebody who may read the log."""
    access.require(actor, Permission.AUDIT_LOG_READ)
    return notes.proof_text(prove(site, entry_id))


def read_log_file(site: Site, actor: Actor, path: str) -> bytes:
    """Return a file of the log: ``checkpoint`` or a tile of hashes to everybody, entries to those who may read them."""
    if tiles.is_bundle_path(path):
        access.require(actor, Permission.AUDIT_LOG_READ)
    is_file = path == adapters.CHECKPOINT or tiles.is_tile_path(path)
    data = adapters.read(folder_of(site), path) if is_file else None
    if data is None:
        raise Refused((NOT_FOUND.because(kind="file", id=path),))
    return data

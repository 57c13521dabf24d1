"""The policy snapshot as files: a signed head, shards named by their digest, and what the gateway remembers of it.

The head holds the digests of all shards, so one signature covers everything; a shard is read, and its digest checked, when the
first call needs it. A small change writes the shards that it touches and a new head.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gongshu.base.digest import canonical_json
from gongshu.delivery.types import Snapshot, SnapshotContract, SnapshotHead, SnapshotProduct

SIGNING_CONTEXT = b"gongshu policy snapshot 2\n"
"""Goes before the signed bytes, so that this key's signature means nothing anywhere else."""

RECORDS_PER_SHARD, SHARD_BITS_MAX = 256, 12
SHARD_KEPT_SECONDS = 120.0
"""A shard that no head names any more stays this long, for gateways that still read the head before."""
KEY_BYTES = 32


class SnapshotInvalid(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """The file is no snapshot, or not signed by the control plane, or a shard is not what its head says."""


class _Envelope(msgspec.Struct, frozen=True):
    signature: str
    snapshot: msgspec.Raw


class SeenSnapshot(msgspec.Struct, frozen=True):
    """The latest snapshot that a gateway has adopted."""

    number: int
    issued_at: datetime


def snapshot_path(home: Path) -> Path:
    """Return where the snapshot lies."""
    return home / "gateway" / "snapshot.json"


def public_key_path(home: Path) -> Path:
    """Return where the public key lies that the gateway checks snapshots with."""
    return home / "gateway" / "snapshot-signing.pub"


def seen_path(home: Path, gateway: str) -> Path:
    """Return where a gateway keeps the number of the latest snapshot that it adopted."""
    return home / "usage" / gateway / "snapshot-seen.json"


def write_atomically(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``: a reader sees all of it or what was there before, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sign_head(head: SnapshotHead, seed: bytes) -> bytes:
    """Return the file that holds ``head`` signed with the Ed25519 key made from the 32 bytes ``seed``."""
    payload = canonical_json(head)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(SIGNING_CONTEXT + payload)
    return msgspec.json.encode(_Envelope(base64.b64encode(signature).decode(), msgspec.Raw(payload)))


def public_key_of(seed: bytes) -> bytes:
    """Return the public key file for ``seed``: base64 of the 32 bytes."""
    raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return base64.b64encode(raw) + b"\n"


def read_head(data: bytes, public_key: bytes) -> SnapshotHead:
    """Return the head in ``data`` if its signature is good, else raise ``SnapshotInvalid``."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=False))
        key.verify(base64.b64decode(envelope.signature, validate=True), SIGNING_CONTEXT + bytes(envelope.snapshot))
        return msgspec.json.decode(envelope.snapshot, type=SnapshotHead)
    except (msgspec.DecodeError, InvalidSignature, ValueError) as error:
        raise SnapshotInvalid(type(error).__name__) from None


# --------------------------------------------------------------------------------------------------------- shards

Shard = dict[bytes, msgspec.Raw]
"""Records of a shard by their key, each still as bytes: only those that are asked for are read."""

_encode = msgspec.msgpack.Encoder().encode
_decode_shard = msgspec.msgpack.Decoder(dict[bytes, msgspec.Raw]).decode
_decode_contract = msgspec.msgpack.Decoder(SnapshotContract).decode
_decode_product = msgspec.msgpack.Decoder(SnapshotProduct).decode


def shard_bits(records: int) -> int:
    """Return how many bits of a key say in which shard its record lies, for so many records."""
    return min(SHARD_BITS_MAX, max(0, (records - 1) // RECORDS_PER_SHARD).bit_length())


def shard_of(key: bytes, shards: int) -> int:
    """Return the place of the shard, of a power of two of them, in which the record of ``key`` lies."""
    return int.from_bytes(key[:2]) >> (16 - (shards.bit_length() - 1))


def key_of_contract(secret_sha256: str) -> bytes:
    """Return the key of a contract's record: the hash of one of its secrets."""
    return bytes.fromhex(secret_sha256)


def key_of_product(product_id: str) -> bytes:
    """Return the key of a product's record."""
    return hashlib.sha256(product_id.encode()).digest()


def key_of_consent(consent_id: str) -> bytes:
    """Return the key of a withdrawn consent's record."""
    return hashlib.sha256(consent_id.encode()).digest()


def contract_in(raw: msgspec.Raw) -> SnapshotContract:
    """Read the record of a contract."""
    return _decode_contract(raw)


def product_in(raw: msgspec.Raw) -> SnapshotProduct:
    """Read the record of a product."""
    return _decode_product(raw)


def shard_path(home: Path, digest: str) -> Path:
    """Return where the shard of a digest lies."""
    return home / "gateway" / "shards" / digest


def read_shard(home: Path, digest: str) -> Shard:
    """Return a shard; raise ``SnapshotInvalid`` when it is not there or not what its head says."""
    if not digest:
        return {}
    data = read_if_there(shard_path(home, digest))
    if data is None or hashlib.sha256(data).hexdigest() != digest:
        raise SnapshotInvalid("shard missing" if data is None else "shard changed")
    return _decode_shard(data)


def write_shard(home: Path, records: dict[bytes, Any]) -> str:
    """Write a shard and return its digest; an empty one is no file and has an empty digest."""
    if not records:
        return ""
    data = _encode({key: records[key] for key in sorted(records)})
    digest = hashlib.sha256(data).hexdigest()
    path = shard_path(home, digest)
    if not path.exists():
        write_atomically(path, data)
    return digest


def write_shards(home: Path, records: Iterable[tuple[bytes, Any]]) -> tuple[str, ...]:
    """Spread records over as many shards as they need and return the digests."""
    found = dict(records)
    count = 1 << shard_bits(len(found))
    spread: list[dict[bytes, Any]] = [{} for _ in range(count)]
    for key, record in found.items():
        spread[shard_of(key, count)][key] = record
    return tuple(write_shard(home, part) for part in spread)


def change_shards(
    home: Path, digests: tuple[str, ...], changed: Mapping[bytes, SnapshotContract | str | None]
) -> tuple[str, ...]:  # fmt: skip
    """Write the shards in which records change (``None``: one that goes) and return all digests."""
    touched: dict[int, dict[bytes, Any]] = {}
    for key, record in changed.items():
        place = shard_of(key, len(digests))
        if place not in touched:
            touched[place] = dict(read_shard(home, digests[place]))
        if record is None:
            touched[place].pop(key, None)
        else:
            touched[place][key] = record
    made = list(digests)
    for place, records in touched.items():
        made[place] = write_shard(home, records)
    return tuple(made)


def drop_shards(home: Path, head: SnapshotHead) -> None:
    """Remove the shards that ``head`` does not name and that are old enough that no gateway reads them."""
    named = set(head.shards)
    before = snapshot_path(home).stat().st_mtime - SHARD_KEPT_SECONDS  # by the clock of the files
    for path in (home / "gateway" / "shards").glob("*"):
        if path.name not in named and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


def write_snapshot(home: Path, snapshot: Snapshot, seed: bytes) -> SnapshotHead:
    """Write a whole snapshot: its shards, then its head, so that a reader of the head finds every shard."""
    contracts = ((key_of_contract(secret), contract) for contract in snapshot.contracts for secret in contract.key_ids)
    products = ((key_of_product(product.id), product) for product in snapshot.products)
    head = SnapshotHead(
        snapshot.number, snapshot.issued_at, snapshot.age_seconds_max, write_shards(home, contracts),
        write_shards(home, products), snapshot.log_size, snapshot.rebuild_at,
        write_shards(home, ((key_of_consent(name), name) for name in snapshot.withdrawn)), snapshot.consent_key,
    )  # fmt: skip
    write_head(home, head, seed)
    return head


def write_head(home: Path, head: SnapshotHead, seed: bytes) -> None:
    """Sign and write a head whose shards are there."""
    write_atomically(public_key_path(home), public_key_of(seed))
    write_atomically(snapshot_path(home), sign_head(head, seed))


def read_snapshot(home: Path) -> Snapshot:
    """Return everything that a gateway under ``home`` would believe; raise ``SnapshotInvalid`` when it would not."""
    data, public_key = read_if_there(snapshot_path(home)), read_if_there(public_key_path(home))
    if data is None or public_key is None:
        raise SnapshotInvalid("no snapshot")
    head = read_head(data, public_key)
    contracts = {
        contract.id: contract
        for digest in head.contracts
        for raw in read_shard(home, digest).values()
        for contract in [contract_in(raw)]
    }
    products = [product_in(raw) for digest in head.products for raw in read_shard(home, digest).values()]
    return Snapshot(
        head.number, head.issued_at, head.age_seconds_max, tuple(contracts[key] for key in sorted(contracts)),
        tuple(sorted(products, key=lambda product: product.id)), head.log_size, head.rebuild_at,
        tuple(sorted(str(msgspec.msgpack.decode(raw)) for digest in head.consents for raw in read_shard(home, digest).values())),
        head.consent_key,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- files


def read_if_there(path: Path) -> bytes | None:
    """Return the bytes of a file, or ``None`` when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def identity(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced; one cheap system call."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def read_seen(path: Path) -> SeenSnapshot | None:
    """Return what a gateway remembers; an unreadable memory is an error, not a fresh start."""
    data = read_if_there(path)
    return None if data is None else msgspec.json.decode(data, type=SeenSnapshot)


def write_seen(path: Path, seen: SeenSnapshot) -> None:
    """Remember the latest snapshot adopted."""
    write_atomically(path, msgspec.json.encode(seen))

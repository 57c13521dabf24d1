"""The signed snapshot as a file, and what the gateway remembers of it."""

import base64
import os
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gongshu.base.digest import canonical_json
from gongshu.delivery.types import Snapshot

SIGNING_CONTEXT = b"gongshu policy snapshot 1\n"
"""Goes before the signed bytes, so that this key's signature means nothing anywhere else."""

SNAPSHOT_BYTES_MAX = 2 << 30


class SnapshotInvalid(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """The file is no snapshot, or not signed by the control plane."""


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


def sign_snapshot(snapshot: Snapshot, seed: bytes) -> bytes:
    """Return the file that holds ``snapshot`` signed with the Ed25519 key made from the 32 bytes ``seed``."""
    payload = canonical_json(snapshot)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(SIGNING_CONTEXT + payload)
    return msgspec.json.encode(_Envelope(base64.b64encode(signature).decode(), msgspec.Raw(payload)))


def public_key_of(seed: bytes) -> bytes:
    """Return the public key file for ``seed``: base64 of the 32 bytes."""
    raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return base64.b64encode(raw) + b"\n"


def read_snapshot(data: bytes, public_key: bytes) -> Snapshot:
    """Return the snapshot in ``data`` if its signature is good, else raise ``SnapshotInvalid``."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=False))
        key.verify(base64.b64decode(envelope.signature, validate=True), SIGNING_CONTEXT + bytes(envelope.snapshot))
        return msgspec.json.decode(envelope.snapshot, type=Snapshot)
    except (msgspec.DecodeError, InvalidSignature, ValueError) as error:
        raise SnapshotInvalid(type(error).__name__) from None


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

"""Signed notes (C2SP signed-note), checkpoints (C2SP tlog-checkpoint) and proofs (C2SP tlog-proof) as text."""

import hashlib
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gongshu.audit.rules.merkle import HASH_BYTES
from gongshu.audit.types import Checkpoint, InclusionProof

ED25519 = b"\x01"
KEY_ID_BYTES = 4
NOTE_CHARS_MAX = 100_000
SIZE_DIGITS_MAX = 18
PROOF_HEADER = "c2sp.org/tlog-proof@v1"


def _unbase64(text: str) -> bytes:
    """Return the bytes of ``text``; ``ValueError`` unless it is the one standard form, so that no bit is free."""
    data = b64decode(text, validate=True)
    if b64encode(data).decode() != text:
        raise ValueError("this is no canonical base64")
    return data


def public_bytes(seed: bytes) -> bytes:
    """Return the 32 bytes of the Ed25519 public key that belongs to ``seed``."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def origin_of(public: bytes) -> str:
    """Return the name of the log: unique to the installation, because it holds the fingerprint of its key."""
    return f"gongshu/audit/{hashlib.sha256(public).hexdigest()[:16]}"


def key_id(name: str, public: bytes) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def verifier_key(name: str, public: bytes) -> str:
    """Return the key as text for standard verifiers: ``name+hexadecimal key id+base64 of type and key``."""
    return f"{name}+{key_id(name, public).hex()}+{b64encode(ED25519 + public).decode()}"


def read_verifier_key(text: str) -> tuple[str, bytes]:
    """Return name and public key of a verifier key; ``ValueError`` when it is none."""
    name, identifier, encoded = text.strip().split("+", 2)
    key = _unbase64(encoded)
    if key[:1] != ED25519 or len(key) != 1 + HASH_BYTES or key_id(name, key[1:]).hex() != identifier:
        raise ValueError("this is no Ed25519 verifier key")
    return name, key[1:]


def sign_note(body: str, name: str, seed: bytes) -> str:
    """Return ``body`` (which ends in a newline) as a note signed by ``seed`` under ``name``."""
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(body.encode())
    line = b64encode(key_id(name, public_bytes(seed)) + signature).decode()
    return f"{body}\n— {name} {line}\n"


def open_note(note: str, name: str, public: bytes) -> str:
    """Return the body of ``note``; ``ValueError`` unless it carries a valid signature of this key.

    Signatures of other keys (witnesses) are left aside, as the standard asks.
    """
    if len(note) > NOTE_CHARS_MAX or not note.endswith("\n"):
        raise ValueError("this is no signed note")
    body, blank, signatures = note.rpartition("\n\n")
    if not blank:
        raise ValueError("the note has no signatures")
    body += "\n"
    expected, is_signed = key_id(name, public), False
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            raise ValueError("a signature line is malformed")
        signature = _unbase64(parts[2])
        if parts[1] != name or signature[:KEY_ID_BYTES] != expected:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature[KEY_ID_BYTES:], body.encode())
        except InvalidSignature:
            raise ValueError("the signature does not verify") from None
        is_signed = True
    if not is_signed:
        raise ValueError("the note is not signed by this log's key")
    return body


def sign_checkpoint(size: int, root: bytes, seed: bytes) -> Checkpoint:
    """Return the signed checkpoint of a log of ``size`` entries with ``root``. The same state gives the same bytes."""
    origin = origin_of(public_bytes(seed))
    body = f"{origin}\n{size}\n{b64encode(root).decode()}\n"
    return Checkpoint(origin, size, root, sign_note(body, origin, seed))


def open_checkpoint(note: str, name: str, public: bytes) -> Checkpoint:
    """Return the checkpoint in ``note``; ``ValueError`` unless it is well-formed and signed by the log ``name``."""
    lines = open_note(note, name, public).split("\n")
    if len(lines) < 4 or lines[0] != name:
        raise ValueError("this is no checkpoint of this log")
    size, root = lines[1], _unbase64(lines[2])
    is_number = size.isascii() and size.isdigit() and len(size) <= SIZE_DIGITS_MAX and (size == "0" or size[0] != "0")
    if not is_number or len(root) != HASH_BYTES:
        raise ValueError("size or root hash of the checkpoint is malformed")
    return Checkpoint(name, int(size), root, note)


def proof_text(proof: InclusionProof) -> str:
    """Return the proof as a C2SP tlog-proof; the entry itself travels as its extra data."""
    lines = [PROOF_HEADER, f"extra {b64encode(proof.entry).decode()}", f"index {proof.index}"]
    lines += [b64encode(part).decode() for part in proof.hashes]
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def read_proof(text: str) -> InclusionProof:
    """Return the proof in ``text``; ``ValueError`` when it is none. Nothing is verified yet."""
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or lines[0] != PROOF_HEADER:
        raise ValueError("this is no tlog-proof with its entry")
    extra, index = lines[1].removeprefix("extra "), lines[2].removeprefix("index ")
    if extra == lines[1] or index == lines[2] or not (index.isascii() and index.isdigit()):
        raise ValueError("entry or index of the proof is missing")
    hashes = tuple(_unbase64(line) for line in lines[3:])
    return InclusionProof(int(index), _unbase64(extra), hashes, note)

"""Verify offline that an entry is in the audit log: verify_inclusion.py VKEY FILE.tlog-proof

Independent of gongshu on purpose. VKEY is the log's key (C2SP signed-note), as its operator hands it out; the file is
a C2SP tlog-proof with the entry as extra data. Prints the entry and exits 0, or fails.
"""

import base64
import hashlib
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def verified_entry(vkey: str, proof: str) -> bytes:
    name, key_id, public = [*vkey.split("+", 2)[:2], base64.b64decode(vkey.split("+", 2)[2])]
    head, body, signatures = proof.split("\n\n")
    (magic, extra, index, *path), (origin, size, root) = head.split("\n"), body.split("\n")
    (line,) = [line for line in signatures.splitlines() if line.startswith(f"— {name} ")]
    signature, entry = base64.b64decode(line.split(" ")[2]), base64.b64decode(extra.removeprefix("extra "))
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], f"{body}\n".encode())
    node, last, found = int(index.removeprefix("index ")), int(size) - 1, sha(b"\0" + entry)
    is_right = (magic, origin, key_id) == ("c2sp.org/tlog-proof@v1", name, sha(f"{name}\n".encode() + public)[:4].hex())
    is_right = is_right and signature[:4].hex() == key_id and 0 <= node <= last
    for sibling in map(base64.b64decode, path):  # RFC 9162 §2.1.3.2
        is_right, is_left = is_right and last > 0, not node & 1 and node != last
        found = sha(b"\1" + (found + sibling if is_left else sibling + found))
        while not is_left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return entry if is_right and last == 0 and found == base64.b64decode(root) else sys.exit("NOT in the log")


if __name__ == "__main__":
    print(verified_entry(sys.argv[1], pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")).decode())

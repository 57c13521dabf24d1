"""Answering verification calls from an artifact. For the gateway: no database, no transaction, one file and one key.

The artifact (``verification.lmdb``) is a plain LMDB file. Every key has 32 bytes and every value ``32 × n``, where ``n`` is
the number of fields beside the key field:

- key = keyed hash of the normalised key field (31 bytes) + ordinal of the record (1 byte, from 0);
- value = keyed hashes (32 bytes each) of the other fields, in the order of the definition;
- one header under 32 zero bytes, whose value is the artifact's salt (repeated to full length). It counts as an entry.

Hashes are BLAKE2b keyed with ``artifact_key(site secret "verification", salt)``. Nothing else is in the file.
"""

from collections.abc import Callable
from pathlib import Path

from gongshu.base.site import Keys
from gongshu.compute.adapters.artifacts import ArtifactReader
from gongshu.compute.rules import verification
from gongshu.compute.service.running import VERIFICATION_SECRET
from gongshu.compute.types import VerificationDefinition
from gongshu.metering.types import ResultCode

missing_fields = verification.missing_fields
normalise = verification.normalise


class ArtifactInvalid(Exception):  # noqa: N818 - somebody else's mistake, or an attack
    """The file is no artifact of this kind."""


def hash_key(keys: Keys, path: Path) -> bytes:
    """Return the key of the artifact at ``path``, made of the site's secret and the salt in the artifact's header."""
    reader = ArtifactReader(path)
    try:
        header = reader.exact(verification.HEADER_KEY)
    finally:
        reader.close()
    if header is None or len(header) < verification.SALT_BYTES:
        raise ArtifactInvalid
    return verification.artifact_key(keys.secret(VERIFICATION_SECRET), header[: verification.SALT_BYTES])


def open_lookup(path: Path, definition: VerificationDefinition, keys: Keys) -> Callable[[dict[str, str]], ResultCode]:
    """Open a released artifact and return what answers calls from it: fields in, result code out.

    ``no_record``: no record has this key. ``match``: one record agrees with every field given; an optional field that is not
    given is not looked at. ``mismatch``: none does. ``error``: a required field is missing or blank, or a field unknown
    (ask ``missing_fields`` to name it). Hashes are compared in constant time, every record and field of them.

    The caller has checked the file's digest. The file stays open as long as the function is kept; threads may share it.
    """
    fields = verification.asked_fields(definition, hash_key(keys, path))
    reader = ArtifactReader(path)

    def answer(inputs: dict[str, str]) -> ResultCode:
        hashes = verification.asked_hashes(fields, inputs)
        if hashes is None:
            return ResultCode.ERROR
        return verification.compare_records(reader.values(hashes[0]), hashes[1])

    return answer

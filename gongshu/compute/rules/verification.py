"""Verification products: input fields → match, mismatch or no record, from keyed hashes and nothing else.

A field is brought into one normal form, marked as present, and hashed by BLAKE2b under a key that belongs to the artifact
alone. The key field's hash finds the records; the other fields' hashes are compared in constant time.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gongshu.base.decisions import Decision, Reason, decide
from gongshu.catalog.types import DataType
from gongshu.compute.rules.refusals import (
    COLUMN_UNKNOWN,
    COMPARE_MISSING,
    RELATION_UNKNOWN,
    VERIFICATION_FIELD_REPEATED,
    VERIFICATION_KEY_COUNT,
    VERIFICATION_KEY_OPTIONAL,
    VERIFICATION_NOTHING_COMPARED,
)
from gongshu.compute.types import Relation, VerificationDefinition, VerificationField
from gongshu.metering.types import ResultCode
from gongshu.policies.service import closed
from gongshu.policies.types import Use

HASH_BYTES = 32
KEY_HASH_BYTES = 31
"""One byte less, so that key hash and ordinal together have the length of every other hash."""
HEADER_KEY = bytes(HASH_BYTES)
SALT_BYTES = 32
INPUT_CHARACTERS_MAX = 1000

_DOTS = str.maketrans(dict.fromkeys("•・‧∙●．", "·"))
_TRUTHS = {"TRUE": "1", "T": "1", "是": "1", "1": "1", "FALSE": "0", "F": "0", "否": "0", "0": "0"}
_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?")


# ------------------------------------------------------------------------------------------------------ definition


def decide_definition(
    relations: tuple[Relation, ...], definition: VerificationDefinition
) -> Decision[VerificationDefinition]:
    """Permit a verification: every column has ``compare``, one required key field, and something to compare beside it.

    The definition permitted knows the type of each field, which says how its inputs are read.
    """
    fields = definition.fields
    keys = [field for field in fields if field.is_key]
    reasons: list[Reason | None] = []
    if len(keys) != 1:
        reasons.append(VERIFICATION_KEY_COUNT.because(count=len(keys)))
    reasons += [VERIFICATION_KEY_OPTIONAL.because(field=field.name) for field in keys if not field.is_required]
    if not any(field.is_required and not field.is_key for field in fields):
        reasons.append(VERIFICATION_NOTHING_COMPARED.because())
    names = [field.name for field in fields]
    reasons += [
        VERIFICATION_FIELD_REPEATED.because(field=name) for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    relation = next((r for r in relations if r.name == definition.relation), None)
    if relation is None:
        known = ", ".join(r.name for r in relations) or "—"
        reasons.append(RELATION_UNKNOWN.because(relation=definition.relation, known=known))
        return decide(definition, *reasons)
    types = {column.name: column.data_type for column in relation.columns}
    reasons += [_column_reason(relation, types, field) for field in fields]
    typed = tuple(replace(f, data_type=types.get(f.column, DataType.TEXT)) for f in fields)
    return decide(replace(definition, fields=typed), *reasons)


def _column_reason(relation: Relation, types: dict[str, DataType], field: VerificationField) -> Reason | None:
    if field.column not in types:
        return COLUMN_UNKNOWN.because(column=field.column, known=", ".join(types))
    if Use.COMPARE not in closed(relation.policy.of(field.column).uses):
        return COMPARE_MISSING.because(operator="VERIFY", column=f"{relation.name}.{field.column}")
    return None


def key_field(definition: VerificationDefinition) -> VerificationField:
    """Return the field by which a record is found."""
    return next(field for field in definition.fields if field.is_key)


def compared_fields(definition: VerificationDefinition) -> tuple[VerificationField, ...]:
    """Return the other fields, in the order of their hashes in a record."""
    return tuple(field for field in definition.fields if not field.is_key)


# ----------------------------------------------------------------------------------------------------- normal forms


def normalise(data_type: DataType, text: str) -> str:
    """Return the form in which two spellings of one value are equal; empty when there is nothing to compare.

    Compatibility forms and widths are one (NFKC: full-width letters, brackets), white space is left out, letters are
    upper case, the dots in names of persons are one dot. Dates and numbers are read as such.
    """
    if text.isascii():  # nothing to fold: most codes, and quick
        plain = "".join(text.split()).upper()
    else:
        plain = "".join(unicodedata.normalize("NFKC", text).split()).translate(_DOTS).upper()
    if data_type is DataType.TEXT:
        return plain
    if data_type in {DataType.DATE, DataType.TIMESTAMP}:
        return _normal_date(plain)
    if data_type in {DataType.INTEGER, DataType.DECIMAL}:
        return _normal_number(plain)
    return _TRUTHS.get(plain, plain)


def _normal_date(plain: str) -> str:
    found = _DATE.match(plain)
    if not found:
        return plain
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return plain


def _normal_number(plain: str) -> str:
    try:
        number = Decimal(plain.replace(",", ""))
    except InvalidOperation:
        return plain
    if not number.is_finite():
        return plain
    return format(number.normalize(), "f") if number else "0"


def text_of(value: Any) -> str | None:
    """Return a stored value as the text that an input would have."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


# ----------------------------------------------------------------------------------------------------------- hashes


def salt_of(secret: bytes, plan_digest: str) -> bytes:
    """Return the salt of the artifact that a plan makes: the same plan makes the same bytes."""
    return hashlib.blake2b(plan_digest.encode(), key=secret, digest_size=SALT_BYTES, person=b"gongshu salt").digest()


def artifact_key(secret: bytes, salt: bytes) -> bytes:
    """Return the key of one artifact, made of the site's secret and the salt in the artifact's header."""
    return hashlib.blake2b(salt, key=secret, digest_size=HASH_BYTES, person=b"gongshu artifact"[:16]).digest()


def field_hash(key: bytes, position: int, normal: str | None, size: int = HASH_BYTES) -> bytes:
    """Return the keyed hash of a field. Each position has hashes of its own; an absent value equals no input."""
    data = b"\x00" if normal is None else b"\x01" + normal.encode()
    return hashlib.blake2b(position.to_bytes(2, "big") + data, key=key, digest_size=size).digest()


@dataclass(frozen=True)
class AskedField:
    """A field of a definition, ready to read inputs: ``start`` is the keyed hash that has taken in the field's position."""

    name: str
    data_type: DataType
    is_required: bool
    is_key: bool
    start: Any


def asked_fields(definition: VerificationDefinition, key: bytes) -> tuple[AskedField, ...]:
    """Return the fields of ``definition``, in its order, under the key of an artifact. Made once per artifact."""
    found, position = [], 0
    for field in definition.fields:
        position += not field.is_key
        start = hashlib.blake2b(
            (0 if field.is_key else position).to_bytes(2, "big"), key=key,
            digest_size=KEY_HASH_BYTES if field.is_key else HASH_BYTES,
        )  # fmt: skip
        found.append(AskedField(field.name, field.data_type, field.is_required, field.is_key, start))
    return tuple(found)


def asked_hashes(
    fields: tuple[AskedField, ...], texts: dict[str, str]
) -> tuple[bytes, tuple[bytes | None, ...]] | None:
    """Return the hash of the key field's input and those of the others; ``None`` for an optional field not given.

    ``None`` in all when ``missing_fields`` would name a field.
    """
    key_hash, hashes, given = b"", list[bytes | None](), 0
    for field in fields:
        text = texts.get(field.name)
        given += text is not None
        normal = normalise(field.data_type, text) if text is not None and len(text) <= INPUT_CHARACTERS_MAX else ""
        if not normal:
            if field.is_required or (text is not None and len(text) > INPUT_CHARACTERS_MAX):
                return None
            hashes.append(None)
            continue
        hasher = field.start.copy()
        hasher.update(b"\x01" + normal.encode())
        if field.is_key:
            key_hash = hasher.digest()
        else:
            hashes.append(hasher.digest())
    return (key_hash, tuple(hashes)) if given == len(texts) else None  # else a field that the definition does not know


def record_of(definition: VerificationDefinition, key: bytes, values: Sequence[Any]) -> tuple[bytes, bytes] | None:
    """Return key hash and record of one row (key field first, then the others); ``None`` when it has no key."""
    first, others = key_field(definition), compared_fields(definition)
    texts = [text_of(value) for value in values]
    normal_key = normalise(first.data_type, texts[0]) if texts[0] is not None else ""
    if not normal_key:
        return None
    hashes = []
    for position, (field, text) in enumerate(zip(others, texts[1:], strict=True), start=1):
        normal = normalise(field.data_type, text) if text is not None else ""
        hashes.append(field_hash(key, position, normal or None))
    return field_hash(key, 0, normal_key, KEY_HASH_BYTES), b"".join(hashes)


def header_of(definition: VerificationDefinition, salt: bytes) -> tuple[bytes, bytes]:
    """Return the header entry: the salt, as long as every record."""
    length = HASH_BYTES * len(compared_fields(definition))
    return HEADER_KEY, (salt * (length // SALT_BYTES + 1))[:length]


def compare_records(records: tuple[bytes, ...], given: tuple[bytes | None, ...]) -> ResultCode:
    """Return match when one record agrees with every field given, mismatch when none does, no record when there is none.

    Takes the same steps wherever records differ, and whether there is one or none: then one of zeros is compared.
    """
    matches, zeros = False, (bytes(HASH_BYTES * len(given)),)
    for record in records or zeros:
        agrees = True
        for position, wanted in enumerate(given):
            stored = record[position * HASH_BYTES : (position + 1) * HASH_BYTES]
            agrees &= hmac.compare_digest(stored, wanted if wanted is not None else stored)
        matches |= agrees
    return _COMPARED[bool(records), matches]


_COMPARED = {
    (True, True): ResultCode.MATCH, (True, False): ResultCode.MISMATCH,
    (False, True): ResultCode.NO_RECORD, (False, False): ResultCode.NO_RECORD,
}  # fmt: skip


def missing_fields(definition: VerificationDefinition, texts: dict[str, str]) -> tuple[str, ...]:
    """Return the required fields that are absent or blank, and given ones that are unknown or too long."""
    names = {field.name for field in definition.fields}
    missing = [
        field.name
        for field in definition.fields
        if field.is_required and not normalise(field.data_type, texts.get(field.name, ""))
    ]
    odd = [name for name, text in texts.items() if name not in names or len(text) > INPUT_CHARACTERS_MAX]
    return tuple(missing + odd)

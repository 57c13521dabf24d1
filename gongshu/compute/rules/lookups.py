"""Look-ups: who is asked about → a few tags, bands and scores, and nothing of it readable in a stolen file.

A record lies under the keyed hash of the subject's normal form, and its tags are enciphered (ChaCha20-Poly1305, RFC 8439)
under a key made of the artifact's key and that same normal form: who has the file alone learns nothing, and who has its
key too must still know whom to ask about. All records have one size. What stands in a record are places in lists of
values; the lists are enciphered under the artifact's key.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gongshu.base.decisions import Decision, Kind, Reason, decide, rule
from gongshu.catalog.types import DataType
from gongshu.compute.rules.refusals import COLUMN_UNKNOWN, COMPARE_MISSING, RELATION_UNKNOWN
from gongshu.compute.rules.verification import INPUT_CHARACTERS_MAX, normalise, text_of
from gongshu.compute.types import LookupDefinition, LookupKey, LookupOutput, Relation
from gongshu.policies.service import closed
from gongshu.policies.types import Use

HASH_BYTES, NONCE_BYTES, TAG_BYTES, BLOCK_BYTES, PLACE_BYTES = 32, 12, 16, 16, 2
HEADER_KEY, VALUES_KEY = bytes(HASH_BYTES), b"\xff" * HASH_BYTES
NOTHING = 0xFFFF
"""Stands in a record for a tag that is absent, not the same in all rows of the subject, or carried by too few."""
LABEL_CHARACTERS_MAX = 40
KEYS_MAX, BOUNDS_MAX = 3, 30
NUMBERS = frozenset({DataType.INTEGER, DataType.DECIMAL})
MUST_BE_BANDED = frozenset({DataType.DECIMAL, DataType.DATE, DataType.TIMESTAMP})

LOOKUP_KEY_COUNT = rule(
    "lookup-key-count", Kind.INVALID, zh="标签查询应有 1 至 {limit} 个主体标识字段，现有 {count} 个。",
    en="A look-up names the subject by 1 to {limit} fields; here are {count}.",
    fix_zh="请只保留能确定主体的字段。", fix_en="Keep only the fields that tell who is meant.",
)  # fmt: skip
LOOKUP_OUTPUT_COUNT = rule(
    "lookup-output-count", Kind.INVALID, zh="标签查询应输出 1 至 {limit} 个标签，现有 {count} 个。",
    en="A look-up answers 1 to {limit} tags; here are {count}.",
    fix_zh="请只输出该场景必需的标签，其余另设产品。", fix_en="Answer only what the scenario needs; make another product for the rest.",
    law="个人信息保护法 art.6",
)  # fmt: skip
LOOKUP_NAME_REPEATED = rule(
    "lookup-name-repeated", Kind.INVALID, zh="名称 {name} 重复。", en="The name {name} stands twice.",
    fix_zh="请为每个字段和标签取不同的名称。", fix_en="Give each field and tag a name of its own.",
)  # fmt: skip
LOOKUP_OUTPUT_IDENTIFIES = rule(
    "lookup-output-identifies", Kind.FORBIDDEN, zh="{column} 用于确定主体，不能作为标签输出。",
    en="{column} tells who somebody is; it cannot be answered as a tag.",
    fix_zh="请改用不含身份的类别或区间。", fix_en="Answer a category or a band instead.",
    law="个人信息保护法 art.6",
)  # fmt: skip
LOOKUP_REVEAL_MISSING = rule(
    "lookup-reveal-missing", Kind.FORBIDDEN, zh="标签 {name} 会给出 {column} 的值，而该列没有“可见”用途。",
    en="The tag {name} would give values of {column}, which lacks the use reveal.",
    fix_zh="请供数单位在脱敏（如区间、取月）之后设为“可见”，或去掉该标签。",
    fix_en="Ask the supplier to permit reveal behind a mask (a band, a month), or leave the tag out.",
)  # fmt: skip
LOOKUP_NEEDS_BANDS = rule(
    "lookup-needs-bands", Kind.INVALID, zh="{column} 是逐一取值的数或日期，只能以区间输出。",
    en="{column} holds single amounts or dates; a look-up answers bands of them.",
    fix_zh="请为该标签写明由小到大的分界值（bounds），或请供数单位设置区间、取月等脱敏。",
    fix_en="State rising bounds for it, or ask the supplier for a mask to bands or months.",
)  # fmt: skip
LOOKUP_BOUNDS_INVALID = rule(
    "lookup-bounds-invalid", Kind.INVALID, zh="标签 {name} 的分界值有误：应为未脱敏数值列上 1 至 {limit} 个由小到大的数。",
    en="The bounds of {name} are wrong: 1 to {limit} rising numbers, for an unmasked number.",
    fix_zh="例如 100000、1000000。", fix_en="For example 100000, 1000000.",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------ definition


def decide_lookup(
    relations: tuple[Relation, ...], definition: LookupDefinition, *, outputs_max: int, values_max: int
) -> Decision[LookupDefinition]:
    """Permit a look-up: keys by ``compare``, few tags by ``reveal`` after their masks, amounts and dates in bands only.

    The definition permitted knows the types of its columns, and how many different values a tag may have.
    """
    names = [*(key.name for key in definition.keys), *(output.name for output in definition.outputs)]
    reasons: list[Reason | None] = [
        None
        if 0 < len(definition.keys) <= KEYS_MAX
        else LOOKUP_KEY_COUNT.because(count=len(definition.keys), limit=KEYS_MAX),
        None
        if 0 < len(definition.outputs) <= outputs_max
        else LOOKUP_OUTPUT_COUNT.because(count=len(definition.outputs), limit=outputs_max),
        *(LOOKUP_NAME_REPEATED.because(name=name) for name in dict.fromkeys(names) if names.count(name) > 1),
    ]
    relation = next((r for r in relations if r.name == definition.relation), None)
    if relation is None:
        known = ", ".join(r.name for r in relations) or "—"
        return decide(definition, *reasons, RELATION_UNKNOWN.because(relation=definition.relation, known=known))
    types = {column.name: column.data_type for column in relation.columns}
    reasons += [_key_reason(relation, types, key) for key in definition.keys]
    for output in definition.outputs:
        reasons += _output_reasons(relation, types, definition, output)
    typed = replace(
        definition, values_max=values_max,
        keys=tuple(replace(key, data_type=types.get(key.column, DataType.TEXT)) for key in definition.keys),
        outputs=tuple(replace(o, data_type=types.get(o.column, DataType.TEXT)) for o in definition.outputs),
    )  # fmt: skip
    return decide(typed, *reasons)


def _key_reason(relation: Relation, types: dict[str, DataType], key: LookupKey) -> Reason | None:
    if key.column not in types:
        return COLUMN_UNKNOWN.because(column=key.column, known=", ".join(types))
    if Use.COMPARE not in closed(relation.policy.of(key.column).uses):
        return COMPARE_MISSING.because(operator="LOOKUP", column=f"{relation.name}.{key.column}")
    return None


def _output_reasons(
    relation: Relation, types: dict[str, DataType], definition: LookupDefinition, output: LookupOutput
) -> list[Reason]:
    if output.column not in types:
        return [COLUMN_UNKNOWN.because(column=output.column, known=", ".join(types))]
    policy, column, kind = relation.policy.of(output.column), f"{relation.name}.{output.column}", types[output.column]
    reasons = []
    if Use.REVEAL not in closed(policy.uses):
        reasons.append(LOOKUP_REVEAL_MISSING.because(name=output.name, column=column))
    if output.column in {*relation.policy.unit, *(key.column for key in definition.keys)}:
        reasons.append(LOOKUP_OUTPUT_IDENTIFIES.because(column=column))
    if output.bounds:
        is_plain = policy.mask is None and kind in NUMBERS
        if not is_plain or bounds_of(output) is None:
            reasons.append(LOOKUP_BOUNDS_INVALID.because(name=output.name, limit=BOUNDS_MAX))
    elif policy.mask is None and kind in MUST_BE_BANDED:
        reasons.append(LOOKUP_NEEDS_BANDS.because(column=column))
    return reasons


def bounds_of(output: LookupOutput) -> tuple[Decimal, ...] | None:
    """Return the bounds of a tag as numbers; ``None`` when they are not rising numbers."""
    try:
        found = tuple(Decimal(text) for text in output.bounds)
    except InvalidOperation:
        return None
    is_rising = all(one.is_finite() for one in found) and list(found) == sorted(set(found))
    return found if is_rising and len(found) <= BOUNDS_MAX else None


def label_of(output: LookupOutput, bounds: tuple[Decimal, ...], value: Any) -> str | None:
    """Return what a subject's value reads as: its band, or itself; ``None`` when there is none."""
    text = text_of(value)
    if text is None or not text.strip():
        return None
    if not bounds:
        return text.strip()
    number = Decimal(text)
    below = sum(bound <= number for bound in bounds)
    if below == 0:
        return f"<{output.bounds[0]}"
    return f"≥{output.bounds[-1]}" if below == len(bounds) else f"{output.bounds[below - 1]}–<{output.bounds[below]}"


# --------------------------------------------------------------------------------------------------------- subjects


def subject_form(keys: Iterable[tuple[str, DataType]], texts: dict[str, str]) -> bytes | None:
    """Return whom an input names, in one normal form however it is written; ``None`` when a part of it is blank."""
    parts = []
    for name, data_type in keys:
        text = texts.get(name, "")
        normal = normalise(data_type, text) if len(text) <= INPUT_CHARACTERS_MAX else ""
        if not normal:
            return None
        parts.append(normal)
    return form_of(parts)


def form_of(parts: Sequence[str]) -> bytes:
    """Join normal forms so that no two lists of them are joined alike."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def missing_keys(definition: LookupDefinition, texts: dict[str, str]) -> tuple[str, ...]:
    """Return the key fields that are absent, blank or too long."""
    return tuple(
        key.name for key in definition.keys if subject_form([(key.name, key.data_type)], texts) is None
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- records


def record_name(key: bytes, form: bytes) -> bytes:
    """Return under which 32 bytes a subject's record lies."""
    return hashlib.blake2b(form, key=key, digest_size=HASH_BYTES, person=b"gongshu tags").digest()


def record_key(key: bytes, form: bytes) -> bytes:
    """Return the key of one subject's record: it cannot be made of the artifact's key alone."""
    return hashlib.blake2b(form, key=key, digest_size=HASH_BYTES, person=b"gongshu record").digest()


def values_key(key: bytes) -> bytes:
    """Return the key of the lists of values."""
    return hashlib.blake2b(b"", key=key, digest_size=HASH_BYTES, person=b"gongshu values").digest()


def seal(key: bytes, plain: bytes, name: bytes) -> bytes:
    """Encipher ``plain`` for the entry ``name``. The nonce is a keyed hash of both, so that the same plan makes the same bytes."""
    nonce = hashlib.blake2b(name + plain, key=key, digest_size=NONCE_BYTES, person=b"gongshu nonce").digest()
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, name)


def unseal(key: bytes, sealed: bytes, name: bytes) -> bytes:
    """Decipher what ``seal`` made; raises when key, entry or a byte of it is another."""
    return ChaCha20Poly1305(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name)


def record_bytes(outputs: int) -> int:
    """Return how long every record of a look-up with so many tags is."""
    plain = -(-outputs * PLACE_BYTES // BLOCK_BYTES) * BLOCK_BYTES
    return NONCE_BYTES + plain + TAG_BYTES


def packed(places: Sequence[int]) -> bytes:
    """Write the places of a record's tags, as long as every record."""
    written = b"".join(place.to_bytes(PLACE_BYTES, "big") for place in places)
    return written.ljust(record_bytes(len(places)) - NONCE_BYTES - TAG_BYTES, b"\0")


def unpacked(plain: bytes, outputs: int) -> tuple[int, ...]:
    """Read what ``packed`` wrote."""
    return tuple(
        int.from_bytes(plain[at : at + PLACE_BYTES], "big") for at in range(0, outputs * PLACE_BYTES, PLACE_BYTES)
    )


def merged(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Return the tags of a subject with two rows: what both say alike."""
    return tuple(a if a == b else NOTHING for a, b in zip(one, other, strict=True))


def header_of(outputs: int, salt: bytes) -> tuple[bytes, bytes]:
    """Return the header entry: the salt, as long as every record."""
    length = record_bytes(outputs)
    return HEADER_KEY, (salt * (length // len(salt) + 1))[:length]


def placing(output: LookupOutput, labels: Sequence[str], subjects: Sequence[int], units_min: int) -> dict[int, int]:
    """Return which of the labels found may be answered, by their new places: bands by bound, others in their order.

    One that fewer than ``units_min`` subjects carry is left out: it would be as good as a name.
    """
    bounds = bounds_of(output) or ()
    kept = [found for found, count in enumerate(subjects) if count >= units_min]
    ends = (f"<{output.bounds[0]}", *(f"{low}–<{high}" for low, high in zip(output.bounds, output.bounds[1:], strict=False)),
            f"≥{output.bounds[-1]}") if bounds else ()  # fmt: skip
    ranks = {label: rank for rank, label in enumerate(ends)}
    return {
        old: new for new, old in enumerate(sorted(kept, key=lambda found: (ranks.get(labels[found], 0), labels[found])))
    }


# ---------------------------------------------------------------------------------------------------------- answers


def content_of(definition: LookupDefinition, values: Sequence[Sequence[str]], places: Sequence[int]) -> bytes:
    """Write the tags of one subject as JSON; what is not there is ``null``."""
    tags = {
        output.name: None if place == NOTHING else values[number][place]
        for number, (output, place) in enumerate(zip(definition.outputs, places, strict=True))
    }
    return json.dumps(tags, ensure_ascii=False, separators=(",", ":")).encode()


def content_bytes_max(definition: LookupDefinition, values: Sequence[Sequence[str]]) -> int:
    """Return how long an answer can be; every answer is filled up to it, found or not."""
    names = len(content_of(definition, values, [NOTHING] * len(definition.outputs)))
    quoted = [[len(json.dumps(v, ensure_ascii=False).encode()) for v in found] for found in values]
    return names + sum(max(0, *found, 0) for found in quoted)

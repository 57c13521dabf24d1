"""Masks as SQL of the engine. Pure."""

from gongshu.policies.types import Mask, MaskKind

_BLOCK_BYTES = 64
_BAND_DEFAULT = 10


def _keyed_hash_sql(column_sql: str, key: bytes) -> str:
    # HMAC-SHA-256 (RFC 2104) spelled out, so that no key ever stands in a file that the engine can read.
    if not key:
        raise ValueError("a keyed hash needs a key")
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner = bytes(byte ^ 0x36 for byte in block).hex()
    outer = bytes(byte ^ 0x5C for byte in block).hex()
    text = f"encode(CAST({column_sql} AS VARCHAR))"
    return f"sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || {text})))"


def mask_sql(mask: Mask, column_sql: str, key: bytes = b"") -> str:
    """Return the DuckDB expression of the masked value of ``column_sql`` (an already quoted expression). NULL stays NULL.

    Defaults as in parameters §8: phone 3 + 4 kept, ID card 6 + 4, name its first character, bank card its last 4,
    address to the district, mailbox first character and domain. ``band`` takes the width of a band as its parameter.
    ``key`` (at most 64 bytes) is needed for ``keyed_hash`` alone.
    """
    text = f"CAST({column_sql} AS VARCHAR)"

    def kept(first: int, last: int) -> str:
        stars = f"repeat('*', greatest(length({text}) - {first + last}, 0))"
        shown = f"left({text}, {first}) || {stars} || right({text}, {last})"
        return f"CASE WHEN length({text}) > {first + last} THEN {shown} ELSE repeat('*', length({text})) END"

    match mask.kind:
        case MaskKind.NAME:
            return f"left({text}, 1) || repeat('*', greatest(length({text}) - 1, 1))"
        case MaskKind.ID_CARD:
            return kept(6, 4)
        case MaskKind.PHONE:
            return kept(3, 4)
        case MaskKind.BANK_CARD:
            return kept(0, 4)
        case MaskKind.ADDRESS_DISTRICT:
            return (
                f"NULLIF(regexp_extract({text}, '^(?:[^省]{{1,8}}省)?(?:[^市]{{1,8}}市)?[^区县旗]{{1,8}}[区县旗]'), '')"
            )
        case MaskKind.MAILBOX:
            return f"CASE WHEN contains({text}, '@') THEN left({text}, 1) || '***@' || split_part({text}, '@', 2) END"
        case MaskKind.MONTH:
            return f"CAST(date_trunc('month', {column_sql}) AS DATE)"
        case MaskKind.BAND:
            width = int(mask.parameter or _BAND_DEFAULT)
            if width <= 0:
                raise ValueError("the width of a band is positive")
            return f"floor({column_sql} / {width}) * {width}"
        case MaskKind.KEYED_HASH:
            return _keyed_hash_sql(column_sql, key)

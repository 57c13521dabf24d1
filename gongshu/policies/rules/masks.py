"""Masks as data: for each kind the SQL that the engine runs, the types it fits, and its parameter. Pure."""

from dataclasses import dataclass

from gongshu.base.decisions import Kind, Reason, rule
from gongshu.policies.rules.keyed_hashes import hash_key, keyed_hashes
from gongshu.policies.rules.pseudonyms import cipher_key, pseudonyms
from gongshu.policies.rules.texts import Texts
from gongshu.policies.types import Mask, MaskKind

_BLOCK_BYTES = 64
_DATES = frozenset({"date", "timestamp"})
_NUMBERS = frozenset({"integer", "decimal"})
_TEXTS = frozenset({"text"})
_CODES = frozenset({"text", "integer"})
PSEUDONYM_CIPHERS = ("aes", "sm4")

MASK_UNFIT = rule(
    "mask-unfit", Kind.INVALID, zh="字段 {column} 不能使用脱敏方式“{mask}”（参数“{parameter}”）。",
    en="The mask {mask} with the parameter “{parameter}” does not fit the column {column}.",
    fix_zh="请改为：{expected}。", fix_en="Use instead: {expected}.", law="docs/explanation/column-uses.md",
)  # fmt: skip


@dataclass(frozen=True)
class MaskForm:
    """How one kind of mask is written.

    ``sql`` has the places ``{value}`` (the column), ``{text}`` (the column as text) and ``{parameter}``. ``fits`` names data
    types. ``parameters`` are the values that are allowed, the first one being the default; ``("1",)`` with ``is_number``
    stands for any positive whole number. ``keeps_type``: the masked value has the column's type; else it is text. Without
    ``sql`` the mask needs a key and is made by ``wear``, for whole columns at once.
    """

    sql: str
    fits: frozenset[str]
    parameters: tuple[str, ...] = ("",)
    is_number: bool = False
    keeps_type: bool = False


def _kept(first: int, last: int) -> str:
    hidden = f"repeat('*', length({{text}}) - {first + last})"
    shown = f"left({{text}}, {first}) || {hidden} || right({{text}}, {last})"
    return f"CASE WHEN length({{text}}) > {first + last} THEN {shown} ELSE repeat('*', length({{text}})) END"


MASKS: dict[MaskKind, MaskForm] = {
    MaskKind.NAME: MaskForm("left({text}, 1) || repeat('*', greatest(length({text}) - 1, 1))", _TEXTS),
    MaskKind.ID_CARD: MaskForm(_kept(6, 4), _CODES),
    MaskKind.PHONE: MaskForm(_kept(3, 4), _CODES),
    MaskKind.BANK_CARD: MaskForm(_kept(0, 4), _CODES),
    MaskKind.ADDRESS_DISTRICT: MaskForm(
        "NULLIF(regexp_extract({text}, '^(?:[^省]{{1,8}}省)?(?:[^市]{{1,8}}市)?[^区县旗]{{1,8}}[区县旗]'), '')", _TEXTS
    ),
    MaskKind.MAILBOX: MaskForm(
        "CASE WHEN contains({text}, '@') THEN left({text}, 1) || '***@' || split_part({text}, '@', 2) END", _TEXTS
    ),
    MaskKind.MONTH: MaskForm("CAST(date_trunc('month', {value}) AS DATE)", _DATES, keeps_type=True),
    MaskKind.BAND: MaskForm(
        "floor({value} / {parameter}) * {parameter}", _NUMBERS, ("10",), is_number=True, keeps_type=True
    ),
    MaskKind.KEYED_HASH: MaskForm("", frozenset()),
    MaskKind.PSEUDONYM: MaskForm("", _CODES, PSEUDONYM_CIPHERS),
}
"""Every mask. Defaults as in parameters §8: phone 3 + 4 kept, identity card 6 + 4, name its first character, bank card its
last 4, address to the district, mailbox first character and domain, a number to its band, a date to its month. ``keyed_hash`` is
AES-CMAC (see ``keyed_hashes``), ``pseudonym`` keeps the format (see ``pseudonyms``); an empty ``fits`` is every type."""


def parameter_of(mask: Mask) -> str:
    """Return the parameter of ``mask``, or the default of its kind."""
    return mask.parameter.strip() or MASKS[mask.kind].parameters[0]


def mask_fault(column: str, data_type: str, mask: Mask) -> Reason | None:
    """Return why ``mask`` cannot be worn by a column of ``data_type``; ``None`` when it can."""
    form, parameter = MASKS[mask.kind], parameter_of(mask)
    if form.is_number:
        is_good = parameter.isascii() and parameter.isdigit() and 0 < int(parameter) < 10**15
        expected = f"{mask.kind.value} 1 … 999999999999999"
    else:
        is_good = parameter in form.parameters
        expected = f"{mask.kind.value} {' | '.join(form.parameters)}".strip()
    if form.fits and data_type not in form.fits:
        is_good, expected = False, ", ".join(k.value for k, f in MASKS.items() if not f.fits or data_type in f.fits)
    if is_good:
        return None
    return MASK_UNFIT.because(column=column, mask=mask.kind.value, parameter=mask.parameter[:40], expected=expected)


def is_worn(mask: Mask) -> bool:
    """Whether the masked column is made by ``wear``, because it needs a key; else ``mask_sql`` writes it."""
    return not MASKS[mask.kind].sql


def mask_sql(mask: Mask, column_sql: str) -> str:
    """Return the DuckDB expression of the masked value of ``column_sql`` (an already quoted expression). NULL stays NULL.

    Raises ``ValueError`` for a mask that needs a key, and for a band that is not positive.
    """
    form, parameter = MASKS[mask.kind], parameter_of(mask)
    if is_worn(mask):
        raise ValueError("the mask needs a key")
    if form.is_number and int(parameter) <= 0:
        raise ValueError("the width of a band is positive")
    if not form.is_number and parameter not in form.parameters:
        raise ValueError("the mask has no such parameter")
    return form.sql.format(value=column_sql, text=f"CAST({column_sql} AS VARCHAR)", parameter=parameter)


def wear(mask: Mask, secret: bytes, texts: Texts) -> Texts:
    """Return the masked values of a column, given as texts. NULL stays NULL.

    Each kind and cipher has a key of its own, derived from ``secret``. Raises ``ValueError`` for a mask without key.
    """
    parameter = parameter_of(mask)
    if mask.kind is MaskKind.KEYED_HASH:
        return keyed_hashes(hash_key(secret), texts)
    if mask.kind is MaskKind.PSEUDONYM and parameter in PSEUDONYM_CIPHERS:
        return pseudonyms(parameter, cipher_key(secret, parameter), texts)
    raise ValueError("the mask needs no key, or has no such parameter")


def keyed_hash_sql(column_sql: str, key: bytes) -> str:
    """Return the DuckDB expression of HMAC-SHA-256 (RFC 2104) of ``column_sql`` as text, in 64 digits. NULL stays NULL.

    For keys and units of one job. It is spelled out so that no key stands in a file that the engine can read. ``key`` has
    1 … 64 bytes, or ``ValueError`` is raised.
    """
    if not 0 < len(key) <= _BLOCK_BYTES:
        raise ValueError("a keyed hash needs a key of at most 64 bytes")
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
    text = f"encode(CAST({column_sql} AS VARCHAR))"
    return f"sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || {text})))"

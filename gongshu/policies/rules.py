"""The algebra of column uses, masks as SQL, and the decision on one use under a contract. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.policies.types import (
    ColumnPolicy,
    Grade,
    Mask,
    MaskKind,
    ResourcePolicy,
    Thresholds,
    UsagePolicy,
    UsageRequest,
    Use,
)

Wider = tuple[tuple[str, frozenset[Use]], ...]
"""Columns with the uses that go beyond what is allowed; empty when nothing does."""

ALL_USES = frozenset(Use)
IMPLIED_BY_REVEAL = frozenset({Use.GROUP, Use.TOTAL, Use.RANK})
SEES_RAW_VALUE = frozenset({Use.JOIN, Use.COMPARE})
"""``join`` and ``compare`` see the raw value; every other use sees the masked one."""

DEFAULT_USES: dict[Grade, frozenset[Use]] = {
    Grade.DIRECT_IDENTIFIER: frozenset({Use.JOIN, Use.COMPARE}),
    Grade.SENSITIVE: frozenset({Use.TOTAL, Use.COMPARE}),
    Grade.QUASI_IDENTIFIER: frozenset({Use.GROUP, Use.FILTER, Use.TOTAL}),
    Grade.ORDINARY: frozenset({Use.GROUP, Use.FILTER, Use.TOTAL, Use.RANK}),
    Grade.OPEN: ALL_USES,
}


def closed(uses: frozenset[Use]) -> frozenset[Use]:
    """Return ``uses`` with what they imply: ``reveal`` implies ``group``, ``total`` and ``rank``, and nothing else."""
    return uses | IMPLIED_BY_REVEAL if Use.REVEAL in uses else uses


def default_uses(grade: Grade) -> frozenset[Use]:
    """Return the uses that a column of ``grade`` has unless the provider confirms others by name."""
    return DEFAULT_USES[grade]


def default_policy(grades: Mapping[str, Grade], unit: tuple[str, ...] = ()) -> ResourcePolicy:
    """Return the policy that follows from the grades alone, protecting ``unit``."""
    return ResourcePolicy(tuple(ColumnPolicy(name, default_uses(grade)) for name, grade in grades.items()), unit)


def combine(sets: Iterable[frozenset[Use]]) -> frozenset[Use]:
    """Return what is left when several columns meet in one expression: the stricter wins, so the intersection."""
    left = ALL_USES
    for uses in sets:
        left &= closed(uses)
    return left


def strictest(thresholds: Iterable[Thresholds]) -> Thresholds:
    """Return thresholds that satisfy each of ``thresholds`` (at least one)."""
    given = tuple(thresholds)
    return Thresholds(
        units_min=max(t.units_min for t in given),
        dominance_p_percent=max(t.dominance_p_percent for t in given),
        dominance_top_n=max(t.dominance_top_n for t in given),
        dominance_top_percent=min(t.dominance_top_percent for t in given),
    )


def _narrow_column(outer: ColumnPolicy, inner: ColumnPolicy) -> ColumnPolicy:
    uses = closed(outer.uses) & closed(inner.uses)
    if outer.mask is not None and inner.mask is not None and outer.mask != inner.mask:
        # Two masks do not compose into one: what either of them would show is then not shown at all.
        uses &= SEES_RAW_VALUE
    return ColumnPolicy(outer.column, uses, outer.mask or inner.mask)


def narrow(outer: ResourcePolicy, inner: ResourcePolicy) -> ResourcePolicy:
    """Return what ``outer`` and ``inner`` both allow. Never wider than either, in any respect.

    Uses are intersected, masks are kept, row filters must both hold, the privacy unit of ``outer`` stays.
    """
    columns = tuple(_narrow_column(column, inner.of(column.column)) for column in outer.columns)
    filters = tuple(dict.fromkeys(part for part in (outer.row_filter, inner.row_filter) if part))
    row_filter = filters[0] if len(filters) == 1 else " AND ".join(f"({part})" for part in filters)
    return ResourcePolicy(tuple(c for c in columns if c.uses), outer.unit, row_filter)


def excess(outer: ResourcePolicy, inner: ResourcePolicy) -> Wider:
    """Return the columns and uses that ``inner`` asks for and ``outer`` does not have. Empty: no wider."""
    beyond = ((c.column, closed(c.uses) - closed(outer.of(c.column).uses)) for c in inner.columns)
    return tuple((column, uses) for column, uses in beyond if uses)


def is_no_wider(outer: ResourcePolicy, inner: ResourcePolicy) -> bool:
    """Whether ``inner`` allows nothing that ``outer`` forbids: uses, masks, row filter and privacy unit."""
    if excess(outer, inner) or inner.unit != outer.unit:
        return False
    for column in inner.columns:
        mask = outer.of(column.column).mask
        if mask is not None and column.mask != mask and column.uses - SEES_RAW_VALUE:
            return False
    return outer.row_filter in {"", inner.row_filter} or f"({outer.row_filter})" in inner.row_filter


def wider_than_default(policy: ResourcePolicy, grades: Mapping[str, Grade]) -> Wider:
    """Return the uses that go beyond the default of each column's grade; the provider confirms each by name.

    A column without a grade has no default: every use of it is wider.
    """
    pairs = ((c.column, closed(c.uses), grades.get(c.column)) for c in policy.columns)
    beyond = ((name, uses - (closed(DEFAULT_USES[grade]) if grade else frozenset())) for name, uses, grade in pairs)
    return tuple((name, uses) for name, uses in beyond if uses)


# ---------------------------------------------------------------------------------------------------------- masks

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


# -------------------------------------------------------------------------------------------------- usage policies

PURPOSE_NOT_AGREED = rule(
    "purpose-not-agreed", Kind.FORBIDDEN, zh="用途“{purpose}”不在合约约定的用途之内。",
    en="The purpose {purpose} is not among those agreed in the contract.",
    fix_zh="约定的用途：{purposes}。", fix_en="Purposes agreed: {purposes}.", law="TC609-6-2025-14 (purpose)",
)  # fmt: skip
CONTRACT_NOT_YET = rule(
    "contract-not-yet", Kind.FORBIDDEN, zh="合约自 {start} 起生效，尚未开始。", en="The contract starts at {start}.",
    fix_zh="请在生效后调用。", fix_en="Call again once it has started.", law="TC609-6-2025-14 (time)",
)  # fmt: skip
CONTRACT_EXPIRED = rule(
    "contract-expired", Kind.FORBIDDEN, zh="合约已于 {end} 到期。", en="The contract expired at {end}.",
    fix_zh="请与运营机构续签。", fix_en="Renew it with the operator.", law="TC609-6-2025-14 (time)",
)  # fmt: skip
CALLS_USED_UP = rule(
    "calls-used-up", Kind.LIMIT_EXCEEDED, zh="合约约定的 {limit} 次调用已用完。",
    en="All {limit} calls of the contract are used up.",
    fix_zh="请与运营机构追加次数。", fix_en="Agree on more calls with the operator.", law="TC609-6-2025-14 (count)",
)  # fmt: skip
CALLS_USED_UP_TODAY = rule(
    "calls-used-up-today", Kind.LIMIT_EXCEEDED, zh="今日 {limit} 次调用已用完。", en="Today's {limit} calls are used up.",
    fix_zh="请于次日（北京时间）再调用。", fix_en="Call again tomorrow (China time).", law="TC609-6-2025-14 (count)",
)  # fmt: skip
TOO_MANY_PER_SECOND = rule(
    "too-many-per-second", Kind.LIMIT_EXCEEDED, zh="每秒最多 {limit} 次调用。", en="At most {limit} calls per second.",
    fix_zh="请降低频率后重试。", fix_en="Slow down and try again.", law="TC609-6-2025-14 (frequency)",
)  # fmt: skip


def decide_usage(policy: UsagePolicy, request: UsageRequest, now: datetime) -> Decision[UsageRequest]:
    """Permit one use under a contract. The counts in ``request`` are those before this use."""
    return decide(
        request,
        None
        if request.purpose in policy.purposes
        else PURPOSE_NOT_AGREED.because(purpose=request.purpose, purposes=", ".join(policy.purposes)),
        CONTRACT_NOT_YET.because(start=policy.period.start.isoformat()) if now < policy.period.start else None,
        CONTRACT_EXPIRED.because(end=policy.period.end.isoformat()) if now >= policy.period.end else None,
        CALLS_USED_UP.because(limit=policy.calls_max) if request.calls_so_far >= policy.calls_max else None,
        CALLS_USED_UP_TODAY.because(limit=policy.calls_per_day_max)
        if request.calls_today >= policy.calls_per_day_max
        else None,
        TOO_MANY_PER_SECOND.because(limit=policy.calls_per_second_max)
        if request.calls_this_second >= policy.calls_per_second_max
        else None,
    )

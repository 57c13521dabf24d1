"""The decision on one use under a contract. Pure."""

import re
from datetime import datetime
from ipaddress import ip_network

from gongshu.base.days import CHINA
from gongshu.base.decisions import Decision, Kind, Permitted, Reason, decide, rule
from gongshu.policies.types import Hours, UsagePolicy, UsageRequest

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


ADDRESS_NOT_AGREED = rule(
    "address-not-agreed", Kind.FORBIDDEN, zh="调用来源地址不在合约约定的网段内。",
    en="The call does not come from an address agreed in the contract.",
    fix_zh="请从约定的网段调用，或变更合约。",
    fix_en="Call from an agreed network, or change the contract.", law="TC609-6-2025-14 (network)",
)  # fmt: skip
CERTIFICATE_NOT_AGREED = rule(
    "certificate-not-agreed", Kind.FORBIDDEN, zh="客户端证书不是合约约定的证书。",
    en="The client certificate is not one agreed in the contract.",
    fix_zh="请使用登记的证书建立双向 TLS。", fix_en="Use a registered certificate for mutual TLS.",
)  # fmt: skip
OUTSIDE_HOURS = rule(
    "outside-hours", Kind.FORBIDDEN, zh="现在不在合约约定的时段内（{hours}）。",
    en="It is not within the hours agreed in the contract ({hours}).",
    fix_zh="请在约定的时段（北京时间）内调用。", fix_en="Call within the agreed hours (China time).", law="TC609-6-2025-14 (time)",
)  # fmt: skip
FIELDS_NOT_AGREED = rule(
    "fields-not-agreed", Kind.FORBIDDEN, zh="有 {count} 个字段不在合约约定之内。",
    en="{count} of the fields are not agreed in the contract.",
    fix_zh="请只使用：{fields}。", fix_en="Use only: {fields}.",
)  # fmt: skip
SIGNATURE_NEEDED = rule(
    "signature-needed", Kind.FORBIDDEN, zh="合约约定调用须签名。", en="The contract asks for signed calls.",
    fix_zh="请创建签名密钥并对请求签名。", fix_en="Create a signing key and sign the requests.",
)  # fmt: skip
MINUTES_PER_DAY = 1_440


def is_within_hours(hours: tuple[Hours, ...], now: datetime) -> bool:
    """Whether ``now`` lies in one of the parts of the day; none means always."""
    if not hours:
        return True
    local = now.astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    return any(part.start_minute <= minute < part.end_minute for part in hours)


def hours_text(hours: tuple[Hours, ...]) -> str:
    """Return parts of the day as ``08:00–18:00``."""
    shown = ((h.start_minute, h.end_minute) for h in hours)
    return ", ".join(f"{a // 60:02d}:{a % 60:02d}–{b // 60:02d}:{b % 60:02d}" for a, b in shown)


def usage_policy_fault(policy: UsagePolicy) -> str:
    """Return what is wrong with the networks, hours and fingerprints of ``policy``; empty when they can be enforced."""
    for text in policy.addresses:
        try:
            ip_network(text)
        except ValueError:
            return f"addresses: {text[:60]}"
    if any(not 0 <= h.start_minute < h.end_minute <= MINUTES_PER_DAY for h in policy.hours):
        return "hours"
    odd = [c for c in policy.certificates if not re.fullmatch("[0-9a-f]{64}", c)]
    return f"certificates: {odd[0][:60]}" if odd else ""


def count_reasons(policy: UsagePolicy, so_far: int, today: int) -> list[Reason]:
    """Return which counts are used up, of those before this use."""
    found = [CALLS_USED_UP.because(limit=policy.calls_max)] if so_far >= policy.calls_max else []
    if today >= policy.calls_per_day_max:
        found.append(CALLS_USED_UP_TODAY.because(limit=policy.calls_per_day_max))
    return found


def field_reason(policy: UsagePolicy, beyond: int) -> Reason | None:
    """Return the reason against ``beyond`` fields that are not agreed. Names that were sent are not repeated."""
    return FIELDS_NOT_AGREED.because(count=beyond, fields=", ".join(policy.fields)) if beyond else None


def is_plainly_permitted(policy: UsagePolicy, request: UsageRequest, now: datetime) -> bool:
    """Whether nothing speaks against a use: the quick way for nearly every call; else ask ``usage_reasons``."""
    period = policy.period
    return (
        request.purpose in policy.purposes
        and period.start <= now < period.end
        and request.calls_so_far < policy.calls_max
        and request.calls_today < policy.calls_per_day_max
        and request.calls_this_second < policy.calls_per_second_max
        and request.is_from_agreed
        and request.has_certificate
        and not request.fields_beyond
        and not policy.hours
        and (request.is_signed or not policy.is_signed_only)
    )


def usage_reasons(policy: UsagePolicy, request: UsageRequest, now: datetime) -> tuple[Reason | None, ...]:
    """Return every reason against a use, and ``None`` for what is right."""
    return (
        None
        if request.purpose in policy.purposes
        else PURPOSE_NOT_AGREED.because(purpose=request.purpose, purposes=", ".join(policy.purposes)),
        CONTRACT_NOT_YET.because(start=policy.period.start.isoformat()) if now < policy.period.start else None,
        CONTRACT_EXPIRED.because(end=policy.period.end.isoformat()) if now >= policy.period.end else None,
        *count_reasons(policy, request.calls_so_far, request.calls_today),
        None if request.is_from_agreed else ADDRESS_NOT_AGREED.because(),
        None if request.has_certificate else CERTIFICATE_NOT_AGREED.because(),
        None
        if not policy.hours or is_within_hours(policy.hours, now)
        else OUTSIDE_HOURS.because(hours=hours_text(policy.hours)),
        field_reason(policy, request.fields_beyond),
        SIGNATURE_NEEDED.because() if policy.is_signed_only and not request.is_signed else None,
        TOO_MANY_PER_SECOND.because(limit=policy.calls_per_second_max)
        if request.calls_this_second >= policy.calls_per_second_max
        else None,
    )


def decide_usage(policy: UsagePolicy, request: UsageRequest, now: datetime) -> Decision[UsageRequest]:
    """Permit one use under a contract. The counts in ``request`` are those before this use."""
    if is_plainly_permitted(policy, request, now):
        return Permitted(request)
    return decide(request, *usage_reasons(policy, request, now))

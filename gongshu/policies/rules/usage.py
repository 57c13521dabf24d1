"""The decision on one use under a contract. Pure."""

from datetime import datetime

from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.policies.types import UsagePolicy, UsageRequest

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

"""What the terms of an authorization must hold: term, price, a fit operator, a scope no wider than provided."""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from gongshu.access.types import Role
from gongshu.base.days import Period, add_years, local_day, start_of_day
from gongshu.base.decisions import Denied, Kind, Reason, rule
from gongshu.base.digest import Ref
from gongshu.base.money import tier_faults
from gongshu.grants.types import GrantTerms, PriceRule, ScopeFacts
from gongshu.parties.types import Party

DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")

TERM_TOO_LONG = rule(
    "term-too-long", Kind.INVALID, zh="授权期限至 {end}，超过 {years_max} 年。",
    en="The term ends on {end}: longer than {years_max} years.",
    fix_zh="最晚止于 {latest}。", fix_en="End it on {latest} at the latest.", law="27号 art.14(二)",
)  # fmt: skip
TERM_WRONG = rule(
    "term-wrong", Kind.INVALID, zh="授权期限的起止时间不正确：{what_zh}。", en="The term is wrong: {what_en}.",
    fix_zh="请填写带时区、先起后止、尚未结束的期限。", fix_en="Give a start before an end that has not passed, both with time zone.",
    law="27号 art.14(二)",
)  # fmt: skip
OPERATOR_UNFIT = rule(
    "operator-unfit", Kind.INVALID, zh="{operator} 不能作为运营机构：{why_zh}。", en="{operator} cannot be the operator: {why_en}.",
    fix_zh="请另选与实施机构、登记机构无关联的运营机构。",
    fix_en="Choose an operator that is not, and is not related to, the agency, and is no registrar.",
    law="27号 art.3, 12; 中办国办意见 (十一)",
)  # fmt: skip
SCOPE_EMPTY = rule(
    "scope-empty", Kind.INVALID, zh="授权范围为空。", en="The scope is empty.",
    fix_zh="请至少列入一项已登记的数据资源及其字段。", fix_en="Put at least one registered resource with columns into it.",
    law="27号 art.14(一)",
)  # fmt: skip
SCOPE_TWICE = rule(
    "scope-twice", Kind.INVALID, zh="数据资源 {resource} 或其字段在范围中重复列出。",
    en="The resource {resource}, or a column of it, stands in the scope twice.",
    fix_zh="请合并。", fix_en="Merge them.", law="27号 art.14(一)",
)  # fmt: skip
RESOURCE_NOT_REGISTERED = rule(
    "resource-not-registered", Kind.INVALID, zh="数据资源 {resource} 不能授权：{why_zh}。",
    en="The resource {resource} cannot be granted: {why_en}.",
    fix_zh="请先由供数单位确认分类分级、设置用途并完成登记赋码。",
    fix_en="First have its provider confirm grades and uses, and register it until it has a code.", law="26号 art.5; 27号 art.14(一)",
)  # fmt: skip
SCOPE_NOT_AS_REGISTERED = rule(
    "scope-not-as-registered", Kind.INVALID, zh="数据资源 {resource} 的 {field} 与登记不一致。",
    en="The {field} of the resource {resource} is not as registered.",
    fix_zh="请以登记为准：{registered}。", fix_en="As registered: {registered}.", law="26号 art.5",
)  # fmt: skip
COLUMN_UNKNOWN = rule(
    "scope-column-unknown", Kind.INVALID, zh="数据资源 {resource} 没有字段 {column}。",
    en="The resource {resource} has no column {column}.",
    fix_zh="请从范围中去掉该字段。", fix_en="Take it out of the scope.", law="27号 art.14(一)",
)  # fmt: skip
SCOPE_WIDER = rule(
    "scope-wider", Kind.INVALID, zh="字段 {column} 的用途 {uses} 超出供数单位允许的范围（{resource}）。",
    en="The uses {uses} of the column {column} go beyond what the provider of {resource} allows.",
    fix_zh="请去掉这些用途，或请供数单位先行放宽。", fix_en="Drop these uses, or ask the provider to allow them first.",
    law="27号 art.5, 14(一)",
)  # fmt: skip
SCOPE_LOOSENS_PROTECTION = rule(
    "scope-loosens-protection", Kind.INVALID, zh="数据资源 {resource} 的脱敏、行条件或隐私主体被放宽。",
    en="A mask, the row filter or the privacy unit of {resource} was dropped.",
    fix_zh="请保留供数单位设置的脱敏、行条件和隐私主体。", fix_en="Keep the provider's masks, row filter and privacy unit.",
    law="27号 art.14(八)",
)  # fmt: skip
PRICE_WRONG = rule(
    "price-wrong", Kind.INVALID, zh="价格和分配约定不正确：{what}。", en="The price rule is wrong: {what}.",
    fix_zh="请改正：上限不为负，分档连续，比例在 0 与 1 之间。",
    fix_en="Correct it: no negative ceiling, tiers without gap, shares between 0 and 1.", law="27号 art.14(七); 65号",
)  # fmt: skip


def in_utc(period: Period) -> Period:
    """Return the same period in UTC, so that one instant has one digest; a period without time zone stays as it is."""
    if period.start.tzinfo is None or period.end.tzinfo is None:
        return period
    return Period(period.start.astimezone(UTC), period.end.astimezone(UTC))


def latest_end(start: datetime, years_max: int) -> datetime:
    """Return the last instant (exclusive) of a term of ``years_max`` years from ``start``, counted in China's days."""
    day = local_day(start)
    return start_of_day(add_years(day, years_max)) + (start - start_of_day(day))


def term_faults(period: Period, years_max: int, now: datetime) -> list[Reason]:
    """Return what is wrong with a term: reversed, over, without time zone, or longer than allowed."""
    if period.start.tzinfo is None or period.end.tzinfo is None:
        return [TERM_WRONG.because(what_zh="缺少时区", what_en="it has no time zone")]
    if period.end <= period.start:
        return [TERM_WRONG.because(what_zh="止早于起", what_en="it ends before it starts")]
    if period.end <= now:
        return [TERM_WRONG.because(what_zh="已经结束", what_en="it is over")]
    latest = latest_end(period.start, years_max)
    if period.end <= latest:
        return []
    last_day, latest_day = local_day(period.end - timedelta(seconds=1)), local_day(latest - timedelta(seconds=1))
    return [TERM_TOO_LONG.because(end=last_day, years_max=years_max, latest=latest_day)]


def _is_share(text: str) -> bool:
    return bool(DECIMAL.fullmatch(text)) and 0 <= Fraction(text) <= 1


def price_faults(price: PriceRule) -> list[Reason]:
    """Return what is wrong with ceiling, split and treasury share (27号 art.14(七), 65号 §二)."""
    faults = []
    if price.ceiling_minor < 0:
        faults.append("the ceiling is negative")
    if not all(_is_share(tier.rate) for tier in price.split):
        faults.append("a rate of the split is not a decimal between 0 and 1")
    else:
        faults += tier_faults(price.split)
    if not _is_share(price.treasury_share):
        faults.append("the treasury's share is not a decimal between 0 and 1")
    return [PRICE_WRONG.because(what=fault) for fault in faults]


def operator_faults(operator: Party | None, terms: GrantTerms, *, is_related: bool) -> list[Reason]:
    """Management and operation are kept apart: not the agency, not related to it, no registrar (27号 art.3, 12)."""
    unfit = OPERATOR_UNFIT.because
    if operator is None:
        return [unfit(operator=terms.operator[:80], why_zh="没有入驻", why_en="it is not known here")]
    reasons = []
    if Role.OPERATOR not in operator.roles:
        reasons.append(unfit(operator=operator.id, why_zh="没有运营机构角色", why_en="it does not hold that role"))
    if operator.id == terms.agency:
        reasons.append(unfit(operator=operator.id, why_zh="它就是实施机构", why_en="it is the agency itself"))
    elif is_related:
        reasons.append(unfit(operator=operator.id, why_zh="与实施机构有关联", why_en="it is related to the agency"))
    if Role.REGISTRAR in operator.roles:
        reasons.append(unfit(operator=operator.id, why_zh="它是登记机构", why_en="it is a registrar"))
    return reasons


def scope_faults(terms: GrantTerms, facts: tuple[ScopeFacts, ...]) -> list[Reason]:
    """Return what is wrong with the scope: each resource registered, each column there, no use wider than provided."""
    reasons: list[Reason] = [] if terms.scope else [SCOPE_EMPTY.because()]
    seen: set[str] = set()
    for scope, known in zip(terms.scope, facts, strict=True):
        columns = [policy.column for policy in scope.policy.columns]
        if scope.resource in seen or len(set(columns)) < len(columns):
            reasons.append(SCOPE_TWICE.because(resource=scope.resource[:80]))
        seen.add(scope.resource)
        if known.offered is None:
            reasons += not_offered(scope.resource, known.missing).reasons
            continue
        fields = (
            ("registration", scope.registration, known.offered.registration),
            ("supplier", scope.supplier, known.offered.supplier),
            ("name", scope.name, known.offered.name),
        )
        reasons += [
            SCOPE_NOT_AS_REGISTERED.because(resource=scope.resource, field=name, registered=_shown(registered))
            for name, given, registered in fields
            if given != registered
        ]
        reasons += _column_faults(scope.resource, columns, known)
        if not any(policy.uses for policy in scope.policy.columns):
            reasons.append(SCOPE_EMPTY.because())
    return reasons


MISSING_TEXTS = {
    "unknown": ("没有该资源", "it is not known"),
    "uncoded": ("没有有效的登记编码", "it has no valid registration code"),
    "uses-unset": ("供数单位尚未设置字段用途", "its provider has not set the uses of its columns"),
}


def not_offered(resource: str, missing: str) -> Denied:
    """Return why nothing of a resource can be granted now."""
    why_zh, why_en = MISSING_TEXTS[missing]
    return Denied((RESOURCE_NOT_REGISTERED.because(resource=resource[:80], why_zh=why_zh, why_en=why_en),))


def _shown(value: Ref | str) -> str:
    return value.id if isinstance(value, Ref) else value


def _column_faults(resource: str, columns: list[str], known: ScopeFacts) -> list[Reason]:
    strangers = {column for column in columns if column not in known.columns}
    reasons = [COLUMN_UNKNOWN.because(resource=resource, column=column[:200]) for column in sorted(strangers)]
    reasons += [
        SCOPE_WIDER.because(resource=resource, column=column, uses=", ".join(sorted(uses)))
        for column, uses in known.wider
        if column not in strangers
    ]
    if known.loosens and not known.wider and not strangers:
        reasons.append(SCOPE_LOOSENS_PROTECTION.because(resource=resource))
    return reasons


def over(period: Period, now: datetime) -> list[Reason]:
    """Return a reason when the term has already ended."""
    return [TERM_WRONG.because(what_zh="已经结束", what_en="it is over")] if period.end <= now else []

"""Who may buy which pack. Pure."""

from datetime import date, datetime

from gongshu.base.days import local_day
from gongshu.base.decisions import Decision, Denied, Kind, decide, rule
from gongshu.billing.rules.statements import month_of
from gongshu.billing.types import PackUse
from gongshu.products.types import Contract, ContractStatus

PACK_UNKNOWN = rule(
    "pack-unknown", Kind.INVALID, zh="合约的价格中没有第 {number} 种预付包。", en="The contract's price has no pack number {number}.",
    fix_zh="可选：1 至 {count}。", fix_en="Choose one of 1 to {count}.",
)  # fmt: skip
PACK_CONTRACT_NOT_PERFORMED = rule(
    "pack-contract-not-performed", Kind.CONFLICT, zh="合约 {contract} 不在履行中，不能购买预付包。",
    en="The contract {contract} is not being performed; no pack can be bought.",
    fix_zh="请先完成签署或续签。", fix_en="Have it signed, or renew it.",
)  # fmt: skip


def months_later(day: date, months: int) -> date:
    """Return the first day of the month that begins ``months`` months after the month of ``day``."""
    first = day.replace(day=1)
    for _ in range(months):
        first = month_of(first)[1]
    return first


def decide_buy(contract: Contract, number: int, pack_id: str, now: datetime) -> Decision[PackUse]:
    """Sell a pack of the contract's price: it holds for the month of purchase and the ``months - 1`` after it."""
    packs = contract.terms.pricing.packs
    is_performed = contract.status is ContractStatus.PERFORMING and contract.terms.policy.period.holds(now)
    reasons = [
        None if 1 <= number <= len(packs) else PACK_UNKNOWN.because(number=number, count=len(packs)),
        None if is_performed else PACK_CONTRACT_NOT_PERFORMED.because(contract=contract.id),
    ]
    found = tuple(reason for reason in reasons if reason is not None)
    if found:
        return Denied(found)
    pack, day = packs[number - 1], local_day(now)
    made = PackUse(
        id=pack_id, contract=contract.id, consumer=contract.terms.consumer, operator=contract.terms.operator, units=pack.units,
        units_left=pack.units, price_minor=pack.price_minor, bought_on=day, ends_on=months_later(day, pack.months),
    )  # fmt: skip
    return decide(made)

"""What a month of calls costs, and who the income goes to. Pure; whole fen, sums exact.

Units are charged by marginal tiers, rounded once per statement. The income of a statement is split between the public
side and the operator by the agreement's marginal tiers, and the public side between treasury and suppliers.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Protocol

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period, local_day, start_of_day
from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId
from gongshu.base.money import Tier, share_by_weights, split_by_tiers
from gongshu.billing.rules.pricing import StageUnits, draw_packs, price_month, stage_bounds
from gongshu.billing.types import Adjustment, Charge, Income, MonthUsage, PackUse, Share, ShareKind, Statement, Totals
from gongshu.grants.types import PriceRule, ProductClass
from gongshu.metering.types import UsageCount
from gongshu.products.types import PLAIN, Contract, Pricing, ProductVersion


class Counted(Protocol):
    """A count of records in one span of time: how many, and whether they are charged."""

    @property
    def span(self) -> int:
        """The place of the span."""
        ...

    @property
    def is_charged(self) -> bool:
        """Whether the records are charged."""
        ...

    @property
    def records(self) -> int:
        """How many."""
        ...


CURRENCY = "CNY"
FREE = (Tier(None, "0"),)
TREASURY = PartyId("treasury")
"""The fiscal treasury of the authorising government (同级财政): no organisation of the directory."""

OVERSIGHT = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY})
"""Roles that see every statement."""

STATEMENT_NOT_OPERATOR = rule(
    "statement-not-operator", Kind.FORBIDDEN, zh="只有合约的运营机构 {operator} 可以出账。",
    en="Only the operator of the contract, {operator}, draws up its statements.",
    fix_zh="请由该运营机构办理。", fix_en="Ask that operator to do it.", law="65号 §二",
)  # fmt: skip
STATEMENT_NEVER_PERFORMED = rule(
    "statement-never-performed", Kind.CONFLICT, zh="合约 {contract} 从未履行，没有可计费的使用。",
    en="The contract {contract} was never performed; there is nothing to bill.",
    fix_zh="请在双方签署、产生调用之后出账。", fix_en="Draw it up once both have signed and calls were made.",
)  # fmt: skip
STATEMENT_TOO_EARLY = rule(
    "statement-too-early", Kind.INVALID, zh="{month} 尚未开始。", en="The month {month} has not begun.",
    fix_zh="请选择本月或以前的月份。", fix_en="Choose this month or an earlier one.",
)  # fmt: skip


STATEMENT_FINAL = rule(
    "statement-final", Kind.CONFLICT, zh="{month} 的账单已由用户确认，不能再更正。",
    en="The statement of {month} was confirmed by the consumer and is not corrected any more.",
    fix_zh="请以调整分录处理差额。", fix_en="Settle the difference by an adjusting entry.",
)  # fmt: skip


def month_of(day: date) -> tuple[date, date]:
    """Return the first day of the month of ``day`` and that of the next one (FOCUS: the end is exclusive)."""
    first = day.replace(day=1)
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def period_of(month: tuple[date, date]) -> Period:
    """Return the month as instants: legal days are days of China Standard Time."""
    return Period(start_of_day(month[0]), start_of_day(month[1]))


def bounds_of(contract: Contract, month: tuple[date, date]) -> tuple[tuple[date, int], ...]:
    """Return the stretches of a month by the stages of the contract's price: first day and percent of the rates."""
    return stage_bounds(contract.terms.pricing, *month)


def charge_of(
    contract: Contract, product: ProductVersion, month: tuple[date, date], usage: MonthUsage,
    packs: tuple[PackUse, ...] = (),
) -> Charge:  # fmt: skip
    """Return what the month's calls cost by the contract's price; nothing for the public class (65号 §一).

    ``packs`` are those of the contract as they were left by the months before.
    """
    is_free = product.product_class is ProductClass.PUBLIC
    tiers, pricing = (FREE, PLAIN) if is_free else (contract.terms.tiers, contract.terms.pricing)
    percents = tuple(percent for _, percent in stage_bounds(contract.terms.pricing, *month))
    spans = tuple(StageUnits(units, percent) for units, percent in zip(usage.charged, percents, strict=True))
    performed = is_performed_in(contract, month)
    _, uncovered = draw_packs(packs, month[0], unpaid_units(usage, pricing, is_performed=performed))
    lines, cost = price_month(
        spans, tiers, pricing, is_performed=performed,
        pack_units=unpaid_units(usage, pricing, is_performed=performed) - uncovered,
        bought=tuple(pack for pack in packs if month[0] <= pack.bought_on < month[1]),
    )  # fmt: skip
    return Charge(
        contract=contract.ref, contract_id=contract.id, product=contract.terms.product_id, segments=usage.segments,
        calls=usage.calls, charged_calls=sum(usage.charged), lines=lines, billed_cost_minor=cost,
    )  # fmt: skip


def usage_of(counts: Iterable[UsageCount]) -> MonthUsage:
    """Return the usage of a month of one stretch from counts by segment, however they are cut and ordered."""
    by_segment = sorted(counts, key=lambda count: count.segment.id)
    return MonthUsage(
        (sum(count.charged for count in by_segment),),
        sum(sum(count.by_result.values()) for count in by_segment), tuple(count.segment for count in by_segment),
    )  # fmt: skip


def usage_from(
    contract: Contract, month: tuple[date, date], days: Sequence[date], counts: Iterable[Counted], segments: tuple[Ref, ...]
) -> MonthUsage:  # fmt: skip
    """Return a contract's usage from counts over the spans between ``days``, which hold the stretches of its own price."""
    bounds = [day for day, _ in stage_bounds(contract.terms.pricing, *month)]
    charged, calls = [0] * len(bounds), 0
    for count in counts:
        place = sum(day <= days[count.span] for day in bounds) - 1
        charged[place] += count.records if count.is_charged else 0
        calls += count.records
    return MonthUsage(tuple(charged), calls, segments)


def unpaid_units(usage: MonthUsage, pricing: Pricing, *, is_performed: bool) -> int:
    """Return the charged calls of a month that its fee does not hold."""
    return max(0, sum(usage.charged) - (pricing.period_units if is_performed else 0))


def is_performed_in(contract: Contract, month: tuple[date, date]) -> bool:
    """Whether the contract was performed on any day of the month."""
    since, ended = contract.performing_since, contract.ended_at
    if since is None or local_day(since) >= month[1]:
        return False
    is_over = contract.terms.policy.period.end <= start_of_day(month[0])
    return not is_over and (ended is None or local_day(ended) >= month[0])


def left_before(
    packs: tuple[PackUse, ...], units_by_month: Mapping[date, int], month: date
) -> tuple[PackUse, ...]:  # fmt: skip
    """Return what the months before ``month`` left of ``packs``; ``units_by_month`` are their calls not held by a fee."""
    kept = packs
    for first in sorted(units_by_month):
        if first < month:
            kept, _ = draw_packs(kept, first, units_by_month[first])
    return kept


def shares_of(
    income_minor: int, price: PriceRule, suppliers: tuple[PartyId, ...], operator: PartyId
) -> tuple[Share, ...]:
    """Return who gets what of the income of one statement; the parts add up to it to the fen (27号 art.14(七)).

    The public side's part goes to the treasury by its share and to the suppliers in equal weights, with largest
    remainders, ties in the listed order.
    """
    public, own = split_by_tiers(income_minor, price.split)
    to_treasury = Fraction(price.treasury_share) if suppliers else Fraction(1)
    each = (1 - to_treasury) / len(suppliers) if suppliers else Fraction(0)
    *to_suppliers, treasury = share_by_weights(public, (*(each for _ in suppliers), to_treasury))
    return (
        *(Share(ShareKind.SUPPLIER, party, part) for party, part in zip(suppliers, to_suppliers, strict=True)),
        Share(ShareKind.TREASURY, TREASURY, treasury),
        Share(ShareKind.OPERATOR, operator, own),
    )


def decide_statement(
    statement: Statement, contract: Contract, party: PartyId, today: date, *, is_confirmed: bool = False
) -> Decision[Statement]:
    """The operator bills a contract that was performed, for a month that has begun.

    ``is_confirmed``: the consumer has confirmed the statement that this one would correct.
    """
    start = statement.charge_period_start
    return decide(
        statement,
        None if party == contract.terms.operator else STATEMENT_NOT_OPERATOR.because(operator=contract.terms.operator),
        None if contract.performing_since else STATEMENT_NEVER_PERFORMED.because(contract=contract.id),
        STATEMENT_TOO_EARLY.because(month=start.isoformat()[:7]) if start > today else None,
        STATEMENT_FINAL.because(month=start.isoformat()[:7]) if is_confirmed else None,
    )


def newest(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Return the statements that no other one corrects."""
    given = tuple(statements)
    corrected = {statement.corrects for statement in given}
    return tuple(statement for statement in given if statement.id not in corrected)


def sees(actor: Actor, statement: Statement) -> bool:
    """Whether ``actor`` may read the statement: both sides, whoever has a share, and those who oversee."""
    involved = {statement.consumer, statement.operator, *(share.party for share in statement.shares)}
    return actor.party in involved or bool(actor.roles & OVERSIGHT)


def is_side_or_oversight(actor: Actor, consumer: PartyId, operator: PartyId) -> bool:
    """Whether ``actor`` is one of both sides, or oversees."""
    return actor.party in {consumer, operator} or bool(actor.roles & OVERSIGHT)


def totals_of(statements: Iterable[Statement], adjustments: Iterable[Adjustment] = ()) -> Totals:
    """Return sums over ``statements``, of which none corrects another, and their adjusting entries; in their order."""
    given = tuple(statements)
    income: dict[tuple[str, str], list[int]] = {}
    shares: dict[tuple[ShareKind, PartyId], int] = {}
    for statement in given:
        charge = statement.charge
        sums = income.setdefault((charge.product, statement.consumer), [0, 0, 0])
        for place, part in enumerate((charge.calls, charge.charged_calls, charge.billed_cost_minor)):
            sums[place] += part
        for share in statement.shares:
            shares[share.kind, share.party] = shares.get((share.kind, share.party), 0) + share.amount_minor
    for entry in adjustments:
        income[entry.product, entry.consumer][2] += entry.amount_minor
        for share in entry.shares:
            shares[share.kind, share.party] = shares.get((share.kind, share.party), 0) + share.amount_minor
    rows = tuple(
        Income(
            statement.charge.product, statement.consumer, *income.pop((statement.charge.product, statement.consumer))
        )
        for statement in given
        if (statement.charge.product, statement.consumer) in income
    )
    return Totals(
        statements=len(given),
        calls=sum(row.calls for row in rows),
        charged_calls=sum(row.charged_calls for row in rows),
        billed_cost_minor=sum(row.billed_cost_minor for row in rows),
        income=rows,
        shares=tuple(Share(kind, party, amount) for (kind, party), amount in shares.items()),
    )

"""What a month of calls costs, and who the income goes to. Pure; whole fen, sums exact.

Units are charged by marginal tiers, rounded once per statement. The income of a statement is split between the public
side and the operator by the agreement's marginal tiers, and the public side between treasury and suppliers.
"""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period, start_of_day
from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.base.ids import PartyId
from gongshu.base.money import Tier, price_units_minor, share_by_weights, split_by_tiers, tier_parts
from gongshu.billing.types import Charge, ChargeLine, Income, Share, ShareKind, Statement, Totals
from gongshu.grants.types import PriceRule, ProductClass
from gongshu.metering.types import UsageCount
from gongshu.products.types import Contract, ProductVersion

CURRENCY = "CNY"
UNIT = "call"
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


def month_of(day: date) -> tuple[date, date]:
    """Return the first day of the month of ``day`` and that of the next one (FOCUS: the end is exclusive)."""
    first = day.replace(day=1)
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def period_of(month: tuple[date, date]) -> Period:
    """Return the month as instants: legal days are days of China Standard Time."""
    return Period(start_of_day(month[0]), start_of_day(month[1]))


def charge_of(contract: Contract, product: ProductVersion, counts: Iterable[UsageCount]) -> Charge:
    """Return what the month's calls cost: marginal tiers over its charged calls; nothing for the public class (65号 §一)."""
    by_segment = sorted(counts, key=lambda count: count.segment.id)
    tiers = FREE if product.product_class is ProductClass.PUBLIC else contract.terms.tiers
    charged = sum(count.charged for count in by_segment)
    return Charge(
        contract=contract.ref,
        contract_id=contract.id,
        product=contract.terms.product_id,
        segments=tuple(count.segment for count in by_segment),
        calls=sum(sum(count.by_result.values()) for count in by_segment),
        charged_calls=charged,
        lines=tuple(ChargeLine(units, UNIT, tier.rate) for units, tier in tier_parts(charged, tiers)),
        billed_cost_minor=price_units_minor(charged, tiers),
    )


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


def decide_statement(statement: Statement, contract: Contract, party: PartyId, today: date) -> Decision[Statement]:
    """The operator bills a contract that was performed, for a month that has begun."""
    start = statement.charge_period_start
    return decide(
        statement,
        None if party == contract.terms.operator else STATEMENT_NOT_OPERATOR.because(operator=contract.terms.operator),
        None if contract.performing_since else STATEMENT_NEVER_PERFORMED.because(contract=contract.id),
        STATEMENT_TOO_EARLY.because(month=start.isoformat()[:7]) if start > today else None,
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


def totals_of(statements: Iterable[Statement]) -> Totals:
    """Return sums over ``statements``, of which none corrects another; in the order in which they came."""
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

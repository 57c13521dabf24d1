"""Sealed usage becomes a monthly statement and a split; both can be worked out again from the same segments."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.days import start_of_day
from gongshu.base.decisions import NOT_FOUND, Decision, Permitted, Refused
from gongshu.base.ids import ContractId, ProductId, StatementId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.billing import store
from gongshu.billing.rules import statements as rules
from gongshu.billing.types import Adjustment, Charge, Income, MonthUsage, PackUse, Statement, Totals
from gongshu.metering import service as metering
from gongshu.metering.service import SpanCount
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductVersion
from gongshu.scenarios import service as scenarios


def create_statement(site: Site, actor: Actor, contract_id: ContractId, month: date) -> Statement:
    """Bill the month of ``month`` for a contract, from sealed segments alone, and split the income.

    Nothing new in the segments: the same statement again. Something new: another one, which corrects the first.
    """
    span = rules.month_of(month)
    with site.db.reading() as tx:
        contract = products.contract_in(tx, contract_id)
        packs = store.PACKS.all(tx, contract=contract_id)
    usage = usage_in_month(site, contract, span)
    packs = rules.left_before(packs, unpaid_before(site, contract, packs, span[0]), span[0])
    with site.db.transaction() as tx:
        decision = _bill_in(tx, site, actor, products.contract_in(tx, contract_id), span, usage, packs)
    return decision.value_or_raise()


def create_statements(site: Site, actor: Actor, month: date) -> tuple[Statement, ...]:
    """Bill the month of ``month`` for every contract of the actor's that was called or owes a fee in it.

    All records are counted in one pass of the engine over the collected segments; one transaction per contract, so that
    a run that was interrupted goes on where it was, and running it again gives the same statements.
    """
    access.require(actor, Permission.OPERATE_STATEMENT_CREATE)
    span = rules.month_of(month)
    with site.db.reading() as tx:
        contracts = {contract.id: contract for contract in products.contracts_of_in(tx, actor.party)}
        packs = {contract_id: store.PACKS.all(tx, contract=contract_id) for contract_id in contracts}
    days = sorted({day for contract in contracts.values() for day, _ in rules.bounds_of(contract, span)} | set(span))
    counted = metering.count_spans(site, tuple(start_of_day(day) for day in days))
    segments = metering.segments_by_contract(site, rules.period_of(span))
    by_contract: dict[str, list[SpanCount]] = {}
    for count in counted:
        by_contract.setdefault(count.contract, []).append(count)
    made = []
    for contract_id, contract in contracts.items():
        found = by_contract.get(contract_id, [])
        if not found and not (contract.terms.pricing.period_fee_minor and rules.is_performed_in(contract, span)):
            continue
        usage = rules.usage_from(contract, span, days, found, segments.get(contract_id, ()))
        left = rules.left_before(
            packs[contract_id], unpaid_before(site, contract, packs[contract_id], span[0]), span[0]
        )
        with site.db.transaction() as tx:
            made.append(_bill_in(tx, site, actor, contract, span, usage, left))
    return tuple(decision.value_or_raise() for decision in made)


def usage_in_month(site: Site, contract: Contract, span: tuple[date, date]) -> MonthUsage:
    """Return what a contract used in a month, each segment's file read and hashed again."""
    usage = rules.usage_of(metering.usage_of(site, contract.id, rules.period_of(span)))
    bounds = rules.bounds_of(contract, span)
    if len(bounds) == 1:
        return usage
    days = [*(day for day, _ in bounds), span[1]]
    counts = metering.count_spans(site, tuple(start_of_day(day) for day in days), contract.id)
    return replace(usage, charged=rules.usage_from(contract, span, days, counts, ()).charged)


def unpaid_before(site: Site, contract: Contract, packs: tuple[PackUse, ...], month: date) -> dict[date, int]:
    """Return, for each month from the first pack's to the one before ``month``, the calls that no fee held."""
    if not packs:
        return {}
    firsts, first = [], min(pack.bought_on for pack in packs).replace(day=1)
    while first <= month:
        firsts.append(first)
        first = rules.month_of(first)[1]
    counts = metering.count_spans(site, tuple(start_of_day(day) for day in firsts), contract.id) if firsts[1:] else ()
    used = dict.fromkeys(firsts[:-1], 0)
    for count in counts:
        used[firsts[count.span]] += count.records if count.is_charged else 0
    return {
        first: rules.unpaid_units(
            MonthUsage((units,), 0, ()), contract.terms.pricing,
            is_performed=rules.is_performed_in(contract, rules.month_of(first)),
        )
        for first, units in used.items()
    }  # fmt: skip


def _bill_in(  # noqa: PLR0917 - what a bill is made of
    tx: Transaction, site: Site, actor: Actor, contract: Contract, span: tuple[date, date], usage: MonthUsage,
    packs: tuple[PackUse, ...],
) -> Decision[Statement]:  # fmt: skip
    product = products.product_in(tx, contract.terms.product_id)
    charge = rules.charge_of(contract, product, span, usage, packs)
    earlier = rules.newest(store.STATEMENTS.all(tx, contract=contract.id, month=span[0].isoformat()))
    same = next((statement for statement in earlier if statement.charge == charge), None)
    drawn = same or _draw(tx, site, contract, product, charge, month=span, earlier=earlier)
    is_confirmed = same is None and any(store.CONFIRMATIONS.find(tx, s.id) is not None for s in earlier)
    decision = access.guard(
        actor,
        Permission.OPERATE_STATEMENT_CREATE,
        lambda: rules.decide_statement(drawn, contract, actor.party, site.today(), is_confirmed=is_confirmed),
    )
    audit.record(
        tx, site, actor=actor, action="statement.create", subject=drawn.ref, decision=decision,
        origins=(contract.ref, *charge.segments, *(pack.ref for pack in packs)),
        facts={
            "month": span[0].isoformat()[:7], "calls": str(charge.calls), "charged_calls": str(charge.charged_calls),
            "billed_cost_minor": str(charge.billed_cost_minor), "is_unchanged": str(same is not None).lower(),
            "corrects": drawn.corrects or "",
        },
    )  # fmt: skip
    if isinstance(decision, Permitted) and same is None:
        store.STATEMENTS.add(tx, drawn)
    return decision


def _draw(
    tx: Transaction, site: Site, contract: Contract, product: ProductVersion, charge: Charge,
    *, month: tuple[date, date], earlier: tuple[Statement, ...],
) -> Statement:  # fmt: skip
    entitlement = scenarios.entitlement_in(tx, product.entitlement)
    suppliers = tuple(dict.fromkeys(resource.supplier for resource in entitlement.resources))
    corrected = earlier[-1] if earlier else None
    owed_before = corrected.charge.billed_cost_minor if corrected else 0
    return Statement(
        id=StatementId(site.ids.make("statement")), consumer=contract.terms.consumer, operator=contract.terms.operator,
        charge_period_start=month[0], charge_period_end=month[1], charge=charge,
        shares=rules.shares_of(charge.billed_cost_minor, product.price, suppliers, contract.terms.operator),
        currency=rules.CURRENCY, created_at=site.now(), corrects=corrected.id if corrected else None,
        difference_minor=charge.billed_cost_minor - owed_before if corrected else 0,
    )  # fmt: skip


def get_statement(site: Site, actor: Actor, statement_id: StatementId) -> Statement:
    """Return a statement to both sides, to whoever has a share of it, and to those who oversee."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    with site.db.reading() as tx:
        statement = store.STATEMENTS.find(tx, statement_id)
    if statement is None or not rules.sees(actor, statement):
        raise Refused((NOT_FOUND.because(kind="statement", id=statement_id),))
    return statement


def list_statements(
    site: Site, actor: Actor, page: PageRequest = FIRST_PAGE, *, contract_id: ContractId | None = None
) -> Page[Statement]:
    """Return the statements that the actor may read, newest first; of one contract if one is named."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    filters: dict[str, Any] = {"contract": contract_id} if contract_id else {}
    with site.db.reading() as tx:
        return page_where(
            lambda ask: store.STATEMENTS.page(tx, ask, **filters), lambda found: rules.sees(actor, found), page
        )


def totals(site: Site, actor: Actor) -> Totals:
    """Return sums over the newest statements that the actor may read."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    with site.db.reading() as tx:
        found = tuple(s for s in rules.newest(store.STATEMENTS.all(tx)) if rules.sees(actor, s))
        return rules.totals_of(found, _adjustments_in(tx, found))


def income_in(tx: Transaction, product_ids: Collection[ProductId]) -> tuple[Income, ...]:
    """Return calls and fen of some products by consumer: for the lifeline of what they came from."""
    if not product_ids:
        return ()
    found = rules.newest(store.STATEMENTS.all(tx, product=tuple(product_ids)))
    return rules.totals_of(found, _adjustments_in(tx, found)).income


def _adjustments_in(tx: Transaction, found: tuple[Statement, ...]) -> tuple[Adjustment, ...]:
    return store.ADJUSTMENTS.all(tx, statement=tuple(statement.id for statement in found)) if found else ()

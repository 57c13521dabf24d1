"""Sealed usage becomes a monthly statement and a split; both can be worked out again from the same segments."""

from collections.abc import Collection
from datetime import date
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Permitted, Refused
from gongshu.base.ids import ContractId, ProductId, StatementId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.billing import rules, store
from gongshu.billing.types import Charge, Income, Statement, Totals
from gongshu.metering import service as metering
from gongshu.products import service as products
from gongshu.products.types import Contract, ProductVersion
from gongshu.scenarios import service as scenarios


def create_statement(site: Site, actor: Actor, contract_id: ContractId, month: date) -> Statement:
    """Bill the month of ``month`` for a contract, from sealed segments alone, and split the income.

    Nothing new in the segments: the same statement again. Something new: another one, which corrects the first.
    """
    first, end = rules.month_of(month)
    counts = metering.usage_of(site, contract_id, rules.period_of((first, end)))
    with site.db.transaction() as tx:
        contract = products.contract_in(tx, contract_id)
        product = products.product_in(tx, contract.terms.product_id)
        charge = rules.charge_of(contract, product, counts)
        earlier = rules.newest(store.STATEMENTS.all(tx, contract=contract_id, month=first.isoformat()))
        same = next((statement for statement in earlier if statement.charge == charge), None)
        drawn = same or _draw(tx, site, contract, product, charge, month=(first, end), earlier=earlier)
        decision = access.guard(
            actor,
            Permission.OPERATE_STATEMENT_CREATE,
            lambda: rules.decide_statement(drawn, contract, actor.party, site.today()),
        )
        audit.record(
            tx, site, actor=actor, action="statement.create", subject=drawn.ref, decision=decision,
            origins=(contract.ref, *charge.segments),
            facts={
                "month": first.isoformat()[:7], "calls": str(charge.calls), "charged_calls": str(charge.charged_calls),
                "billed_cost_minor": str(charge.billed_cost_minor), "is_unchanged": str(same is not None).lower(),
                "corrects": drawn.corrects or "",
            },
        )  # fmt: skip
        if isinstance(decision, Permitted) and same is None:
            store.STATEMENTS.add(tx, drawn)
    return decision.value_or_raise()


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
        found = rules.newest(store.STATEMENTS.all(tx))
    return rules.totals_of(statement for statement in found if rules.sees(actor, statement))


def income_in(tx: Transaction, product_ids: Collection[ProductId]) -> tuple[Income, ...]:
    """Return calls and fen of some products by consumer: for the lifeline of what they came from."""
    if not product_ids:
        return ()
    return rules.totals_of(rules.newest(store.STATEMENTS.all(tx, product=tuple(product_ids)))).income

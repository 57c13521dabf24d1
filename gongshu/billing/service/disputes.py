"""Confirming a statement, disputing it, and putting right what is owed by entries beside it."""

from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.ids import StatementId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.billing import store
from gongshu.billing.rules import disputes as rules
from gongshu.billing.rules import statements
from gongshu.billing.types import Adjustment, Confirmation, Dispute, DisputeStatus, Statement
from gongshu.metering import service as metering
from gongshu.products import service as products
from gongshu.scenarios import service as scenarios

ACTIONS = {DisputeStatus.ACCEPTED: "accept", DisputeStatus.REJECTED: "reject"}


def _unknown(kind: str, object_id: str) -> Denied:
    return Denied((NOT_FOUND.because(kind=kind, id=object_id[:80]),))


def _is_newest_in(tx: Transaction, statement: Statement) -> bool:
    same_month = store.STATEMENTS.all(
        tx, contract=statement.charge.contract_id, month=statement.charge_period_start.isoformat()
    )
    return statement.id in {found.id for found in statements.newest(same_month)}


def confirm_statement(site: Site, actor: Actor, statement_id: StatementId) -> Confirmation:
    """Agree with a statement as its consumer; from then on only adjusting entries change what is owed."""
    with site.db.transaction() as tx:
        statement = store.STATEMENTS.get(tx, statement_id)

        def decide() -> Decision[Confirmation]:
            if actor.party != statement.consumer:
                return _unknown("statement", statement_id)
            return rules.decide_confirm(
                statement, store.DISPUTES.all(tx, statement=statement_id), is_newest=_is_newest_in(tx, statement),
                before=store.CONFIRMATIONS.find(tx, statement_id), now=site.now(),
            )  # fmt: skip

        decision = access.guard(actor, Permission.CONSUME_STATEMENT_CONFIRM, decide)
        audit.record(tx, site, actor=actor, action="statement.confirm", subject=statement.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.CONFIRMATIONS.add(tx, decision.value)
    return decision.value_or_raise()


def raise_dispute(
    site: Site, actor: Actor, statement_id: StatementId, reason: str, positions: tuple[str, ...] = ()
) -> Dispute:
    """Object to a statement as its consumer: records by the call numbers of their receipts, or a text alone."""
    named = tuple(dict.fromkeys(position.strip() for position in positions if position.strip()))
    records = tuple(metering.find_record(site, position) for position in named[: rules.POSITIONS_MAX])
    with site.db.transaction() as tx:
        statement = store.STATEMENTS.get(tx, statement_id)
        wanted = Dispute(
            id=site.ids.make("dispute"), statement=statement.ref, statement_id=statement.id,
            contract=statement.charge.contract_id, consumer=statement.consumer, operator=statement.operator,
            reason=reason.strip(), positions=named, status=DisputeStatus.OPEN, raised_at=site.now(),
        )  # fmt: skip

        def decide() -> Decision[Dispute]:
            if actor.party != statement.consumer:
                return _unknown("statement", statement_id)
            return rules.decide_raise(
                wanted, statement, records, is_newest=_is_newest_in(tx, statement),
                confirmation=store.CONFIRMATIONS.find(tx, statement_id),
            )  # fmt: skip

        decision = access.guard(actor, Permission.CONSUME_DISPUTE_RAISE, decide)
        subject = wanted.ref if isinstance(decision, Permitted) else statement.ref
        audit.record(
            tx, site, actor=actor, action="dispute.raise", subject=subject, decision=decision,
            origins=(statement.ref,), facts={"positions": str(len(named))},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.DISPUTES.add(tx, wanted)
    return decision.value_or_raise()


def withdraw_dispute(site: Site, actor: Actor, dispute_id: str) -> Dispute:
    """Take an objection back, as the consumer."""
    with site.db.transaction() as tx:
        dispute = store.DISPUTES.get(tx, dispute_id)

        def decide() -> Decision[Dispute]:
            if actor.party != dispute.consumer:
                return _unknown("dispute", dispute_id)
            return rules.decide_dispute_step(dispute, "withdraw", "", site.now())

        decision = access.guard(actor, Permission.CONSUME_DISPUTE_RAISE, decide)
        audit.record(
            tx, site, actor=actor, action="dispute.withdraw", subject=dispute.ref, decision=decision,
            origins=(dispute.statement,),
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.DISPUTES.save(tx, dispute, decision.value)
    return decision.value_or_raise()


def decide_dispute(  # noqa: PLR0917 - an answer with its amount
    site: Site, actor: Actor, dispute_id: str, outcome: DisputeStatus, answer: str, amount_minor: int = 0
) -> tuple[Dispute, Adjustment | None]:  # fmt: skip
    """Accept (with an adjusting entry of ``amount_minor`` fen, negative in the consumer's favour) or reject, as the operator."""
    with site.db.transaction() as tx:
        dispute = store.DISPUTES.get(tx, dispute_id)
        statement = store.STATEMENTS.get(tx, dispute.statement_id)
        made: list[Adjustment] = []

        def decide() -> Decision[Dispute]:
            if actor.party != dispute.operator:
                return _unknown("dispute", dispute_id)
            step = rules.decide_dispute_step(dispute, ACTIONS.get(outcome, ""), answer.strip(), site.now())
            if isinstance(step, Denied) or outcome is not DisputeStatus.ACCEPTED or not amount_minor:
                return step
            entry = _adjustment_in(tx, site, statement, amount_minor, answer.strip(), dispute.ref)
            if isinstance(entry, Denied):
                return entry
            made.append(entry.value)
            return step

        decision = access.guard(actor, Permission.OPERATE_STATEMENT_ADJUST, decide)
        audit.record(
            tx, site, actor=actor, action="dispute.decide", subject=dispute.ref, decision=decision,
            origins=(dispute.statement,), facts={"outcome": outcome.value, "amount_minor": str(amount_minor)},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.DISPUTES.save(tx, dispute, decision.value)
            for entry in made:
                _record_adjustment_in(tx, site, actor, entry, Permitted(entry))
    return decision.value_or_raise(), made[0] if made else None


def adjust(site: Site, actor: Actor, statement_id: StatementId, amount_minor: int, reason: str) -> Adjustment:
    """Put right what is owed of a statement by an entry beside it, as the operator."""
    with site.db.transaction() as tx:
        statement = store.STATEMENTS.get(tx, statement_id)

        def decide() -> Decision[Adjustment]:
            if actor.party != statement.operator:
                return _unknown("statement", statement_id)
            return _adjustment_in(tx, site, statement, amount_minor, reason.strip(), None)

        decision = access.guard(actor, Permission.OPERATE_STATEMENT_ADJUST, decide)
        _record_adjustment_in(tx, site, actor, statement, decision)
    return decision.value_or_raise()


def _adjustment_in(  # noqa: PLR0917 - what an entry is made of
    tx: Transaction, site: Site, statement: Statement, amount_minor: int, reason: str, dispute: Ref | None
) -> Decision[Adjustment]:
    product = products.product_in(tx, statement.charge.product)
    entitlement = scenarios.entitlement_in(tx, product.entitlement)
    suppliers = tuple(dict.fromkeys(resource.supplier for resource in entitlement.resources))
    wanted = Adjustment(
        id=site.ids.make("adjustment"), statement=statement.ref, statement_id=statement.id,
        contract=statement.charge.contract_id, product=product.id, consumer=statement.consumer,
        operator=statement.operator, month=statement.charge_period_start, amount_minor=amount_minor, reason=reason,
        shares=(), created_at=site.now(), dispute=dispute,
    )  # fmt: skip
    before = store.ADJUSTMENTS.all(tx, statement=statement.id)
    return rules.decide_adjust(
        statement, wanted, before, product.price, suppliers, is_newest=_is_newest_in(tx, statement)
    )


def _record_adjustment_in(
    tx: Transaction, site: Site, actor: Actor, about: Adjustment | Statement, decision: Decision[Adjustment]
) -> None:
    entry = decision.value if isinstance(decision, Permitted) else None
    origins = (entry.statement, *((entry.dispute,) if entry.dispute else ())) if entry else ()
    audit.record(
        tx, site, actor=actor, action="statement.adjust", subject=entry.ref if entry else about.ref, decision=decision,
        origins=origins, facts={"amount_minor": str(entry.amount_minor)} if entry else None,
    )  # fmt: skip
    if entry is not None:
        store.ADJUSTMENTS.add(tx, entry)


def list_disputes(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE, *, statement_id: str = "") -> Page[Dispute]:
    """Return the disputes that the actor may read, newest first."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    filters: dict[str, Any] = {"statement": statement_id} if statement_id else {}
    with site.db.reading() as tx:
        return page_where(
            lambda ask: store.DISPUTES.page(tx, ask, **filters),
            lambda found: statements.is_side_or_oversight(actor, found.consumer, found.operator), page,
        )  # fmt: skip


def list_adjustments(
    site: Site, actor: Actor, statement_id: StatementId, page: PageRequest = FIRST_PAGE
) -> Page[Adjustment]:  # fmt: skip
    """Return the adjusting entries of a statement that the actor may read, newest first."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    with site.db.reading() as tx:
        statement = store.STATEMENTS.find(tx, statement_id)
        if statement is None or not statements.sees(actor, statement):
            raise Refused((NOT_FOUND.because(kind="statement", id=statement_id),))
        return store.ADJUSTMENTS.page(tx, page, statement=statement_id)


def confirmation_of(site: Site, actor: Actor, statement_id: StatementId) -> Confirmation | None:
    """Return the consumer's confirmation of a statement that the actor may read, if there is one."""
    access.require(actor, Permission.READ_BILLING_VIEW)
    with site.db.reading() as tx:
        statement = store.STATEMENTS.find(tx, statement_id)
        if statement is None or not statements.sees(actor, statement):
            raise Refused((NOT_FOUND.because(kind="statement", id=statement_id),))
        return store.CONFIRMATIONS.find(tx, statement_id)

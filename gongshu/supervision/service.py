"""What supervisors and the implementing agency ask across rooms: lifelines, unusual use, the end of a grant."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.audit.types import Trace
from gongshu.base.decisions import Decision, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.ids import GrantId, PartyId, ProductId
from gongshu.base.paging import PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.billing import service as billing
from gongshu.compute import service as compute
from gongshu.delivery import service as delivery
from gongshu.egress import service as egress
from gongshu.grants import service as grants
from gongshu.grants.types import Disposal, ExitRecord
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED, ResultCode
from gongshu.parties import service as parties
from gongshu.products import service as products
from gongshu.scenarios import service as scenarios
from gongshu.supervision import rules
from gongshu.supervision.types import Direction, Lifeline, UnusualContract

ID_CHARS_MAX = 80


def end_grant(site: Site, actor: Actor, grant_id: GrantId, reason: str) -> ExitRecord:
    """End a grant: from this second everything under it stops, in one transaction (27号 art.14(九)(十二)).

    Keys, contracts, listings, products, outputs, jobs and entitlements are stopped and listed for disposal; then the
    gateways get a snapshot in which nothing of it is served. Either all of it happens, or a refusal is recorded.
    """
    with site.db.transaction() as tx:
        ended = _end_in(tx, site, actor, grant_id, reason)
    record = ended.value_or_raise()
    # Also when this process dies here: the worker publishes whenever the content has changed.
    delivery.publish_snapshot(site)
    return record


def _end_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> Decision[ExitRecord]:
    decision = grants.decide_end_in(tx, site, actor, grant_id, reason)
    if isinstance(decision, Denied):
        known = grants.find_grant_in(tx, grant_id)
        subject = known.ref if known else Ref("grant", grant_id[:ID_CHARS_MAX], "")
        audit.record(tx, site, actor=actor, action="grant.end", subject=subject, decision=decision)
        return decision
    disposals = _stop_under_in(tx, site, actor, grant_id, reason)
    _, record = grants.end_in(tx, site, actor, grant_id, reason, disposals)
    return Permitted(record)


def _stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """Stop every object under a grant, from the consumer's side inwards."""
    return tuple(
        disposal
        for room in (delivery, products, egress, compute, scenarios)
        for disposal in room.stop_under_in(tx, site, actor, grant_id, reason)
    )


# ------------------------------------------------------------------------------------------------------------- calls


def list_unusual(site: Site, actor: Actor, month: date, page: PageRequest) -> Page[UnusualContract]:
    """Return contracts under which unusually many calls of the month of ``month`` found no record, by id.

    From the counts of collected segments. An operator sees its own contracts, supervision all of them.
    """
    sees_all = access.may(actor, Permission.AUDIT_TRACE_READ)
    if not sees_all:
        access.require(actor, Permission.OPERATE_CONTRACT_SIGN)
    calls_min = site.parameters.number("supervision.no_record.calls_min", site.today())
    percent_min = site.parameters.number("supervision.no_record.percent_min", site.today())
    name = month.isoformat()[:7]
    found = []
    with site.db.reading() as tx:
        for contract_id, results in sorted(metering.results_in(tx, name).items()):
            answered = sum(number for result, number in results.items() if result in ANSWERED)
            no_record = results.get(ResultCode.NO_RECORD, 0)
            if contract_id <= page.after or not rules.is_unusual(
                answered, no_record, calls_min=calls_min, percent_min=percent_min
            ):
                continue
            terms = products.contract_in(tx, contract_id).terms
            if sees_all or terms.operator == actor.party:
                found.append(UnusualContract(contract_id, terms.consumer, name, answered, no_record))
    limit = max(1, min(page.limit, PAGE_ROWS_MAX))
    shown = tuple(found[:limit])
    return Page(shown, next_after=shown[-1].contract if len(found) > limit else "")


# ------------------------------------------------------------------------------------------------------- lifelines


def _names_in(tx: Transaction, ids: Iterable[str]) -> dict[str, str]:
    found = {party_id: parties.find_party_in(tx, PartyId(party_id)) for party_id in sorted(set(ids))}
    return {party_id: party.name for party_id, party in found.items() if party is not None}


def _party_ids(trace: Trace) -> set[str]:
    return {step.entry.party for step in trace.steps}


def lifeline_back(site: Site, actor: Actor, kind: str, object_id: str) -> Lifeline:
    """Return everything an object came from, each step with the person, the organisation and the article."""
    access.require(actor, Permission.AUDIT_TRACE_READ)
    trace = audit.trace_back(site, kind, object_id)
    with site.db.reading() as tx:
        names = _names_in(tx, _party_ids(trace))
    return rules.lifeline_of(trace, Direction.BACK, names)


def lifeline_forward(site: Site, actor: Actor, kind: str, object_id: str) -> Lifeline:
    """Return everything that came of an object, and the calls and fen of each product and consumer that it reached."""
    access.require(actor, Permission.AUDIT_TRACE_READ)
    trace = audit.trace_forward(site, kind, object_id)
    reached = {ProductId(step.ref.id) for step in trace.steps if step.ref.kind == "product"}
    with site.db.reading() as tx:
        names = _names_in(tx, _party_ids(trace))
        income = billing.income_in(tx, sorted(reached))
    return rules.lifeline_of(trace, Direction.FORWARD, names, income)


def lifeline_of_call(site: Site, actor: Actor, position: str) -> Lifeline:
    """Return a call, named by the position in its receipt, back to the manifest of the data that it rests on.

    The usage record is read from its segment; the segment's sealing and the contract are found in the log.
    """
    access.require(actor, Permission.AUDIT_TRACE_READ)
    record = metering.find_record(site, position)
    if record is None:
        raise Refused((rules.CALL_UNKNOWN.because(position=position[:ID_CHARS_MAX]),))
    contract = audit.trace_back(site, "contract", record.contract)
    segment = metering.segment_of(site, position)
    sealing = audit.trace_back(site, "segment", segment.id) if segment else None
    trace = rules.call_trace(record, contract, sealing)
    with site.db.reading() as tx:
        consumer = products.contract_in(tx, record.contract).terms.consumer
        names = _names_in(tx, {*_party_ids(trace), consumer})
    lifeline = rules.lifeline_of(trace, Direction.BACK, names)
    call = rules.call_node(record, names.get(consumer, consumer))
    return replace(lifeline, nodes=(call, *(replace(node, depth=node.depth + 1) for node in lifeline.nodes)))

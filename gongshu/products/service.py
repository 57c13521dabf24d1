"""Released outputs become products; products are listed, ordered and contracted; all of it stops with the grant."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission, Role
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Decision, Denied, Permitted, Refused, decide
from gongshu.base.digest import Ref, sha256_hex
from gongshu.base.ids import (
    ContractId,
    EntitlementId,
    GrantId,
    JobId,
    ListingId,
    OrderId,
    PartyId,
    ProductId,
    ReleaseId,
)
from gongshu.base.money import Tier
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Site, Transaction
from gongshu.compute import service as compute
from gongshu.compute.types import Job
from gongshu.egress import service as egress
from gongshu.egress.types import Release
from gongshu.grants import service as grants
from gongshu.grants.types import Disposal, DisposalKind
from gongshu.parties import service as parties
from gongshu.policies.types import UsagePolicy
from gongshu.products import rules, store
from gongshu.products.types import (
    NO_DEFINITION,
    PLAIN,
    Contract,
    ContractStatus,
    ContractTerms,
    Definition,
    Listing,
    ListingStatus,
    Order,
    OrderStatus,
    Pricing,
    ProductKind,
    ProductStatus,
    ProductVersion,
    Standing,
)
from gongshu.scenarios import service as scenarios

SERIAL_CHARS = 8
DESTROY_ARTIFACT = "销毁产品文件及各网关的副本，提交销毁证明"
SETTLE_CONTRACT = "通知双方，结清费用；使用方销毁所得数据并提交证明"
OVERSIGHT = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY})
"""Roles that see every order and contract; all others see their own organisation's."""


def _standing_in(tx: Transaction, product: ProductVersion, now: datetime) -> Standing:
    entitlement = scenarios.entitlement_in(tx, product.entitlement)
    faults = grants.in_force_in(tx, product.grant, now).reasons
    return Standing(product, entitlement, grants.grant_in(tx, product.grant), faults, now)


# ------------------------------------------------------------------------------------------------------- products


def define_product(
    site: Site, actor: Actor, *, release_id: ReleaseId, title: str, summary: str, purpose: str = "",
    kind: ProductKind | None = None, definition: Definition = NO_DEFINITION,
) -> ProductVersion:  # fmt: skip
    """Make a product of a release. Class, price rule and grant come from the job and its entitlement (27号 art.14).

    ``purpose`` may repeat the approved one; another one is refused. ``kind`` is chosen among those that the job and its
    files permit; without a choice it is the usual one. What a verification or a look-up answers comes from the job; of
    other kinds ``definition`` says it.
    """
    now, completed = site.now(), _complete(site, actor, release_id, kind, definition)
    with site.db.transaction() as tx:
        release = egress.release_in(tx, release_id)
        job = compute.job_in(tx, JobId(release.job.id))
        entitlement = scenarios.entitlement_in(tx, EntitlementId(release.entitlement.id))
        chosen = _kind_of(job, release, kind)
        given = completed.value if isinstance(completed, Permitted) else definition
        artifact = rules.artifact_of(release.files, chosen)
        product = ProductVersion(
            id=ProductId(site.ids.make("product")), release=release.ref, release_id=release.id,
            entitlement=entitlement.id, grant=GrantId(entitlement.grant.id), operator=entitlement.operator,
            kind=chosen, title=title.strip(), summary=summary.strip(),
            product_class=entitlement.product_class, purpose=purpose or entitlement.purpose, price=entitlement.price,
            artifact_sha256=artifact.sha256 if artifact else "", artifact_name=artifact.name if artifact else "",
            definition=rules.definition_of(job.plan, chosen, given), status=ProductStatus.ACTIVE, created_at=now,
        )  # fmt: skip
        decision = access.guard(
            actor,
            Permission.OPERATE_PRODUCT_WRITE,
            lambda: rules.decide_define(_standing_in(tx, product, site.now()), actor.party, job.plan.kind),
        )
        if isinstance(decision, Permitted) and isinstance(completed, Denied):
            decision = completed
        audit.record(
            tx, site, actor=actor, action="product.define", subject=product.ref, decision=decision,
            origins=(release.ref, entitlement.ref), facts={"kind": product.kind, "class": product.product_class},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.PRODUCTS.add(tx, product)
    return decision.value_or_raise()


def _kind_of(job: Job, release: Release, kind: ProductKind | None) -> ProductKind:
    return kind or next(iter(rules.kinds_of(job.plan.kind, release.files)), rules.KINDS_OF_JOB[job.plan.kind][0])


def _complete(
    site: Site, actor: Actor, release_id: ReleaseId, kind: ProductKind | None, definition: Definition
) -> Decision[Definition]:
    """Look at a definition beside the released file, before the transaction: that may take seconds.

    Nothing is looked at for those who may not make products of it anyway.
    """
    with site.db.reading() as tx:
        release = egress.release_in(tx, release_id)
        job = compute.job_in(tx, JobId(release.job.id))
        operator = scenarios.entitlement_in(tx, EntitlementId(release.entitlement.id)).operator
    chosen = _kind_of(job, release, kind)
    artifact = rules.artifact_of(release.files, chosen)
    if artifact is None or actor.party != operator or not access.may(actor, Permission.OPERATE_PRODUCT_WRITE):
        return Permitted(definition)
    given = rules.definition_of(job.plan, chosen, definition)
    path = egress.release_folder(site, release) / artifact.name
    if given.query is not None:
        query = compute.complete_query(path, given.query)
        return query if isinstance(query, Denied) else Permitted(Definition(query=query.value))
    if given.series is not None:
        series = compute.complete_series(path, given.series)
        return series if isinstance(series, Denied) else Permitted(Definition(series=series.value))
    if given.model is not None:
        model = compute.complete_model(path, given.model)
        return model if isinstance(model, Denied) else Permitted(Definition(model=model.value))
    if given.report is not None:
        report = egress.complete_report(path, given.report)
        return report if isinstance(report, Denied) else Permitted(Definition(report=report.value))
    return Permitted(given)


def kinds_of_release(site: Site, actor: Actor, release_id: ReleaseId) -> tuple[ProductKind, ...]:
    """Return the kinds that a release can become, the usual one first."""
    release = egress.get_release(site, actor, release_id)
    with site.db.reading() as tx:
        return rules.kinds_of(compute.job_in(tx, JobId(release.job.id)).plan.kind, release.files)


def product_in(tx: Transaction, product_id: ProductId) -> ProductVersion:
    """Return a product; refused with ``not-found`` when there is none."""
    return store.PRODUCTS.get(tx, product_id)


def products_in(tx: Transaction) -> tuple[ProductVersion, ...]:
    """Return every product that calls can be made to: all that are active."""
    return store.PRODUCTS.all(tx, status=ProductStatus.ACTIVE.value)


def _sees_all(actor: Actor) -> bool:
    return bool(actor.roles & OVERSIGHT)


def get_product(site: Site, actor: Actor, product_id: ProductId) -> ProductVersion:
    """Return a product: to its operator and supervisors always, to everybody else once it has been listed."""
    access.require(actor, Permission.READ_LISTING_VIEW)
    with site.db.reading() as tx:
        product = store.PRODUCTS.get(tx, product_id)
        is_known = store.LISTINGS.count(tx, product=product_id) > 0
    if not (is_known or _sees_all(actor) or actor.party == product.operator):
        raise Refused((NOT_FOUND.because(kind="product", id=product_id),))
    return product


def list_products(site: Site, actor: Actor, page: PageRequest) -> Page[ProductVersion]:
    """Return products, newest first: all of them for supervisors, its own for an operator."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        if _sees_all(actor):
            return store.PRODUCTS.page(tx, page)
        return store.PRODUCTS.page(tx, page, operator=actor.party)


# ------------------------------------------------------------------------------------------------------- listings


def list_product(
    site: Site, actor: Actor, product_id: ProductId, *, tiers: tuple[Tier, ...], charges_no_record: bool,
    pricing: Pricing = PLAIN,
) -> Listing:  # fmt: skip
    """Put a product on the market at ``tiers`` of yuan per charged call, and what the price has besides (65号 §一, §二)."""
    now = site.now()
    with site.db.transaction() as tx:
        product = store.PRODUCTS.get(tx, product_id)
        standing = _standing_in(tx, product, site.now())
        listing = Listing(
            id=ListingId(site.ids.make("listing")), product=product.ref, product_id=product.id,
            operator=product.operator, title=product.title, product_class=product.product_class, tiers=tiers,
            charges_no_record=charges_no_record, status=ListingStatus.LISTED, listed_at=now, summary=product.summary,
            purpose=product.purpose, pricing=pricing,
        )  # fmt: skip
        others = store.LISTINGS.all(tx, product=product_id)
        decision = access.guard(
            actor,
            Permission.OPERATE_LISTING_WRITE,
            lambda: rules.decide_list(listing, standing, others, actor.party),
        )
        audit.record(
            tx, site, actor=actor, action="product.list", subject=listing.ref, decision=decision,
            origins=(product.ref,), facts={"tiers": "; ".join(f"{t.up_to or '∞'}: {t.rate[:20]}" for t in tiers)},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.LISTINGS.add(tx, listing)
    return decision.value_or_raise()


def delist(site: Site, actor: Actor, listing_id: ListingId, reason: str = "") -> Listing:
    """Take a listing off the market: no new orders; contracts that run end as agreed."""
    with site.db.transaction() as tx:
        listing = store.LISTINGS.get(tx, listing_id)
        decision = access.guard(
            actor, Permission.OPERATE_LISTING_WRITE, lambda: rules.decide_delist(listing, actor.party)
        )
        audit.record(tx, site, actor=actor, action="listing.delist", subject=listing.ref, decision=decision)
        if isinstance(decision, Permitted):
            decision = decide(replace(decision.value, delisted_reason=reason.strip()))
            store.LISTINGS.save(tx, listing, decision.value_or_raise())
    return decision.value_or_raise()


def get_listing(site: Site, actor: Actor, listing_id: ListingId) -> Listing:
    """Return a listing. The market is open to everybody (65号 §五)."""
    access.require(actor, Permission.READ_LISTING_VIEW)
    with site.db.reading() as tx:
        return store.LISTINGS.get(tx, listing_id)


def list_listings(site: Site, actor: Actor, page: PageRequest, *, listed_only: bool = True) -> Page[Listing]:
    """Return what is on the market, newest first; with ``listed_only=False`` also what was."""
    access.require(actor, Permission.READ_LISTING_VIEW)
    with site.db.reading() as tx:
        if listed_only:
            return store.LISTINGS.page(tx, page, status=ListingStatus.LISTED.value)
        return store.LISTINGS.page(tx, page)


# --------------------------------------------------------------------------------------------------------- orders


def place_order(site: Site, actor: Actor, listing_id: ListingId, policy: UsagePolicy) -> Order:
    """Ask for a listed product under a proposed usage policy, which may not go beyond product and authorization."""
    now = site.now()
    with site.db.transaction() as tx:
        listing = store.LISTINGS.get(tx, listing_id)
        product = store.PRODUCTS.get(tx, listing.product_id)
        standing = _standing_in(tx, product, site.now())
        order = Order(
            id=OrderId(site.ids.make("order")), listing=listing.ref, listing_id=listing.id, consumer=actor.party,
            placed_by=actor.person, policy=policy, status=OrderStatus.PLACED, placed_at=now,
            operator=listing.operator,
        )  # fmt: skip
        decision = access.guard(
            actor,
            Permission.CONSUME_ORDER_PLACE,
            lambda: rules.decide_order(order, listing, standing),
        )
        audit.record(
            tx, site, actor=actor, action="order.place", subject=order.ref, decision=decision, origins=(listing.ref,),
            facts={"calls_max": str(policy.calls_max), "purposes": ", ".join(policy.purposes)},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.ORDERS.add(tx, order)
    return decision.value_or_raise()


def _own_side(actor: Actor) -> dict[str, Any]:
    """Return the filter that leaves what the actor's organisation is a side of; empty for supervisors."""
    if _sees_all(actor):
        return {}
    return {"operator": actor.party} if Role.OPERATOR in actor.roles else {"consumer": actor.party}


def get_order(site: Site, actor: Actor, order_id: OrderId) -> Order:
    """Return an order to its two sides and to supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        order = store.ORDERS.get(tx, order_id)
    if not (_sees_all(actor) or actor.party in {order.consumer, order.operator}):
        raise Refused((NOT_FOUND.because(kind="order", id=order_id),))
    return order


def list_orders(site: Site, actor: Actor, page: PageRequest) -> Page[Order]:
    """Return the orders that the actor's organisation is a side of, newest first; all of them for supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        return store.ORDERS.page(tx, page, **_own_side(actor))


# ------------------------------------------------------------------------------------------------------ contracts


def draw_up_contract(site: Site, actor: Actor, order_id: OrderId) -> Contract:
    """Put an order into the form that both sides sign, with its 47-character code (T-14 annex B)."""
    now = site.now()
    with site.db.transaction() as tx:
        order = store.ORDERS.get(tx, order_id)
        listing = store.LISTINGS.get(tx, order.listing_id)
        product = store.PRODUCTS.get(tx, listing.product_id)
        standing = _standing_in(tx, product, site.now())
        operator = parties.party_in(tx, product.operator)
        contract_id = ContractId(site.ids.make("contract"))
        code = rules.contract_code(
            type_character=site.parameters.text("contract.code.type", site.today()),
            credit_code=operator.credit_code,
            region=operator.region[:4] if operator.region[:4].isdigit() else operator.credit_code[2:6],
            drawn_up_at=now,
            serial=sha256_hex(contract_id.encode())[:SERIAL_CHARS],
        )
        terms = ContractTerms(
            order=order.ref, product=product.ref, product_id=product.id, grant=product.grant,
            operator=product.operator, consumer=order.consumer, tiers=listing.tiers,
            charges_no_record=listing.charges_no_record, policy=order.policy, pricing=listing.pricing,
        )  # fmt: skip
        contract = Contract(contract_id, code, terms, ContractStatus.NEGOTIATING, now)
        decision = access.guard(
            actor,
            Permission.OPERATE_CONTRACT_SIGN,
            lambda: rules.decide_draw_up(contract, order, standing, actor.party),
        )
        audit.record(
            tx, site, actor=actor, action="contract.draw_up", subject=contract.ref, decision=decision,
            origins=(order.ref, product.ref), facts={"code": code},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.CONTRACTS.add(tx, contract)
            store.ORDERS.save(tx, order, replace(order, status=OrderStatus.CONTRACTED))
    return decision.value_or_raise()


def _guard_side(actor: Actor, contract: Contract, decision: Decision[Contract]) -> Decision[Contract]:
    """Let each side act with its own permission; to everybody else the contract does not exist."""
    if actor.party not in {contract.terms.operator, contract.terms.consumer}:
        return Denied((NOT_FOUND.because(kind="contract", id=contract.id),))
    is_operator = actor.party == contract.terms.operator
    needed = Permission.OPERATE_CONTRACT_SIGN if is_operator else Permission.CONSUME_CONTRACT_SIGN
    return access.guard(actor, needed, lambda: decision)


def sign_contract(site: Site, actor: Actor, contract_id: ContractId) -> Contract:
    """Sign for the actor's side: the operator first, then the consumer; after both the contract is performed."""
    with site.db.transaction() as tx:
        contract = store.CONTRACTS.get(tx, contract_id)
        product = store.PRODUCTS.get(tx, contract.terms.product_id)
        standing = _standing_in(tx, product, site.now())
        decision = _guard_side(
            actor,
            contract,
            rules.decide_sign(contract, standing, actor.party, actor.person),
        )
        audit.record(
            tx, site, actor=actor, action="contract.sign", subject=contract.ref, decision=decision,
            facts={"side": "operator" if actor.party == contract.terms.operator else "consumer"},
        )  # fmt: skip
        if isinstance(decision, Permitted):
            store.CONTRACTS.save(tx, contract, decision.value)
    return decision.value_or_raise()


def terminate_contract(site: Site, actor: Actor, contract_id: ContractId, reason: str) -> Contract:
    """End a contract early; the other side reads the reason. Calls are refused from the gateway's next snapshot on."""
    now = site.now()
    with site.db.transaction() as tx:
        contract = store.CONTRACTS.get(tx, contract_id)
        decision = _guard_side(actor, contract, rules.decide_terminate(contract, reason, now))
        audit.record(tx, site, actor=actor, action="contract.terminate", subject=contract.ref, decision=decision)
        if isinstance(decision, Permitted):
            store.CONTRACTS.save(tx, contract, decision.value)
    return decision.value_or_raise()


def contract_in(tx: Transaction, contract_id: ContractId) -> Contract:
    """Return a contract; refused with ``not-found`` when there is none."""
    return store.CONTRACTS.get(tx, contract_id)


def contracts_in(tx: Transaction) -> tuple[Contract, ...]:
    """Return every contract that was ever performed: those that still are, and those that ended since.

    The gateway needs both, to tell a caller that the contract ended rather than that there is none.
    """
    found = store.CONTRACTS.all(tx, status=(ContractStatus.PERFORMING.value, ContractStatus.TERMINATED.value))
    return tuple(contract for contract in found if contract.performing_since is not None)


def contracts_of_in(tx: Transaction, operator: PartyId) -> tuple[Contract, ...]:
    """Return the operator's contracts that are or were performed, oldest first."""
    return tuple(contract for contract in contracts_in(tx) if contract.terms.operator == operator)


def tables_of_in(tx: Transaction, operator: PartyId | None) -> tuple[ProductVersion, ...]:
    """Return every data package that was ever defined, of one operator or (``None``) of all; also those that were stopped."""
    own = {} if operator is None else {"operator": operator}
    return tuple(product for product in store.PRODUCTS.all(tx, **own) if product.kind is ProductKind.TABLE)


def buyers_of_in(tx: Transaction, product_id: ProductId) -> tuple[ContractId, ...]:
    """Return the contracts under which a product was or is delivered."""
    return tuple(contract.id for contract in contracts_in(tx) if contract.terms.product_id == product_id)


def servable_in(tx: Transaction, site: Site, contract: Contract) -> Decision[Contract]:
    """Whether calls under ``contract`` are served now: contract, product, entitlement and grant are all asked."""
    return decide_serve(contract, standings_in(tx, site)(contract))


def standings_in(tx: Transaction, site: Site) -> Callable[[Contract], Standing]:
    """Return what says of a contract what it rests on now; each product is looked at once. For looking at many contracts."""
    now = site.now()
    known: dict[ProductId, Standing] = {}

    def of(contract: Contract) -> Standing:
        product_id = contract.terms.product_id
        if product_id not in known:
            known[product_id] = _standing_in(tx, store.PRODUCTS.get(tx, product_id), now)
        return known[product_id]

    return of


def decide_serve(contract: Contract, standing: Standing) -> Decision[Contract]:
    """Whether calls under ``contract`` are served while it rests on ``standing``."""
    return rules.decide_serve(contract, standing)


def get_contract(site: Site, actor: Actor, contract_id: ContractId) -> Contract:
    """Return a contract to its two sides and to supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        contract = store.CONTRACTS.get(tx, contract_id)
    if not (_sees_all(actor) or actor.party in {contract.terms.operator, contract.terms.consumer}):
        raise Refused((NOT_FOUND.because(kind="contract", id=contract_id),))
    return contract


def list_contracts(site: Site, actor: Actor, page: PageRequest) -> Page[Contract]:
    """Return the contracts that the actor's organisation is a side of, newest first; all of them for supervisors."""
    access.require(actor, Permission.READ_CONTRACT_VIEW)
    with site.db.reading() as tx:
        return store.CONTRACTS.page(tx, page, **_own_side(actor))


# ----------------------------------------------------------------------------------------------------------- stop


def stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """Stop every product under a grant with its listings, orders and contracts; part of the end of the grant."""
    now = site.now()
    disposals: list[Disposal] = []

    def record(action: str, subject: Ref) -> None:
        facts = {"grant": str(grant_id)}
        audit.record(tx, site, actor=actor, action=action, subject=subject, decision=decide(subject), facts=facts)

    for product in store.PRODUCTS.all(tx, grant=grant_id, status=ProductStatus.ACTIVE.value):
        store.PRODUCTS.save(tx, product, replace(product, status=ProductStatus.STOPPED))
        record("product.stop", product.ref)
        disposals.append(Disposal(DisposalKind.ARTIFACT, product.ref, DESTROY_ARTIFACT))
        for listing in store.LISTINGS.all(tx, product=product.id):
            for order in store.ORDERS.all(tx, listing=listing.id, status=OrderStatus.PLACED.value):
                store.ORDERS.save(tx, order, replace(order, status=OrderStatus.DECLINED))
                record("order.stop", order.ref)
            if listing.status is ListingStatus.LISTED:
                off = replace(listing, status=ListingStatus.DELISTED, delisted_reason=reason)
                store.LISTINGS.save(tx, listing, off)
                record("listing.stop", listing.ref)
    for contract in store.CONTRACTS.all(tx, grant=grant_id):
        if (contract.status, "stop") in rules.CONTRACT_TRANSITIONS:
            ended = replace(contract, status=ContractStatus.TERMINATED, ended_at=now, end_reason=reason)
            store.CONTRACTS.save(tx, contract, ended)
            record("contract.stop", contract.ref)
            disposals.append(Disposal(DisposalKind.CONTRACT, contract.ref, SETTLE_CONTRACT))
    return tuple(disposals)

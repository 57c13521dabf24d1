"""Who may make, list, order and sign what, and for how much. Pure.

Nothing here widens what the entitlement and its grant permit: the class, the purpose, the period and the ceiling of
the price are taken from there, never from the caller.
"""

import re
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from gongshu.base.days import CHINA
from gongshu.base.decisions import Decision, Denied, Kind, Reason, decide, decide_step, rule
from gongshu.base.identifiers import mod_37_check_character
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.money import Tier, tier_faults
from gongshu.compute.types import JobKind, JobPlan, ModelDefinition, OutputFile
from gongshu.grants.types import ProductClass
from gongshu.policies import service as policies
from gongshu.policies.types import UsagePolicy
from gongshu.products.types import (
    Contract,
    ContractStatus,
    Definition,
    Listing,
    ListingStatus,
    Order,
    OrderStatus,
    PriceStage,
    Pricing,
    ProductKind,
    ProductStatus,
    ProductVersion,
    Standing,
)

OF_TABLES = (ProductKind.TABLE, ProductKind.QUERY, ProductKind.REPORT, ProductKind.INDEX)
KINDS_OF_JOB: dict[JobKind, tuple[ProductKind, ...]] = {
    JobKind.VERIFICATION: (ProductKind.VERIFY,),
    JobKind.LOOKUP: (ProductKind.LOOKUP,),
    JobKind.SQL: OF_TABLES,
    JobKind.JOINT: OF_TABLES,
    JobKind.PYTHON: (*OF_TABLES, ProductKind.MODEL),
}
"""What the operator may choose among, by what the job made. Without a choice it is the first that has a file."""

DEFINED_KINDS = frozenset({ProductKind.QUERY, ProductKind.INDEX, ProductKind.REPORT})
"""Kinds whose definition the operator writes when the product is made."""

TABLES = (".parquet", ".csv")
ARTIFACTS_OF_KIND: dict[ProductKind, tuple[str, ...]] = {
    ProductKind.VERIFY: (".lmdb", ".mdb"),
    ProductKind.LOOKUP: (".lmdb",),
    ProductKind.MODEL: (".onnx",),
    **dict.fromkeys(OF_TABLES, TABLES),
}
"""What a product of each kind is served from, best first; definitions and reports beside it are not artifacts."""

LISTING_TRANSITIONS: dict[tuple[ListingStatus, str], tuple[ListingStatus, str]] = {
    (ListingStatus.LISTED, "delist"): (ListingStatus.DELISTED, "operator"),
    (ListingStatus.LISTED, "stop"): (ListingStatus.DELISTED, "implementing_agency"),
}
PRODUCT_TRANSITIONS: dict[tuple[ProductStatus, str], tuple[ProductStatus, str]] = {
    (ProductStatus.ACTIVE, "stop"): (ProductStatus.STOPPED, "implementing_agency"),
}
ORDER_TRANSITIONS: dict[tuple[OrderStatus, str], tuple[OrderStatus, str]] = {
    (OrderStatus.PLACED, "draw_up"): (OrderStatus.CONTRACTED, "operator"),
    (OrderStatus.PLACED, "stop"): (OrderStatus.DECLINED, "implementing_agency"),
}
CONTRACT_TRANSITIONS: dict[tuple[ContractStatus, str], tuple[ContractStatus, str]] = {
    (ContractStatus.NEGOTIATING, "sign_as_operator"): (ContractStatus.SIGNED_BY_OPERATOR, "operator"),
    (ContractStatus.SIGNED_BY_OPERATOR, "sign_as_consumer"): (ContractStatus.PERFORMING, "consumer"),
    (ContractStatus.NEGOTIATING, "terminate"): (ContractStatus.TERMINATED, "operator, consumer"),
    (ContractStatus.SIGNED_BY_OPERATOR, "terminate"): (ContractStatus.TERMINATED, "operator, consumer"),
    (ContractStatus.PERFORMING, "terminate"): (ContractStatus.TERMINATED, "operator, consumer"),
    (ContractStatus.NEGOTIATING, "stop"): (ContractStatus.TERMINATED, "implementing_agency"),
    (ContractStatus.SIGNED_BY_OPERATOR, "stop"): (ContractStatus.TERMINATED, "implementing_agency"),
    (ContractStatus.PERFORMING, "stop"): (ContractStatus.TERMINATED, "implementing_agency"),
}

PRODUCT_NOT_YOURS = rule(
    "product-not-yours", Kind.FORBIDDEN, zh="只有本次授权的运营机构可以办理，您代表的是 {party}。",
    en="Only the operator of this authorization may do this; you act for {party}.",
    fix_zh="请由运营机构 {operator} 办理。", fix_en="Ask the operator {operator} to do it.", law="27号 art.14",
)  # fmt: skip
PRODUCT_ENTITLEMENT_ENDED = rule(
    "product-entitlement-ended", Kind.CONFLICT, zh="使用资格 {entitlement} 已不在有效期内。",
    en="The entitlement {entitlement} is not in force.",
    fix_zh="请重新申请场景，获批后用新的出域结果定义产品。",
    fix_en="Apply for the scenario again and define a product from a new release.", law="27号 art.14",
)  # fmt: skip
PRODUCT_GRANT_ENDED = rule(
    "product-grant-ended", Kind.CONFLICT, zh="产品所依据的授权 {grant} 已终止或不在有效期内。",
    en="The grant {grant} that the product rests on has ended or is not in force.",
    fix_zh="请与实施机构签订新的授权运营协议。", fix_en="Conclude a new agreement with the implementing agency.",
    law="27号 art.14",
)  # fmt: skip
PRODUCT_TITLE_MISSING = rule(
    "product-title-missing", Kind.INVALID, zh="产品名称或说明为空。", en="The product has no title or no summary.",
    fix_zh="请填写产品名称和产品说明。", fix_en="Give the product a title and a summary.", law="NDI-TR-2025-06",
)  # fmt: skip
PRODUCT_PURPOSE_OUTSIDE = rule(
    "product-purpose-outside", Kind.FORBIDDEN, zh="用途“{purpose}”超出场景获批的用途“{permitted}”。",
    en="The purpose {purpose} is beyond the one approved for the scenario, {permitted}.",
    fix_zh="请使用获批的用途；新用途需另行申请场景。",
    fix_en="Use the approved purpose; another one needs its own scenario.", law="27号 art.6",
)  # fmt: skip
PRODUCT_ARTIFACT_MISSING = rule(
    "product-artifact-missing", Kind.CONFLICT, zh="出域结果中没有可交付的文件。",
    en="The release holds no file that can be delivered.",
    fix_zh="请检查作业的输出文件，重新出域。", fix_en="Check what the job wrote and release it again.",
)  # fmt: skip
PRODUCT_KIND_OUTSIDE = rule(
    "product-kind-outside", Kind.CONFLICT, zh="该出域结果不能作为“{kind}”类产品交付。",
    en="This release cannot be delivered as a product of the kind {kind}.",
    fix_zh="可选：{permitted}。", fix_en="Choose one of: {permitted}.",
)  # fmt: skip
PRODUCT_DEFINITION_MISSING = rule(
    "product-definition-missing", Kind.INVALID, zh="“{kind}”类产品须说明它答复什么。",
    en="A product of the kind {kind} must say what it answers.",
    fix_zh="查询须有语句，指数须指明时期和数值列，报告须有章节。",
    fix_en="A query has a statement, an index names the columns of period and value, a report has sections.",
)  # fmt: skip
PRODUCT_STOPPED = rule(
    "product-stopped", Kind.CONFLICT, zh="产品 {product} 已停止。", en="The product {product} has been stopped.",
    fix_zh="请选择其他产品。", fix_en="Choose another product.", law="27号 art.14",
)  # fmt: skip
LISTING_EXISTS = rule(
    "listing-exists", Kind.CONFLICT, zh="产品 {product} 已以 {listing} 上架，同一版本对所有用户同价。",
    en="The product {product} is listed already as {listing}; one version has one price for everybody.",
    fix_zh="请先下架原挂牌。", fix_en="Delist that one first.", law="27号 art.3, 6",
)  # fmt: skip
LISTING_TIERS_INVALID = rule(
    "listing-tiers-invalid", Kind.INVALID, zh="价格阶梯有误：{fault}。", en="The price tiers are wrong: {fault}.",
    fix_zh="阶梯应从 0 起首尾相接，最后一档不设上限，单价为不超过六位小数的非负数。",
    fix_en="Tiers start at 0 without gap or overlap, the last has no bound, rates are decimals of at most six places.",
)  # fmt: skip
LISTING_ABOVE_CEILING = rule(
    "listing-above-ceiling", Kind.FORBIDDEN, zh="单价 {rate} 元高于上限收费标准 {ceiling} 元。",
    en="The price of {rate} yuan is above the ceiling of {ceiling} yuan.",
    fix_zh="请将每一档单价降到上限以内。", fix_en="Lower every tier to the ceiling or below.", law="65号 §二",
)  # fmt: skip
LISTING_PUBLIC_CHARGES = rule(
    "listing-public-charges", Kind.FORBIDDEN, zh="公共治理、公益事业类产品不得收费，却定价 {rate} 元。",
    en="A product for public governance or public welfare is free; it was priced at {rate} yuan.",
    fix_zh="请将价格设为 0。", fix_en="Set the price to 0.", law="65号 §一",
)  # fmt: skip
LISTING_PRICING_INVALID = rule(
    "listing-pricing-invalid", Kind.INVALID, zh="定价方式有误：{fault}。", en="The pricing is wrong: {fault}.",
    fix_zh="阶段按日期先后、折扣在 0 至 100 之间；包月须含调用量；预付包、包月与封顶均为正数。",
    fix_en="Stages rise in time with 0 to 100 percent; a monthly fee holds calls; packs, fees and caps are positive.",
)  # fmt: skip
LISTING_UNIT_ABOVE_CEILING = rule(
    "listing-unit-above-ceiling", Kind.FORBIDDEN, zh="{kind}折合单价 {rate} 元，高于上限收费标准 {ceiling} 元。",
    en="The {kind} comes to {rate} yuan per call, above the ceiling of {ceiling} yuan.",
    fix_zh="请降低价格或增加所含调用量。", fix_en="Lower the price or let it hold more calls.", law="65号 §二",
)  # fmt: skip
LISTING_OFF_MARKET = rule(
    "listing-off-market", Kind.CONFLICT, zh="挂牌 {listing} 已下架。", en="The listing {listing} is off the market.",
    fix_zh="请选择在架的产品。", fix_en="Choose a product that is listed.",
)  # fmt: skip
ORDER_PURPOSE_OUTSIDE = rule(
    "order-purpose-outside", Kind.FORBIDDEN, zh="用途“{purpose}”不在产品用途“{permitted}”之内。",
    en="The purpose {purpose} is not within the product's purpose {permitted}.",
    fix_zh="请只填写产品的用途。", fix_en="Order for the product's own purpose only.", law="27号 art.6",
)  # fmt: skip
ORDER_PURPOSE_MISSING = rule(
    "order-purpose-missing", Kind.INVALID, zh="没有填写用途。", en="No purpose is given.",
    fix_zh="请填写用途：{permitted}。", fix_en="State the purpose: {permitted}.", law="TC609-6-2025-14 annex C",
)  # fmt: skip
ORDER_PERIOD_INVALID = rule(
    "order-period-invalid", Kind.INVALID, zh="合约期限有误：{start} 至 {end}。",
    en="The period from {start} to {end} is not a period that is still to come.",
    fix_zh="结束时间应晚于开始时间和当前时间。", fix_en="Let it end after its start and after the present.",
)  # fmt: skip
ORDER_PERIOD_OUTSIDE = rule(
    "order-period-outside", Kind.FORBIDDEN, zh="合约期限超出授权期限（{start} 至 {end}）。",
    en="The period reaches beyond that of the authorization ({start} to {end}).",
    fix_zh="请将期限改到授权期限之内。", fix_en="Shorten it to lie within that period.", law="27号 art.14(二)",
)  # fmt: skip
ORDER_LIMIT_INVALID = rule(
    "order-limit-invalid", Kind.INVALID, zh="限量 {limit} 必须为 1 至一万亿之间的整数，现为 {value}。",
    en="The limit {limit} must be a whole number from 1 to a trillion; it is {value}.",
    fix_zh="请填写该范围内的数。", fix_en="Give a number in that range.", law="TC609-6-2025-14 (count, frequency)",
)  # fmt: skip
ORDER_FROM_SELF = rule(
    "order-from-self", Kind.CONFLICT, zh="运营机构不能订购自己的产品。", en="An operator cannot order its own product.",
    fix_zh="请由使用方下单。", fix_en="Let a consumer place the order.",
)  # fmt: skip
CONTRACT_NOT_YOUR_TURN = rule(
    "contract-not-your-turn", Kind.FORBIDDEN, zh="当前应由 {party} 签署。", en="It is {party}'s turn to sign.",
    fix_zh="先由运营机构签署，再由使用方签署，各由本方人员办理。",
    fix_en="The operator signs first, then the consumer, each by a person of its own.", law="TC609-6-2025-14 §7.3",
)  # fmt: skip
CONTRACT_PERIOD_OVER = rule(
    "contract-period-over", Kind.CONFLICT, zh="合约期限已于 {end} 届满。", en="The contract's period ended at {end}.",
    fix_zh="请重新下单。", fix_en="Place a new order.", law="TC609-6-2025-14 (time)",
)  # fmt: skip
CONTRACT_NOT_PERFORMING = rule(
    "contract-not-performing", Kind.CONFLICT, zh="合约 {contract} 不在履行中（{status}）。",
    en="The contract {contract} is not being performed; it is {status}.",
    fix_zh="双方签署后方可调用；已终止的请重新订购。",
    fix_en="Calls begin when both sides have signed; order again if it was terminated.", law="TC609-6-2025-14 §10.1",
)  # fmt: skip
CONTRACT_REASON_MISSING = rule(
    "contract-reason-missing", Kind.INVALID, zh="没有写明终止原因。", en="No reason for the termination is given.",
    fix_zh="请写明原因，双方都会看到。", fix_en="State the reason; both sides will see it.", law="TC609-6-2025-14 §7.6",
)  # fmt: skip

COUNT_MAX = 10**12
PERCENT_MAX = 100
STAGES_MAX, PACKS_MAX, PACK_MONTHS_MAX = 20, 20, 60
"""No count of calls in a price or a policy is higher: a trillion."""
RATE = re.compile(r"\d{1,9}(\.\d{1,6})?")


def _ended(standing: Standing) -> tuple[Reason | None, ...]:
    """Return what has ended of all that a product rests on: itself, its entitlement, its grant."""
    product, entitlement, now = standing.product, standing.entitlement, standing.now
    return (
        None if product.status is ProductStatus.ACTIVE else PRODUCT_STOPPED.because(product=product.id),
        None if entitlement.is_in_force(now) else PRODUCT_ENTITLEMENT_ENDED.because(entitlement=entitlement.id),
        PRODUCT_GRANT_ENDED.because(grant=product.grant) if standing.faults else None,
        *standing.faults,
    )


def _over(contract: Contract, now: datetime) -> Reason | None:
    end = contract.terms.policy.period.end
    return CONTRACT_PERIOD_OVER.because(end=end.isoformat()) if now >= end else None


def _owned(party: PartyId, operator: PartyId) -> Reason | None:
    return None if party == operator else PRODUCT_NOT_YOURS.because(party=party, operator=operator)


def artifact_of(files: tuple[OutputFile, ...], kind: ProductKind) -> OutputFile | None:
    """Return the one released file that a product of ``kind`` is served from."""
    by_rank = [file for suffix in ARTIFACTS_OF_KIND[kind] for file in files if file.name.endswith(suffix)]
    return by_rank[0] if by_rank else None


def kinds_of(job: JobKind, files: tuple[OutputFile, ...]) -> tuple[ProductKind, ...]:
    """Return the kinds that a release can become, the usual one first."""
    return tuple(kind for kind in KINDS_OF_JOB[job] if artifact_of(files, kind) is not None)


def definition_of(plan: JobPlan, kind: ProductKind, given: Definition) -> Definition:
    """Return what a product answers: as the job was reviewed, or for kinds that are defined later that part of ``given``."""
    if plan.verification is not None:
        return Definition(verification=plan.verification)
    if plan.lookup is not None:
        return Definition(lookup=plan.lookup)
    if kind is ProductKind.MODEL:
        return Definition(model=given.model or ModelDefinition())
    return Definition(
        query=given.query if kind is ProductKind.QUERY else None,
        series=given.series if kind is ProductKind.INDEX else None,
        report=given.report if kind is ProductKind.REPORT else None,
    )


def _is_undefined(product: ProductVersion) -> bool:
    return product.kind in DEFINED_KINDS and product.definition == Definition()


def decide_define(standing: Standing, party: PartyId, job: JobKind) -> Decision[ProductVersion]:
    """A product is made by the operator of the entitlement, of released bytes, for the approved purpose (27号 art.14)."""
    product, permitted = standing.product, standing.entitlement.purpose
    kinds = KINDS_OF_JOB[job]
    return decide(
        product,
        None if product.kind in kinds else PRODUCT_KIND_OUTSIDE.because(kind=product.kind, permitted=", ".join(kinds)),
        _owned(party, standing.entitlement.operator),
        *_ended(standing),
        None if product.title and product.summary else PRODUCT_TITLE_MISSING.because(),
        None if product.artifact_sha256 else PRODUCT_ARTIFACT_MISSING.because(),
        PRODUCT_DEFINITION_MISSING.because(kind=product.kind) if _is_undefined(product) else None,
        None
        if product.purpose == permitted
        else PRODUCT_PURPOSE_OUTSIDE.because(purpose=product.purpose, permitted=permitted),
    )


def _tier_reasons(product: ProductVersion, tiers: tuple[Tier, ...]) -> list[Reason]:
    odd = [tier.rate for tier in tiers if not RATE.fullmatch(tier.rate)]
    if odd:
        return [LISTING_TIERS_INVALID.because(fault=f"rate {rate[:20]}") for rate in odd]
    reasons = [LISTING_TIERS_INVALID.because(fault=fault) for fault in tier_faults(tiers)]
    high = [tier for tier in tiers if tier.up_to is not None and tier.up_to > COUNT_MAX]
    reasons += [LISTING_TIERS_INVALID.because(fault=f"a bound is above {COUNT_MAX}") for _ in high[:1]]
    if product.product_class is ProductClass.PUBLIC:
        return reasons + [LISTING_PUBLIC_CHARGES.because(rate=t.rate) for t in tiers if Fraction(t.rate) > 0]
    ceiling = Fraction(product.price.ceiling_minor, 100)
    shown = f"{product.price.ceiling_minor // 100}.{product.price.ceiling_minor % 100:02d}"
    return reasons + [
        LISTING_ABOVE_CEILING.because(rate=t.rate, ceiling=shown) for t in tiers if Fraction(t.rate) > ceiling
    ]


def _pricing_reasons(product: ProductVersion, pricing: Pricing) -> list[Reason]:
    faults = [fault for fault in (stages_fault(pricing.stages), _amounts_fault(pricing)) if fault]
    if faults:
        return [LISTING_PRICING_INVALID.because(fault=fault) for fault in faults]
    sold = [("月费 / monthly fee", pricing.period_fee_minor, pricing.period_units)] if pricing.period_fee_minor else []
    sold += [("预付包 / pack", pack.price_minor, pack.units) for pack in pricing.packs]
    if product.product_class is ProductClass.PUBLIC:
        return [LISTING_PUBLIC_CHARGES.because(rate=f"{minor / 100:.2f}") for _, minor, _ in sold if minor]
    ceiling = product.price.ceiling_minor
    return [
        LISTING_UNIT_ABOVE_CEILING.because(kind=kind, rate=f"{minor / units / 100:.4f}", ceiling=f"{ceiling / 100:.2f}")
        for kind, minor, units in sold
        if minor > ceiling * units
    ]


def stages_fault(stages: tuple[PriceStage, ...]) -> str:
    """Return what is wrong with the stages of a price; empty when they rise in time and lie between 0 and 100 percent."""
    starts = [stage.start for stage in stages]
    if starts != sorted(set(starts)):
        return "the stages must rise in time"
    if any(not 0 <= stage.percent <= PERCENT_MAX for stage in stages):
        return "a percentage is not between 0 and 100"
    if any(not stage.name.strip() for stage in stages):
        return "a stage has no name"
    return f"more than {STAGES_MAX} stages" if len(stages) > STAGES_MAX else ""


def _amounts_fault(pricing: Pricing) -> str:
    if pricing.period_fee_minor < 0 or not 0 <= pricing.period_units <= COUNT_MAX:
        return "the monthly fee or its calls are out of range"
    if bool(pricing.period_fee_minor) != bool(pricing.period_units):
        return "a monthly fee and the calls that it holds belong together"
    if pricing.cap_minor is not None and pricing.cap_minor <= 0:
        return "a cap must be positive"
    if len(pricing.packs) > PACKS_MAX:
        return f"more than {PACKS_MAX} packs"
    odd = [
        p
        for p in pricing.packs
        if not (0 < p.units <= COUNT_MAX and p.price_minor >= 0 and 0 < p.months <= PACK_MONTHS_MAX)
    ]
    return "a pack is out of range" if odd else ""


def decide_list(listing: Listing, standing: Standing, others: tuple[Listing, ...], party: PartyId) -> Decision[Listing]:
    """Every gate of a listing at once: authorization, one price for all, ceiling (65号 §二), free class (65号 §一)."""
    product = standing.product
    listed = [other for other in others if other.status is ListingStatus.LISTED]
    return decide(
        listing,
        _owned(party, product.operator),
        *_ended(standing),
        *(LISTING_EXISTS.because(product=product.id, listing=other.id) for other in listed),
        *_tier_reasons(product, listing.tiers),
        *_pricing_reasons(product, listing.pricing),
    )


def decide_delist(listing: Listing, party: PartyId) -> Decision[Listing]:
    """The operator takes its listing off the market; running contracts end as agreed."""
    stranger = _owned(party, listing.operator)
    if stranger:
        return Denied((stranger,))
    step = decide_step("listing", LISTING_TRANSITIONS, listing.status, "delist")
    return step if isinstance(step, Denied) else decide(replace(listing, status=step.value))


ORDER_POLICY_INVALID = rule(
    "order-policy-invalid", Kind.INVALID, zh="使用条件无法执行：{fault}。", en="The conditions of use cannot be enforced: {fault}.",
    fix_zh="网段写作 203.0.113.0/24，时段写作 08:00–18:00，证书指纹为 64 位十六进制小写。",
    fix_en="Write networks as 203.0.113.0/24, hours as 08:00–18:00, fingerprints as 64 hexadecimal digits.",
)  # fmt: skip


def _policy_reasons(policy: UsagePolicy, standing: Standing) -> list[Reason | None]:
    period, purpose = policy.period, standing.product.purpose
    outer = (standing.entitlement.period, standing.grant.terms.period)
    limits = {
        "calls_max": policy.calls_max,
        "calls_per_day_max": policy.calls_per_day_max,
        "calls_per_second_max": policy.calls_per_second_max,
    }
    fault = policies.usage_policy_fault(policy)
    return [
        ORDER_POLICY_INVALID.because(fault=fault) if fault else None,
        None if policy.purposes else ORDER_PURPOSE_MISSING.because(permitted=purpose),
        *(ORDER_PURPOSE_OUTSIDE.because(purpose=p, permitted=purpose) for p in policy.purposes if p != purpose),
        None
        if period.start < period.end and standing.now < period.end
        else ORDER_PERIOD_INVALID.because(start=period.start.isoformat(), end=period.end.isoformat()),
        None
        if all(period.lies_in(within) for within in outer)
        else ORDER_PERIOD_OUTSIDE.because(
            start=max(within.start for within in outer).isoformat(),
            end=min(within.end for within in outer).isoformat(),
        ),
        *(
            ORDER_LIMIT_INVALID.because(limit=name, value=value)
            for name, value in limits.items()
            if not 0 < value <= COUNT_MAX
        ),
    ]


def decide_order(order: Order, listing: Listing, standing: Standing) -> Decision[Order]:
    """A usage policy asks for no more than the product's purpose and the authorization's period, with positive limits."""
    return decide(
        order,
        None if listing.status is ListingStatus.LISTED else LISTING_OFF_MARKET.because(listing=listing.id),
        *_ended(standing),
        ORDER_FROM_SELF.because() if order.consumer == listing.operator else None,
        *_policy_reasons(order.policy, standing),
    )


def decide_draw_up(contract: Contract, order: Order, standing: Standing, party: PartyId) -> Decision[Contract]:
    """The operator puts an order into the form that both sides sign."""
    step = decide_step("order", ORDER_TRANSITIONS, order.status, "draw_up")
    return decide(
        contract,
        _owned(party, standing.product.operator),
        *step.reasons,
        *_ended(standing),
        _over(contract, standing.now),
    )


def decide_sign(contract: Contract, standing: Standing, party: PartyId, person: PersonId) -> Decision[Contract]:
    """The operator signs, then the consumer; each by a person of its own, while everything above still stands."""
    is_operator = party == contract.terms.operator
    action = "sign_as_operator" if is_operator else "sign_as_consumer"
    step = decide_step("contract", CONTRACT_TRANSITIONS, contract.status, action)
    waits_for_operator = contract.status is ContractStatus.NEGOTIATING and not is_operator
    turn = (CONTRACT_NOT_YOUR_TURN.because(party=contract.terms.operator),) if waits_for_operator else step.reasons
    signed = (
        replace(contract, operator_signer=person)
        if is_operator
        else replace(contract, consumer_signer=person, performing_since=standing.now)
    )
    return decide(
        signed if isinstance(step, Denied) else replace(signed, status=step.value),
        *turn,
        *_ended(standing),
        _over(contract, standing.now),
    )


def decide_terminate(contract: Contract, reason: str, now: datetime) -> Decision[Contract]:
    """Either side ends the contract early, giving a reason that the other one reads (T-14 §7.6)."""
    step = decide_step("contract", CONTRACT_TRANSITIONS, contract.status, "terminate")
    ended = replace(contract, status=ContractStatus.TERMINATED, ended_at=now, end_reason=reason.strip())
    return decide(ended, *step.reasons, None if reason.strip() else CONTRACT_REASON_MISSING.because())


def decide_serve(contract: Contract, standing: Standing) -> Decision[Contract]:
    """A call is served while contract, product, entitlement and grant all stand. Asked for each gateway snapshot."""
    is_performing = contract.status is ContractStatus.PERFORMING
    return decide(
        contract,
        None if is_performing else CONTRACT_NOT_PERFORMING.because(contract=contract.id, status=contract.status),
        *_ended(standing),
        _over(contract, standing.now),
    )


# -------------------------------------------------------------------------------------------------- contract codes

NODE_TYPE_BUSINESS = "4"


def contract_code(*, type_character: str, credit_code: str, region: str, drawn_up_at: datetime, serial: str) -> str:
    """Return the 47 characters of T-14: type, node type, node subject 18, region 4, China time 14, serial 8, check.

    T-14 names neither type character nor check algorithm; the type is a parameter, the check that of N-04.
    """
    local = drawn_up_at.astimezone(CHINA).strftime("%Y%m%d%H%M%S")
    body = f"{type_character}{NODE_TYPE_BUSINESS}{credit_code:0>18.18}{region:0<4.4}{local}{serial:0>8.8}".upper()
    return body + mod_37_check_character(body)

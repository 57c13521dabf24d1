"""One small, valid object of each kind that egress, products and billing decide about. Tests change what they are about."""

from datetime import UTC, datetime, timedelta

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.digest import Ref
from gongshu.base.ids import (
    AgreementId,
    ContractId,
    EntitlementId,
    GrantId,
    JobId,
    ListingId,
    OrderId,
    OutputId,
    PartyId,
    PersonId,
    ProductId,
    ReleaseId,
    ResourceId,
)
from gongshu.base.money import Tier
from gongshu.compute.types import (
    ColumnLineage,
    GovernedQuery,
    Job,
    JobKind,
    JobLimits,
    JobPlan,
    JobStatus,
    OutputFile,
    VerificationDefinition,
    VerificationField,
)
from gongshu.egress.types import Output, OutputStatus, ReviewKind, Vote
from gongshu.egress.types import Standing as OutputStanding
from gongshu.grants.types import Grant, GrantStatus, GrantTerms, Mode, PriceRule, ProductClass, Right
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Thresholds, UsagePolicy, Use
from gongshu.products.types import (
    Contract,
    ContractStatus,
    ContractTerms,
    Definition,
    Listing,
    ListingStatus,
    Order,
    OrderStatus,
    ProductKind,
    ProductStatus,
    ProductVersion,
    Standing,
)
from gongshu.scenarios.types import Entitlement, EntitlementStatus, ResourceEntitlement

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
YEAR = Period(NOW - timedelta(days=10), NOW + timedelta(days=355))
AGENCY, OPERATOR, BANK = PartyId("agency"), PartyId("operator"), PartyId("bank")
DEVELOPER, SUPPLIER, BUREAU = PartyId("developer"), PartyId("supplier"), PartyId("bureau")
PURPOSE = "inclusive-finance"

PRICE = PriceRule(ceiling_minor=600, split=(Tier(20_000_000, "0.5"), Tier(None, "0.6")), treasury_share="0.4")
POLICY = ResourcePolicy(
    columns=(
        ColumnPolicy("code", frozenset({Use.JOIN, Use.COMPARE})),
        ColumnPolicy("name", frozenset({Use.COMPARE})),
        ColumnPolicy("region", frozenset({Use.GROUP, Use.FILTER})),
        ColumnPolicy("capital", frozenset({Use.TOTAL})),
        ColumnPolicy("theme", frozenset({Use.REVEAL, Use.GROUP, Use.TOTAL, Use.RANK})),
    ),
    unit=("code",),
)
THRESHOLDS = Thresholds(10, 10, 2, 90)
QUERY = GovernedQuery(
    sql="…", outputs=("region", "enterprises"), is_aggregate=True,
    lineage=(
        ColumnLineage("region", frozenset({"enterprise.region"}), frozenset()),
        ColumnLineage("enterprises", frozenset({"enterprise.code"}), frozenset({"enterprise.region"})),
    ),
    projections=(),
)  # fmt: skip
DEFINITION = VerificationDefinition(
    "enterprise",
    (
        VerificationField("credit_code", "code", is_required=True, is_key=True),
        VerificationField("name", "name", is_required=True),
    ),
)
FILE = OutputFile("table.parquet", "a" * 64, 1000, 20)
LIMITS = JobLimits(2**30, 60, 100_000, 2**30)


def actor(party: str, *roles: Role, person: str = "") -> Actor:
    """A person of ``party`` with ``roles``."""
    return Actor(PersonId(person or f"{party}-person"), PartyId(party), frozenset(roles), name=person or party)


def grant(**changes: object) -> Grant:
    terms = GrantTerms(
        agency=AGENCY, operator=OPERATOR, mode=Mode.DOMAIN, rights=frozenset(Right), purposes=(PURPOSE,), period=YEAR,
        scope=(), price=PRICE, exit_duties=(),
    )  # fmt: skip
    given = {
        "id": GrantId("grant-1"), "agreement": Ref("agreement", AgreementId("agreement-1"), "d"), "terms": terms,
        "status": GrantStatus.ACTIVE, "issued_by": PersonId("a"), "issued_at": NOW,
    }  # fmt: skip
    return Grant(**(given | changes))


def entitlement(**changes: object) -> Entitlement:
    given = {
        "id": EntitlementId("entitlement-1"), "grant": grant().ref, "scenario": Ref("scenario", "scenario-1", "d"),
        "operator": OPERATOR, "developer": DEVELOPER, "title": "普惠金融", "purpose": PURPOSE,
        "product_class": ProductClass.INDUSTRIAL,
        "resources": (
            ResourceEntitlement(
                ResourceId("resource-1"), "enterprise", SUPPLIER, Ref("registration", "registration-1", "d"), POLICY
            ),
        ),
        "thresholds": THRESHOLDS, "price": PRICE, "period": YEAR, "status": EntitlementStatus.ACTIVE,
    }  # fmt: skip
    return Entitlement(**(given | changes))


def plan(kind: JobKind = JobKind.SQL, **changes: object) -> JobPlan:
    is_sql = kind is JobKind.SQL
    given = {
        "kind": kind, "entitlement": entitlement().ref, "code": "SELECT …", "code_digest": "c" * 64, "inputs": (),
        "query": QUERY if is_sql else None, "verification": None if is_sql else DEFINITION, "thresholds": THRESHOLDS,
        "limits": LIMITS,
    }  # fmt: skip
    return JobPlan(**(given | changes))


def job(kind: JobKind = JobKind.SQL, **changes: object) -> Job:
    given = {
        "id": JobId("job-1"), "plan": plan(kind), "entitlement": EntitlementId("entitlement-1"),
        "submitted_by": PersonId("developer-person"), "developer": DEVELOPER, "status": JobStatus.SUCCEEDED,
        "submitted_at": NOW, "title": "企业区域分布", "files": (FILE,),
    }  # fmt: skip
    return Job(**(given | changes))


def output(**changes: object) -> Output:
    given = {
        "id": OutputId("output-1"), "job": job().ref, "job_id": JobId("job-1"), "author": PersonId("developer-person"),
        "author_party": DEVELOPER, "files": (FILE,), "context": "按区域统计", "status": OutputStatus.QUARANTINED,
        "findings": (), "created_at": NOW, "entitlement": EntitlementId("entitlement-1"), "grant": GrantId("grant-1"),
        "operator": OPERATOR,
    }  # fmt: skip
    return Output(**(given | changes))


def vote(kind: ReviewKind, reviewer: str, *, approves: bool = True, **changes: object) -> Vote:
    given = {
        "kind": kind, "reviewer": PersonId(reviewer), "party": PartyId(f"party-of-{reviewer}"), "approves": approves,
        "reason": "符合要求", "output_digest": output().digest, "at": NOW, "output": OutputId("output-1"),
    }  # fmt: skip
    return Vote(**(given | changes))


def output_standing(**changes: object) -> OutputStanding:
    return OutputStanding(**({"entitlement": entitlement(), "faults": (), "now": NOW} | changes))


def product(**changes: object) -> ProductVersion:
    given = {
        "id": ProductId("product-1"), "release": Ref("release", "release-1", "d"), "release_id": ReleaseId("release-1"),
        "entitlement": EntitlementId("entitlement-1"), "grant": GrantId("grant-1"), "operator": OPERATOR,
        "kind": ProductKind.VERIFY, "title": "企业信息核验", "summary": "一致、不一致或无记录",
        "product_class": ProductClass.INDUSTRIAL, "purpose": PURPOSE, "price": PRICE, "artifact_sha256": "b" * 64,
        "artifact_name": "hashes.lmdb", "definition": Definition(verification=DEFINITION), "status": ProductStatus.ACTIVE, "created_at": NOW,
    }  # fmt: skip
    return ProductVersion(**(given | changes))


def standing(**changes: object) -> Standing:
    given = {"product": product(), "entitlement": entitlement(), "grant": grant(), "faults": (), "now": NOW}
    return Standing(**(given | changes))


def listing(**changes: object) -> Listing:
    given = {
        "id": ListingId("listing-1"), "product": product().ref, "product_id": ProductId("product-1"),
        "operator": OPERATOR, "title": "企业信息核验", "product_class": ProductClass.INDUSTRIAL,
        "tiers": (Tier(500, "5.00"), Tier(None, "4.00")), "charges_no_record": False, "status": ListingStatus.LISTED,
        "listed_at": NOW,
    }  # fmt: skip
    return Listing(**(given | changes))


def policy(**changes: object) -> UsagePolicy:
    given = {
        "purposes": (PURPOSE,), "period": Period(NOW, NOW + timedelta(days=30)), "calls_max": 1000,
        "calls_per_day_max": 100, "calls_per_second_max": 10,
    }  # fmt: skip
    return UsagePolicy(**(given | changes))


def order(**changes: object) -> Order:
    given = {
        "id": OrderId("order-1"), "listing": listing().ref, "listing_id": ListingId("listing-1"), "consumer": BANK,
        "placed_by": PersonId("bank-person"), "policy": policy(), "status": OrderStatus.PLACED, "placed_at": NOW,
        "operator": OPERATOR,
    }  # fmt: skip
    return Order(**(given | changes))


def contract(**changes: object) -> Contract:
    terms = ContractTerms(
        order=order().ref, product=product().ref, product_id=ProductId("product-1"), grant=GrantId("grant-1"),
        operator=OPERATOR, consumer=BANK, tiers=listing().tiers, charges_no_record=False, policy=policy(),
    )  # fmt: skip
    given = {
        "id": ContractId("contract-1"), "code": "C" * 47, "terms": terms, "status": ContractStatus.NEGOTIATING,
        "created_at": NOW,
    }  # fmt: skip
    return Contract(**(given | changes))

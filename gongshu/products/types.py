"""Products, listings, orders, contracts."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import (
    ContractId,
    EntitlementId,
    GrantId,
    ListingId,
    OrderId,
    PartyId,
    PersonId,
    ProductId,
    ReleaseId,
)
from gongshu.base.money import Tier
from gongshu.compute.types import (
    LookupDefinition,
    ModelDefinition,
    QueryDefinition,
    SeriesDefinition,
    VerificationDefinition,
)
from gongshu.egress.types import ReportDefinition
from gongshu.grants.types import Grant, PriceRule, ProductClass
from gongshu.policies.types import UsagePolicy
from gongshu.scenarios.types import Entitlement

NOBODY = PartyId("")


class ProductKind(StrEnum):
    """What a product is delivered as."""

    VERIFY = "verify"  # 核验
    LOOKUP = "lookup"  # 标签查询
    QUERY = "query"  # 统计查询
    TABLE = "table"  # 数据包
    REPORT = "report"  # 报告
    INDEX = "index"  # 指数
    MODEL = "model"  # 模型


class ProductStatus(StrEnum):
    """A product version is active until delisted or stopped with its grant."""

    ACTIVE = "active"
    STOPPED = "stopped"


class ListingStatus(StrEnum):
    """On the market or not."""

    LISTED = "listed"
    DELISTED = "delisted"


class OrderStatus(StrEnum):
    """An order on its way to a contract."""

    PLACED = "placed"
    CONTRACTED = "contracted"
    DECLINED = "declined"


class ContractStatus(StrEnum):
    """The states of T-14 §10.1: 02 negotiating, 03/0301 signed, 05 performing, 06 ended."""

    NEGOTIATING = "negotiating"  # 02 协商
    SIGNED_BY_OPERATOR = "signed_by_operator"  # 03 签订
    PERFORMING = "performing"  # 05 履行中 (0301 签订成功 happened)
    TERMINATED = "terminated"  # 06 终止


@dataclass(frozen=True)
class Definition:
    """What a product of its kind answers: the one part that is filled. A data package needs none."""

    verification: VerificationDefinition | None = None
    lookup: LookupDefinition | None = None
    query: QueryDefinition | None = None
    series: SeriesDefinition | None = None
    model: ModelDefinition | None = None
    report: ReportDefinition | None = None


NO_DEFINITION = Definition()


@dataclass(frozen=True)
class ProductVersion:
    """An immutable version of a product: the released files and how they are served.

    ``entitlement`` and ``grant`` are carried along so that the end of either stops the product.
    """

    id: ProductId
    release: Ref
    release_id: ReleaseId
    entitlement: EntitlementId
    grant: GrantId
    operator: PartyId
    kind: ProductKind
    title: str
    summary: str
    product_class: ProductClass
    purpose: str
    price: PriceRule
    artifact_sha256: str
    artifact_name: str
    definition: Definition
    status: ProductStatus
    created_at: datetime

    @property
    def ref(self) -> Ref:
        """This version, bound to its release and definition."""
        return Ref(
            "product", self.id,
            digest_of((self.release, self.kind, self.title, self.product_class, self.artifact_sha256, self.definition)),
        )  # fmt: skip


class TierMethod(StrEnum):
    """How tiers are read: each part at its tier's rate (累进), or all at the rate of the tier that is reached (总量)."""

    MARGINAL = "marginal"
    VOLUME = "volume"


@dataclass(frozen=True)
class PriceStage:
    """From ``start`` on, calls cost ``percent`` (0 to 100) of the tiers' rates: 初创期、培育期、成熟期."""

    name: str
    start: date
    percent: int


@dataclass(frozen=True)
class Pack:
    """Prepaid calls (预付包): ``units`` charged calls for ``price_minor`` fen, to be used within ``months`` months."""

    units: int
    price_minor: int
    months: int


@dataclass(frozen=True)
class Pricing:
    """What a price has besides its tiers.

    ``period_fee_minor`` fen are owed for each month in which the contract is performed and hold ``period_units`` charged
    calls (包月); ``cap_minor`` is the most that a month costs, packs apart; ``packs`` are those that can be bought.
    Before the first of the ``stages`` the full rates hold.
    """

    method: TierMethod = TierMethod.MARGINAL
    stages: tuple[PriceStage, ...] = ()
    period_fee_minor: int = 0
    period_units: int = 0
    cap_minor: int | None = None
    packs: tuple[Pack, ...] = ()


PLAIN = Pricing()


@dataclass(frozen=True)
class Listing:
    """A product on the market: price as marginal tiers of yuan per charged call; free for the public class."""

    id: ListingId
    product: Ref
    product_id: ProductId
    operator: PartyId
    title: str
    product_class: ProductClass
    tiers: tuple[Tier, ...]
    charges_no_record: bool
    status: ListingStatus
    listed_at: datetime
    summary: str = ""
    purpose: str = ""
    delisted_reason: str = ""
    pricing: Pricing = PLAIN

    @property
    def ref(self) -> Ref:
        """This listing, bound to product and price."""
        return Ref("listing", self.id, digest_of((self.product, self.tiers, self.charges_no_record, self.pricing)))


@dataclass(frozen=True)
class Order:
    """A consumer asks for a listed product under a proposed usage policy."""

    id: OrderId
    listing: Ref
    listing_id: ListingId
    consumer: PartyId
    placed_by: PersonId
    policy: UsagePolicy
    status: OrderStatus
    placed_at: datetime
    operator: PartyId = NOBODY  # whose listing it is: the other side

    @property
    def ref(self) -> Ref:
        """This order, bound to listing and policy."""
        return Ref("order", self.id, digest_of((self.listing, self.consumer, self.policy)))


@dataclass(frozen=True)
class ContractTerms:
    """What both sides sign."""

    order: Ref
    product: Ref
    product_id: ProductId
    grant: GrantId
    operator: PartyId
    consumer: PartyId
    tiers: tuple[Tier, ...]
    charges_no_record: bool
    policy: UsagePolicy
    pricing: Pricing = PLAIN


@dataclass(frozen=True)
class Contract:
    """A contract (数字合约). ``code`` is the 47-character identifier of T-14."""

    id: ContractId
    code: str
    terms: ContractTerms
    status: ContractStatus
    created_at: datetime
    operator_signer: PersonId | None = None
    consumer_signer: PersonId | None = None
    ended_at: datetime | None = None
    end_reason: str = ""
    performing_since: datetime | None = None  # when both had signed

    @property
    def digest(self) -> str:
        """The digest of the terms: what both sides sign."""
        return digest_of(self.terms)

    @property
    def ref(self) -> Ref:
        """This contract, bound to its terms."""
        return Ref("contract", self.id, self.digest)


@dataclass(frozen=True)
class Standing:
    """What a product rests on at the moment of a decision; asked for each time, never kept.

    ``faults``: why the grant permits nothing now; empty while it is in force.
    """

    product: ProductVersion
    entitlement: Entitlement
    grant: Grant
    faults: tuple[Reason, ...]
    now: datetime

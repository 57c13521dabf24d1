"""Plans, agreements, grants."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.days import Period
from gongshu.base.decisions import Text
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import AgreementId, GrantId, PartyId, PersonId, PlanId, ResourceId
from gongshu.base.money import Tier
from gongshu.policies.types import ResourcePolicy, Use

PLAN_PARTS: dict[str, Text] = {
    "P01": Text("名称", "name"),
    "P02": Text("授权运营的必要性、可行性分析", "necessity and feasibility"),
    "P03": Text("运营机构的条件", "conditions for the operator"),
    "P04": Text("授权运营模式", "mode"),
    "P05": Text("数据资源范围、目录、更新频率和质量", "scope, catalog, update frequency and quality"),
    "P06": Text(
        "期限、建设、保障、进度、评估标准、退出、资产",
        "term, construction, support, schedule, evaluation, exit, assets",
    ),
    "P07": Text("拟形成的产品和服务清单（两类）", "products and services in two classes"),
    "P08": Text("成本收入核算和收益分配", "cost and income accounting, benefit distribution"),
    "P09": Text("数据安全、个人信息保护和应急", "security, personal information, emergency"),
    "P10": Text("各方权利和义务", "rights and duties"),
    "P11": Text("监督和考核", "supervision and assessment"),
    "P12": Text("其他事项", "other matters"),
}
"""The twelve mandatory parts of an implementation plan (27号 art.9)."""

AGREEMENT_PARTS: dict[str, Text] = {
    "G01": Text("授权范围和数据资源目录", "scope and catalog"),
    "G02": Text("授权运营期限", "term"),
    "G03": Text("产品和服务清单、技术标准、安全审核和业务规范性审核", "products, technical standard, both reviews"),
    "G04": Text("支撑平台", "supporting platform"),
    "G05": Text("资产权属", "ownership of assets"),
    "G06": Text("信息披露和禁止再开发", "disclosure and no redevelopment"),
    "G07": Text("成本收入核算和收益分配", "cost and income accounting, distribution"),
    "G08": Text("数据安全、个人信息、风险监测和应急", "security, personal information, risk monitoring, emergency"),
    "G09": Text("绩效评价、续约或退出", "performance evaluation, renewal or exit"),
    "G10": Text("违约责任", "breach"),
    "G11": Text("争议解决", "disputes"),
    "G12": Text("变更和终止", "change and end"),
    "G13": Text("其他事项", "other matters"),
}
"""The thirteen mandatory parts of an agreement (27号 art.14)."""


class Mode(StrEnum):
    """授权模式 (27号 art.9(四))."""

    WHOLE = "whole"  # 整体授权
    DOMAIN = "domain"  # 分领域授权
    SCENARIO = "scenario"  # 依场景授权


class Right(StrEnum):
    """The three rights (三权); both official sets of labels share these codes."""

    HOLD = "hold"  # 数据资源持有权
    PROCESS = "process"  # 数据加工使用权
    OPERATE = "operate"  # 数据产品经营权


class ProductClass(StrEnum):
    """The two classes of 27号 art.9(七); only the industrial one may charge (65号 §一)."""

    PUBLIC = "public"  # 公共治理、公益事业
    INDUSTRIAL = "industrial"  # 产业发展、行业发展


class SelectionMethod(StrEnum):
    """How the operator was chosen (27号 art.12)."""

    OPEN_TENDER = "open_tender"  # 公开招标
    INVITED_TENDER = "invited_tender"  # 邀请招标
    NEGOTIATION = "negotiation"  # 谈判


class PlanStatus(StrEnum):
    """An implementation plan (实施方案)."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    EFFECTIVE = "effective"
    REJECTED = "rejected"


class AgreementStatus(StrEnum):
    """An agreement (授权运营协议)."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    SIGNED_BY_AGENCY = "signed_by_agency"
    EFFECTIVE = "effective"
    ENDED = "ended"


class GrantStatus(StrEnum):
    """A grant is in force or it has ended."""

    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True)
class Part:
    """One mandatory part of a plan (P01–P12) or agreement (G01–G13) and its text (27号 art.9, 14)."""

    code: str
    text: str


@dataclass(frozen=True)
class CollectiveDecision:
    """A 三重一大 decision: the body, the number of its record, and the digest of the filed minutes (27号 art.11, 13)."""

    body: str
    record_number: str
    minutes_digest: str


@dataclass(frozen=True)
class Plan:
    """The implementation plan of an agency. ``applicant`` is the person who filed it."""

    id: PlanId
    agency: PartyId
    applicant: PersonId
    title: str
    mode: Mode | None
    parts: tuple[Part, ...]
    status: PlanStatus
    decision: CollectiveDecision | None = None
    decided_by: PersonId | None = None
    decision_reason: str = ""

    @property
    def ref(self) -> Ref:
        """This plan, bound to its text."""
        return Ref("plan", self.id, digest_of((self.agency, self.title, self.mode, self.parts)))


@dataclass(frozen=True)
class ResourceScope:
    """One registered resource in the scope, with what may be done with each column."""

    resource: ResourceId
    name: str
    registration: Ref
    supplier: PartyId
    policy: ResourcePolicy


@dataclass(frozen=True)
class PriceRule:
    """The ceiling and the split that the agreement fixes.

    ``ceiling_minor`` is the highest price of one charged call in fen (65号 §二). ``split`` holds marginal tiers over
    net income in fen; each rate is the share of the public side (supplier and treasury together) between 0 and 1.
    ``treasury_share`` is the part of the public side's share that goes to the treasury, between 0 and 1.
    """

    ceiling_minor: int
    split: tuple[Tier, ...]
    treasury_share: str


@dataclass(frozen=True)
class GrantTerms:
    """The content of an authorization, agreed once and never widened."""

    agency: PartyId
    operator: PartyId
    mode: Mode | None
    rights: frozenset[Right]
    purposes: tuple[str, ...]
    period: Period
    scope: tuple[ResourceScope, ...]
    price: PriceRule
    exit_duties: tuple[str, ...]


@dataclass(frozen=True)
class ScopeFacts:
    """What the platform knows of one resource of a scope when it is decided about.

    ``offered`` is the widest scope that could be agreed now: ``None`` while the resource is unknown, has no coded
    registration, or its provider has not set the uses. ``columns`` are those of the registered version; ``wider``
    are the uses beyond the provider's; ``loosens``: a mask, the row filter or the privacy unit was dropped.
    """

    offered: ResourceScope | None
    missing: str = ""
    columns: frozenset[str] = frozenset()
    wider: tuple[tuple[str, frozenset[Use]], ...] = ()
    loosens: bool = False


@dataclass(frozen=True)
class Agreement:
    """The agreement between agency and operator, generated from an effective plan."""

    id: AgreementId
    plan: Ref
    selection: SelectionMethod | None
    applicant: PersonId
    terms: GrantTerms
    parts: tuple[Part, ...]
    status: AgreementStatus
    decision: CollectiveDecision | None = None
    agency_signer: PersonId | None = None
    operator_signer: PersonId | None = None
    end_reason: str = ""

    @property
    def ref(self) -> Ref:
        """This agreement, bound to its terms and text."""
        return Ref("agreement", self.id, digest_of((self.plan, self.selection, self.terms, self.parts)))


@dataclass(frozen=True)
class Grant:
    """The authorization in force (授权)."""

    id: GrantId
    agreement: Ref
    terms: GrantTerms
    status: GrantStatus
    issued_by: PersonId
    issued_at: datetime
    ended_at: datetime | None = None
    end_reason: str = ""

    @property
    def ref(self) -> Ref:
        """This grant, bound to its terms."""
        return Ref("grant", self.id, digest_of((self.agreement, self.terms)))

    def is_in_force(self, now: datetime) -> bool:
        """Whether the grant permits anything at ``now``."""
        return self.status is GrantStatus.ACTIVE and self.terms.period.holds(now)


class DisposalKind(StrEnum):
    """What must be disposed of after the end."""

    ARTIFACT = "artifact"
    OUTPUT = "output"
    KEY = "key"
    CONTRACT = "contract"
    JOB = "job"
    ENTITLEMENT = "entitlement"


@dataclass(frozen=True)
class Disposal:
    """One object that stopped with the grant, and what has to happen to it."""

    kind: DisposalKind
    ref: Ref
    duty: str


@dataclass(frozen=True)
class ExitRecord:
    """What the end of a grant stopped, and what must be disposed of (27号 art.14; AUT-10)."""

    id: str
    grant: Ref
    ended_at: datetime
    reason: str
    disposals: tuple[Disposal, ...]

    @property
    def ref(self) -> Ref:
        """This record."""
        return Ref("exit_record", self.id, digest_of(self))

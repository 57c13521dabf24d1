"""Registrations."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from gongshu.base.decisions import Text
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import PartyId, PersonId, RegistrationId, ResourceId


class RegistrationStatus(StrEnum):
    """The steps of 26号 art.9–15."""

    SUBMITTED = "submitted"  # 已申请
    RETURNED = "returned"  # 已退回补正
    ACCEPTED = "accepted"  # 已受理, formal review running
    PUBLICITY = "publicity"  # 公示中
    OBJECTED = "objected"  # 异议复核
    TERMINATED = "terminated"  # 终止
    CODED = "coded"  # 已赋码
    CANCELLED = "cancelled"  # 注销
    LAPSED = "lapsed"  # 到期注销


MATERIALS: dict[str, Text] = {
    "subject": Text("主体信息", "registrant"),
    "legality": Text("数据合法合规性来源", "lawful source"),
    "resource": Text("数据资源情况", "the resource"),
    "evidence": Text("存证情况", "deposit of evidence"),
    "products": Text("产品和服务信息", "products and services"),
    "scenarios": Text("应用场景信息", "scenarios"),
    "risk": Text("数据安全风险评估", "security risk assessment"),
}
"""The seven groups of material of a first registration, all mandatory (26号 art.8)."""


class CancellationGround(StrEnum):
    """Why a registration is cancelled (26号 art.9(四))."""

    LOST = "lost"  # 数据资源灭失、无法恢复
    RIGHTS_ENDED = "rights_ended"  # 权利放弃或期限届满
    REGISTRANT_ENDED = "registrant_ended"  # 登记主体终止
    BY_LAW = "by_law"  # 法律法规规定的其他情形


@dataclass(frozen=True)
class Material:
    """One of the seven groups of ``MATERIALS``: its code and what was said."""

    code: str
    text: str


@dataclass(frozen=True)
class RegistrationTerms:
    """What the registrant filed. Bound to one resource version by its manifest digest (存证, 26号 art.7)."""

    resource: ResourceId
    version: Ref
    registrant: PartyId
    title: str
    summary: str
    materials: tuple[Material, ...]
    commitment_signed_by: PersonId
    version_number: int = 0


@dataclass(frozen=True)
class Registration:
    """A first registration on its way, or coded. ``due`` is the last day of the step that is running."""

    id: RegistrationId
    terms: RegistrationTerms
    status: RegistrationStatus
    received_at: datetime
    due: date | None
    due_is_provisional: bool = False
    defects: tuple[str, ...] = ()
    accepted_at: datetime | None = None
    reviewed_at: datetime | None = None
    reviewer: PersonId | None = None
    publicity_ends: date | None = None
    objection: str = ""
    code: str = ""
    coded_at: datetime | None = None
    valid_until: date | None = None  # the last day of validity
    objector: PersonId | None = None
    objected_at: datetime | None = None
    publicity_days_left: int = 0  # working days of publicity that an objection interrupted
    end_reason: str = ""
    explanation: str = ""  # why the review took longer than its term (26号 art.11)

    @property
    def digest(self) -> str:
        """The digest of what was filed."""
        return digest_of(self.terms)

    @property
    def ref(self) -> Ref:
        """This registration, bound to what was filed."""
        return Ref("registration", self.id, self.digest)

    def is_overdue(self, today: date) -> bool:
        """Whether the registrar's running step should have ended before ``today``."""
        is_running = self.status in {RegistrationStatus.SUBMITTED, RegistrationStatus.ACCEPTED}
        return is_running and self.due is not None and today > self.due

    def is_valid(self, today: date) -> bool:
        """Whether the registration has a code that counts on ``today``."""
        return self.status is RegistrationStatus.CODED and self.valid_until is not None and today <= self.valid_until


@dataclass(frozen=True)
class PublicItems:
    """The four items that the public sees, and no others (26号 art.12): registrant, type, name, summary."""

    registrant: str
    kind: str
    title: str
    summary: str


@dataclass(frozen=True)
class Publicity:
    """A case in publicity: its id, so that anybody can object, the four items, and the last day."""

    id: RegistrationId
    items: PublicItems
    ends: date


@dataclass(frozen=True)
class PublicRecord:
    """What anybody learns who verifies a code. ``is_trial``: the code is ours, not the national platform's."""

    code: str
    items: PublicItems
    valid_until: date
    is_trial: bool

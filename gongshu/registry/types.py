"""Registrations."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

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


@dataclass(frozen=True)
class Material:
    """One of the seven groups of material of a first registration (parameters §3.2): its code and what was said."""

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

    @property
    def digest(self) -> str:
        """The digest of what was filed."""
        return digest_of(self.terms)

    @property
    def ref(self) -> Ref:
        """This registration, bound to what was filed."""
        return Ref("registration", self.id, self.digest)

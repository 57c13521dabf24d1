"""Applications, scores, entitlements."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.days import Period
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import EntitlementId, GrantId, PartyId, PersonId, ResourceId, ScenarioId
from gongshu.grants.types import PriceRule, ProductClass
from gongshu.policies.types import ResourcePolicy, Thresholds, Use


class ScenarioStatus(StrEnum):
    """An application on its way."""

    SUBMITTED = "submitted"
    SCORED = "scored"
    APPROVED = "approved"
    REJECTED = "rejected"


class EntitlementStatus(StrEnum):
    """An entitlement is in force or it has ended."""

    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True)
class Need:
    """One column asked for, the uses, and why the scenario cannot do without it (最小必要)."""

    resource: ResourceId
    column: str
    uses: frozenset[Use]
    necessity: str


@dataclass(frozen=True)
class ScenarioTerms:
    """What is asked for: one purpose, one class, columns with uses, a developer, a period."""

    grant: GrantId
    title: str
    purpose: str
    product_class: ProductClass
    needs: tuple[Need, ...]
    developer: PartyId
    period: Period
    builds_on: tuple[str, ...] = ()  # products delivered under the grant that this develops from (27号 art.6)


@dataclass(frozen=True)
class Score:
    """One assessor's points by criterion, with reasons. Blind until the configured number of scores is in."""

    assessor: PersonId
    party: PartyId
    points: dict[str, int]
    reasons: dict[str, str]


@dataclass(frozen=True)
class Scenario:
    """An application for one scenario (场景)."""

    id: ScenarioId
    applicant: PersonId
    operator: PartyId
    terms: ScenarioTerms
    status: ScenarioStatus
    submitted_at: datetime
    scores: tuple[Score, ...] = ()
    decided_by: PersonId | None = None
    decision_reason: str = ""

    @property
    def ref(self) -> Ref:
        """This application, bound to what was asked for."""
        return Ref("scenario", self.id, digest_of((self.operator, self.terms)))


@dataclass(frozen=True)
class CriterionResult:
    """What the scores say of one criterion: the mean (a decimal string), its maximum, and the reasons given."""

    criterion: str
    mean: str
    points_max: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ScoreSummary:
    """All scores together, without names; empty until enough are in. ``mean`` is a decimal string of points of 100."""

    scores: int
    wanted: int
    pass_mark: int
    mean: str
    criteria: tuple[CriterionResult, ...]


@dataclass(frozen=True)
class ResourceEntitlement:
    """A resource that jobs of the entitlement may read, with its narrowed policy."""

    resource: ResourceId
    name: str
    supplier: PartyId
    registration: Ref
    policy: ResourcePolicy


@dataclass(frozen=True)
class Entitlement:
    """What a developer may compute with, for one scenario. Narrower than its grant in every respect."""

    id: EntitlementId
    grant: Ref
    scenario: Ref
    operator: PartyId
    developer: PartyId
    title: str
    purpose: str
    product_class: ProductClass
    resources: tuple[ResourceEntitlement, ...]
    thresholds: Thresholds
    price: PriceRule
    period: Period
    status: EntitlementStatus
    ended_at: datetime | None = None
    end_reason: str = ""

    @property
    def digest(self) -> str:
        """The digest of everything but the status."""
        return digest_of(
            (self.grant, self.scenario, self.purpose, self.product_class, self.resources, self.thresholds, self.period)
        )

    @property
    def ref(self) -> Ref:
        """This entitlement, bound to what it permits."""
        return Ref("entitlement", self.id, self.digest)

    def is_in_force(self, now: datetime) -> bool:
        """Whether the entitlement permits anything at ``now`` (the grant must be asked as well)."""
        return self.status is EntitlementStatus.ACTIVE and self.period.holds(now)

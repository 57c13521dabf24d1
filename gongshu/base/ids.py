"""Typed ids. One type per kind of object, so that a grant's id cannot be passed where a contract's is wanted."""

from typing import NewType, Protocol

PartyId = NewType("PartyId", str)
PersonId = NewType("PersonId", str)
ResourceId = NewType("ResourceId", str)
VersionId = NewType("VersionId", str)
RegistrationId = NewType("RegistrationId", str)
PlanId = NewType("PlanId", str)
AgreementId = NewType("AgreementId", str)
GrantId = NewType("GrantId", str)
ScenarioId = NewType("ScenarioId", str)
EntitlementId = NewType("EntitlementId", str)
JobId = NewType("JobId", str)
OutputId = NewType("OutputId", str)
ReleaseId = NewType("ReleaseId", str)
ProductId = NewType("ProductId", str)
ListingId = NewType("ListingId", str)
OrderId = NewType("OrderId", str)
ContractId = NewType("ContractId", str)
KeyId = NewType("KeyId", str)
ConsentId = NewType("ConsentId", str)
StatementId = NewType("StatementId", str)


class Ids(Protocol):
    """Makes ids that are unique and sort by time of making. The real one draws randomness; tests count."""

    def make(self, kind: str) -> str:
        """Return a fresh id such as ``grant-01j9…`` for ``kind`` ``grant``."""
        ...

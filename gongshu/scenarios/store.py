"""Tables of applications and entitlements."""

from gongshu.base.ids import GrantId
from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.scenarios.types import Entitlement, EntitlementStatus, Scenario

SCENARIOS = Documents(
    "scenario", Scenario, short("grant_id"), short("operator"), short("status"),
    index=lambda made: {"grant_id": made.terms.grant, "operator": made.operator, "status": made.status},
)  # fmt: skip
ENTITLEMENTS = Documents(
    "entitlement", Entitlement, short("grant_id"), short("operator"), short("developer"), short("status"),
    index=lambda made: {
        "grant_id": made.grant.id, "operator": made.operator, "developer": made.developer, "status": made.status,
    },
)  # fmt: skip


def active_under(tx: Transaction, grant_id: GrantId) -> tuple[Entitlement, ...]:
    """Return the entitlements under a grant that have not ended."""
    return ENTITLEMENTS.all(tx, grant_id=grant_id, status=EntitlementStatus.ACTIVE)

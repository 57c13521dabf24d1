"""Tables of plans, agreements, grants and exit records."""

from gongshu.base.ids import AgreementId, GrantId
from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.grants.types import Agreement, ExitRecord, Grant, Plan

PLANS = Documents(
    "plan", Plan, short("agency"), short("status"),
    index=lambda plan: {"agency": plan.agency, "status": plan.status},
)  # fmt: skip
AGREEMENTS = Documents(
    "agreement", Agreement, short("agency"), short("operator"), short("status"),
    index=lambda made: {"agency": made.terms.agency, "operator": made.terms.operator, "status": made.status},
)  # fmt: skip
GRANTS = Documents(
    "authorization_grant", Grant, short("agreement", unique=True), short("agency"), short("operator"), short("status"),
    index=lambda grant: {
        "agreement": grant.agreement.id, "agency": grant.terms.agency, "operator": grant.terms.operator,
        "status": grant.status,
    },
)  # fmt: skip
EXIT_RECORDS = Documents(
    "exit_record", ExitRecord, short("grant_id", unique=True), index=lambda record: {"grant_id": record.grant.id}
)


def find_grant_under(tx: Transaction, agreement_id: AgreementId) -> Grant | None:
    """Return the grant that was issued under an agreement."""
    return next(iter(GRANTS.all(tx, agreement=agreement_id)), None)


def find_exit_record(tx: Transaction, grant_id: GrantId) -> ExitRecord | None:
    """Return what was recorded when the grant ended."""
    return next(iter(EXIT_RECORDS.all(tx, grant_id=grant_id)), None)

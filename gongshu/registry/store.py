"""The table of registrations."""

from datetime import date

from gongshu.base.ids import ResourceId
from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.registry.types import Registration, RegistrationStatus

REGISTRATIONS = Documents(
    "registration", Registration, short("resource"), short("registrant"), short("status"), short("code", unique=True),
    index=lambda made: {
        "resource": made.terms.resource, "registrant": made.terms.registrant, "status": made.status,
        "code": made.code or None,
    },
)  # fmt: skip


def all_of(tx: Transaction, resource_id: ResourceId) -> tuple[Registration, ...]:
    """Return every registration of a resource, oldest first."""
    return REGISTRATIONS.all(tx, resource=resource_id)


def find_by_code(tx: Transaction, code: str) -> Registration | None:
    """Return the registration with this code."""
    return next(iter(REGISTRATIONS.all(tx, code=code)), None)


def find_coded(tx: Transaction, resource_id: ResourceId, today: date) -> Registration | None:
    """Return the registration of a resource whose code counts on ``today``."""
    coded = REGISTRATIONS.all(tx, resource=resource_id, status=RegistrationStatus.CODED)
    return next((registration for registration in coded if registration.is_valid(today)), None)

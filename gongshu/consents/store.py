"""Consents: who may use whose data for what, the subject known by a keyed hash only."""

from gongshu.base.tables import Documents, short
from gongshu.consents.types import Consent

CONSENTS: Documents[Consent] = Documents(
    "consent", Consent, short("consumer"), short("operator"), short("contract"), short("status"),
    index=lambda c: {
        "consumer": c.terms.consumer, "operator": c.operator, "contract": c.contract, "status": c.status.value,
    },
)  # fmt: skip

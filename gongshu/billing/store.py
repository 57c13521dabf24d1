"""The tables of billing. A correction, an adjustment, a confirmation is another row; no row with an amount is ever changed."""

from gongshu.base.tables import Documents, short
from gongshu.billing.types import Adjustment, Confirmation, Dispute, PackUse, Statement

STATEMENTS: Documents[Statement] = Documents(
    "statement", Statement, short("contract"), short("month"), short("product"), short("consumer"), short("operator"),
    index=lambda s: {
        "contract": s.charge.contract_id, "month": s.charge_period_start.isoformat(), "product": s.charge.product,
        "consumer": s.consumer, "operator": s.operator,
    },
)  # fmt: skip
PACKS: Documents[PackUse] = Documents(
    "pack", PackUse, short("contract"), short("operator"),
    index=lambda p: {"contract": p.contract, "operator": p.operator},
)  # fmt: skip
DISPUTES: Documents[Dispute] = Documents(
    "dispute", Dispute, short("statement"), short("consumer"), short("operator"), short("status"),
    index=lambda d: {
        "statement": d.statement_id, "consumer": d.consumer, "operator": d.operator, "status": d.status.value,
    },
)  # fmt: skip
ADJUSTMENTS: Documents[Adjustment] = Documents(
    "adjustment", Adjustment, short("statement"), short("product"), short("consumer"), short("operator"),
    index=lambda a: {
        "statement": a.statement_id, "product": a.product, "consumer": a.consumer, "operator": a.operator,
    },
)  # fmt: skip
CONFIRMATIONS: Documents[Confirmation] = Documents("confirmation", Confirmation)

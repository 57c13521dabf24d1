"""The table of statements. A correction is another row; no row is ever changed."""

from gongshu.base.tables import Documents, short
from gongshu.billing.types import Statement

STATEMENTS: Documents[Statement] = Documents(
    "statement", Statement, short("contract"), short("month"), short("product"), short("consumer"), short("operator"),
    index=lambda s: {
        "contract": s.charge.contract_id, "month": s.charge_period_start.isoformat(), "product": s.charge.product,
        "consumer": s.consumer, "operator": s.operator,
    },
)  # fmt: skip

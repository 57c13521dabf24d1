"""What the control database keeps of usage: which segments were collected, and counts by contract and result."""

from sqlalchemy import select

from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.metering.types import CollectedCount, SealedSegment, SegmentFault, UsageTable

SEGMENTS: Documents[SealedSegment] = Documents(
    "usage_segment", SealedSegment, short("gateway"), index=lambda s: {"gateway": s.gateway}
)
COUNTS: Documents[CollectedCount] = Documents(
    "usage_count", CollectedCount, short("contract"), short("segment"), short("month"),
    index=lambda c: {"contract": c.usage.contract, "segment": c.usage.segment.id, "month": c.month},
)  # fmt: skip
TABLES: Documents[UsageTable] = Documents("usage_table", UsageTable, short("month"), index=lambda t: {"month": t.month})
FAULTS: Documents[SegmentFault] = Documents(
    "usage_fault", SegmentFault, short("segment"), index=lambda f: {"segment": f.segment}
)


def collected_ids(tx: Transaction, gateway: str) -> frozenset[str]:
    """Return the ids of the segments of a gateway that were collected."""
    table = SEGMENTS.table
    return frozenset(row[0] for row in tx.execute(select(table.c.id).where(table.c.gateway == gateway)))

"""Keys, and the numbers of the snapshots that were published."""

from sqlalchemy import select

from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.delivery.types import ApiKey, PublishedSnapshot

KEYS: Documents[ApiKey] = Documents(
    "api_key", ApiKey, short("contract"), short("party"), short("secret_sha256", unique=True), short("is_revoked"),
    index=lambda k: {
        "contract": k.contract, "party": k.party, "secret_sha256": k.secret_sha256,
        "is_revoked": "no" if k.revoked_at is None else "yes",
    },
)  # fmt: skip

SNAPSHOTS: Documents[PublishedSnapshot] = Documents("snapshot", PublishedSnapshot)


def last_snapshot(tx: Transaction) -> PublishedSnapshot | None:
    """Return the snapshot with the highest number, or ``None`` before the first."""
    key = SNAPSHOTS.table.c.id
    newest = tx.execute(select(key).order_by(key.desc()).limit(1)).scalar()
    return None if newest is None else SNAPSHOTS.find(tx, newest)

"""Answers kept for repeated creations (``Idempotency-Key``). They hold ids and decisions, as the API gives them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Integer, LargeBinary, String, Table, delete, insert, select, update

from gongshu.base.site import Transaction
from gongshu.base.tables import METADATA

RUNNING, DONE_NOT_KEPT = 0, 1
"""In the place of an HTTP status: the request still runs; or it is done and its answer showed a secret."""

_TABLE = Table(
    "idempotency_key",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("request_digest", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("status", Integer, nullable=False),
    Column("content_type", String(200), nullable=False),
    Column("body", LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class KeptAnswer:
    """What is kept of one request: the digest of what was asked, and the answer."""

    request_digest: str
    created_at: datetime
    status: int
    content_type: str
    body: bytes


def find_answer(tx: Transaction, row_id: str) -> KeptAnswer | None:
    """Return what is kept under ``row_id``."""
    row: Any = tx.execute(select(_TABLE).where(_TABLE.c.id == row_id)).mappings().first()
    if row is None:
        return None
    created = row["created_at"]
    return KeptAnswer(
        request_digest=row["request_digest"],
        created_at=created if created.tzinfo else created.replace(tzinfo=UTC),  # SQLite keeps no zone: it is UTC
        status=row["status"],
        content_type=row["content_type"],
        body=row["body"],
    )


def claim(tx: Transaction, row_id: str, digest: str, now: datetime) -> None:
    """Note that a request runs; replaces one that died."""
    forget(tx, row_id)
    values = {"id": row_id, "request_digest": digest, "created_at": now}
    tx.execute(insert(_TABLE).values(**values, status=RUNNING, content_type="", body=b""))


def keep(tx: Transaction, row_id: str, status: int, content_type: str, body: bytes) -> None:
    """Keep the answer of a claimed request."""
    tx.execute(update(_TABLE).where(_TABLE.c.id == row_id).values(status=status, content_type=content_type, body=body))


def forget(tx: Transaction, row_id: str) -> None:
    """Forget one request."""
    tx.execute(delete(_TABLE).where(_TABLE.c.id == row_id))


def forget_before(tx: Transaction, moment: datetime) -> None:
    """Forget what is older than ``moment``."""
    tx.execute(delete(_TABLE).where(_TABLE.c.created_at < moment))

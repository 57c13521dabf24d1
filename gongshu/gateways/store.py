"""Registered gateways, and the views that were in force."""

from sqlalchemy import select

from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.gateways.types import RegisteredGateway, View

GATEWAYS: Documents[RegisteredGateway] = Documents(
    "gateway", RegisteredGateway, short("status"), index=lambda gateway: {"status": gateway.status.value}
)

VIEWS: Documents[View] = Documents("gateway_view", View)


def last_view(tx: Transaction) -> View | None:
    """Return the view in force, or ``None`` before the first gateway has joined."""
    key = VIEWS.table.c.id
    newest = tx.execute(select(key).order_by(key.desc()).limit(1)).scalar()
    return None if newest is None else VIEWS.find(tx, newest)

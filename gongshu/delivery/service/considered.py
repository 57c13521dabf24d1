"""A call on its way through the gateway, with what was found out about it so far."""

from datetime import datetime

from gongshu.base.decisions import Reason
from gongshu.delivery.service.opening import Opened
from gongshu.delivery.types import IncomingCall
from gongshu.metering import service as metering


class Considered:
    """A call whose reasons were looked for: what it asks, and the earlier call with its request id."""

    __slots__ = ("call", "digest", "earlier", "fields", "id_key", "now", "opened", "purpose", "reasons")

    def __init__(self, call: IncomingCall, opened: Opened, now: datetime) -> None:
        """Nothing was found out yet."""
        self.call, self.opened, self.now = call, opened, now
        self.reasons: list[Reason] = []
        self.fields: dict[str, str] = {}
        self.digest, self.id_key, self.purpose = "", b"", ""
        self.earlier: metering.Earlier | None = None

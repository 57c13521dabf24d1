"""Follows the snapshot's file: verified, never a step back, at the price of one look at the file per millisecond.

A look gives up the interpreter's lock for a moment, so one per call would cost a tenth of the speed.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gongshu.base.decisions import Denied
from gongshu.delivery import adapters, rules
from gongshu.delivery.types import SnapshotHead

log = logging.getLogger("gongshu.gateway")

LOOK_SECONDS = 0.001


class Follower:
    """Reads the snapshot whenever its file was replaced, and hands every later one to ``adopt``."""

    def __init__(
        self,
        home: Path,
        gateway: str,
        adopt: Callable[[SnapshotHead], None],
        monotonic: Callable[[], float],
    ) -> None:
        """Remember what this gateway adopted before it was restarted."""
        self._path, self._key_path = adapters.snapshot_path(home), adapters.public_key_path(home)
        self._seen_path = adapters.seen_path(home, gateway)
        self._adopt, self._monotonic = adopt, monotonic
        self._public_key: bytes | None = None
        self._identity: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        seen = adapters.read_seen(self._seen_path)
        self._seen: tuple[int, datetime] | None = None if seen is None else (seen.number, seen.issued_at)

    def look(self) -> None:
        """Adopt the snapshot if its file was replaced since the last look."""
        moment = self._monotonic()
        if moment - self._looked < LOOK_SECONDS:
            return
        self._looked = moment
        identity = adapters.identity(self._path)
        if identity is None or identity == self._identity:
            return
        if self._public_key is None:  # read once: from then on only this control plane is believed
            self._public_key = adapters.read_if_there(self._key_path)
        data = adapters.read_if_there(self._path)
        if data is None or self._public_key is None:
            return
        self._identity = identity
        try:
            snapshot = adapters.read_head(data, self._public_key)
        except adapters.SnapshotInvalid as invalid:
            log.error("the policy snapshot is not valid: %s", invalid)  # noqa: TRY400 - its kind says all
            return
        decision = rules.decide_adopt(snapshot, self._seen)
        if isinstance(decision, Denied):
            log.error("the policy snapshot is refused: %s", ", ".join(reason.code for reason in decision.reasons))
            return
        self._seen = (snapshot.number, snapshot.issued_at)
        try:
            adapters.write_seen(self._seen_path, adapters.SeenSnapshot(snapshot.number, snapshot.issued_at))
        except OSError:  # a full disk must not keep a revocation from acting
            log.error("the number of the policy snapshot could not be kept")  # noqa: TRY400 - see above
        self._adopt(snapshot)

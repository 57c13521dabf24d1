"""The control plane's side: takes beats, grants leases, keeps the view of the members, tells what gateways left behind.

It runs in ``gongshu serve``. What must survive is in the control database; when each gateway was last heard of is not, and is
taken to be now after a start.
"""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from gongshu.base.decisions import Decision, Refused
from gongshu.base.site import Site
from gongshu.gateways import rules, store
from gongshu.gateways.adapters import files, messages
from gongshu.gateways.service.registry import change_gateway
from gongshu.gateways.types import (
    Beat,
    FileRequest,
    GatewayStatus,
    HandOver,
    HandOverRequest,
    Lease,
    RegisteredGateway,
    Seen,
    SentSegment,
    Signed,
    View,
)
from gongshu.metering import service as metering
from gongshu.metering.types import HandedRecord, HandedUse

log = logging.getLogger("gongshu.gateways")

SIGNING_KEY = "snapshot-signing"
"""The control plane signs leases and counts with the key of the policy snapshot, whose public half gateways have."""
HEAD_PATH = Path("gateway") / "snapshot.json"


class Control:
    """What one process of the control plane knows of its gateways. Used by many threads."""

    def __init__(self, site: Site, clock: Callable[[], float] = messages.boot_seconds) -> None:
        """Take every member to have been heard of just now."""
        self._site, self._clock, self._began = site, clock, clock()
        self._seen: dict[str, Seen] = {}
        self._heard: dict[str, float] = {}
        self._collected: dict[str, int] = {}  # the highest number of a segment; of a shared folder as it was at first
        self._changing, self._looking = threading.Lock(), threading.Lock()
        self._keys_check = messages.keys_check(site.keys)

    # ------------------------------------------------------------------------------------------------------ messages

    def answer(self, kind: str, data: bytes) -> bytes:
        """Answer a signed message of a gateway; ``Refused`` when there is something against it."""
        signed = self._read(data)
        gateway = self._gateway(signed.name)
        try:
            if kind == "beat":
                return self._beat(gateway, messages.unseal(kind, signed, gateway.public_key, Beat))
            if kind == "hand-over":
                asked = messages.unseal(kind, signed, gateway.public_key, HandOverRequest)
                return self._hand_over(gateway, asked)
            if kind == "file":
                return self._file(messages.unseal(kind, signed, gateway.public_key, FileRequest))
            if kind == "segment":
                return self._take_in(gateway, messages.unseal(kind, signed, gateway.public_key, SentSegment))
        except messages.MessageInvalid:
            pass
        raise Refused((rules.GATEWAY_UNKNOWN.because(),))

    @staticmethod
    def _read(data: bytes) -> Signed:
        try:
            return messages.signer_of(data)
        except messages.MessageInvalid:
            raise Refused((rules.GATEWAY_UNKNOWN.because(),)) from None

    def _gateway(self, name: str) -> RegisteredGateway:
        with self._site.db.reading() as tx:
            gateway = store.GATEWAYS.find(tx, name)
        if gateway is None:
            raise Refused((rules.GATEWAY_UNKNOWN.because(),))
        return gateway

    def _view(self) -> View | None:
        with self._site.db.reading() as tx:
            return store.last_view(tx)

    def _seal(self, kind: str, message: object) -> bytes:
        return messages.seal(kind, "", message, self._site.keys.secret(SIGNING_KEY))

    def _number(self, key: str) -> int:
        return self._site.parameters.number(key, self._site.today())

    # --------------------------------------------------------------------------------------------------------- beats

    def _beat(self, gateway: RegisteredGateway, beat: Beat) -> bytes:
        with self._changing:
            seen = self._seen.get(gateway.id)
            if seen is None or seen.incarnation != beat.incarnation or beat.is_leaving:
                self._collected[gateway.id] = metering.last_segment_of(self._site.home, gateway.id)
            collected = self._collected[gateway.id]
            decision: Decision[Beat] = rules.decide_beat(beat, gateway, seen, self._keys_check, collected)
            decision.value_or_raise()
            gateway = self._gateway(gateway.id)  # as it is now that nobody else changes it
            has_left = beat.is_leaving and (
                gateway.status is not GatewayStatus.MEMBER or beat.last_segment <= collected
            )
            if not beat.is_leaving:
                self._lease(gateway)
            elif has_left and gateway.status is GatewayStatus.MEMBER:
                change_gateway(self._site, gateway.id, "leave")
            self._seen[gateway.id] = Seen(
                gateway.id, beat.incarnation, beat.number, self._site.now(), beat.report, beat.epoch
            )
            self._heard[gateway.id] = self._clock()
            files.write_seen(self._site.home, tuple(self._seen.values()))
        view = self._view()
        head = self._head()
        return self._seal(
            "lease",
            Lease(
                nonce=beat.nonce, seconds=self._number("gateway.lease_seconds"),
                beat_seconds=self._number("gateway.beat_milliseconds") / 1000, epoch=view.epoch if view else 0,
                home=files.home_id(self._site.home), collected_segment=collected,
                view=view if view is not None and view.epoch > beat.epoch else None,
                head=b"" if not head or sha256(head).hexdigest() == beat.snapshot else head, has_left=has_left,
            ),
        )  # fmt: skip

    def _lease(self, gateway: RegisteredGateway) -> None:
        """Make a gateway a member if it is none, and note until when it may go on by itself."""
        if gateway.status is not GatewayStatus.MEMBER:
            change_gateway(self._site, gateway.id, "join")
        seconds, margin = self._number("gateway.lease_seconds"), self._number("gateway.lease_margin_seconds")
        now = self._site.now()
        ends = now + timedelta(seconds=seconds + margin)
        if gateway.leased_until is None or gateway.leased_until < ends:
            with self._site.db.transaction() as tx:  # a little ahead, so that not every beat is a change
                before = store.GATEWAYS.get(tx, gateway.id)
                store.GATEWAYS.save(tx, before, rules.leased(before, ends + timedelta(seconds=seconds / 4)))

    def _head(self) -> bytes:
        try:
            return (self._site.home / HEAD_PATH).read_bytes()
        except FileNotFoundError:
            return b""

    # -------------------------------------------------------------------------------------------------- silent members

    def look_for_silent(self) -> None:
        """Settle members that were not heard of for long, if it can be proved that they have ended. One look at a time."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            view, now = self._view(), self._clock()
            silence = self._number("gateway.silence_milliseconds") / 1000
            for name in view.names if view else ():
                if now - self._heard.get(name, self._began) > silence:
                    self._settle(name)
        finally:
            self._looking.release()

    def _settle(self, name: str) -> None:
        try:
            if not metering.settle(self._site.home, name, self._site.clock):
                return  # its disk is elsewhere: nobody can know what it recorded last
        except metering.StillRunning:
            return  # it is only slow, or cut off: its lease will end
        with self._changing:
            heard = self._clock() - self._heard.get(name, self._began)
            if heard > self._number("gateway.silence_milliseconds") / 1000:
                change_gateway(self._site, name, "settle")
                log.warning("gateway %s has ended; its contracts go to others", name)

    # ---------------------------------------------------------------------------------------------------- what is left

    def _hand_over(self, gateway: RegisteredGateway, asked: HandOverRequest) -> bytes:
        """Tell a member what all gateways that are no members counted of its contracts."""
        view = self._in_force(gateway, asked)
        uses: list[HandedUse] = []
        records: list[HandedRecord] = []
        for name in metering.gateway_folders(self._site.home):
            if name not in view.names:
                try:
                    metering.settle(self._site.home, name, self._site.clock)
                except metering.StillRunning:
                    raise Refused((rules.GATEWAY_RUNS_UNSEEN.because(name=name),)) from None
                counted, recent = metering.left_behind(
                    self._site.home, name, lambda contract: rules.owner_of(view.names, contract) == gateway.id
                )
                uses += counted
                records += recent
        self._in_force(gateway, asked)  # what was read is final only under the view that is still in force
        return self._seal("handed-over", HandOver("", gateway.id, view.epoch, asked.nonce, tuple(uses), tuple(records)))

    def _in_force(self, gateway: RegisteredGateway, asked: HandOverRequest) -> View:
        view = self._view()
        if view is None or view.epoch != asked.epoch or gateway.id not in view.names:
            raise Refused((rules.EPOCH_DIFFERS.because(asked=asked.epoch, current=view.epoch if view else 0),))
        return view

    # ----------------------------------------------------------------------------------------------------------- files

    def _file(self, asked: FileRequest) -> bytes:
        """Return a file that the snapshot names: its digest stands in the signed head, so it is not signed again."""
        path = files.served_file(self._site.home, asked.path)
        return b"" if path is None else path.read_bytes()

    def _take_in(self, gateway: RegisteredGateway, sent: SentSegment) -> bytes:
        """Keep a sealed segment of a gateway elsewhere."""
        if not metering.take_in(self._site.home, gateway.id, sent.segment, sent.data, sent.seal):
            raise Refused((rules.SEGMENT_REFUSED.because(name=gateway.id),))
        with self._changing:
            self._collected[gateway.id] = metering.last_segment_of(self._site.home, gateway.id)
        return b""

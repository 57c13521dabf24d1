"""A gateway's own side: it beats, goes by the view, asks for counts before it answers, and tells its own when asked.

Used from one event loop only. ``answers_for`` is asked by the meter for every answer and costs a look into a set.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path

from gongshu.base.decisions import Denied, Refused
from gongshu.base.ids import ContractId
from gongshu.base.site import Keys
from gongshu.gateways import rules
from gongshu.gateways.adapters import files, messages, wire
from gongshu.gateways.service.fetching import Fetching
from gongshu.gateways.service.registry import gateway_key
from gongshu.gateways.types import (
    Beat,
    FileRequest,
    HandOver,
    HandOverRequest,
    Lease,
    Member,
    Report,
    SentSegment,
    Standing,
    Tenure,
    View,
)
from gongshu.metering import service as metering
from gongshu.metering.types import ContractUse, HandedRecord

log = logging.getLogger("gongshu.gateways")

LINK = "/link/"
ASK_AGAIN_SECONDS = 0.1
FIRST_BEAT_SECONDS = 0.5
LEAVE_SECONDS_MAX = 10.0
NONCE_BYTES = 16


class Membership:
    """What one gateway process may answer for."""

    def __init__(  # noqa: PLR0917 - what a gateway is
        self, name: str, home: Path, keys: Keys, control: str, meter: metering.Meter,
        is_ready: Callable[[], bool] = lambda: True, clock: Callable[[], float] = messages.boot_seconds,
    ) -> None:  # fmt: skip
        """Answer for nothing yet. ``control`` is the address of the control plane."""
        self._name, self._home, self._control = name, home, control.rstrip("/")
        self._meter, self._is_ready, self._clock = meter, is_ready, clock
        self._seed, self._keys_check = gateway_key(keys, name), messages.keys_check(keys)
        self._incarnation, self._number = secrets.token_hex(8), 0
        self._tenure = Tenure(name)
        self._members: dict[str, Member] = {}
        self._held: set[str] = set()
        self._until = float("-inf")
        self._beat_seconds = FIRST_BEAT_SECONDS
        self._is_leaving = self._has_left = False
        self._wire = wire.Wire()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acquiring: asyncio.Task[None] | None = None
        self._fetching = Fetching(home, self._fetch)
        self.forwarded = 0
        meter.only_for(self.answers_for)

    # ------------------------------------------------------------------------------------------------------- questions

    def answers_for(self, contract: ContractId) -> bool:
        """Whether this gateway, and no other, answers under a contract at this moment."""
        if self._clock() >= self._until or self._is_leaving:
            return False
        if contract in self._held:
            return True
        if rules.standing_of(self._tenure, contract)[0] is not Standing.HELD:
            return False
        self._held.add(contract)
        return True

    def place_of(self, contract: ContractId) -> tuple[Standing, Member | None]:
        """Return how a contract stands here, and with whom it is where that is another gateway."""
        if self.answers_for(contract):
            return Standing.HELD, None
        standing, owner = rules.standing_of(self._tenure, contract)
        if standing is Standing.ELSEWHERE:
            return standing, self._members.get(owner)
        return (Standing.NOWHERE if self.lease_seconds_left <= 0 else Standing.MOVING), None

    @property
    def lease_seconds_left(self) -> float:
        """How long this gateway may go on by itself."""
        return max(0.0, self._until - self._clock())

    @property
    def epoch(self) -> int:
        """The number of the view that this gateway goes by."""
        return self._tenure.epoch

    @property
    def is_complete(self) -> bool:
        """Whether it has the counts of all others under the view in force."""
        return bool(self._tenure.views) and self._tenure.views[-1].is_complete

    def states(self) -> dict[str, float]:
        """Return what the metrics tell."""
        return {
            "lease_seconds": self.lease_seconds_left, "view": self.epoch, "contracts_held": len(self._held),
            "calls_forwarded": self.forwarded, "counts_complete": 1.0 if self.is_complete else 0.0,
        }  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------- beats

    async def run(self) -> None:
        """Beat until cancelled. A beat that fails changes nothing: the lease simply runs on to its end."""
        while True:
            try:
                await self.beat()
            except (wire.Unreachable, messages.MessageInvalid) as failed:
                log.warning("the control plane does not answer: %s", failed)
            await asyncio.sleep(self._beat_seconds)

    async def beat(self) -> None:
        """Send one sign of life, and go by what is answered."""
        sent, nonce = self._clock(), secrets.token_hex(NONCE_BYTES)
        self._number += 1
        beat = Beat(
            name=self._name, incarnation=self._incarnation, number=self._number, nonce=nonce, epoch=self.epoch,
            keys_check=self._keys_check, last_segment=self._meter.last_segment, snapshot=self._fetching.head_digest,
            is_leaving=self._is_leaving,
            report=Report(len(self._held), self.forwarded, self.is_complete, self._is_ready()),
        )  # fmt: skip
        answer = await self._wire.post(
            f"{self._control}{LINK}beat", messages.seal("beat", self._name, beat, self._seed)
        )
        lease = messages.unseal("lease", messages.signer_of(answer), self._control_key(), Lease)
        if lease.nonce != nonce:
            raise messages.MessageInvalid("nonce")
        self._take(lease, sent)

    def _control_key(self) -> str:
        """Return the key of the control plane, which the operator brought here."""
        try:
            return (self._home / "gateway" / "snapshot-signing.pub").read_text().strip()
        except FileNotFoundError:
            raise messages.MessageInvalid("no key of the control plane") from None

    def _take(self, lease: Lease, sent: float) -> None:
        self._has_left, self._beat_seconds = lease.has_left, lease.beat_seconds
        if self._clock() >= self._until:  # whoever was silent for long may have been given up
            self._tenure, self._held = rules.broken(self._tenure), set()
        if lease.view is not None and lease.view.epoch > self.epoch:
            self._adopt(lease.view)
        if lease.epoch == self.epoch and not self._is_leaving:
            self._until = max(self._until, sent + lease.seconds)
        if not self.is_complete and self._tenure.views and (self._acquiring is None or self._acquiring.done()):
            self._acquiring = self._start(self._acquire(self.epoch))
        is_shared = lease.home == files.home_id(self._home) != ""
        if not is_shared:
            self._fetching.is_needed = True
            if lease.head:
                self._start(self._fetching.adopt(lease.head))
            if self._meter.last_segment > lease.collected_segment:
                self._start(self._send_segments(lease.collected_segment))

    def _start(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _adopt(self, view: View) -> None:
        """Go by a view: from here on nothing is answered that it gives to others."""
        self._tenure, self._held = rules.adopt(self._tenure, view), set()
        self._members = {member.name: member for member in view.members}
        if self._acquiring is not None:
            self._acquiring.cancel()
            self._acquiring = None

    # ---------------------------------------------------------------------------------------------------- taking counts

    async def _acquire(self, epoch: int) -> None:
        """Ask all other members, and the control plane for those that are none, until all have told."""
        givers = rules.givers_of(self._tenure)
        told = await asyncio.gather(*(self._ask(giver, epoch) for giver in ("", *givers)))
        if self.epoch != epoch:
            return
        together: dict[ContractId, ContractUse] = {}
        records: list[HandedRecord] = []
        for handed in told:
            for use in handed.uses:
                before = together.get(use.contract, ContractUse(0, {}))
                days = {*before.by_day, *use.by_day}
                together[use.contract] = ContractUse(
                    before.total + use.total, {day: before.by_day.get(day, 0) + use.by_day.get(day, 0) for day in days}
                )
            records += handed.records
        self._meter.take_over(together, records)
        self._tenure, self._held = rules.complete(self._tenure, epoch), set()

    async def _ask(self, giver: str, epoch: int) -> HandOver:
        """Ask one gateway for its counts until it tells them."""
        while True:
            try:
                return await self._ask_once(giver, epoch)
            except (wire.Unreachable, messages.MessageInvalid) as failed:
                log.info("counts of %s: %s", giver or "gateways that left", failed)
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _ask_once(self, giver: str, epoch: int) -> HandOver:
        nonce = secrets.token_hex(NONCE_BYTES)
        member = self._members.get(giver)
        address = member.address if member is not None else self._control
        key = member.public_key if member is not None else self._control_key()
        asked = messages.seal("hand-over", self._name, HandOverRequest(self._name, epoch, nonce), self._seed)
        answer = await self._wire.post(f"{address}{LINK}hand-over", asked, wire.HAND_OVER_SECONDS_MAX)
        signed = await asyncio.to_thread(messages.signer_of, answer)
        handed = await asyncio.to_thread(messages.unseal, "handed-over", signed, key, HandOver)
        if (handed.giver, handed.taker, handed.epoch, handed.nonce) != (giver, self._name, epoch, nonce):
            raise messages.MessageInvalid("handed-over")
        return handed

    # ---------------------------------------------------------------------------------------------------- giving counts

    async def hand_over(self, data: bytes) -> bytes:
        """Tell another member what this gateway counted of its contracts; ``Refused`` unless both go by the same view."""
        try:
            signed = messages.signer_of(data)
            member = self._members.get(signed.name)
            if member is None:
                raise Refused((rules.GATEWAY_UNKNOWN.because(),))
            asked = messages.unseal("hand-over", signed, member.public_key, HandOverRequest)
        except messages.MessageInvalid:
            raise Refused((rules.GATEWAY_UNKNOWN.because(),)) from None
        names = tuple(self._members)
        self._may_hand_over(asked, member)
        uses, records = await self._meter.hand_over(lambda contract: rules.owner_of(names, contract) == member.name)
        self._may_hand_over(asked, member)  # the view may have changed meanwhile
        told = HandOver(self._name, member.name, asked.epoch, asked.nonce, uses, records)
        return await asyncio.to_thread(messages.seal, "handed-over", self._name, told, self._seed)

    def _may_hand_over(self, asked: HandOverRequest, member: Member) -> None:
        decision = rules.decide_hand_over(self._tenure, member.name, asked.epoch)
        if isinstance(decision, Denied):
            raise Refused(decision.reasons)

    # ------------------------------------------------------------------------------------------- a machine of its own

    async def _fetch(self, path: str) -> bytes:
        asked = FileRequest(self._name, path, secrets.token_hex(NONCE_BYTES))
        data = messages.seal("file", self._name, asked, self._seed)
        return await self._wire.post(f"{self._control}{LINK}file", data, wire.HAND_OVER_SECONDS_MAX)

    async def _send_segments(self, after: int) -> None:
        """Send what was sealed and the control plane does not have, in order."""
        if self._fetching.sending.locked():
            return
        async with self._fetching.sending:
            with contextlib.suppress(wire.Unreachable):
                for found in await asyncio.to_thread(metering.sealed_after, self._home, self._name, after):
                    data = messages.seal("segment", self._name, SentSegment(self._name, *found), self._seed)
                    await self._wire.post(f"{self._control}{LINK}segment", data, wire.HAND_OVER_SECONDS_MAX)

    # ---------------------------------------------------------------------------------------------------------- leaving

    def stop(self) -> None:
        """Answer nothing from now on."""
        self._is_leaving, self._until = True, float("-inf")
        for task in tuple(self._tasks):
            task.cancel()

    async def leave(self) -> None:
        """Tell the control plane that everything is sealed, so that others can go on at once. The meter is closed by now."""
        deadline = self._clock() + LEAVE_SECONDS_MAX
        while not self._has_left and self._clock() < deadline:
            try:
                await self.beat()
            except (wire.Unreachable, messages.MessageInvalid) as failed:
                log.warning("the control plane does not know that this gateway has left: %s", failed)
                break
            if not self._has_left:
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        for task in tuple(self._tasks):
            task.cancel()
        await self._wire.close()

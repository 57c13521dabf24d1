"""Serving product calls: everything it needs is in memory, and nothing of it touches the control database.

The order of a call: key → product → contract and grant → purpose, period, counts → input → an earlier answer to the
same request id → look-up → usage record on disk → answer. Between the counts and the record nothing waits, so counts
are exact.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from gongshu.base.days import Period
from gongshu.base.decisions import Denied, Reason
from gongshu.base.ids import ContractId
from gongshu.base.site import Clock, Keys
from gongshu.delivery import rules
from gongshu.delivery.adapters import SnapshotInvalid
from gongshu.delivery.service.artifacts import Artifacts
from gongshu.delivery.service.batches import Batch, BatchItem, read_items, summary
from gongshu.delivery.service.bulk import Bulk
from gongshu.delivery.service.consenting import ConsentCheck
from gongshu.delivery.service.considered import Considered
from gongshu.delivery.service.copying import openers_of
from gongshu.delivery.service.following import Follower
from gongshu.delivery.service.kinds import OUTCOMES, SLOW_KINDS, Answer, BuyerAnswer, Opener
from gongshu.delivery.service.measures import Measures
from gongshu.delivery.service.opening import Opened, Opening
from gongshu.delivery.service.signatures import Signatures, opener_of
from gongshu.delivery.service.threads import Threads
from gongshu.delivery.service.traces import Tracing
from gongshu.delivery.types import (
    Answered,
    BatchAnswered,
    BulkTask,
    IncomingCall,
    Outcome,
    Receipt,
    SnapshotContract,
    SnapshotHead,
    Trace,
    Turned,
)
from gongshu.gateways import service as gateways
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED, MeterUnavailable, ResultCode, StoredRecord, UsageRecord
from gongshu.policies import service as policies
from gongshu.policies.types import UsageRequest
from gongshu.products.types import ProductKind

log = logging.getLogger("gongshu.gateway")

DIGEST_KEY = "request-digest"
DIGEST_BYTES = 16
RETRY_SECONDS = 1
PURPOSE_FIELD = "purpose"
REFUSED = ResultCode.REFUSED.value

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Gateway:
    """Serves the calls of one gateway process. Used from one event loop only."""

    def __init__(
        self,
        home: Path,
        gateway: str,
        clock: Clock,
        keys: Keys,
        *,
        openers: Mapping[ProductKind, Opener] | None = None,
        limits: metering.MeterLimits | None = None,
        disk: metering.Disk = metering.LOCAL_DISK,
        monotonic: Callable[[], float] = time.monotonic,
        tracing: Tracing | None = None,
    ) -> None:
        """Open meter and snapshot; takes the exclusive lock of the gateway's usage folder."""
        self._clock, self._monotonic = clock, monotonic
        self.tracing = tracing
        self._digest_key = keys.secret(DIGEST_KEY)
        self.meter = metering.open_meter(home, gateway, clock, limits, monotonic=monotonic, disk=disk)
        self._artifacts, self._threads = Artifacts(home, keys, openers or openers_of(home, gateway)), Threads()
        self.measures = Measures(self._states)
        self._others_states: Callable[[], dict[str, float]] = dict
        self.opening = Opening(home)
        self._consents = ConsentCheck(keys, self.opening.is_withdrawn)
        self._signatures = Signatures(keys, clock)
        self.batches = 0  # being read or answered now
        self.uploads = 0  # bulk tasks that are arriving
        self.bulk = Bulk(home, gateway, keys, self.answer_batch, clock)
        self._snapshot: SnapshotHead | None = None
        self._life: Period | None = None
        self._rates: dict[ContractId, int] = {}
        self._second = 0
        self._follower = Follower(home, gateway, self._adopt, monotonic)
        self._follower.look()

    # ------------------------------------------------------------------------------------------------------- snapshot

    def _adopt(self, snapshot: SnapshotHead) -> None:
        """Serve by ``snapshot`` from now on."""
        self.opening.adopt(snapshot)
        self._consents.adopt(bytes.fromhex(snapshot.consent_key))
        self._snapshot, self._life = snapshot, rules.life_of(snapshot)

    def _unready(self, now: datetime) -> Reason | None:
        if self._life is None:
            return rules.SNAPSHOT_MISSING.because()
        if not self._life.holds(now):
            return rules.SNAPSHOT_TOO_OLD.because()
        failure = self.meter.failure
        return rules.UNAVAILABLE[failure].because() if failure in rules.UNAVAILABLE else None

    def _states(self) -> dict[str, float]:
        now = self._clock()
        age = (now - self._snapshot.issued_at).total_seconds() if self._snapshot is not None else -1.0
        return {
            "ready": 0.0 if self._unready(now) else 1.0, "snapshot_number": self._snapshot.number if self._snapshot else 0,
            "snapshot_age_seconds": age, "waiting_records": self.meter.waiting, "open_files": self._artifacts.opened,
            "waiting_answers": self._threads.waiting, "waiting_bulk_items": self.bulk.waiting,
        } | self._others_states()  # fmt: skip

    def tell_also(self, states: Callable[[], dict[str, float]]) -> None:
        """Let the metrics tell ``states`` too: how this gateway stands with others."""
        self._others_states = states

    def unready(self) -> Reason | None:
        """Return why calls cannot be served now, or ``None``."""
        self._follower.look()
        return self._unready(self._clock())

    def is_known(self, proof: bytes) -> bool:
        """Whether an ``Authorization`` header names a key of a contract. It proves nothing of who sends a signature's key."""
        self._follower.look()
        return self.opening.contract_of(proof) is not None

    async def tick(self) -> None:
        """Follow the snapshot, seal usage by time. Called several times a second."""
        self._follower.look()
        self.meter.tick()

    async def close(self) -> None:
        """Wait for the records that are on their way, seal them, and let go of the folder."""
        await self.bulk.close()
        await self.meter.close()
        self._threads.close()
        self._artifacts.close()

    # ---------------------------------------------------------------------------------------------------------- calls

    async def answer(self, call: IncomingCall) -> Answered | Turned:
        """Serve one call. It returns once its usage record is on disk, except where no contract is known to bear one."""
        began = self._monotonic()
        outcome = await self._answer(call)
        if isinstance(outcome, Answered):
            self.measures.count(outcome.receipt.result, "")
        else:
            self.measures.count(REFUSED, outcome.reasons[0].code)
        self.measures.time(self._monotonic() - began)
        if call.trace is not None and self.tracing is not None:
            self.tracing.end(call.trace, outcome)
        return outcome

    async def _answer(self, call: IncomingCall) -> Answered | Turned:
        self._follower.look()
        now = self._clock()
        unready = self._unready(now)
        if unready is not None:
            return Turned((unready,), retry_after_seconds=RETRY_SECONDS)
        opened = self._open(call, now)
        if isinstance(opened, Turned):
            return opened
        source = opened.source
        if source is not None and self._artifacts.find(source) is None:
            await self._artifacts.load(source)  # before anything is counted
        try:
            considered = self._consider(Considered(call, opened, now))
            if considered.reasons:
                return await self._turn(considered)
            return await self._serve(considered)
        except MeterUnavailable as unavailable:
            return _unavailable(unavailable.code)

    async def answer_batch(self, call: IncomingCall) -> BatchAnswered | Turned:
        """Serve a batch: what concerns all items refuses all, the rest item by item; once all records are on disk."""
        began = self._monotonic()
        outcome = await self._answer_batch(call)
        if isinstance(outcome, Turned):
            self.measures.count(REFUSED, outcome.reasons[0].code)
        else:
            for item in outcome.items:
                self.measures.count(item.result, item.error)
        self.measures.time(self._monotonic() - began)
        if call.trace is not None and self.tracing is not None:
            self.tracing.end(call.trace, outcome)
        return outcome

    async def _answer_batch(self, call: IncomingCall) -> BatchAnswered | Turned:
        self._follower.look()
        now = self._clock()
        unready = self._unready(now)
        if unready is not None:
            return Turned((unready,), retry_after_seconds=RETRY_SECONDS)
        opened = self._open(call, now)
        if isinstance(opened, Turned):
            return opened
        answer = await self._artifacts.load(opened.source) if opened.source is not None else None
        considered = Considered(call, opened, now)
        try:
            items = self._consider_batch(considered)
            if considered.reasons:
                # A bulk task that waits asks again and again: that is nobody's call.
                return Turned(tuple(considered.reasons)) if call.proven else await self._turn(considered)
            if answer is None or isinstance(answer, BuyerAnswer):  # files are not asked for in batches
                return Turned((rules.PRODUCT_UNAVAILABLE.because(),), retry_after_seconds=RETRY_SECONDS)
            if opened.product is not None and opened.product.kind in SLOW_KINDS:
                slow = answer
                made = await self._threads.run(lambda: {item.id: _ask(slow, item.fields) for item in items})
                if made is None:
                    return _unavailable("busy")
            else:
                made = None
            number = self._snapshot.number if self._snapshot else 0
            batch = Batch(
                self.meter, opened, answer, self._digest_key, considered.purpose, now, number, made, self._consents
            )  # fmt: skip
            answers = [batch.answer(item) for item in items]
            failure = await (batch.durable() if call.trace is None else _on_disk(batch.durable(), call.trace))
        except MeterUnavailable as unavailable:
            return _unavailable(unavailable.code)
        return _unavailable(failure) if failure else summary(call, opened, answers, now, number, batch.contents)

    def _consider_batch(self, considered: Considered) -> list[BatchItem]:
        """Return the items of a batch; reasons against all of them go into ``considered``."""
        call, opened, reasons = considered.call, considered.opened, considered.reasons
        found = read_items(call, opened)
        items, stated = found if isinstance(found[0], list) else (list[BatchItem](), "")
        if not items:
            reasons.extend(reason for reason in found if isinstance(reason, Reason))
            return items
        policy, purpose = opened.contract.policy, call.purpose or stated
        considered.purpose = purpose
        known = purpose if purpose in policy.purposes else "—"
        usage = policies.decide_usage(policy, self._asked(considered, known, 0, 0), considered.now)
        reasons.extend(usage.reasons if isinstance(usage, Denied) else ())
        return items

    async def take_bulk(self, call: IncomingCall) -> BulkTask | Turned:
        """Take a bulk task, or return the one that the same request made before; nothing is charged for taking it."""
        now = self._clock()
        unready = self._unready(now)
        opened = self._open(call, now) if unready is None else Turned((unready,), retry_after_seconds=RETRY_SECONDS)
        if isinstance(opened, Turned):
            return opened
        considered = Considered(call, opened, now)
        items = self._consider_batch(considered)
        try:
            if considered.reasons:
                return await self._turn(considered)
        except MeterUnavailable as unavailable:
            return _unavailable(unavailable.code)
        return await self.bulk.take(call, opened, items, considered.purpose)

    def find_bulk(self, call: IncomingCall, task_id: str) -> BulkTask | Turned:
        """Return a task of the caller's contract."""
        opened = self._open(call, self._clock())
        if isinstance(opened, Turned):
            return opened
        return self.bulk.find(task_id, opened.contract.id) or Turned((rules.BULK_UNKNOWN.because(),))

    def _open(self, call: IncomingCall, now: datetime) -> Opened | Turned:
        """Return what the caller's key opens, once it has proved to hold it."""
        if not call.secret and call.signed is None and not call.proven:
            return Turned((rules.KEY_MISSING.because(),))
        opener = call.secret if call.signed is None else opener_of(call.signed.key)
        try:
            opened = self.opening.find(call.proven or sha256(opener).digest())
        except SnapshotInvalid:
            return Turned((rules.SNAPSHOT_DAMAGED.because(),), retry_after_seconds=RETRY_SECONDS)
        if opened is None or opened.is_signing != (call.signed is not None or call.is_proved_by_signature):
            return Turned((rules.KEY_UNKNOWN.because(),))
        wrong = self._signatures.check(call, now) if call.signed is not None else None
        return opened if wrong is None else Turned((wrong,))

    def _consider(self, considered: Considered) -> Considered:
        """Look for every reason against a call."""
        call, opened, now, reasons = considered.call, considered.opened, considered.now, considered.reasons
        contract = opened.contract
        if opened.path != call.path:
            reasons.append(rules.PRODUCT_UNKNOWN.because())
            return considered
        stop = rules.stop_reason(contract)
        if stop is not None:
            reasons.append(stop)
            return considered
        purpose = self._read(considered)
        if opened.needs_consent:
            reasons.extend(self._consents.reasons(call.consent, opened, considered.fields, purpose, now))
        wrong_id = rules.request_id_reason(call.request_id)
        if wrong_id is not None:
            reasons.append(wrong_id)
        elif considered.digest:
            considered.id_key = metering.request_key(contract.id, call.request_id)
            considered.earlier = self.meter.earlier(considered.id_key)
            if considered.earlier is not None and considered.earlier.record.request_digest != considered.digest:
                reasons.append(rules.REQUEST_ID_REUSED.because())
        is_repeat = considered.earlier is not None
        so_far, today = (0, 0) if is_repeat else self.meter.use_of(contract.id, now)
        known_purpose = purpose if purpose in contract.policy.purposes else "—"  # never repeat what was sent
        asked = self._asked(considered, known_purpose, so_far, today)
        usage = policies.decide_usage(contract.policy, asked, now)
        if isinstance(usage, Denied):
            reasons[:0] = usage.reasons if purpose else rules.but_purpose(usage.reasons)
        return considered

    def _asked(self, considered: Considered, purpose: str, so_far: int, today: int) -> UsageRequest:
        """Return the use that is asked for, with where it comes from."""
        call, opened = considered.call, considered.opened
        policy = opened.contract.policy
        return UsageRequest(
            purpose, so_far, today, self._this_second(opened.contract), opened.is_agreed_address(call.address),
            not policy.certificates or call.certificate in policy.certificates,
            call.signed is not None or call.is_proved_by_signature,
            len(considered.fields.keys() - opened.fields) if opened.fields else 0,
        )  # fmt: skip

    def _read(self, considered: Considered) -> str:
        """Read the body into ``considered`` and return the purpose."""
        call, opened, reasons, purpose = considered.call, considered.opened, considered.reasons, considered.call.purpose
        if call.is_body_too_long:
            reasons.append(rules.BODY_TOO_LONG.because(bytes_max=rules.BODY_BYTES_MAX))
            return purpose or "—"
        body = rules.decide_body(call.body)
        if isinstance(body, Denied):
            reasons.extend(body.reasons)
            return purpose or "—"
        fields = considered.fields = body.value
        names = opened.names
        if names is not None:
            if PURPOSE_FIELD in fields and PURPOSE_FIELD not in names.known:
                stated = fields.pop(PURPOSE_FIELD)
                purpose = purpose or stated
            if not rules.are_plainly_right(fields, names):
                reasons.extend(rules.field_reasons(fields, opened.inputs))
        if not purpose:
            reasons.append(rules.PURPOSE_MISSING.because())
        content = _encode_sorted((opened.contract.product, purpose, fields))
        considered.digest = blake2b(content, key=self._digest_key, digest_size=DIGEST_BYTES).hexdigest()
        return purpose

    def _this_second(self, contract: SnapshotContract) -> int:
        """Return how many calls of the contract were let through in this second, and count this one if it is."""
        second = int(self._monotonic())
        if second != self._second:  # of contracts that called in another second nothing is kept
            self._second, self._rates = second, {}
        count = self._rates.get(contract.id, 0)
        if count < contract.policy.calls_per_second_max:
            self._rates[contract.id] = count + 1
        return count

    async def _serve(self, considered: Considered) -> Answered | Turned:
        """Answer a call that nothing speaks against, and its record too."""
        source, product = considered.opened.source, considered.opened.product
        found = self._artifacts.find(source) if source is not None else None
        answer = found.of(considered.opened.contract.id) if isinstance(found, BuyerAnswer) else found
        if considered.earlier is not None:
            return await self._repeat(considered, answer)
        if product is None or answer is None:
            return Turned((rules.PRODUCT_UNAVAILABLE.because(),), retry_after_seconds=RETRY_SECONDS)
        if product.kind not in SLOW_KINDS:
            return await self._conclude(considered, _ask(answer, considered.fields))
        outcome = await self._threads.run(lambda: _ask(answer, considered.fields))
        if outcome is None:
            return _unavailable("busy")
        is_repeat = self._look_again(considered)
        if considered.reasons:
            return await self._turn(considered)
        return await (self._repeat(considered, answer) if is_repeat else self._conclude(considered, outcome))

    def _look_again(self, considered: Considered) -> bool:
        """Look at what others may have taken while a thread worked, counts and request id; return whether it is a repeat."""
        contract = considered.opened.contract
        earlier = considered.earlier = self.meter.earlier(considered.id_key)
        if earlier is None:
            so_far, today = self.meter.use_of(contract.id, considered.now)
            considered.reasons.extend(policies.count_reasons(contract.policy, so_far, today))
        elif earlier.record.request_digest != considered.digest:
            considered.reasons.append(rules.REQUEST_ID_REUSED.because())
        return earlier is not None

    async def _conclude(self, considered: Considered, outcome: Outcome) -> Answered | Turned:
        """Record an outcome and return it once the record is on disk. Nothing waits before the record is on its way."""
        result = outcome.result
        if result not in ANSWERED:
            considered.reasons.extend(outcome.reasons or (rules.CALL_FAILED.because(),))
            return await self._turn(considered, ResultCode.REFUSED if outcome.reasons else ResultCode.ERROR)
        record = self._record(considered, result)
        position, durable = self.meter.append(record, considered.id_key)
        trace = considered.call.trace
        failure = await (durable if trace is None else _on_disk(durable, trace))
        if failure:
            return _unavailable(failure)
        return Answered(
            Receipt(
                position, record.request_id, record.contract, record.contract_digest, record.product,
                considered.opened.contract.product_digest, record.snapshot, record.at, result, record.is_charged,
            ), outcome.content, outcome.media, outcome.file,
        )  # fmt: skip

    async def _repeat(self, considered: Considered, answer: Answer | None) -> Answered | Turned:
        """Answer a call that is on record once more: from the record, and its content from the same artifact."""
        earlier, opened = considered.earlier, considered.opened
        if earlier is None or opened.product is None:
            return Turned((rules.PRODUCT_UNAVAILABLE.because(),), retry_after_seconds=RETRY_SECONDS)
        record, kind = earlier.record, opened.product.kind
        failure = await earlier.durable if earlier.durable is not None else ""
        if failure:
            return _unavailable(failure)
        if kind is ProductKind.VERIFY:  # the result is all there is to say
            return Answered(self._receipt(opened, record))
        outcome: Outcome | None = None
        if answer is not None and record.contract_digest == opened.contract.digest:  # it names the product's digest
            slow = kind in SLOW_KINDS
            outcome = (
                await self._threads.run(lambda: _ask(answer, considered.fields))
                if slow
                else _ask(answer, considered.fields)
            )
            if outcome is None:
                return _unavailable("busy")
        if outcome is None or outcome.result is not record.result:
            return Turned((rules.ANSWER_GONE.because(call=record.position),), call=record.position)
        return Answered(self._receipt(opened, record), outcome.content, outcome.media, outcome.file)

    async def _turn(self, considered: Considered, result: ResultCode = ResultCode.REFUSED) -> Turned:
        """Record a refusal, never charged, and return it."""
        reasons = tuple(considered.reasons)
        position, durable = self.meter.append(self._record(considered, result, reasons[0].code))
        trace = considered.call.trace
        failure = await (durable if trace is None else _on_disk(durable, trace))
        if failure:
            return _unavailable(failure)
        wait = RETRY_SECONDS if any(reason.code in rules.WORTH_WAITING for reason in reasons) else 0
        return Turned(reasons, call=position, retry_after_seconds=wait)

    def _record(self, considered: Considered, result: ResultCode, refusal: str = "") -> StoredRecord:
        contract, request_id = considered.opened.contract, considered.call.request_id
        if refusal and rules.request_id_reason(request_id) is not None:
            request_id = ""  # what is not well formed is not kept
        return StoredRecord(
            considered.now, request_id, considered.digest, contract.id, contract.digest, contract.product,
            considered.opened.key, self._snapshot.number if self._snapshot else 0, result, refusal,
            rules.is_charged(contract, result),
        )  # fmt: skip

    def _receipt(self, opened: Opened, record: UsageRecord) -> Receipt:
        return Receipt(
            record.position, record.request_id, record.contract, record.contract_digest, record.product,
            opened.contract.product_digest, record.snapshot, record.at, record.result, record.is_charged,
        )  # fmt: skip


async def _on_disk(durable: Awaitable[str], trace: Trace) -> str:
    """Wait for the record of a call that is traced."""
    trace.decided = time.time_ns()
    failure = await durable
    trace.recorded = time.time_ns()
    return failure


def _ask(answer: Answer, fields: dict[str, str]) -> Outcome:
    try:
        return answer(fields)
    except Exception as error:  # noqa: BLE001 - whatever it is, the call fails and is not charged
        log.error("a call failed: %s", type(error).__name__)  # noqa: TRY400 - a traceback may hold input values
        return OUTCOMES[ResultCode.ERROR]


def _unavailable(code: str) -> Turned:
    moving = gateways.CONTRACT_MOVING
    rule = moving if code == moving.code else rules.UNAVAILABLE.get(code, rules.GATEWAY_BUSY)
    return Turned((rule.because(),), retry_after_seconds=RETRY_SECONDS)

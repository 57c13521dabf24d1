"""Many calls in one request: each item is a call of its own, with its own id, record and answer.

Who calls and from where is looked at once; what is left of the contract's counts is shared out in the order of the items;
all records of a batch go to the disk together.
"""

import asyncio
from datetime import datetime
from hashlib import blake2b

import msgspec

from gongshu.base.decisions import Reason
from gongshu.delivery import rules
from gongshu.delivery.service.consenting import ConsentCheck
from gongshu.delivery.service.kinds import OUTCOMES, Answer
from gongshu.delivery.service.opening import Opened
from gongshu.delivery.types import BatchAnswered, IncomingCall, ItemAnswer, Outcome
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED, ResultCode, StoredRecord, UsageRecord
from gongshu.policies import service as policies
from gongshu.products.types import ProductKind

DIGEST_BYTES = 16
ITEM_BYTES = 200

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class BatchItem(msgspec.Struct, gc=False):
    """One item as it was sent."""

    id: str
    fields: dict[str, str]
    consent: str = ""


class _Batch(msgspec.Struct):
    items: list[BatchItem]
    purpose: str = ""


_decode = msgspec.json.Decoder(_Batch).decode
_encode = msgspec.json.Encoder().encode


def item_line(item: ItemAnswer, content: bytes) -> bytes:
    """Return an item of an answer: padded, so that its length tells that of its id and its content and nothing else."""
    line = _encode(item).ljust(ITEM_BYTES + len(item.id), b" ")
    return b'{"content":' + content + b"," + line[1:] if content else line


def read_items(call: IncomingCall, opened: Opened) -> tuple[list[BatchItem], str] | tuple[Reason, ...]:
    """Return the items of a batch or bulk task and the purpose stated in it, or what is wrong with all of it."""
    stop = rules.stop_reason(opened.contract)
    if stop is not None or call.path not in {opened.batch_path, opened.bulk_path}:
        return (stop or rules.PRODUCT_UNKNOWN.because(),)
    is_bulk = call.path == opened.bulk_path
    wrong_id = rules.request_id_reason(call.request_id)
    reasons = () if wrong_id is None else (wrong_id,)
    if call.is_body_too_long:
        too_long = rules.BODY_TOO_LONG.because(bytes_max=rules.BULK_BYTES_MAX if is_bulk else rules.BATCH_BYTES_MAX)
        return (*reasons, too_long)
    found = read_batch(call.body, rules.BULK_ITEMS_MAX if is_bulk else rules.BATCH_ITEMS_MAX)
    if isinstance(found, Reason):
        return (*reasons, found)
    return reasons or found


def read_batch(body: bytes, items_max: int = rules.BATCH_ITEMS_MAX) -> tuple[list[BatchItem], str] | Reason:
    """Return the items of a body and the purpose stated in it, or why it cannot be read. Nothing of it is repeated."""
    if not body:
        return rules.BODY_EMPTY.because()
    try:
        batch = _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return rules.BATCH_INVALID.because()
    if not 0 < len(batch.items) <= items_max:
        return rules.BATCH_SIZE.because(items=len(batch.items), items_max=items_max)
    if len({item.id for item in batch.items}) < len(batch.items):
        return rules.BATCH_ID_TWICE.because()
    return batch.items, batch.purpose


class Batch:
    """One batch on its way: what is left of the counts, and the answers so far, in the order of the items."""

    def __init__(  # noqa: PLR0917 - what every item needs
        self, meter: metering.Meter, opened: Opened, answer: Answer, digest_key: bytes, purpose: str, now: datetime,
        snapshot: int, made: dict[str, Outcome] | None = None, consents: ConsentCheck | None = None,
    ) -> None:  # fmt: skip
        """Start with what the contract has left now. ``made``: outcomes by item that were worked out already (slow kinds)."""
        self._meter, self._opened, self._answer, self._now = meter, opened, answer, now
        self._made, self._contents, self._consents = made, dict[str, bytes](), consents
        self._digest_key, self._purpose, self._snapshot = digest_key, purpose, snapshot
        self._futures: dict[int, asyncio.Future[str]] = {}

    def answer(self, item: BatchItem) -> ItemAnswer:
        """Answer one item and put its record on the way to the disk; the caller waits for ``durable``."""
        contract = self._opened.contract
        reason = rules.request_id_reason(item.id)
        if reason is not None:
            return self._refuse(item, "", reason, is_id_good=False)
        reasons = self._field_reasons(item.fields) + self._consent_reasons(item)
        content = _encode_sorted((contract.product, self._purpose, item.fields))
        digest = blake2b(content, key=self._digest_key, digest_size=DIGEST_BYTES).hexdigest()
        if reasons:
            return self._refuse(item, digest, reasons[0])
        id_key = metering.request_key(contract.id, item.id)
        earlier = self._meter.earlier(id_key)
        if earlier is not None:
            if earlier.record.request_digest != digest:
                return self._refuse(item, digest, rules.REQUEST_ID_REUSED.because())
            self._wait(earlier.durable)
            return self._repeat(item, earlier.record)
        so_far, today = self._meter.use_of(contract.id, self._now)
        used_up = policies.count_reasons(contract.policy, so_far, today)
        if used_up:
            return self._refuse(item, digest, used_up[0])
        outcome = self._ask(item)
        if outcome.result not in ANSWERED:
            failure = outcome.reasons[0] if outcome.reasons else rules.CALL_FAILED.because()
            return self._refuse(item, digest, failure, ResultCode.REFUSED if outcome.reasons else ResultCode.ERROR)
        self._contents[item.id] = outcome.content
        return self._record(item, digest, outcome.result, id_key=id_key)

    def _repeat(self, item: BatchItem, record: UsageRecord) -> ItemAnswer:
        """Answer an item that is on record once more, its content from the same artifact."""
        product = self._opened.product
        if product is not None and product.kind is not ProductKind.VERIFY:
            outcome = self._ask(item) if record.contract_digest == self._opened.contract.digest else None
            if outcome is None or outcome.result is not record.result:
                gone = rules.ANSWER_GONE
                return ItemAnswer(item.id, rules.ndi_code(gone.code), record.result, record.position, error=gone.code)
            self._contents[item.id] = outcome.content
        return ItemAnswer(item.id, rules.NDI_OK, record.result, record.position, record.is_charged)

    def _consent_reasons(self, item: BatchItem) -> tuple[Reason, ...]:
        """Return why an item's consent does not permit it; each item is about a subject of its own."""
        if not self._opened.needs_consent:
            return ()
        if self._consents is None:
            return (rules.PRODUCT_UNAVAILABLE.because(),)
        return self._consents.reasons(item.consent, self._opened, item.fields, self._purpose, self._now)

    def _field_reasons(self, fields: dict[str, str]) -> tuple[Reason, ...]:
        opened = self._opened
        if opened.names is None:
            return (rules.PRODUCT_UNAVAILABLE.because(),)
        beyond = len(fields.keys() - opened.fields) if opened.fields else 0
        not_agreed = policies.field_reason(opened.contract.policy, beyond)
        if not_agreed is not None:
            return (not_agreed,)
        if rules.are_plainly_right(fields, opened.names):
            return ()
        return rules.field_reasons(fields, opened.inputs)

    def _ask(self, item: BatchItem) -> Outcome:
        if self._made is not None:
            return self._made[item.id]
        try:
            return self._answer(item.fields)
        except Exception:  # noqa: BLE001 - whatever it is, the item fails and is not charged
            return OUTCOMES[ResultCode.ERROR]

    @property
    def contents(self) -> dict[str, bytes]:
        """What goes to the caller beside each item, by its id."""
        return self._contents

    def _refuse(
        self, item: BatchItem, digest: str, reason: Reason, result: ResultCode = ResultCode.REFUSED, *, is_id_good: bool = True
    ) -> ItemAnswer:  # fmt: skip
        made = self._record(item, digest, result, reason.code, is_id_good=is_id_good)
        return ItemAnswer(
            item.id if is_id_good else "", rules.ndi_code(reason.code), result, made.call, error=reason.code
        )

    def _record(
        self, item: BatchItem, digest: str, result: ResultCode, refusal: str = "", id_key: bytes = b"", *,
        is_id_good: bool = True,
    ) -> ItemAnswer:  # fmt: skip
        contract = self._opened.contract
        is_charged = rules.is_charged(contract, result)
        record = StoredRecord(
            self._now, item.id if is_id_good else "", digest, contract.id, contract.digest, contract.product,
            self._opened.key, self._snapshot, result, refusal, is_charged,
        )  # fmt: skip
        position, durable = self._meter.append(record, id_key)
        self._wait(durable)
        return ItemAnswer(item.id, rules.NDI_OK, result, position, is_charged)

    def _wait(self, durable: "asyncio.Future[str] | None") -> None:
        if durable is not None:
            self._futures[id(durable)] = durable

    async def durable(self) -> str:
        """Wait until every record is on disk; returns the code of a failure, or an empty text."""
        failures = [await future for future in self._futures.values()]
        return next((failure for failure in failures if failure), "")


def summary(  # noqa: PLR0917 - what an answer is made of
    call: IncomingCall, opened: Opened, answers: list[ItemAnswer], now: datetime, snapshot: int, contents: dict[str, bytes]
) -> BatchAnswered:  # fmt: skip
    """Return the answer of a whole batch."""
    contract = opened.contract
    return BatchAnswered(
        rules.NDI_OK, call.request_id, contract.id, contract.digest, contract.product, contract.product_digest, snapshot,
        now, tuple(answers), tuple(contents.get(answer.id, b"") for answer in answers),
    )  # fmt: skip

"""Bulk tasks: more items than a batch holds, answered by the gateway one small batch after the other, beside the calls.

Each item is a call of its own, decided, counted, recorded and charged at the moment it is answered; the task only keeps the
items until then. A gateway that is killed goes on where it was: items of the part that was under way are asked again with
the same request ids, so none is charged twice. What refuses all items for a moment (busy, disk full, too many in a second,
outside the agreed hours) makes the task wait; anything else ends it, and what was not asked is not charged.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from gongshu.base.decisions import Kind
from gongshu.base.site import Clock, Keys
from gongshu.delivery import rules
from gongshu.delivery.service.batches import BatchItem, item_line
from gongshu.delivery.service.opening import Opened
from gongshu.delivery.service.shelves import PartDamaged, Shelves
from gongshu.delivery.service.signatures import opener_of
from gongshu.delivery.types import BatchAnswered, BulkTask, IncomingCall, Turned
from gongshu.metering.types import ANSWERED

log = logging.getLogger("gongshu.gateway")

ITEMS_PER_PART = 1_000
ITEMS_AT_ONCE = 50
"""Few enough that a call which comes meanwhile waits for some milliseconds."""
WAIT_SECONDS = 1.0
PASSING = frozenset({Kind.UNAVAILABLE, Kind.LIMIT_EXCEEDED})
PASSING_CODES = frozenset({"outside-hours"})
BYTES_MAX = 4 << 30
DIGEST_BYTES = 16
SECRET, DIGEST_SECRET = "bulk", "bulk-digest"

AnswerBatch = Callable[[IncomingCall], Awaitable[BatchAnswered | Turned]]
_decode_items = msgspec.json.Decoder(list[BatchItem]).decode
_encode = msgspec.json.Encoder().encode


class Bulk:
    """The bulk tasks of one gateway. Used from one event loop only."""

    def __init__(self, home: Path, gateway: str, keys: Keys, answer: AnswerBatch, clock: Clock) -> None:
        """Find the tasks that are there; ``start`` goes on with them."""
        self._shelves = Shelves(home / "bulk" / gateway, keys.secret(SECRET))
        self._answer, self._clock, self._digest_key = answer, clock, keys.secret(DIGEST_SECRET)
        self._tasks = {task.id: task for task in self._shelves.tasks()}
        for task in self._tasks.values():
            if task.ended_at is not None:
                self._shelves.empty(task)
        self._is_closing = False
        self._arriving = set[str]()  # not wholly on disk yet
        self._working: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many items were taken and are not answered yet."""
        return sum(task.items - task.done for task in self._tasks.values() if task.ended_at is None)

    # ----------------------------------------------------------------------------------------------- what callers ask

    async def take(self, call: IncomingCall, opened: Opened, items: list[BatchItem], purpose: str) -> BulkTask | Turned:
        """Keep a new task, or return the one that was made of the same request before."""
        contract = opened.contract.id
        name = self._digest(f"{contract} {call.request_id}".encode())
        digest, now = self._digest(call.body), self._clock()
        known = self._tasks.get(f"bulk-{name}")
        if known is not None:
            return known if known.digest == digest else Turned((rules.REQUEST_ID_REUSED.because(),))
        open_tasks = sum(task.contract == contract and task.ended_at is None for task in self._tasks.values())
        if open_tasks >= rules.BULK_TASKS_MAX:
            return Turned((rules.BULK_TOO_MANY.because(limit=rules.BULK_TASKS_MAX),))
        opener = sha256(call.secret if call.signed is None else opener_of(call.signed.key)).hexdigest()
        task = BulkTask(
            f"bulk-{name}", contract, opened.contract.product, opener, call.request_id, digest, purpose,
            call.address, call.certificate, call.signed is not None, len(items), now,
        )  # fmt: skip
        self._tasks[task.id] = task  # before anything waits: a repeated request finds it
        self._arriving.add(task.id)
        try:
            await asyncio.to_thread(self._put, task, items)
        except OSError:
            del self._tasks[task.id]
            return Turned((rules.DISK_FULL.because(),), retry_after_seconds=int(WAIT_SECONDS))
        finally:
            self._arriving.discard(task.id)
        self._wanted.set()
        return task

    def _put(self, task: BulkTask, items: list[BatchItem]) -> None:
        if self._shelves.size() > BYTES_MAX:
            raise OSError
        self._shelves.put(task, [_encode(list(part)) for part in _parts(items, ITEMS_PER_PART)])

    def find(self, task_id: str, contract: str) -> BulkTask | None:
        """Return a task of a contract; another contract's is not known."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.contract == contract else None

    async def results(self, task: BulkTask) -> bytes:
        """Return the results so far: a line of JSON for each item that is done, in the order of the items."""
        return await asyncio.to_thread(lambda: b"".join(self._shelves.results(task)))

    async def drop(self, task: BulkTask) -> None:
        """Let nothing of a task be left; what was answered stays recorded and charged."""
        self._tasks.pop(task.id, None)
        await asyncio.to_thread(self._shelves.drop, task)

    # ----------------------------------------------------------------------------------------------------------- work

    def start(self) -> None:
        """Begin to work through the tasks, beside the calls."""
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stop after the batch that is under way; the next start goes on."""
        self._is_closing = True  # not cancelled: its records share their way to the disk with those of other calls
        self._wanted.set()
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        while not self._is_closing:
            self._wanted.clear()
            moved = False
            under_way = [
                task for task in self._tasks.values() if task.ended_at is None and task.id not in self._arriving
            ]
            for task in under_way:  # in turns: nobody waits for all
                moved = await self._part(task) or moved
            await self._forget()
            if not moved and not self._is_closing:
                with_wait = asyncio.wait_for(self._wanted.wait(), WAIT_SECONDS)
                await asyncio.gather(with_wait, return_exceptions=True)

    async def _forget(self) -> None:
        now = self._clock()
        for task in list(self._tasks.values()):
            if task.ended_at is not None and now - task.ended_at > rules.BULK_KEPT:
                await self.drop(task)

    async def _part(self, task: BulkTask) -> bool:
        """Answer one part of a task; return whether it got on."""
        number = task.done // ITEMS_PER_PART
        try:
            items = _decode_items(await asyncio.to_thread(self._shelves.items, task, number))
            lines, answered = list[bytes](), 0
            for few in _parts(items, ITEMS_AT_ONCE):
                outcome = await self._answer(_call(task, few))
                if isinstance(outcome, Turned):
                    return await self._turned(task, outcome)
                answered += sum(item.result in ANSWERED for item in outcome.items)
                lines += map(item_line, outcome.items, outcome.contents)
                await asyncio.sleep(0)
                if self._is_closing or task.id not in self._tasks:
                    return False  # asked again at the next start, or dropped by its owner
            done = msgspec.structs.replace(task, done=task.done + len(items), answered=task.answered + answered)
            if done.done >= done.items:
                done = msgspec.structs.replace(done, ended_at=self._clock())
            await asyncio.to_thread(self._shelves.keep, done, number, b"".join(line + b"\n" for line in lines))
        except (PartDamaged, FileNotFoundError, msgspec.DecodeError) as error:
            log.error("bulk task %s: a part cannot be read: %s", task.id, type(error).__name__)  # noqa: TRY400 - its kind says all
            await self._end(task, rules.BULK_DAMAGED.code)
            return True
        except Exception as error:  # noqa: BLE001 - one task, or a full disk, must not stop the others
            log.error("bulk task %s waits: %s", task.id, type(error).__name__)  # noqa: TRY400 - see above
            return False
        if task.id in self._tasks:
            self._tasks[task.id] = done
        else:  # dropped by its owner while its results were written
            await asyncio.to_thread(self._shelves.drop, done)
        return True

    async def _turned(self, task: BulkTask, turned: Turned) -> bool:
        """Wait when a refusal of all items passes by itself, else end the task."""
        codes = [reason.code for reason in turned.reasons]
        passes = all(reason.rule.kind in PASSING or reason.code in PASSING_CODES for reason in turned.reasons)
        if not passes:
            await self._end(task, codes[0])
        return not passes

    async def _end(self, task: BulkTask, code: str) -> None:
        if task.id in self._tasks:
            ended = self._tasks[task.id] = msgspec.structs.replace(task, ended_at=self._clock(), stop_code=code)
            await asyncio.to_thread(self._shelves.save, ended)
            await asyncio.to_thread(self._shelves.empty, ended)

    def _digest(self, data: bytes) -> str:
        return blake2b(data, key=self._digest_key, digest_size=DIGEST_BYTES).hexdigest()


def _parts(items: list[BatchItem], size: int) -> list[list[BatchItem]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _call(task: BulkTask, items: list[BatchItem]) -> IncomingCall:
    """Return the batch that asks for ``items`` as the caller of the task would ask now."""
    return IncomingCall(
        f"/v1/products/{task.product}/batch", b"", task.request_id, task.purpose, _encode({"items": items}),
        address=task.address, certificate=task.certificate, proven=bytes.fromhex(task.opener),
        is_proved_by_signature=task.is_signed,
    )  # fmt: skip

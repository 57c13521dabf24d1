"""The meter of one gateway: durable usage records, exact counts, and the memory of recent request ids.

Everything but writing happens on the event loop's thread, so a decision and the record of it cannot be torn apart.
Writing happens on one thread of its own: while it waits for the disk, further records gather and share the next
``fdatasync`` (group commit). The future that ``append`` returns is done once the record is on disk.
"""

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from gongshu.base.ids import ContractId
from gongshu.base.site import Clock
from gongshu.metering.adapters import segments
from gongshu.metering.adapters.disk import LOCAL_DISK, Disk
from gongshu.metering.adapters.frames import as_record, frame, header_frame, pack_record
from gongshu.metering.adapters.leaving import RECORDS_REMEMBERED, SEGMENTS_REMEMBERED, recent_records
from gongshu.metering.adapters.segments import Mark, SegmentFile, header_for
from gongshu.metering.adapters.tally import DayOf, Tally
from gongshu.metering.adapters.uses import Use, handed_use
from gongshu.metering.adapters.window import RequestWindow, request_key
from gongshu.metering.adapters.writer import WriterThread
from gongshu.metering.types import (
    ANSWERED,
    ContractUse,
    HandedRecord,
    HandedUse,
    MeterUnavailable,
    SegmentSeal,
    StoredRecord,
    UsageRecord,
)

log = logging.getLogger("gongshu.metering")

DISK_FULL = "disk-full"
DISK_FAILED = "disk-failed"
BUSY = "gateway-busy"
MOVING = "contract-moving"
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
OFFSET_BITS = 40
SEGMENTS_KNOWN_MAX = 100_000  # far more than hold the ids of the last minutes


@dataclass(frozen=True)
class MeterLimits:
    """When a segment is finished, how long a request id is remembered, and how many records may wait for the disk."""

    segment_bytes_max: int = 64 << 20
    segment_seconds_max: float = 60.0
    window_seconds: float = 300.0
    waiting_records_max: int = 8192


@dataclass(frozen=True)
class Earlier:
    """A call seen before: its record, and when that record is durable (``None``: it is)."""

    record: UsageRecord
    durable: "asyncio.Future[str] | None"


class _Segment:
    """A segment as the event loop sees it: ``end`` is where the next record will lie."""

    __slots__ = ("began", "end", "file", "header", "id", "is_late", "month", "number", "tally", "waiting")

    def __init__(self, gateway: str, month: str, number: int, began: float) -> None:
        self.header = header_for(gateway, month, number)
        self.id, self.month, self.number, self.began = self.header.segment, month, number, began
        self.end = len(header_frame(self.header))
        self.file: SegmentFile | None = None  # only the writing thread touches it
        self.tally = Tally()  # durable records only
        self.waiting = 0
        self.is_late = False  # its seal could not be written yet


@dataclass
class _Batch:
    """Records that share one ``fdatasync``."""

    durable: "asyncio.Future[str]"
    steps: list[tuple[_Segment, list[bytes]]] = field(default_factory=list)
    entries: list[tuple[_Segment, int, bytes, StoredRecord, str]] = field(default_factory=list)


class MeterLocked(Exception):  # noqa: N818 - a circumstance, not an error of the program
    """Another process writes to this gateway's folder."""


class Meter:
    """Appends usage records for one gateway; only one process may hold it at a time."""

    def __init__(
        self,
        folder: Path,
        gateway: str,
        clock: Clock,
        limits: MeterLimits,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        disk: Disk = LOCAL_DISK,
    ) -> None:
        if not segments.GATEWAY_NAME.fullmatch(gateway):
            raise ValueError("the name of a gateway is a letter and up to 23 letters and digits, all small")
        lock = segments.take_lock(folder)
        if lock is None:
            raise MeterLocked(gateway)
        self._lock, self._folder, self._gateway = lock, folder, gateway
        self._clock, self._limits, self._monotonic, self._disk = clock, limits, monotonic, disk
        self._writer: WriterThread[str] = WriterThread("usage-writer")
        self._day_of = DayOf()
        self._uses: dict[str, Use] = {}
        self._window: RequestWindow[int] = RequestWindow(limits.window_seconds, monotonic)
        self._handed: RequestWindow[UsageRecord] = RequestWindow(limits.window_seconds, monotonic)
        self._answers_for: Callable[[ContractId], bool] | None = None
        self._pending: dict[bytes, tuple[str, StoredRecord, asyncio.Future[str]]] = {}
        self._current: _Segment | None = None
        self._finished: list[_Segment] = []  # waiting to be sealed
        self._batch: _Batch | None = None
        self._in_flight: _Batch | None = None
        self._waiting = 0
        self._failure = ""
        self._is_full = False
        self._months: dict[int, str] = {}  # number of a segment → its month
        self._next_number = 1
        try:
            self._rebuild()
        except BaseException:
            os.close(lock)
            raise

    # ------------------------------------------------------------------------------------------------- at the start

    def _rebuild(self) -> None:
        """Seal what a crash left open, then count: seals for the totals, recent records for the request ids."""
        sealed = set(segments.segment_ids(self._folder, ".seal.json"))
        for identifier in segments.segment_ids(self._folder, ".segment"):
            if identifier not in sealed:
                seal = segments.recover(self._folder, identifier, self._clock, self._disk)
                if seal is not None and seal.cut is not None:
                    log.warning("segment %s: cut %d bytes after offset %d", identifier, seal.cut.bytes, seal.cut.offset)
        seals: list[SegmentSeal] = []
        for identifier in segments.segment_ids(self._folder, ".seal.json"):
            found = segments.read_seal(self._folder, identifier)
            if found is None:
                raise ValueError(f"the seal of segment {identifier} cannot be read")
            seals.append(found)
            self._next_number = max(self._next_number, segments.number_of(identifier) + 1)
            self._months[segments.number_of(identifier)] = found.month
            for tally in found.tallies:
                use = self._uses.setdefault(tally.contract, Use())
                for day, number in tally.answered_by_day.items():
                    use.add(day, number)
        self._remember(seals)

    def _remember(self, seals: list[SegmentSeal]) -> None:
        """Fill the window with the ids of the last records: by their times, and the very last whatever these say."""
        newest = next((seal.segment.last_at for seal in reversed(seals) if seal.segment.last_at is not None), None)
        if newest is None:
            return
        since = newest - timedelta(seconds=2 * self._limits.window_seconds)
        later, wanted = 0, list[str]()
        for place, seal in enumerate(reversed(seals)):
            last_at = seal.segment.last_at
            is_recent = place < SEGMENTS_REMEMBERED or later < RECORDS_REMEMBERED
            if last_at is not None and (is_recent or last_at >= since):
                wanted.append(seal.segment.id)
            later += seal.segment.records
        for identifier in reversed(wanted):
            number = segments.number_of(identifier)
            for offset, stored in segments.stored_records(segments.read_segment(self._folder, identifier)):
                if stored.result in ANSWERED:
                    self._window.add(request_key(stored.contract, stored.request_id), number << OFFSET_BITS | offset)

    # ------------------------------------------------------------------------------------------------------ questions

    @property
    def failure(self) -> str:
        """Empty, or why nothing can be recorded until the process starts anew."""
        return self._failure

    @property
    def waiting(self) -> int:
        """How many records are on their way to the disk."""
        return self._waiting

    def use_of(self, contract: ContractId, now: datetime) -> tuple[int, int]:
        """Return how often ``contract`` was answered in all and on the day of ``now``, those still on their way included."""
        use = self._uses.get(contract)
        return (0, 0) if use is None else (use.total, use.by_day.get(self._day_of(now), 0))

    def uses(self) -> dict[str, ContractUse]:
        """Return all counts."""
        return {contract: ContractUse(use.total, dict(use.by_day)) for contract, use in self._uses.items()}

    def earlier(self, key: bytes) -> Earlier | None:
        """Return the answered call with this ``request_key``, if it is remembered."""
        pending = self._pending.get(key)
        if pending is not None:
            position, stored, durable = pending
            return Earlier(as_record(stored, position), durable)
        place = self._window.find(key)
        if place is None:
            handed = self._handed.find(key)
            return None if handed is None else Earlier(handed, None)
        number, offset = place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1)
        identifier = header_for(self._gateway, self._months[number], number).segment
        record = segments.record_at(self._folder, identifier, offset)
        if record is None:  # the file was damaged under us: do not charge twice, do not answer
            raise MeterUnavailable(DISK_FAILED)
        return Earlier(record, None)

    # ------------------------------------------------------------------------------------------------- several gateways

    @property
    def last_segment(self) -> int:
        """The highest number of a segment of this gateway, sealed or not; 0 before the first."""
        return self._next_number - 1

    def only_for(self, answers_for: Callable[[ContractId], bool]) -> None:
        """Count answers only under contracts of which ``answers_for`` says so at that moment."""
        self._answers_for = answers_for

    async def hand_over(
        self, is_wanted: Callable[[str], bool]
    ) -> tuple[tuple[HandedUse, ...], tuple[HandedRecord, ...]]:
        """Return what this gateway itself counted of the contracts that are wanted, and the records of recent ids.

        Exact when no answer is counted under these contracts any more. ``MeterUnavailable`` when that cannot be known.
        """
        await self.seal()
        if self._failure:
            raise MeterUnavailable(self._failure)
        uses = tuple(handed_use(contract, use.own()) for contract, use in self._uses.items() if is_wanted(contract))
        loop = asyncio.get_running_loop()
        seconds = self._limits.window_seconds
        records = await loop.run_in_executor(None, lambda: recent_records(self._folder, seconds, is_wanted))
        return tuple(use for use in uses if use.total), records

    def take_over(self, uses: dict[ContractId, ContractUse], records: Iterable[HandedRecord]) -> None:
        """Count what all other gateways together counted of contracts, and remember their recent request ids."""
        for contract, others in uses.items():
            self._uses.setdefault(contract, Use()).take(others)
        for handed in records:
            key = request_key(handed.record.contract, handed.record.request_id)
            self._handed.add(key, as_record(handed.record, handed.position))

    # ------------------------------------------------------------------------------------------------------ appending

    def append(self, record: StoredRecord, key: bytes = b"") -> tuple[str, "asyncio.Future[str]"]:
        """Take ``record``, count it and return its position; the answer may leave once the future is done.

        ``key`` is the record's ``request_key``, if the caller knows it. The future's result is empty, or the code of what
        went wrong: then there is no record and nothing was counted.
        """
        if self._failure:
            raise MeterUnavailable(self._failure)
        if self._waiting >= self._limits.waiting_records_max or self._window.is_full:
            raise MeterUnavailable(BUSY)
        answers_for = self._answers_for  # decided here, for nothing waits between this and the count
        if answers_for is not None and record.result in ANSWERED and not answers_for(record.contract):
            raise MeterUnavailable(MOVING)
        day = self._day_of(record.at)
        segment = self._segment_for(day[:7])
        offset = segment.end
        data = frame(pack_record(record), offset)
        segment.end += len(data)
        segment.waiting += 1
        self._waiting += 1
        position = f"{segment.id}:{offset}"
        batch = self._batch
        if batch is None:
            loop = asyncio.get_running_loop()
            batch = self._batch = _Batch(loop.create_future())
            if self._in_flight is None:
                loop.call_soon(self._flush)
        if batch.steps and batch.steps[-1][0] is segment:
            batch.steps[-1][1].append(data)
        else:
            batch.steps.append((segment, [data]))
        if record.result not in ANSWERED:
            key = b""  # a call that was not served may be tried again
        else:
            key = key or request_key(record.contract, record.request_id)
            self._pending[key] = (position, record, batch.durable)
            self._uses.setdefault(record.contract, Use()).add(day, 1)
        batch.entries.append((segment, offset, key, record, day))
        return position, batch.durable

    def _segment_for(self, month: str) -> _Segment:
        segment = self._current
        if segment is not None and (segment.month != month or segment.end >= self._limits.segment_bytes_max):
            self._finish()
            segment = None
        if segment is None:
            segment = self._current = _Segment(self._gateway, month, self._next_number, self._monotonic())
            self._months[self._next_number] = month
            if len(self._months) > SEGMENTS_KNOWN_MAX:
                del self._months[min(self._months)]
            self._next_number += 1
        return segment

    def _flush(self) -> None:
        batch = self._batch
        if batch is None or self._in_flight is not None:
            return
        self._batch, self._in_flight = None, batch
        self._writer.submit(lambda: self._write(batch), lambda failure: self._written(batch, failure))

    def _write(self, batch: _Batch) -> str:
        """Write a batch and wait for the disk. Runs on the writing thread; returns the code of a failure."""
        touched: list[tuple[_Segment, SegmentFile, Mark | None]] = []
        try:
            for segment, chunks in batch.steps:
                if segment.file is None:
                    segment.file = SegmentFile(self._folder, segment.header, self._disk)
                    touched.append((segment, segment.file, None))
                else:
                    touched.append((segment, segment.file, segment.file.mark()))
                segment.file.write(b"".join(chunks))
        except OSError as error:
            return _undo(touched, error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours: stop rather than go on with doubtful files
            log.error("usage records could not be written: %s", type(error).__name__)  # noqa: TRY400 - its kind says all
            return DISK_FAILED
        return ""

    def _written(self, batch: _Batch, failure: str) -> None:
        """Back on the event loop: let the answers go, or take everything back."""
        self._in_flight = None
        if failure:
            self._take_back(batch, failure)
        else:
            for segment, offset, key, record, day in batch.entries:
                segment.tally.add(record, day)
                segment.waiting -= 1
                if key:
                    del self._pending[key]
                    self._window.add(key, segment.number << OFFSET_BITS | offset)
            self._waiting -= len(batch.entries)
            _finish_waiting(batch.durable, "")
            if self._is_full:
                self._is_full = False
                log.warning("there is room again: usage is recorded")
        self._seal_finished()
        self._flush()

    def _take_back(self, failed: _Batch, failure: str) -> None:
        """Undo a batch that could not be written, and the one behind it, whose offsets build on it."""
        if failure == DISK_FAILED:
            self._failure = DISK_FAILED
        if not self._is_full:  # said once: a log that grows with each call would fill what room there is
            log.error("usage records could not be written: %s", failure)
        self._is_full = failure == DISK_FULL
        batches = [failed] if self._batch is None else [failed, self._batch]
        self._batch = None
        for batch in batches:
            for segment, _, key, record, day in batch.entries:
                segment.waiting -= 1
                self._waiting -= 1
                if key:
                    del self._pending[key]
                    self._uses[record.contract].add(day, -1)
                if not segment.tally.records:  # its file is gone: the number is free again
                    self._next_number = min(self._next_number, segment.number)
            _finish_waiting(batch.durable, failure)
        if self._current is not None:
            self._finish()

    # -------------------------------------------------------------------------------------------------------- sealing

    def _finish(self) -> None:
        """Let no more records into the current segment; it is sealed as soon as its last record is durable."""
        if self._current is not None:
            self._finished.append(self._current)
            self._current = None

    def _seal_finished(self) -> "asyncio.Future[None] | None":
        """Seal finished segments whose records are all durable, on the writing thread."""
        ready = [segment for segment in self._finished if not segment.waiting]
        if not ready or self._failure:
            return None
        self._finished = [segment for segment in self._finished if segment.waiting]
        left: list[_Segment] = []
        sealed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(_: str) -> None:
            self._finished.extend(left)
            if not sealed.done():
                sealed.set_result(None)

        self._writer.submit(lambda: self._seal(ready, left), done)
        return sealed

    def _seal(self, ready: list[_Segment], left: list[_Segment]) -> str:
        """Seal on the writing thread; those that cannot be sealed now are put into ``left`` and tried again."""
        for segment in ready:
            if segment.file is None:
                continue  # nothing was ever written
            try:
                segment.file.seal(segment.tally, self._clock())
            except Exception as error:  # noqa: BLE001 - the records are safe; only their seal has to wait
                if not segment.is_late:  # tried again at each tick, said once
                    log.error("segment %s could not be sealed: %s", segment.id, type(error).__name__)  # noqa: TRY400
                segment.is_late = True
                left.append(segment)
        return ""

    def tick(self) -> None:
        """Seal by time and at the end of a month, and forget old request ids. Called about once a second."""
        self._window.turn()
        self._handed.turn()
        current = self._current
        if current is not None:
            is_old = self._monotonic() - current.began >= self._limits.segment_seconds_max
            if is_old or current.month != self._day_of(self._clock())[:7]:
                self._finish()
        self._seal_finished()

    async def _drain(self) -> None:
        while (batch := self._in_flight or self._batch) is not None:
            await asyncio.shield(batch.durable)

    async def seal(self) -> None:
        """Seal everything recorded so far, so that it can be collected."""
        self._finish()
        await self._drain()
        sealing = self._seal_finished()
        if sealing is not None:
            await sealing

    async def close(self) -> None:
        """Wait for what is on its way, seal, and let another process take the folder."""
        await self.seal()
        self._writer.close()
        self._failure = self._failure or "closed"
        os.close(self._lock)


def _undo(touched: "list[tuple[_Segment, SegmentFile, Mark | None]]", error: OSError) -> str:
    """Leave the files as they were before the batch; returns the code of the failure."""
    try:
        for segment, file, mark in reversed(touched):
            if mark is None:
                file.discard()
                segment.file = None
            else:
                file.go_back(mark)
    except OSError:
        return DISK_FAILED
    return DISK_FULL if error.errno in NO_SPACE else DISK_FAILED


def _finish_waiting(durable: "asyncio.Future[str]", failure: str) -> None:
    """Let everybody who waits go on; the server may have given up on them meanwhile."""
    if not durable.done():
        durable.set_result(failure)

"""Torn tails, and the numbers that must survive a restart, a full disk and a jump of the clock."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.metering import service as metering
from gongshu.metering.adapters import frames, segments
from gongshu.metering.types import MeterUnavailable, ResultCode, StoredRecord

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
BANK = ContractId("contract-bank")


def record(
    request_id: str, at: datetime = START, result: ResultCode = ResultCode.MATCH, contract: ContractId = BANK
) -> StoredRecord:
    is_charged = result in {ResultCode.MATCH, ResultCode.MISMATCH}
    return StoredRecord(
        at, request_id, "digest", contract, "terms", ProductId("product-1"), KeyId("key-1"), 1, result, "", is_charged
    )


def run(
    home: Path, work: Callable[[metering.Meter], Awaitable[None]], *, now: datetime = START, close: bool = True,
    limits: metering.MeterLimits | None = None,
) -> None:  # fmt: skip
    """Open a meter, do the work, and close it, or leave it as a crash would."""

    async def whole() -> None:
        meter = metering.open_meter(home, "g1", lambda: now, limits)
        try:
            await work(meter)
        finally:
            if close:
                await meter.close()
            else:
                abandon(meter)

    asyncio.run(whole())


def abandon(meter: metering.Meter) -> None:
    """Let go of everything without writing, as the end of a process does."""
    meter._writer.close()
    os.close(meter._lock)


def write_records(home: Path, number: int) -> list[str]:
    positions: list[str] = []

    async def work(meter: metering.Meter) -> None:
        for index in range(number):
            position, durable = meter.append(record(f"r{index}"))
            positions.append(position)
            assert not await durable

    run(home, work, close=False)
    return positions


def only_segment(home: Path) -> Path:
    (path,) = (home / "usage" / "g1").glob("*.segment")
    return path


def request_ids(home: Path) -> list[str]:
    folder = home / "usage" / "g1"
    return [
        stored.request_id
        for name in segments.segment_ids(folder, ".segment")
        for _, stored in segments.stored_records(segments.read_segment(folder, name))
    ]


@settings(max_examples=60)
@given(data=st.data(), number=st.integers(1, 8))
def test_a_torn_tail_is_cut_at_the_last_whole_record(data, number):
    with TemporaryDirectory() as folder:
        home = Path(folder)
        positions = write_records(home, number)
        path = only_segment(home)
        whole = path.read_bytes()
        cut_at = data.draw(st.integers(1, len(whole)))
        garbage = data.draw(st.binary(max_size=40))
        path.write_bytes(whole[:cut_at] + garbage)

        ends = [int(position.partition(":")[2]) for position in positions[1:]] + [len(whole)]
        kept = sum(end <= cut_at for end in ends)
        uses: list[int] = []

        async def work(meter: metering.Meter) -> None:
            uses.append(meter.use_of(BANK, START)[0])

        run(home, work)
        seal = segments.read_seal(path.parent, path.stem)
        assert request_ids(home) == [f"r{index}" for index in range(kept)] or whole[:cut_at] + garbage == whole
        assert uses == [seal.segment.records]
        assert seal.segment.sha256 == segments.sha256_of_file(path)
        if seal.cut is not None:
            tail = (path.parent / f"{path.stem}.tail").read_bytes()
            assert len(tail) == seal.cut.bytes
            assert (whole[:cut_at] + garbage).endswith(tail)


@settings(max_examples=60)
@given(data=st.data())
def test_a_flipped_bit_is_never_read_as_a_record(data):
    with TemporaryDirectory() as folder:
        home = Path(folder)
        write_records(home, 3)
        path = only_segment(home)
        damaged = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(damaged)

        async def work(meter: metering.Meter) -> None:
            return None

        run(home, work)
        assert request_ids(home) in ([], ["r0"], ["r0", "r1"])


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff" * 100, b"\x01"])
def test_what_a_disk_may_leave_behind_is_no_record(tmp_path, tail):
    write_records(tmp_path, 2)
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes() + tail)

    async def work(meter: metering.Meter) -> None:
        assert meter.use_of(BANK, START) == (2, 2)

    run(tmp_path, work)
    seal = segments.read_seal(path.parent, path.stem)
    assert seal.cut is not None
    assert seal.cut.bytes == len(tail)


@given(payload=st.binary(min_size=1, max_size=200), offset=st.integers(0, 1 << 40), other=st.integers(0, 1 << 40))
def test_a_frame_is_valid_at_its_own_offset_only(payload, offset, other):
    data = frames.frame(payload, offset)
    assert bytes(frames.frame_at(data, offset, offset)) == payload
    if other != offset:
        assert frames.frame_at(data, other, other) is None


@settings(max_examples=30)
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(list(ResultCode)),
            st.integers(0, 60 * 24 * 40),
            st.sampled_from(["contract-a", "contract-b"]),
        ),
        max_size=30,
    ),
    restarts=st.sets(st.integers(0, 30)),
)
def test_counts_after_any_restarts_are_those_of_a_plain_count(calls, restarts):
    with TemporaryDirectory() as folder:
        home = Path(folder)
        done = 0
        while done < len(calls):
            stop = min((place for place in restarts if place > done), default=len(calls))
            part = calls[done:stop]

            async def work(meter: metering.Meter, part=part, start=done) -> None:
                for index, (result, minutes, contract) in enumerate(part, start):
                    moment = START + timedelta(minutes=minutes)  # also backwards, as a clock may jump
                    _, durable = meter.append(record(f"r{index}", moment, result, ContractId(contract)))
                    assert not await durable

            run(home, work, close=done % 2 == 0)
            done = stop
        answered = [call for call in calls if call[0] not in {ResultCode.REFUSED, ResultCode.ERROR}]

        async def look(meter: metering.Meter) -> None:
            for contract in ("contract-a", "contract-b"):
                own = [START + timedelta(minutes=minutes) for _, minutes, name in answered if name == contract]
                for moment in own:
                    day = (moment + timedelta(hours=8)).date()
                    same_day = sum((other + timedelta(hours=8)).date() == day for other in own)
                    assert meter.use_of(ContractId(contract), moment) == (len(own), same_day)

        run(home, look)
        for name in segments.segment_ids(home / "usage" / "g1", ".seal.json"):
            months = {
                segments.month_of(stored.at)
                for _, stored in segments.stored_records(segments.read_segment(home / "usage" / "g1", name))
            }
            assert months in (set(), {segments.header_named(name).month})  # no segment spans two months


def test_a_full_disk_takes_everything_back_and_serves_again_when_there_is_room(tmp_path, monkeypatch):
    real_write = os.pwritev

    async def work(meter: metering.Meter) -> None:
        _, durable = meter.append(record("before"))
        assert not await durable

        def full(descriptor: int, parts: list[memoryview], offset: int, flags: int) -> int:
            if len(parts[0]) > 300:
                return real_write(descriptor, [parts[0][:40]], offset, flags)  # part of a record fits …
            raise OSError(errno.ENOSPC, "full")  # … and the rest does not

        monkeypatch.setattr(os, "pwritev", full)
        waiting = [meter.append(record(f"lost{index}"))[1] for index in range(3)]
        assert [await durable for durable in waiting] == ["disk-full"] * 3
        assert meter.use_of(BANK, START) == (1, 1)
        assert meter.earlier(metering.request_key(BANK, "lost0")) is None
        assert not meter.failure
        monkeypatch.setattr(os, "pwritev", real_write)
        position, durable = meter.append(record("after"))
        assert not await durable
        assert metering_record_id(tmp_path, position) == "after"

    run(tmp_path, work)
    assert request_ids(tmp_path) == ["before", "after"]
    folder = tmp_path / "usage" / "g1"
    assert segments.segment_ids(folder, ".seal.json") == segments.segment_ids(folder, ".segment")


def metering_record_id(home: Path, position: str) -> str:
    name, _, offset = position.partition(":")
    found = segments.record_at(home / "usage" / "g1", name, int(offset))
    return found.request_id if found else ""


def test_after_a_failed_disk_nothing_is_recorded_until_a_restart(tmp_path, monkeypatch):
    async def work(meter: metering.Meter) -> None:
        def broken(*_: object) -> int:
            raise OSError(errno.EIO, "broken")

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", broken)
            _, durable = meter.append(record("lost"))
            assert await durable == "disk-failed"
        with pytest.raises(MeterUnavailable, match="disk-failed"):
            meter.append(record("later"))
        assert meter.use_of(BANK, START) == (0, 0)

    run(tmp_path, work)

    async def again(meter: metering.Meter) -> None:
        _, durable = meter.append(record("again"))
        assert not await durable

    run(tmp_path, again)
    assert request_ids(tmp_path)[-1] == "again"


def test_only_one_process_writes_to_a_gateway_folder(tmp_path):
    async def work(meter: metering.Meter) -> None:
        with pytest.raises(metering.MeterLocked):
            metering.open_meter(tmp_path, "g1", lambda: START)

    run(tmp_path, work)


def test_too_many_waiting_records_are_refused_before_memory_grows(tmp_path):
    async def work(meter: metering.Meter) -> None:
        waiting = [meter.append(record(f"r{index}"))[1] for index in range(5)]
        with pytest.raises(MeterUnavailable, match="gateway-busy"):
            meter.append(record("one too many"))
        assert [await durable for durable in waiting] == [""] * 5
        _, durable = meter.append(record("now"))
        assert not await durable

    run(tmp_path, work, limits=metering.MeterLimits(waiting_records_max=5))


def test_many_calls_at_once_share_a_sync(tmp_path, monkeypatch):
    syncs: list[int] = []
    real_write = os.pwritev

    def counted(descriptor: int, parts: list[memoryview], offset: int, flags: int) -> int:
        assert flags == os.RWF_DSYNC  # on disk before it returns
        syncs.append(offset)
        return real_write(descriptor, parts, offset, flags)

    async def work(meter: metering.Meter) -> None:
        assert not await meter.append(record("first"))[1]
        monkeypatch.setattr(os, "pwritev", counted)
        waiting = [meter.append(record(f"r{index}"))[1] for index in range(200)]
        assert {await durable for durable in waiting} == {""}
        assert len(syncs) == 1

    run(tmp_path, work)


def test_a_request_id_is_remembered_on_its_way_on_disk_and_after_a_restart(tmp_path):
    async def work(meter: metering.Meter) -> None:
        position, durable = meter.append(record("r1"))
        assert meter.earlier(metering.request_key(BANK, "r1")).record.position == position
        assert not await durable
        assert meter.earlier(metering.request_key(BANK, "r1")).durable is None
        assert meter.earlier(metering.request_key(ContractId("contract-other"), "r1")) is None
        refused = meter.append(record("r2", result=ResultCode.REFUSED))[1]
        assert not await refused
        assert meter.earlier(metering.request_key(BANK, "r2")) is None  # a refused call may be tried again

    run(tmp_path, work, close=False)

    async def again(meter: metering.Meter) -> None:
        earlier = meter.earlier(metering.request_key(BANK, "r1"))
        assert (earlier.record.request_id, earlier.record.result) == ("r1", ResultCode.MATCH)
        assert meter.earlier(metering.request_key(BANK, "r2")) is None

    run(tmp_path, again, now=START + timedelta(days=400))  # whatever the clock says


def test_a_request_id_is_forgotten_after_two_windows(tmp_path):
    moment = [0.0]

    async def whole() -> None:
        meter = metering.Meter(
            tmp_path, "g1", lambda: START, metering.MeterLimits(window_seconds=10), monotonic=lambda: moment[0]
        )
        _, durable = meter.append(record("r1"))
        assert not await durable
        found = []
        for moment[0] in (5, 10, 19, 21):
            meter.tick()
            found.append(meter.earlier(metering.request_key(BANK, "r1")) is not None)
        assert found == [True, True, True, False]
        await meter.close()

    asyncio.run(whole())


def test_segments_end_by_size_by_time_and_with_the_month(tmp_path):
    moment, clock = [0.0], [START]

    async def whole() -> None:
        limits = metering.MeterLimits(segment_bytes_max=300, segment_seconds_max=60)
        meter = metering.Meter(tmp_path, "g1", lambda: clock[0], limits, monotonic=lambda: moment[0])

        async def put(name: str) -> str:
            position, durable = meter.append(record(name, clock[0]))
            assert not await durable
            return position.partition(":")[0]

        names = [await put(f"r{index}") for index in range(6)]
        assert len(set(names)) > 1  # by size
        last = await put("r6")
        moment[0] = 61
        meter.tick()
        assert await put("r7") != last  # by time
        clock[0] = datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)
        november = await put("r8")
        clock[0] += timedelta(seconds=1)  # midnight in China
        meter.tick()
        december = await put("r9")
        assert (november[:9], december[:9]) == ("g1-202611", "g1-202612")
        await meter.close()

    asyncio.run(whole())
    names = segments.segment_ids(tmp_path, ".segment")
    assert segments.segment_ids(tmp_path, ".seal.json") == names
    assert [segments.number_of(name) for name in names] == list(range(1, len(names) + 1))

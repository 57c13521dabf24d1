"""Power cuts, full and broken disks, and jumps of the calendar clock under a gateway: what was answered is on record once.

Each run is one seed: it decides the faults, the clock, and what is called, and it is printed. Calls go in groups and the
disk is held meanwhile, so that a seed does the same each time.
"""

import asyncio
import json
import logging
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gongshu.base.days import Period, local_day
from gongshu.delivery.types import Answered, IncomingCall
from gongshu.metering import service as metering
from gongshu.metering.adapters import segments
from gongshu.metering.types import ANSWERED, UsageRecord
from tests.disks import Faults, FaultyDisk
from tests.gateways import DIFFERING, MATCHING, PRODUCT, PURPOSE, SECRET, UNKNOWN, World, open_gateway, policy

RUNS = int(os.environ.get("GONGSHU_FAULT_RUNS", "12"))  # `make torture` sets more
SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FIELDS = (MATCHING, DIFFERING, UNKNOWN)
LIVES = 6
GROUPS = 14
CALLS_MAX, CALLS_PER_DAY_MAX = 260, 90
NOON = datetime(2026, 11, 29, 4, tzinfo=UTC)
JUMPS = (
    timedelta(days=-1), timedelta(days=1), timedelta(days=31), timedelta(days=-31), timedelta(hours=-7), timedelta(seconds=90),
)  # fmt: skip


class Clock:
    """A calendar clock that goes on a little with each look, and jumps when told."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def jump(self, draw: random.Random) -> None:
        """Jump by days or a month either way, or to just before midnight or the end of a month in China."""
        places = [self.time + by for by in JUMPS]
        places += [self.time.replace(hour=15, minute=59, second=59, microsecond=990_000)]
        places += [datetime(2026, 11, 30, 15, 59, 59, 995_000, tzinfo=UTC)]
        wanted = draw.choice(places)
        self.time = min(max(wanted, NOON - timedelta(days=40)), NOON + timedelta(days=40))


@dataclass
class Story:
    """What one seed did: calls, answers, and the faults that came."""

    draw: random.Random
    next_number: int = 0
    unanswered: list[int] = field(default_factory=list)
    receipts: dict[int, bytes] = field(default_factory=dict)
    refused: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)

    def take(self) -> int:
        """Return the number of the next call: one that got no answer, one that did, or a fresh one."""
        if self.unanswered and self.draw.random() < 0.6:
            return self.unanswered.pop(0)
        if self.receipts and self.draw.random() < 0.1:
            return self.draw.choice(list(self.receipts)[-20:])
        self.next_number += 1
        return self.next_number

    def note(self, number: int, outcome: object) -> None:
        """Keep what was answered; a call that was turned away is tried again."""
        if isinstance(outcome, Answered):
            said = json.dumps(receipt_of(outcome), sort_keys=True, default=str).encode()
            assert self.receipts.setdefault(number, said) == said
            return
        code = outcome.reasons[0].code
        self.refused[code] += 1
        if code in {"disk-full", "disk-failed", "gateway-busy"} and number not in self.receipts:
            self.unanswered.append(number)


def receipt_of(answered: Answered) -> dict:
    receipt = answered.receipt
    return {name: getattr(receipt, name) for name in ("call", "request_id", "at", "result", "is_charged")}


def incoming(number: int) -> IncomingCall:
    return IncomingCall(
        path=f"/v1/products/{PRODUCT}/verify", secret=SECRET.encode(), request_id=f"r{number}", purpose=PURPOSE,
        body=json.dumps(FIELDS[number % 3]).encode(),
    )  # fmt: skip


def make_world(home: Path) -> World:
    clock = Clock()
    period = Period(NOON - timedelta(days=100), NOON + timedelta(days=300))
    made = World(home, clock, policy(calls_max=CALLS_MAX, calls_per_day_max=CALLS_PER_DAY_MAX, period=period))
    clock.time = NOON - timedelta(days=60)
    made.publish(age_seconds_max=200 * 86_400)
    clock.time = NOON
    return made


async def live(world: World, story: Story, disk: FaultyDisk) -> None:
    """Live from a start to the power cut, to a broken disk, or to an orderly end."""
    draw = story.draw
    limits = metering.MeterLimits(segment_bytes_max=draw.choice([3_000, 12_000, 1 << 20]))
    gateway = open_gateway(world, limits=limits, disk=disk)
    for _ in range(GROUPS):
        if draw.random() < 0.3:
            world.clock.jump(draw)
        numbers = list(dict.fromkeys(story.take() for _ in range(draw.randrange(1, 20))))
        half = draw.randrange(len(numbers) + 1)
        first = [asyncio.create_task(gateway.answer(incoming(number))) for number in numbers[:half]]
        for _ in range(draw.randrange(4)):  # the second half joins the first one's batch, or waits behind it
            await asyncio.sleep(0)
        second = [asyncio.create_task(gateway.answer(incoming(number))) for number in numbers[half:]]
        outcomes = await asyncio.gather(*first, *second)
        if not disk.is_dead:
            for number, outcome in zip(numbers, outcomes, strict=True):
                story.note(number, outcome)
        else:  # what was on its way when the power went, nobody heard
            story.unanswered += [number for number in numbers if number not in story.receipts]
            break
        await gateway.tick()
        if gateway.meter.failure:
            break
    await gateway.close()
    story.faults += disk.seen


def check(world: World, story: Story) -> None:
    """Say whether every promise was kept."""
    records = world.records()
    answered = [record for record in records if record.result in ANSWERED]
    assert max(Counter(record.request_id for record in answered).values()) == 1  # nothing twice
    by_position = {record.position: record for record in records}
    for number, said in story.receipts.items():
        record = by_position[json.loads(said)["call"]]
        assert record.request_id == f"r{number}"
        assert json.loads(said)["is_charged"] == record.is_charged
        assert json.loads(said)["result"] == record.result.value
    heard = {f"r{number}" for number in story.receipts}
    assert {record.request_id for record in answered} == heard  # nothing charged that nobody heard of in the end
    assert not any(record.is_charged for record in records if record.result not in ANSWERED)
    assert len(answered) <= CALLS_MAX
    assert max(Counter(local_day(record.at) for record in answered).values()) <= CALLS_PER_DAY_MAX
    check_files(world.home / "usage" / "g1", answered)


def check_files(folder: Path, answered: list[UsageRecord]) -> None:
    names = segments.segment_ids(folder, ".segment")
    assert [segments.number_of(name) for name in names] == list(range(1, len(names) + 1))
    sealed = 0
    for name in names:
        seal = segments.read_seal(folder, name)
        assert seal is not None
        sha256, tally, is_whole = segments.recount(segments.read_segment(folder, name))
        assert (is_whole, sha256) == (True, seal.segment.sha256)
        assert tally.contracts() == seal.tallies
        sealed += sum(sum(part.answered_by_day.values()) for part in seal.tallies)
        tail = folder / f"{name}.tail"
        assert tail.exists() == (seal.cut is not None)  # a cut is named where it was made
        if seal.cut is not None:  # at the last whole record, or before a header that was torn itself
            assert seal.cut.bytes == tail.stat().st_size
            assert seal.cut.offset == seal.bytes or (seal.cut.offset, seal.segment.records) == (0, 0)
    assert sealed == len(answered)


def tell(seed: int, home: Path) -> Story:
    """Live several lives on one disk, then ask again for all that got no answer."""
    draw = random.Random(seed)
    world, story = make_world(home), Story(draw)
    folder = home / "usage" / "g1"
    for _ in range(LIVES):
        faults = Faults(
            short=0.2, full=draw.choice([0, 0.02, 0.1]), broken=draw.choice([0, 0, 0.02]),
            cut_at=draw.choice([1 << 60, draw.randrange(1, 12), draw.randrange(1, 80)]),
        )  # fmt: skip
        disk = FaultyDisk(folder, draw, faults)
        try:
            asyncio.run(live(world, story, disk))
        except OSError:  # so early that it did not even start
            story.faults += disk.seen
        if disk.is_dead or draw.random() < 0.5:  # after a broken disk the machine may go down as well
            disk.come_back()
    asyncio.run(ask_again(world, story))
    check(world, story)
    return story


async def ask_again(world: World, story: Story) -> None:
    gateway = open_gateway(world)
    again = list(dict.fromkeys([*story.unanswered, *list(story.receipts)[-30:]]))
    story.unanswered = []
    for number in again:
        story.note(number, await gateway.answer(incoming(number)))
    assert not story.unanswered
    await gateway.close()


@pytest.mark.parametrize("part", range(4))
def test_every_answered_call_is_on_record_once_through_power_cuts_full_disks_and_jumping_clocks(tmp_path, part, caplog):
    caplog.set_level(logging.CRITICAL)
    faults: Counter[str] = Counter()
    answers = 0
    for run in range(part, max(RUNS, 4), 4):
        seed = SEED + run
        print(f"GONGSHU_SEED={seed} GONGSHU_FAULT_RUNS=1")  # noqa: T201 - a seed is printed
        story = tell(seed, tmp_path / f"var{run}")
        faults += story.faults
        answers += len(story.receipts)
    assert answers > 0
    print(dict(faults), answers)  # noqa: T201 - says what a run was worth

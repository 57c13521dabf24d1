"""A gateway killed under load: every answered call is on record exactly once, and no count is ever exceeded."""

import asyncio
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gongshu.base.days import Period
from gongshu.metering.types import ANSWERED
from tests.gateways import DIFFERING, MATCHING, UNKNOWN, Connection, GatewayProcess, World, gateway_process, policy

KILLS = int(os.environ.get("GONGSHU_KILLS", "30"))  # `make torture` sets 1 000
SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
CALLERS = 24
CALLS_MAX = 600 * KILLS
FIELDS = (MATCHING, DIFFERING, UNKNOWN)


@dataclass
class Bank:
    """A client that repeats each call with the same request id until it has an answer."""

    next_number: int = 0
    unanswered: list[int] = field(default_factory=list)
    receipts: dict[int, dict] = field(default_factory=dict)
    refused: Counter = field(default_factory=Counter)
    repeated: dict[int, dict] = field(default_factory=dict)

    def take(self) -> int:
        """Return the number of the next call to make: first those that got no answer."""
        if self.unanswered:
            return self.unanswered.pop()
        self.next_number += 1
        return self.next_number

    async def call_on(self, running: GatewayProcess) -> None:
        """Call on one connection until the gateway is gone."""
        async with Connection(running.port) as connection:
            while True:
                number = self.take()
                try:
                    answer = await connection.call(f"r{number}", FIELDS[number % 3])
                except (OSError, asyncio.IncompleteReadError):
                    self.unanswered.append(number)
                    return
                self.note(number, *answer)

    def note(self, number: int, status: int, body: dict) -> None:
        """Keep what was answered."""
        if status == 200:
            receipt = body["receipt"]
            assert self.receipts.setdefault(number, receipt) == receipt
        else:
            self.refused[body["code"]] += 1

    async def load(self, running: GatewayProcess, calls: int, draw: random.Random) -> None:
        """Call on many connections, and kill the gateway once so many more calls were made."""
        stop_at = self.next_number + calls
        callers = [asyncio.create_task(self.call_on(running)) for _ in range(CALLERS)]
        while self.next_number < stop_at:  # noqa: ASYNC110 - the moment is to be a random one
            await asyncio.sleep(draw.random() * 0.002)
        running.end(signal.SIGKILL)
        await asyncio.gather(*callers)

    async def ask_again(self, running: GatewayProcess) -> None:
        """Repeat everything that got no answer, and some calls that did."""
        async with Connection(running.port) as connection:
            for number in [*self.unanswered, *sorted(self.receipts)[-200:]]:
                self.note(number, *await connection.call(f"r{number}", FIELDS[number % 3]))
        self.unanswered.clear()


def make_world(home: Path) -> World:
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=1), now + timedelta(days=300))
    world = World(home, lambda: datetime.now(UTC), policy(calls_max=CALLS_MAX, calls_per_day_max=10**6, period=period))
    world.publish()
    return world


def test_every_answered_call_is_on_record_exactly_once_after_many_kills(tmp_path):
    print(f"GONGSHU_SEED={SEED} GONGSHU_KILLS={KILLS}")  # noqa: T201 - a seed is printed
    world, bank, draw = make_world(tmp_path / "var"), Bank(), random.Random(SEED)
    log = tmp_path / "gateway.log"
    for _ in range(KILLS):
        with gateway_process(world.home, log) as running:
            asyncio.run(bank.load(running, draw.randrange(20, 700), draw))
    with gateway_process(world.home, log) as running:
        asyncio.run(bank.ask_again(running))
        assert running.end() in (0, -signal.SIGTERM)

    records = world.records()
    answered = [record for record in records if record.result in ANSWERED]
    by_request = Counter(record.request_id for record in answered)
    assert set(by_request.values()) == {1}  # nothing twice, whatever was repeated
    by_position = {record.position: record for record in answered}
    for number, receipt in bank.receipts.items():
        record = by_position[receipt["call"]]
        assert (record.request_id, record.result) == (f"r{number}", receipt["result"])
        assert record.is_charged == receipt["is_charged"]
    assert {f"r{number}" for number in bank.receipts} == set(by_request)  # no charge without an answer in the end
    assert len(answered) <= CALLS_MAX
    assert not any(record.is_charged for record in records if record.result not in ANSWERED)
    assert "Traceback" not in log.read_text()


def test_the_agreed_number_of_calls_is_never_exceeded_by_kills(tmp_path):
    world, bank, draw = make_world(tmp_path / "var"), Bank(), random.Random(SEED + 1)
    world.publish(policy=policy(calls_max=150, calls_per_day_max=10**6, period=world.policy.period))
    for _ in range(3):
        with gateway_process(world.home, tmp_path / "gateway.log") as running:
            asyncio.run(bank.load(running, draw.randrange(60, 120), draw))
    with gateway_process(world.home, tmp_path / "gateway.log") as running:
        asyncio.run(bank.ask_again(running))
    answered = [record for record in world.records() if record.result in ANSWERED]
    assert len(answered) == 150
    assert bank.refused["calls-used-up"] > 0


def test_on_sigterm_what_has_arrived_is_answered_and_usage_is_sealed(tmp_path):
    world, bank = make_world(tmp_path / "var"), Bank()

    async def load(running: GatewayProcess) -> int | None:
        callers = [asyncio.create_task(bank.call_on(running)) for _ in range(CALLERS)]
        while bank.next_number < 300:  # noqa: ASYNC110 - only to have calls under way
            await asyncio.sleep(0)
        os.kill(running.process.pid or 0, signal.SIGTERM)
        await asyncio.gather(*callers)
        return running.wait()

    with gateway_process(world.home, tmp_path / "gateway.log") as running:
        assert asyncio.run(load(running)) in (0, -signal.SIGTERM)
    answered = {record.request_id for record in world.records() if record.result in ANSWERED}
    assert {f"r{number}" for number in bank.receipts} == answered  # nobody was recorded and left without an answer
    folder = world.home / "usage" / "g1"
    assert {path.name.split(".")[0] for path in folder.glob("*.segment")} == {
        path.name.split(".")[0] for path in folder.glob("*.seal.json")
    }

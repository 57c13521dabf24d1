"""Memory stays flat under load with many contracts, refusals, repeats, replays and batches.

`make test` counts what one gateway holds after so many calls and after three times as many; `make soak` watches the memory of
a gateway's process for ten minutes.
"""

import asyncio
import gc
import os
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

from gongshu.delivery.api.application import GatewayApp
from gongshu.metering import service as metering
from tests.gateways import START, GatewayProcess, gateway_process, open_gateway
from tests.hostile_calls import Hostile, ask
from tests.soaking import load, make_world, requests, resident_bytes, serve

SECONDS = float(os.environ.get("GONGSHU_SOAK_SECONDS", "3"))  # `make soak` sets 600
SEED = int(os.environ.get("GONGSHU_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
CONTRACTS, CALLS, PARTS = 20, 250, 4
GROWTH_BYTES_MAX = 40_000  # a hundred bytes kept for each of the calls in between would be more
CALLERS = 12
SAMPLES = 30
GROWTH_SHARE_MAX, GROWTH_RESIDENT_MAX = 0.05, 12 << 20


class Clock:
    """A calendar clock that goes a second a call, so that nonces are forgotten in the time of a test."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


def test_after_three_times_the_calls_a_gateway_holds_no_more(tmp_path):
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    clock, moment = Clock(), [100.0]
    world = make_world(tmp_path / "var", clock, START, many=CONTRACTS)
    limits = metering.MeterLimits(segment_bytes_max=1 << 16, segment_seconds_max=20, window_seconds=10)
    asked = requests(world, random.Random(SEED), "a")

    async def work() -> list[int]:
        app = GatewayApp(lambda: open_gateway(world, limits=limits, monotonic=lambda: moment[0]))
        app.open()
        sizes = []
        for number in range(PARTS * CALLS):
            path, head, body = next(asked)
            moment[0] += 0.1
            clock.time += timedelta(seconds=5)
            given = [(name.encode(), value.encode()) for name, value in head.items()]
            await ask(app, Hostile("POST", path, given, [body]))
            if number % 20 == 0:
                await app._gateway.tick()
            if (number + 1) % CALLS == 0:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        await app.close()
        return sizes

    tracemalloc.start()
    try:
        sizes = asyncio.run(work())
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[1] < GROWTH_BYTES_MAX, sizes


def test_the_memory_of_a_gateway_under_load_stays_flat(tmp_path):
    print(f"GONGSHU_SEED={SEED}")  # noqa: T201 - a seed is printed
    world = make_world(tmp_path / "var", lambda: datetime.now(UTC), datetime.now(UTC))

    async def watch(running: GatewayProcess) -> tuple[list[int], int]:
        until, sizes = asyncio.Event(), []
        callers = [
            asyncio.create_task(load(world, running.port, f"{SEED}x{number}x", until)) for number in range(CALLERS)
        ]
        for _ in range(SAMPLES):
            await asyncio.sleep(SECONDS / SAMPLES)
            sizes.append(resident_bytes(running.process.pid or 0))
        until.set()
        return sizes, sum(await asyncio.gather(*callers))

    with gateway_process(world.home, tmp_path / "gateway.log", target=serve) as running:
        sizes, answers = asyncio.run(watch(running))
        running.end()
    early, late = max(sizes[SAMPLES // 3 : SAMPLES // 2]), min(sizes[-SAMPLES // 6 :])
    print(f"{answers} answers; MiB: {[size >> 20 for size in sizes]}")  # noqa: T201 - says what a run was worth
    assert answers > 0
    assert late - early < max(GROWTH_RESIDENT_MAX, GROWTH_SHARE_MAX * early)
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()

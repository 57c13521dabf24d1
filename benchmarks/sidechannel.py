"""What an attacker learns from the time of an answer: its advantage over guessing, in percent points.

Calls whose result is match, mismatch and no record are asked of the ASGI application in turn, in random order, and timed from
the whole request to the answer, the disk included. An attacker who knows both distributions and sees one time can do no better than
the largest distance between them (Kolmogorov-Smirnov); one who may repeat takes the least of ``REPEATS`` times, or their mean.
What chance alone gives with as many measurements, the results being shuffled, is the limit. Beside the time that a caller sees stands
the processor's time of the thread that serves: nobody outside sees it, but no neighbour on the machine blurs it.
"""

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from statistics import fmean, median

from gongshu.base.days import Period
from gongshu.delivery.api.application import GatewayApp
from tests.gateways import MATCHING, PRODUCT, UNKNOWN, World, headers, open_gateway, policy
from tests.hostile_calls import Hostile, ask

ROUNDS, WARM_UP = 6_000, 300
REPEATS = 10
SHUFFLES = 200
SEED = 20261121
FIELDS = {  # texts of one length: what is sent is the caller's own
    "match": MATCHING,
    "mismatch": MATCHING | {"name": "".join(reversed(MATCHING["name"]))},
    "no_record": MATCHING | {"credit_code": UNKNOWN["credit_code"]},
}
LARGE = 10**9

Times = dict[str, list[float]]


def request(name: str, request_id: str) -> Hostile:
    """Return a call whose answer will be ``name``."""
    given = [(key.encode(), value.encode()) for key, value in headers(request_id).items()]
    body = json.dumps(FIELDS[name], ensure_ascii=False).encode()
    return Hostile("POST", f"/v1/products/{PRODUCT}/verify", given, [body])


async def timed(app: GatewayApp, rounds: int, draw: random.Random) -> tuple[Times, Times]:
    """Ask each result once a round, in random order; returns what a clock and what the processor says, in microseconds."""
    times: Times = {name: [] for name in FIELDS}
    worked: Times = {name: [] for name in FIELDS}
    for number in range(-WARM_UP, rounds):
        for place, name in enumerate(draw.sample(list(FIELDS), len(FIELDS))):
            asked = request(name, f"r{number + WARM_UP:06d}{place}")
            began, began_work = time.perf_counter_ns(), time.thread_time_ns()
            heard = await ask(app, asked)
            took, work = time.perf_counter_ns() - began, time.thread_time_ns() - began_work
            if json.loads(heard.body)["result"] != name:
                raise RuntimeError("another answer than expected")
            if number >= 0:
                times[name].append(took / 1000)
                worked[name].append(work / 1000)
    return times, worked


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest distance of two empirical distributions: the best that a threshold on one value can gain."""
    merged = sorted([(value, 1 / len(one)) for value in one] + [(value, -1 / len(other)) for value in other])
    total = best = 0.0
    for place, (value, step) in enumerate(merged):
        total += step
        if place + 1 == len(merged) or merged[place + 1][0] != value:
            best = max(best, abs(total))
    return best


def grouped(times: Sequence[float], reduce: Callable[[Sequence[float]], float]) -> list[float]:
    """Return one value for every ``REPEATS`` calls."""
    return [reduce(times[start : start + REPEATS]) for start in range(0, len(times) - REPEATS + 1, REPEATS)]


def advantage(times: Times, draw: random.Random) -> tuple[float, float, float]:
    """Return the best advantage over guessing between any two results, what chance gives (95 %), and the medians' span."""
    views: list[Callable[[Sequence[float]], Sequence[float]]] = [
        lambda found: found, lambda found: grouped(found, min), lambda found: grouped(found, fmean),
    ]  # fmt: skip
    best, by_chance = 0.0, 0.0
    for view in views:
        seen = {name: view(found) for name, found in times.items()}
        found = max(distance(seen[one], seen[other]) for one, other in combinations(seen, 2))
        everything = [value for values in seen.values() for value in values]
        size, shuffled = len(everything) // 3, []
        for _ in range(SHUFFLES if size < ROUNDS else SHUFFLES // 10):
            draw.shuffle(everything)
            parts = [everything[start * size : (start + 1) * size] for start in range(3)]
            shuffled.append(max(distance(one, other) for one, other in combinations(parts, 2)))
        chance = sorted(shuffled)[int(0.95 * len(shuffled)) - 1]
        if found - chance > best - by_chance or not best:
            best, by_chance = found, chance
    middles = [median(found) for found in times.values()]
    return 50 * best, 50 * by_chance, max(middles) - min(middles)


def measure(rounds: int = ROUNDS) -> dict[str, dict[str, float | str]]:
    """Measure and return the attacker's advantage."""
    draw = random.Random(SEED)
    now = datetime.now(UTC)
    counts = {"calls_max": LARGE, "calls_per_day_max": LARGE, "calls_per_second_max": LARGE}
    period = Period(now - timedelta(days=1), now + timedelta(days=300))
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        world = World(Path(folder) / "var", lambda: datetime.now(UTC), policy(period=period, **counts))
        world.publish()
        app = GatewayApp(lambda: open_gateway(world, monotonic=time.monotonic))

        async def start() -> None:
            app.open()

        runner.run(start())
        gc.collect()
        gc.disable()
        try:
            times, worked = runner.run(timed(app, rounds, draw))
        finally:
            gc.enable()
            runner.run(app.close())
    made: dict[str, dict[str, float | str]] = {}
    for prefix, found in (("timing", times), ("processor", worked)):
        points, chance, apart = advantage(found, draw)
        made[f"{prefix}_distinguishable_points"] = {
            "value": points, "unit": "percent points over guessing", "limit": "by chance alone, 95 %", "limit_value": chance,
        }  # fmt: skip
        made[f"{prefix}_medians_apart"] = {
            "value": apart, "unit": "µs", "limit": "median of a call", "limit_value": median(found["match"]),
        }  # fmt: skip
    return made


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)

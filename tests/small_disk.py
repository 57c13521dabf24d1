"""A gateway on a disk that runs full, as a program: run with a folder on a small file system; prints what happened as JSON."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from gongshu.base.days import Period
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED
from tests.gateways import MATCHING, World, call, policy, serving

CALLS_MAX = 100_000
AT_ONCE = 50
SEGMENT_BYTES = 40_000


async def call_until(client: httpx.AsyncClient, number: int, status: int) -> tuple[int, list[httpx.Response]]:
    """Call in groups until one is answered with ``status``; returns the next free number and the last group's answers."""
    while number < CALLS_MAX:
        answers = await asyncio.gather(
            *(call(client, f"r{name}", MATCHING) for name in range(number, number + AT_ONCE))
        )
        number += AT_ONCE
        if any(answer.status_code == status for answer in answers):
            return number, answers
    raise RuntimeError("the disk is too large")


async def fill_and_clear(world: World, ballast: Path) -> dict[str, object]:
    """Call until the disk is full, take the ballast away, and call again."""
    limits = metering.MeterLimits(segment_bytes_max=SEGMENT_BYTES)
    async with serving(world, limits=limits) as client:
        number, refused = await call_until(client, 0, 503)
        health = (await client.get("/healthz")).status_code
        again = await call(client, f"r{number - 1}", MATCHING)
        use_when_full = len([record for record in world.records() if record.result in ANSWERED])
        await asyncio.to_thread(ballast.unlink)
        repeated = [await call(client, f"r{name}", MATCHING) for name in range(number)]
    said = {
        answer.json()["receipt"]["call"]: answer.json()["receipt"]["request_id"]
        for answer in repeated
        if answer.status_code == httpx.codes.OK
    }
    records = {record.position: record.request_id for record in world.records() if record.result in ANSWERED}
    return {
        "codes": sorted({answer.json()["code"] for answer in refused if answer.status_code != 200}, key=str),
        "retry_after": sorted({answer.headers["retry-after"] for answer in refused if answer.status_code != 200}),
        "answered_when_full": number - sum(answer.status_code != 200 for answer in refused),
        "recorded_when_full": use_when_full, "health": health, "again": again.status_code,
        "afterwards": sorted({answer.json()["code"] for answer in repeated}, key=str),
        "calls": number, "records": len(records), "same": said == records,
    }  # fmt: skip


def main(home: Path, ballast_bytes: int) -> None:
    """Do it on ``home``, which has a little more room than ``ballast_bytes``."""
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=1), now + timedelta(days=300))
    counts = {"calls_max": CALLS_MAX, "calls_per_day_max": CALLS_MAX, "calls_per_second_max": CALLS_MAX}
    world = World(home, lambda: datetime.now(UTC), policy(period=period, **counts))
    world.publish()
    ballast = home / "ballast"
    ballast.write_bytes(bytes(ballast_bytes))
    print(json.dumps(asyncio.run(fill_and_clear(world, ballast))))  # noqa: T201 - what it is run for


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

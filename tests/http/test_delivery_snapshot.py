"""Which policy snapshot the gateway follows: the latest one of its control plane, and for how long."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gongshu.delivery import adapters
from tests.gateways import START, World, call, serving


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self):
        return self.time


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "var", Clock())
    made.publish()
    return made


def run(work):
    return asyncio.run(work())


def after(world, change):
    """Make a call, change something, and make another; return both."""

    async def work():
        async with serving(world) as client:
            first = await call(client, "r1")
            change()
            return first, await call(client, "r2")

    return run(work)


def test_a_revoked_key_opens_nothing_as_soon_as_the_snapshot_is_there(world):
    first, second = after(world, lambda: world.publish(contract_changes={"key_ids": {}}))
    assert (first.status_code, second.json()["code"]) == (200, "key-unknown")


def test_a_forged_snapshot_is_not_followed(world, caplog):
    def forge():
        path = adapters.snapshot_path(world.home)
        path.write_bytes(path.read_bytes().replace(b'"age_seconds_max":3600', b'"age_seconds_max":9999'))

    _, second = after(world, forge)
    assert second.json()["receipt"]["snapshot"] == 1
    assert "not valid" in caplog.text


def test_a_shard_that_was_changed_opens_nothing(world, caplog):
    (shard,) = (p for p in (world.home / "gateway" / "shards").iterdir() if b"inclusive" in p.read_bytes())
    shard.write_bytes(shard.read_bytes().replace(b"inclusive", b"exclusive"))

    async def work():
        async with serving(world) as client:
            return await call(client, "r1")

    assert run(work).json()["code"] == "snapshot-damaged"
    assert "not valid" in caplog.text


def test_a_snapshot_signed_by_another_key_is_not_followed(world):
    def sign_otherwise():
        adapters.write_snapshot(world.home, replace(world.snapshot(), number=9, contracts=()), b"x" * 32)

    _, second = after(world, sign_otherwise)
    assert second.status_code == 200


def test_an_older_snapshot_is_not_followed_even_after_a_restart(world, caplog):
    generous = adapters.snapshot_path(world.home).read_bytes()
    world.publish(contract_changes={"stop_code": "grant-ended"})

    async def work():
        async with serving(world) as client:
            codes = [(await call(client, "r1")).json()["code"]]
            adapters.write_atomically(adapters.snapshot_path(world.home), generous)
            codes.append((await call(client, "r2")).json()["code"])
        async with serving(world) as client:
            return [*codes, (await call(client, "r3")).json()["code"]]

    assert run(work) == ["grant-ended", "grant-ended", "snapshot-missing"]
    assert "snapshot-rolled-back" in caplog.text


def test_service_goes_on_until_the_stated_age_of_the_snapshot_then_stops(world):
    async def work():
        async with serving(world) as client:
            seen = []
            for seconds in (3599, 3600):
                world.clock.time = START + timedelta(seconds=seconds)
                ready = await client.get("/readyz")
                seen.append((ready.status_code, (await call(client, f"r{seconds}")).status_code))
            world.publish()
            return [*seen, ((await client.get("/readyz")).status_code, (await call(client, "r")).status_code)]

    assert run(work) == [(200, 200), (503, 503), (200, 200)]


def test_a_product_file_that_was_changed_is_not_served(world):
    with world.artifact.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")

    async def work():
        async with serving(world) as client:
            return await call(client, "r1")

    assert run(work).json()["code"] == "product-unavailable"

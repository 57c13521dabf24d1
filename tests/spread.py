"""Several gateways to test: the control plane and each gateway as a process, many contracts, and a bank that calls under them."""

import asyncio
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId, PartyId, PersonId
from gongshu.base.parameters import Parameters
from gongshu.base.site import Site
from gongshu.delivery.types import Snapshot
from gongshu.gateways import service as gateways
from gongshu.gateways.types import GatewaysShown
from gongshu.metering.types import ANSWERED
from gongshu.server.migrate import upgrade
from gongshu.server.wiring import make_site
from tests.gateways import (
    DIFFERING,
    MATCHING,
    PRODUCT,
    PURPOSE,
    UNKNOWN,
    World,
    free_port,
    policy,
)

ADMINISTRATOR = Actor(PersonId("root"), PartyId("platform"), frozenset({Role.PLATFORM_ADMINISTRATOR}))
QUICK = {
    "gateway.beat_milliseconds": 50, "gateway.lease_seconds": 3, "gateway.lease_margin_seconds": 1,
    "gateway.silence_milliseconds": 600,
}  # fmt: skip
START_SECONDS_MAX = 30.0
FIELDS = (MATCHING, DIFFERING, UNKNOWN)


def quick(parameters: Parameters) -> Parameters:
    """Return parameters under which leases and silences are short."""
    return Parameters(tuple(replace(entry, value=QUICK.get(entry.key, entry.value)) for entry in parameters.entries))


def site_of(home: Path) -> Site:
    """Return the control plane of a home folder."""
    site = make_site(home)
    return replace(site, parameters=quick(site.parameters))


def contract_ids(count: int) -> list[ContractId]:
    """Return the contracts of these tests."""
    return [ContractId(f"contract-{number}") for number in range(count)]


def secret_of(contract: str) -> str:
    """Return the secret of the key of a contract."""
    return f"gsk_{contract}"


def publish(world: World, contracts: int, calls_max: int, calls_per_day_max: int = 10**6) -> None:
    """Publish so many contracts of the small product."""
    now = datetime.now(UTC)
    world.policy = policy(
        calls_max=calls_max, calls_per_day_max=calls_per_day_max,
        period=Period(now - timedelta(days=1), now + timedelta(days=300)),
    )  # fmt: skip
    world.number += 1
    base = world.snapshot()
    one = base.contracts[0]
    made = tuple(
        replace(one, id=name, key_ids={sha256_hex(secret_of(name).encode()): KeyId(f"key-{name}")})
        for name in contract_ids(contracts)
    )
    world.write(Snapshot(base.number, base.issued_at, base.age_seconds_max, made, base.products))


# --------------------------------------------------------------------------------------------------------- processes


def run_control(home: Path, port: int, log: Path) -> None:
    """Run the control plane as the command line does, with short leases."""
    import uvicorn

    from gongshu.server.asgi import create_app

    _log_to(log)
    uvicorn.run(create_app(site_of(home)), host="127.0.0.1", port=port, log_level="warning")


def run_gateway(home: Path, name: str, port: int, control: str, log: Path) -> None:
    """Run one gateway as the command line does."""
    from gongshu.delivery.api.gateway import app_for, server_for
    from gongshu.delivery.service import Gateway

    _log_to(log)
    world = World(home, lambda: datetime.now(UTC))
    app = app_for(
        lambda: Gateway(home, name, world.clock, world.keys), home, world.clock, world.keys, name,
        frozenset({"127.0.0.1"}), control,
    )  # fmt: skip
    server_for(app, "127.0.0.1", port).run()


def _log_to(log: Path) -> None:
    with log.open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)


@dataclass
class Cluster:
    """A control plane and its gateways, ended with the block."""

    home: Path
    contracts: int = 24
    calls_max: int = 10**6
    calls_per_day_max: int = 10**6
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    homes: dict[str, Path] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.world = World(self.home, lambda: datetime.now(UTC))
        publish(self.world, self.contracts, self.calls_max, self.calls_per_day_max)
        self.site = site_of(self.home)
        upgrade(self.site)
        self.starting = multiprocessing.get_context("forkserver")
        self.starting.set_forkserver_preload(["tests.spread", "gongshu.delivery.api.gateway", "gongshu.server.asgi"])
        self.ports["control"] = free_port()
        self.start_control()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.join()
        self.site.db.close()

    @property
    def control(self) -> str:
        """Return the address of the control plane."""
        return f"http://127.0.0.1:{self.ports['control']}"

    def address(self, name: str) -> str:
        """Return the address of a gateway."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start_control(self) -> None:
        """Start the control plane, or start it again."""
        self._start("control", run_control, self.home, self.ports["control"])

    def _start(self, name: str, target: Any, *args: Any) -> None:
        log = self.home.parent / f"{name}.log"
        process = self.starting.Process(target=target, args=(*args, log), daemon=True)
        process.start()
        self.processes[name] = process

    def join(self, *names: str, home: Path | None = None) -> None:
        """Register gateways and start them."""
        for name in names:
            self.ports[name] = free_port()
            self.homes[name] = home or self.home
            public_key = ""
            if home is not None:
                public_key = gateways.public_key_of(gateways.gateway_key(World(home, self.world.clock).keys, name))
            gateways.register_gateway(self.site, ADMINISTRATOR, name, self.address(name), public_key)
        for name in names:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a gateway that is registered."""
        self._start(name, run_gateway, self.homes[name], name, self.ports[name], self.control)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process."""
        os.kill(self.processes[name].pid or 0, number)
        self.processes[name].join()

    def shown(self) -> GatewaysShown:
        """Return what people are shown of the gateways."""
        return gateways.list_gateways(self.site, ADMINISTRATOR, tuple(contract_ids(self.contracts)))

    def owner(self, contract: str) -> str:
        """Return with which gateway a contract lies."""
        members = tuple(one.name for one in self.shown().gateways if one.status == "member")
        return gateways.owner_of(members, contract)

    def wait_until_spread(self, *names: str) -> None:
        """Wait until exactly these gateways are members and each has the others' counts."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            shown = self.shown()
            members = [one for one in shown.gateways if one.status == "member"]
            if {one.name for one in members} == set(names) and all(
                one.is_complete and one.epoch == shown.epoch for one in members
            ):
                return
            time.sleep(0.02)
        logs = "".join(path.read_text()[-2000:] for path in self.home.parent.glob("*.log"))
        raise RuntimeError(f"not spread over {names}: {self.shown()}\n{logs}")

    def records(self) -> list[Any]:
        """Return every usage record on any gateway's disk."""
        from gongshu.metering.adapters import frames, segments

        found = []
        for folder in {home / "usage" / name for name, home in self.homes.items()}:
            for name in segments.segment_ids(folder, ".segment"):
                found += [
                    frames.as_record(stored, f"{name}:{offset}")
                    for offset, stored in segments.stored_records(segments.read_segment(folder, name))
                ]
        return found


# -------------------------------------------------------------------------------------------------------------- calls


def headers_of(contract: str, request_id: str) -> dict[str, str]:
    """Return the headers of a call under a contract."""
    return {"authorization": f"Bearer {secret_of(contract)}", "x-request-id": request_id, "x-purpose": PURPOSE}


async def call(
    client: httpx.AsyncClient, address: str, contract: str, request_id: str, number: int = 0
) -> httpx.Response:
    """Make one call under a contract at a gateway, whichever it lies with."""
    url = f"{address}/v1/products/{PRODUCT}/verify"
    return await client.post(url, json=FIELDS[number % 3], headers=headers_of(contract, request_id))


@dataclass
class Bank:
    """Calls under many contracts at many gateways, and repeats each call with the same request id until it is answered."""

    contracts: list[ContractId]
    draw: random.Random
    addresses: list[str]
    receipts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    is_over: bool = False
    made: int = 0
    may_make: int = 0
    """Calls that may be made by now: a quick machine would use up all contracts before anything has happened."""

    async def load(self, callers: int) -> None:
        """Call until ``is_over``; then finish what was begun."""
        limits = httpx.Limits(max_connections=callers, max_keepalive_connections=callers)
        async with httpx.AsyncClient(limits=limits, timeout=20) as client, asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._calls(client))

    async def _calls(self, client: httpx.AsyncClient) -> None:
        while not self.is_over:
            if self.made >= self.may_make:
                await asyncio.sleep(0.01)
                continue
            self.made += 1
            number, contract = self.made, self.draw.choice(self.contracts)
            while not await self._once(client, contract, f"r{number}", number):  # noqa: ASYNC110 - as a client does
                await asyncio.sleep(0.02)

    async def _once(self, client: httpx.AsyncClient, contract: str, request_id: str, number: int) -> bool:
        """Make a call once; whether it is done with."""
        try:
            answer = await call(client, self.draw.choice(self.addresses), contract, request_id, number)
        except httpx.TransportError:
            return False
        body = json.loads(answer.content)
        if answer.status_code == httpx.codes.OK:
            receipt = body["receipt"]
            assert self.receipts.setdefault((contract, request_id), receipt) == receipt
            return True
        self.refused[body["code"]] += 1
        return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE

    async def ask_again(self, calls: int) -> None:
        """Repeat calls that were answered: the answers must be the same."""
        async with httpx.AsyncClient(timeout=20) as client:
            for contract, request_id in list(self.receipts)[-calls:]:
                while not await self._once(client, contract, request_id, int(request_id[1:])):  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.02)


def check_exactly_once(cluster: Cluster, bank: Bank) -> None:
    """Every answered call is on record exactly once; no request id has two; no contract has more than agreed."""
    answered = [record for record in cluster.records() if record.result in ANSWERED]
    by_id = Counter((record.contract, record.request_id) for record in answered)
    assert max(by_id.values()) == 1, [key for key, number in by_id.items() if number > 1][:5]
    by_call = {(record.contract, record.request_id): record for record in answered}
    for key, receipt in bank.receipts.items():
        assert by_call[key].position == receipt["call"]
        assert by_call[key].is_charged == receipt["is_charged"]
    by_contract = Counter(record.contract for record in answered)
    assert max(by_contract.values()) <= min(cluster.calls_max, cluster.calls_per_day_max)

"""A gateway to test: its policy snapshot, a small product, calls over ASGI, and the gateway as a process."""

import asyncio
import itertools
import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import httpx

from gongshu.base.days import Period
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId, PartyId, ProductId
from gongshu.base.site import Clock, Keys
from gongshu.compute.adapters import artifacts
from gongshu.compute.rules import verification
from gongshu.compute.types import VerificationDefinition, VerificationField
from gongshu.delivery import adapters, service
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.types import Snapshot, SnapshotContract, SnapshotProduct
from gongshu.metering import service as metering
from gongshu.policies.types import UsagePolicy
from gongshu.products.types import Definition, ProductKind
from gongshu.server.wiring import FileKeys

PURPOSE = "inclusive-finance"
SECRET = "gsk_bank"
PRODUCT = ProductId("product-1")
CONTRACT = ContractId("contract-1")
START = datetime(2026, 11, 20, 4, tzinfo=UTC)
KNOWN = {"91350000MA0000000F": "云江茶业有限公司", "91350000MA00000010": "云江竹业有限公司"}
DEFINITION = VerificationDefinition(
    "enterprise",
    (
        VerificationField("credit_code", "credit_code", is_required=True, is_key=True),
        VerificationField("name", "name", is_required=True),
    ),
)
MATCHING = {"credit_code": "91350000MA0000000F", "name": "云江茶业有限公司"}
DIFFERING = {"credit_code": "91350000MA0000000F", "name": "另一家"}
UNKNOWN = {"credit_code": "91350000MA9999999X", "name": "无人知晓"}
START_SECONDS_MAX = 20.0


def policy(**changes: Any) -> UsagePolicy:
    """Return the usage policy of the contract that is tested."""
    period = Period(START - timedelta(days=1), START + timedelta(days=300))
    return replace(UsagePolicy((PURPOSE,), period, 1000, 1000, 1_000_000), **changes)


@dataclass
class World:
    """What the control plane would have published."""

    home: Path
    clock: Clock
    policy: UsagePolicy = field(default_factory=policy)
    contract_changes: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    age_seconds_max: int = 3600
    has_product: bool = True

    @property
    def keys(self) -> Keys:
        """Return the key store."""
        return FileKeys(self.home / "keys")

    @property
    def artifact(self) -> Path:
        """Return the released file of keyed hashes; it is made once."""
        path = self.home / "releases" / "release-1" / "verification.lmdb"
        if not path.exists():
            path.parent.mkdir(parents=True)
            make_artifact(path, self.keys, KNOWN.items())
        return path

    def snapshot(self) -> Snapshot:
        """Return the snapshot as it would be published now."""
        product = SnapshotProduct(
            PRODUCT,
            "p" * 64,
            sha256_hex(self.artifact.read_bytes()),
            str(self.artifact.relative_to(self.home)),
            ProductKind.VERIFY,
            Definition(verification=DEFINITION),
        )
        contract = SnapshotContract(
            CONTRACT, "c" * 64, PRODUCT, PartyId("bank"), self.policy, charges_no_record=False, is_free=False,
            key_ids={sha256_hex(SECRET.encode()): KeyId("key-1")}, product_digest="p" * 64,
        )  # fmt: skip
        contract = replace(contract, **self.contract_changes)
        products = (product,) if self.has_product else ()
        return Snapshot(self.number, self.clock(), self.age_seconds_max, (contract,), products)

    def publish(self, **changes: Any) -> None:
        """Sign and write the next snapshot."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.number += 1
        self.write(self.snapshot())

    def write(self, snapshot: Snapshot) -> None:
        """Sign and write a snapshot."""
        seed = self.keys.secret("snapshot-signing")
        adapters.write_snapshot(self.home, snapshot, seed)

    def records(self) -> list:
        """Return every usage record that is on disk, in order."""
        from gongshu.metering.adapters import frames, segments

        folder = metering.usage_folder(self.home, "g1")
        return [
            frames.as_record(stored, f"{name}:{offset}")
            for name in segments.segment_ids(folder, ".segment")
            for offset, stored in segments.stored_records(segments.read_segment(folder, name))
        ]


def make_artifact(path: Path, keys: Keys, rows: Iterable[tuple[str, str]]) -> None:
    """Write the artifact of credit codes and names, as a verification job does."""
    salt = verification.salt_of(keys.secret("verification"), "plan")
    key = verification.artifact_key(keys.secret("verification"), salt)
    records = filter(None, (verification.record_of(DEFINITION, key, row) for row in rows))
    artifacts.build(records, verification.header_of(DEFINITION, salt), path.parent, path)


def open_gateway(world: World, **changes: Any) -> service.Gateway:
    """Open the gateway of ``world``; it looks for a new snapshot at each call."""
    steps = itertools.count(100.0, 0.002)
    changes.setdefault("monotonic", lambda: next(steps))
    return service.Gateway(world.home, "g1", world.clock, world.keys, **changes)


@asynccontextmanager
async def serving(world: World, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve over ASGI, without a socket; the gateway is closed at the end."""
    app = GatewayApp(lambda: open_gateway(world, **changes))
    app.open()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client
    finally:
        await app.close()


def headers(request_id: str, **changes: str) -> dict[str, str]:
    """Return the headers of a call."""
    made = {"authorization": f"Bearer {SECRET}", "x-request-id": request_id, "x-purpose": PURPOSE}
    made |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in made.items() if value}


async def call(client: httpx.AsyncClient, request_id: str, fields: Any = None, **changes: str) -> httpx.Response:
    """Make one call."""
    fields = MATCHING if fields is None else fields
    return await client.post(f"/v1/products/{PRODUCT}/verify", json=fields, headers=headers(request_id, **changes))


# -------------------------------------------------------------------------------------------------------- as a process


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Connection:
    """One connection that calls as quickly as it can: the load of a bank."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def call(self, request_id: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Make one call and return status and body; ``OSError`` or ``IncompleteReadError`` when it is not answered."""
        body = json.dumps(fields).encode()
        head = [f"POST /v1/products/{PRODUCT}/verify HTTP/1.1", "host: gateway", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers(request_id).items()]
        self._writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r")[0])
        return int(answer.split(" ", 2)[1]), json.loads(await self._reader.readexactly(length))


@dataclass
class GatewayProcess:
    """A gateway in a process of its own."""

    port: int
    process: BaseProcess

    @property
    def url(self) -> str:
        """Return where calls go."""
        return f"http://127.0.0.1:{self.port}/v1/products/{PRODUCT}/verify"

    def end(self, number: int = signal.SIGTERM) -> int | None:
        """Send a signal and return the exit code, once it has ended."""
        os.kill(self.process.pid or 0, number)
        return self.wait()

    def wait(self) -> int | None:
        """Return the exit code, once it has ended."""
        self.process.join(30)
        return self.process.exitcode


@contextmanager
def gateway_process(
    home: Path, log: Path, target: Callable[[Path, int, Path], None] | None = None
) -> Iterator[GatewayProcess]:
    """Run a gateway on ``home`` until the block ends; ``target`` runs it otherwise than the command line does.

    It is forked from a server that has imported everything already: a start takes milliseconds.
    """
    port, starting = free_port(), multiprocessing.get_context("forkserver")
    starting.set_forkserver_preload(["tests.gateways", "gongshu.delivery.api.gateway"])
    running = GatewayProcess(port, starting.Process(target=target or main, args=(home, port, log), daemon=True))
    running.process.start()
    try:
        _wait_until_ready(running, log)
        yield running
    finally:
        running.process.kill()
        running.process.join()


def _wait_until_ready(running: GatewayProcess, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and running.process.is_alive():
        try:
            if httpx.get(f"http://127.0.0.1:{running.port}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"the gateway did not start:\n{log.read_text()}")


@contextmanager
def server_thread(world: World, **changes: Any) -> Iterator[int]:
    """Serve on a free port from a thread, and yield the port; ``changes`` are settings of the server."""
    from gongshu.delivery.api.gateway import server_for

    port = free_port()
    server = server_for(GatewayApp(lambda: open_gateway(world)), "127.0.0.1", port, **changes)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        yield port
    finally:
        server.should_exit = True
        thread.join()


def main(home: Path, port: int, log: Path) -> None:
    """Run the gateway of ``home`` as the command line does, on the small product of these tests."""
    from gongshu.delivery.api.gateway import server_for

    with log.open("ab", buffering=0) as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    world = World(home, lambda: datetime.now(UTC))
    app = GatewayApp(lambda: open_gateway(world, monotonic=time.monotonic))
    server_for(app, "127.0.0.1", port).run()

"""Starts control plane, three gateways and HAProxy; puts load on, kills one gateway, and tells what happened."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from examples.city import make_city
from examples.three_gateways.balancer import balancing
from gongshu.access.types import Actor, Role
from gongshu.base.days import Period
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.money import Tier
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.base.site import Site
from gongshu.delivery import service as delivery
from gongshu.gateways import service as gateways
from gongshu.gateways.types import GatewayStatus
from gongshu.metering import service as metering
from gongshu.metering.types import ANSWERED, UsageRecord
from gongshu.policies.types import UsagePolicy
from gongshu.products import service as products
from gongshu.server.demo import develop, supply
from gongshu.server.demo.cast import set_up_cast
from gongshu.server.demo.stage import Stage
from gongshu.server.demo.supply import INCLUSIVE_FINANCE
from gongshu.server.migrate import open_site
from gongshu.server.settings import Settings

NAMES = ("g1", "g2", "g3")
CONTRACTS, CALLS_MAX, CALLERS = 24, 150, 16
START_SECONDS_MAX = 60.0
ADMINISTRATOR = Actor(PersonId("administrator"), PartyId("platform"), frozenset({Role.PLATFORM_ADMINISTRATOR}))


def say(line: str) -> None:
    """Tell what happens."""
    print(line, file=sys.stderr, flush=True)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


# ------------------------------------------------------------------------------------------------------------- set-up


def set_up(site: Site) -> tuple[str, list[str], list[dict[str, str]]]:
    """Play the story up to a product; return it, the secrets of many contracts, and some registered enterprises."""
    files = make_city(site.home / "city", enterprises=2_000, people=50)
    stage = Stage(site=site, people=set_up_cast(site), say=say)
    supply.ingest(stage, tuple(files.enterprise_files), tuple(files.people_files))
    supply.register(stage)
    supply.authorize(stage)
    develop.apply_for_scenario(stage)
    develop.compute_for_real(stage)
    develop.review(stage)
    operator, bank = stage.people["operator"], stage.people["bank"]
    product = products.define_product(
        site, operator, release_id=stage.made["verification_release"].id, title="企业信息核验", summary="三网关示例"
    )
    listing = products.list_product(site, operator, product.id, tiers=(Tier(None, "5.00"),), charges_no_record=False)
    now = site.now()
    policy = UsagePolicy(
        purposes=(INCLUSIVE_FINANCE,), period=Period(now, now + timedelta(days=200)), calls_max=CALLS_MAX,
        calls_per_day_max=CALLS_MAX, calls_per_second_max=10_000,
    )  # fmt: skip
    secrets = []
    for _ in range(CONTRACTS):
        order = products.place_order(site, bank, listing.id, policy)
        drawn = products.draw_up_contract(site, operator, order.id)
        products.sign_contract(site, operator, drawn.id)
        contract = products.sign_contract(site, bank, drawn.id)
        secrets.append(delivery.create_key(site, bank, contract.id)[0])
    return product.id, secrets, supply.read_known(tuple(files.enterprise_files), 100)


@dataclass
class Processes:
    """The processes of the example, all ended with it."""

    home: Path
    control: str
    ports: dict[str, int]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        """Start a command of gongshu; what it says goes to a file."""
        environment = {
            **os.environ, "GONGSHU_HOME": str(self.home), "GONGSHU_PORT": self.control.rsplit(":", 1)[1],
            "GONGSHU_GATEWAY_PROXIES": "127.0.0.1",
        }  # fmt: skip
        with (self.home / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "gongshu.server.cli", *arguments]
            self.running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def start_gateway(self, name: str) -> None:
        """Start one gateway."""
        self.start(name, "gateway", "--name", name, "--port", str(self.ports[name]), "--control", self.control)

    def kill(self, name: str) -> None:
        """End a process without warning."""
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def end(self) -> None:
        """End all of them in order."""
        for process in reversed(self.running.values()):
            process.terminate()
        for process in self.running.values():
            process.wait(30)


def wait_until_spread(site: Site, *names: str) -> float:
    """Wait until exactly these gateways are members and have each other's counts; returns seconds."""
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS_MAX:
        shown = gateways.list_gateways(site, ADMINISTRATOR)
        members = [one for one in shown.gateways if one.status is GatewayStatus.MEMBER]
        is_ready = all(one.is_complete and one.epoch == shown.epoch for one in members)
        if is_ready and {one.name for one in members} == set(names):
            return time.monotonic() - began
        time.sleep(0.05)
    raise RuntimeError(f"contracts are not spread over {', '.join(names)}; see the logs in {site.home}")


# --------------------------------------------------------------------------------------------------------------- load


@dataclass
class Load:
    """Many consumers that call through the balancer, each call with one request id until it is answered."""

    address: str
    product: str
    secrets: list[str]
    known: list[dict[str, str]]
    owners: dict[str, str] = field(default_factory=dict)
    answered: dict[tuple[str, str], str] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    made: int = 0
    is_over: bool = False

    async def run(self) -> None:
        """Call on many connections until ``is_over``."""
        limits = httpx.Limits(max_connections=CALLERS)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._calls(client))

    async def _calls(self, client: httpx.AsyncClient) -> None:
        while not self.is_over:
            self.made += 1
            number = self.made
            while not await self._once(client, number):  # noqa: ASYNC110 - as a client does
                await asyncio.sleep(0.05)

    async def _once(self, client: httpx.AsyncClient, number: int) -> bool:
        secret, row = self.secrets[number % CONTRACTS], self.known[number % len(self.known)]
        headers = {"authorization": f"Bearer {secret}", "x-request-id": f"r{number}", "x-purpose": INCLUSIVE_FINANCE}
        if secret in self.owners:
            headers["x-gongshu-gateway"] = self.owners[secret]
        fields = {"credit_code": row["统一社会信用代码"], "name": row["企业名称"]}
        try:
            answer = await client.post(
                f"{self.address}/v1/products/{self.product}/verify", json=fields, headers=headers
            )
        except httpx.TransportError:
            self.codes["no answer"] += 1
            return False
        if "x-gongshu-gateway" in answer.headers:
            self.owners[secret] = answer.headers["x-gongshu-gateway"]
        if answer.status_code == httpx.codes.OK:
            self.answered[secret, f"r{number}"] = answer.json()["receipt"]["call"]
            return True
        code = answer.json()["code"] if "json" in answer.headers.get("content-type", "") else str(answer.status_code)
        self.codes[code] += 1
        return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE


async def play(site: Site, processes: Processes, load: Load) -> None:
    """Put load on, kill a gateway, start it again; tell what is seen."""
    running = asyncio.create_task(load.run())

    async def more(calls: int) -> None:
        wanted = load.made + calls
        while load.made < wanted:  # noqa: ASYNC110 - the load goes on meanwhile
            await asyncio.sleep(0.05)

    await more(400)
    say(f"{len(load.answered)} 次已答复  ({len(load.answered)} calls answered; now g2 is killed)")
    await asyncio.to_thread(processes.kill, "g2")
    seconds = await asyncio.to_thread(wait_until_spread, site, "g1", "g3")
    say(f"g2 的合约在 {seconds:.1f} 秒后由其余网关接管  (its contracts were taken over after {seconds:.1f} s)")
    await more(400)
    processes.start_gateway("g2")
    await asyncio.to_thread(wait_until_spread, site, *NAMES)
    say("g2 已恢复并取回其合约  (g2 is back and has its contracts again)")
    await more(400)
    load.is_over = True
    await running


def records(site: Site) -> Iterator[UsageRecord]:
    """Give every usage record of all gateways."""
    for contract in delivery.contracts_with_keys(site):
        page = PageRequest(limit=PAGE_ROWS_MAX)
        while True:
            found = metering.list_records(site, contract, page)
            yield from found.rows
            if not found.next_after:
                break
            page = PageRequest(limit=PAGE_ROWS_MAX, after=found.next_after)


def check(site: Site, load: Load) -> None:
    """Compare what was answered with what is on record."""
    by_id, by_contract = Counter[tuple[str, str]](), Counter[str]()
    for record in records(site):
        if record.result in ANSWERED:
            by_id[record.contract, record.request_id] += 1
            by_contract[record.contract] += 1
    twice = sum(number > 1 for number in by_id.values())
    say(
        f"答复 {len(load.answered)} 次，记录 {sum(by_id.values())} 条，重复 {twice}，单份合约最多 {max(by_contract.values())}/{CALLS_MAX}\n"
        f"answered {len(load.answered)}, on record {sum(by_id.values())}, twice {twice}, most of one contract "
        f"{max(by_contract.values())} of {CALLS_MAX}; refused meanwhile: {dict(load.codes)}"
    )
    if twice or max(by_contract.values()) > CALLS_MAX or len(by_id) < len(load.answered):
        raise SystemExit("the counts do not agree")


def main() -> None:
    """Run the example in a folder of its own."""
    if shutil.which("haproxy") is None:
        raise SystemExit("haproxy is missing; run: sudo apt-get install haproxy")
    folder = Path(tempfile.mkdtemp(prefix="gongshu-three-gateways-"))
    control, balancer, *ports = free_ports(2 + len(NAMES))
    settings = Settings.from_environment({"GONGSHU_HOME": str(folder / "var")})
    site = open_site(settings, is_demo=True)
    product, secrets, known = set_up(site)
    processes = Processes(settings.home, f"http://127.0.0.1:{control}", dict(zip(NAMES, ports, strict=True)))
    try:
        processes.start("control", "serve")
        for name in NAMES:
            gateways.register_gateway(site, ADMINISTRATOR, name, f"http://127.0.0.1:{processes.ports[name]}")
            processes.start_gateway(name)
        say(f"三个网关就绪，用时 {wait_until_spread(site, *NAMES):.1f} 秒  (three gateways are ready)")
        shown = gateways.list_gateways(site, ADMINISTRATOR, delivery.contracts_with_keys(site))
        say("  ".join(f"{one.name}: {one.contracts}" for one in shown.gateways))
        with balancing(balancer, processes.ports, settings.home) as address:
            load = Load(address, product, secrets, known)
            asyncio.run(play(site, processes, load))
        check(site, load)
    finally:
        processes.end()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

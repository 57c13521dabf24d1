"""What several gateways cost: a call at the gateway that answers, as one of two and alone; and a call that goes one hop.

A hop occupies two gateways; both, and the client, share this machine's cores, so the ratio says what a hop costs altogether.
"""

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.products import CONTRACT, PRODUCT, PURPOSE, SECRET, make_home
from benchmarks.verify import BUILD, ENTERPRISES, ROUND_SECONDS, SCRIPT, WARM_SECONDS, free_port, load, running
from gongshu.access.types import Actor, Role
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.site import Site
from gongshu.gateways import service as gateways
from gongshu.server.migrate import open_site
from gongshu.server.settings import Settings

ROUNDS, CONNECTIONS = 3, 128
NAMES = ("g1", "g2")
START_SECONDS_MAX = 60.0
ADMINISTRATOR = Actor(PersonId("bench"), PartyId("platform"), frozenset({Role.PLATFORM_ADMINISTRATOR}))
COMMAND = [sys.executable, "-m", "gongshu.server.cli"]


@contextlib.contextmanager
def two_gateways(home: Path) -> Iterator[dict[str, int]]:
    """Run a control plane and two gateways on ``home``; gives their ports once contracts are spread."""
    site = open_site(Settings.from_environment({"GONGSHU_HOME": str(home)}))
    control, ports = free_port(), {name: free_port() for name in NAMES}
    environment = {**os.environ, "GONGSHU_HOME": str(home), "GONGSHU_PORT": str(control)}
    for name, port in ports.items():
        gateways.register_gateway(site, ADMINISTRATOR, name, f"http://127.0.0.1:{port}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(running([*COMMAND, "serve"], control, environment))
        for name, port in ports.items():
            told = ["gateway", "--name", name, "--port", str(port), "--control", f"http://127.0.0.1:{control}"]
            stack.enter_context(running([*COMMAND, *told], port, environment))
        _wait_until_spread(site)
        yield ports


def _wait_until_spread(site: Site) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        shown = gateways.list_gateways(site, ADMINISTRATOR).gateways
        if len(shown) == len(NAMES) and all(one.is_complete for one in shown):
            return
        time.sleep(0.05)
    raise RuntimeError("contracts are not spread over the gateways")


def ratios() -> tuple[float, float]:
    """Return calls per second one hop away, and at the gateway that answers as one of two, each by those at one alone."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        script = Path(folder) / "single.lua"
        script.write_text(SCRIPT.format(secret=SECRET, purpose=PURPOSE, enterprises=ENTERPRISES))
        alone_home, home, port = Path(folder) / "alone", Path(folder) / "two", free_port()
        for made in (alone_home, home):
            make_home(made, ENTERPRISES, datetime.now(UTC) - timedelta(seconds=1))
        environment = {"GONGSHU_HOME": str(alone_home), "GONGSHU_GATEWAY_PORT": str(port)}
        with two_gateways(home) as ports, running([*COMMAND, "gateway"], port, environment):
            owner = gateways.owner_of(NAMES, CONTRACT)
            other = next(name for name in NAMES if name != owner)
            urls = [f"http://127.0.0.1:{at}/v1/products/{PRODUCT}/verify" for at in (port, ports[owner], ports[other])]
            for url in urls:
                load(url, WARM_SECONDS, script, connections=CONNECTIONS)
            rounds = [
                [load(url, ROUND_SECONDS, script, connections=CONNECTIONS) for url in urls] for _ in range(ROUNDS)
            ]
    hop = statistics.median(far / near for _, near, far in rounds)
    return hop, statistics.median(near / alone for alone, near, _ in rounds)


def measure() -> dict[str, dict[str, float | str]]:
    """Return both ratios."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is needed: apt-get install wrk")
    BUILD.mkdir(exist_ok=True)
    hop, near = ratios()
    return {
        "forward_vs_direct": {
            "value": hop, "unit": "ratio", "limit": "calls at the gateway that answers, 128 connections", "limit_value": 0.25,
        },
        "spread_vs_alone": {
            "value": near, "unit": "ratio", "limit": "calls at a gateway alone, 128 connections", "limit_value": 0.95,
        },
    }  # fmt: skip

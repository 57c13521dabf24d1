"""Runs the gateway: its own process, one event loop, ended in order by SIGTERM."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from gongshu import __version__
from gongshu.base.decisions import Refused
from gongshu.base.site import Clock, Keys
from gongshu.delivery import service
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.api.process import GuardedProtocol
from gongshu.delivery.api.spread import SpreadApp
from gongshu.delivery.types import Collector
from gongshu.gateways import service as gateways
from gongshu.metering import service as metering

GATEWAY_NAME = "g1"
IDLE_SECONDS_MAX = 30
DRAIN_SECONDS_MAX = 15
BACKLOG = 1024
LOCK_SECONDS_MAX, LOCK_LOOK_SECONDS = 10.0, 0.05
GC_ALLOCATIONS, GC_GENERATIONS = 50_000, 20


def server_for(app: GatewayApp | SpreadApp, host: str, port: int, **changes: Any) -> uvicorn.Server:
    """Return the server that runs ``app``; on SIGTERM it answers what has arrived, and the application seals usage."""
    settings: dict[str, Any] = {
        "host": host, "port": port, "loop": "uvloop", "http": GuardedProtocol, "ws": "none", "lifespan": "on",
        "interface": "asgi3", "access_log": False, "log_level": "warning", "server_header": False,
        "date_header": False, "proxy_headers": False, "timeout_keep_alive": IDLE_SECONDS_MAX,
        "timeout_graceful_shutdown": DRAIN_SECONDS_MAX, "backlog": BACKLOG,
    } | changes  # fmt: skip
    return uvicorn.Server(uvicorn.Config(app, **settings))


def app_for(  # noqa: PLR0917 - what a gateway is
    open_gateway: Callable[[], service.Gateway], home: Path, clock: Clock, keys: Keys, name: str,
    proxies: frozenset[str], control: str,
) -> GatewayApp | SpreadApp:  # fmt: skip
    """Return the application of a gateway: alone, or one of several under the control plane at ``control``.

    Refused with ``control-needed`` when contracts are spread over several gateways here and it would run alone.
    """
    if control:
        return SpreadApp(
            lambda: _patiently(open_gateway),
            lambda meter, is_ready: gateways.Membership(name, home, keys, control, meter, is_ready),
            gateways.Hops(name, keys, clock),
            proxies,
        )
    if gateways.is_spread(home):
        raise Refused((gateways.CONTROL_NEEDED.because(),))
    return GatewayApp(open_gateway, proxies)


def _patiently(open_gateway: Callable[[], service.Gateway]) -> service.Gateway:
    """Open a gateway whose folder the control plane may be looking at: it holds the lock while it counts what was left."""
    deadline = time.monotonic() + LOCK_SECONDS_MAX
    while True:
        try:
            return open_gateway()
        except metering.MeterLocked:
            if time.monotonic() >= deadline:
                raise
        time.sleep(LOCK_LOOK_SECONDS)


def run_gateway(
    home: Path, host: str, port: int, clock: Clock, keys: Keys, *, name: str = GATEWAY_NAME,
    proxies: frozenset[str] = frozenset(), collector: Collector | None = None, control: str = "",
) -> None:  # fmt: skip
    """Serve product calls from the snapshot under ``home`` until SIGTERM or SIGINT.

    ``clock`` decides periods, days and months. ``keys`` opens the keyed hashes of products. Usage is written to
    ``home/usage/<name>/``, which one process may hold at a time. With a ``collector`` some calls are traced.
    With ``control``, the address of the control plane, it is one of several gateways.
    """
    tracing, end_tracing = (None, None) if collector is None else service.open_tracing(collector, name, __version__)
    # Calls leave hardly any cycles behind: look for them seldom, and never among what was there at the start.
    gc.set_threshold(GC_ALLOCATIONS, GC_GENERATIONS, GC_GENERATIONS)
    gc.freeze()
    try:
        server_for(
            app_for(lambda: service.Gateway(home, name, clock, keys, tracing=tracing), home, clock, keys, name, proxies, control),
            host, port,
        ).run()  # fmt: skip
    finally:
        gc.unfreeze()
        if end_tracing is not None:
            end_tracing()

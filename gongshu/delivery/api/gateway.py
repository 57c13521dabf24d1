"""Runs the gateway: its own process, one event loop, ended in order by SIGTERM."""

import gc
from pathlib import Path
from typing import Any

import uvicorn

from gongshu import __version__
from gongshu.base.site import Clock, Keys
from gongshu.delivery import service
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.api.process import GuardedProtocol
from gongshu.delivery.types import Collector

GATEWAY_NAME = "g1"
IDLE_SECONDS_MAX = 30
DRAIN_SECONDS_MAX = 15
BACKLOG = 1024
GC_ALLOCATIONS, GC_GENERATIONS = 50_000, 20


def server_for(app: GatewayApp, host: str, port: int, **changes: Any) -> uvicorn.Server:
    """Return the server that runs ``app``; on SIGTERM it answers what has arrived, and the application seals usage."""
    settings: dict[str, Any] = {
        "host": host, "port": port, "loop": "uvloop", "http": GuardedProtocol, "ws": "none", "lifespan": "on",
        "interface": "asgi3", "access_log": False, "log_level": "warning", "server_header": False,
        "date_header": False, "proxy_headers": False, "timeout_keep_alive": IDLE_SECONDS_MAX,
        "timeout_graceful_shutdown": DRAIN_SECONDS_MAX, "backlog": BACKLOG,
    } | changes  # fmt: skip
    return uvicorn.Server(uvicorn.Config(app, **settings))


def run_gateway(
    home: Path, host: str, port: int, clock: Clock, keys: Keys, *, name: str = GATEWAY_NAME,
    proxies: frozenset[str] = frozenset(), collector: Collector | None = None,
) -> None:  # fmt: skip
    """Serve product calls from the snapshot under ``home`` until SIGTERM or SIGINT.

    ``clock`` decides periods, days and months. ``keys`` opens the keyed hashes of products. Usage is written to
    ``home/usage/<name>/``, which one process may hold at a time. With a ``collector`` some calls are traced.
    """
    tracing, end_tracing = (None, None) if collector is None else service.open_tracing(collector, name, __version__)
    # Calls leave hardly any cycles behind: look for them seldom, and never among what was there at the start.
    gc.set_threshold(GC_ALLOCATIONS, GC_GENERATIONS, GC_GENERATIONS)
    gc.freeze()
    try:
        server_for(
            GatewayApp(lambda: service.Gateway(home, name, clock, keys, tracing=tracing), proxies), host, port
        ).run()
    finally:
        gc.unfreeze()
        if end_tracing is not None:
            end_tracing()

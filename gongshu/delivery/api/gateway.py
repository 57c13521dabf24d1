"""Runs the gateway: its own process, one event loop, ended in order by SIGTERM."""

from pathlib import Path
from typing import Any

import uvicorn

from gongshu.base.site import Clock, Keys
from gongshu.delivery import service
from gongshu.delivery.api.application import GatewayApp
from gongshu.delivery.api.process import GuardedProtocol

GATEWAY_NAME = "g1"
IDLE_SECONDS_MAX = 30
DRAIN_SECONDS_MAX = 15
BACKLOG = 1024


def server_for(app: GatewayApp, host: str, port: int, **changes: Any) -> uvicorn.Server:
    """Return the server that runs ``app``; on SIGTERM it answers what has arrived, and the application seals usage."""
    settings: dict[str, Any] = {
        "host": host, "port": port, "loop": "uvloop", "http": GuardedProtocol, "ws": "none", "lifespan": "on",
        "interface": "asgi3", "access_log": False, "log_level": "warning", "server_header": False,
        "date_header": False, "proxy_headers": False, "timeout_keep_alive": IDLE_SECONDS_MAX,
        "timeout_graceful_shutdown": DRAIN_SECONDS_MAX, "backlog": BACKLOG,
    } | changes  # fmt: skip
    return uvicorn.Server(uvicorn.Config(app, **settings))


def run_gateway(home: Path, host: str, port: int, clock: Clock, keys: Keys, *, name: str = GATEWAY_NAME) -> None:
    """Serve product calls from the snapshot under ``home`` until SIGTERM or SIGINT.

    ``clock`` decides periods, days and months. ``keys`` opens the keyed hashes of products. Usage is written to
    ``home/usage/<name>/``, which one process may hold at a time.
    """
    server_for(GatewayApp(lambda: service.Gateway(home, name, clock, keys)), host, port).run()

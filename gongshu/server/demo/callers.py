"""The bank's side of the gateway: a real gateway process, and calls over HTTP."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 20.0
CALLERS = 8


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_gateway(home: Path, port: int) -> Iterator[str]:
    """Run a gateway process on ``port`` for the block, yield its address, and let it seal its records at the end."""
    environment = {**os.environ, "GONGSHU_HOME": str(home), "GONGSHU_GATEWAY_PORT": str(port)}
    command = [sys.executable, "-m", "gongshu.server.cli", "gateway"]
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - our own command
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(address, process)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with {process.returncode} while starting")
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the gateway was not ready in time")


@dataclass(frozen=True)
class Call:
    """One call to a verification product."""

    request_id: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, result or refusal code, and the receipt if there was one."""

    status: int
    result: str
    receipt: dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """A consumer with its key, calling one product for one purpose."""

    address: str
    product: str
    secret: str
    purpose: str

    def send(self, client: httpx.Client, call: Call) -> Answer:
        """Make one call."""
        headers = {"X-Request-Id": call.request_id, "X-Purpose": self.purpose}
        if self.secret:
            headers["Authorization"] = f"Bearer {self.secret}"
        url = f"{self.address}/v1/products/{self.product}/verify"
        response = client.post(url, json=call.fields, headers=headers, timeout=30)
        body = response.json()
        return Answer(response.status_code, body.get("result") or body.get("code", ""), body.get("receipt") or {})

    def send_one(self, call: Call) -> Answer:
        """Make one call on a connection of its own."""
        with httpx.Client() as client:
            return self.send(client, call)

    def send_all(self, calls: list[Call]) -> list[Answer]:
        """Make all calls over a few connections, in order of the list as far as concurrency allows."""
        with httpx.Client(limits=httpx.Limits(max_connections=CALLERS)) as client, ThreadPoolExecutor(CALLERS) as pool:
            return list(pool.map(lambda call: self.send(client, call), calls))

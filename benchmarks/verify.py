"""Verification calls per second through the whole gateway, against a bare ASGI application on the same server.

Each call carries a fresh request id and is authorized, limited, counted, looked up among keyed hashes, and recorded on
disk before its answer leaves. Load comes from wrk, or from a small client of our own where wrk is not installed.
"""

import asyncio
import itertools
import math
import os
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.products import PURPOSE, SECRET, make_home, rows

BUILD = Path(__file__).resolve().parent.parent / "build"  # a real disk; a temporary folder may lie in memory
CONNECTIONS = 128
ROUND_SECONDS = 3
WARM_SECONDS = 1
ROUNDS = 3
START_SECONDS_MAX = 20.0
ENTERPRISES = 20_000

SCRIPT = """
local number = 0
local run = string.format("%x-%d", math.random(0, 2^30), os.time())
local codes = {{"91350000MA%08dF", "91350000MA%08dF", "91350000MA%08dF", "91999999MA%08dX"}}
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {secret}"
wrk.headers["X-Purpose"] = "{purpose}"
wrk.headers["Content-Type"] = "application/json"
function init(args) run = run .. "-" .. args[1] end
function request()
  number = number + 1
  wrk.headers["X-Request-Id"] = run .. "-" .. number
  local code = string.format(codes[number % 4 + 1], number % {enterprises})
  local name = number % 8 == 7 and "other" or string.format("enterprise %d", number % {enterprises})
  return wrk.format(nil, nil, nil, '{{"credit_code":"' .. code .. '","name":"' .. name .. '"}}')
end
function done(summary) print("failed " .. summary.errors.status) end
"""

ROWS_SCRIPT = """
local number = 0
function request()
  number = number + 1
  return wrk.format("GET", string.format("/plain/enterprise/91350000MA%08dF.json", number % {enterprises}))
end
function done(summary) print("failed " .. summary.errors.status) end
"""
"""Asks Datasette for rows by their key."""
ONE_ROW = "/plain/enterprise/91350000MA00000001F.json"


async def hello(scope: dict, _receive: object, send) -> None:  # noqa: ANN001 - ASGI
    """The least that an ASGI application can do."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})


def serve_hello(port: int) -> None:
    """Serve ``hello`` on the same server, with the same settings as the gateway."""
    uvicorn.run(
        hello, host="127.0.0.1", port=port, loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False,
        log_level="warning", server_header=False, date_header=False,
    )  # fmt: skip


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a server until the block ends. Datasette's log of each request, which cannot be switched off, goes nowhere."""
    log = subprocess.DEVNULL if "datasette" in command else None
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def load(url: str, seconds: int, script: Path | None, *, connections: int = CONNECTIONS) -> float:
    """Return answered calls per second; every call must succeed."""
    if shutil.which("wrk") is None:
        return uvloop.run(load_ourselves(url, seconds, is_call=url.endswith("/verify")))
    return timed_load(url, seconds, script, connections=connections)[0]


def timed_load(
    url: str, seconds: int, script: Path | None, *, connections: int = CONNECTIONS
) -> tuple[float, float]:  # fmt: skip
    """Return answered calls per second, and the time in seconds within which 99 of 100 were answered. Needs wrk."""
    command = ["wrk", "--latency", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--script", str(script)] if script else []
    out = subprocess.run(
        [*command, url, *(["--", str(time.monotonic_ns())] if script else [])],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    failed = re.search(r"^failed (\d+)", out, re.MULTILINE)
    if failed and int(failed[1]):
        raise RuntimeError(f"{failed[1]} calls failed:\n{out}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    if rate is None or slow is None:
        raise RuntimeError(f"wrk said nothing:\n{out}")
    return float(rate[1]), float(slow[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[slow[2]]


class Caller(asyncio.Protocol):
    """One connection that sends the next request when an answer is whole."""

    numbers = itertools.count()

    def __init__(self, path: str, answers: list[int], *, is_call: bool) -> None:
        """Count answers in ``answers``."""
        self._path, self._answers, self._is_call = path, answers, is_call
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        if not self._is_call:
            self._transport.write(f"GET {self._path} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
            return
        number = next(self.numbers)
        code, name = f"91350000MA{number % ENTERPRISES:08d}F", f"enterprise {number % ENTERPRISES}"
        body = f'{{"credit_code":"{code}","name":"{name}"}}'
        self._transport.write(
            f"POST {self._path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {SECRET}\r\nx-purpose: {PURPOSE}\r\n"
            f"x-request-id: own-{os.getpid()}-{number}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Count whole answers."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        is_whole = len(rest) >= int(length[1]) if length else rest.endswith(b"0\r\n\r\n")  # else in chunks
        if end and is_whole:
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a call failed: {head!r}")
            self._answers[0] += 1
            self._buffer = b""
            self._send()


async def load_ourselves(url: str, seconds: int, *, is_call: bool) -> float:
    """Return answered calls per second, by a client of our own."""
    port, path = int(url.split(":")[2].split("/", maxsplit=1)[0]), "/" + url.split("/", 3)[3]
    answers = [0]
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Caller(path, answers, is_call=is_call), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    start, before = time.perf_counter(), answers[0]
    await asyncio.sleep(seconds)
    rate = (answers[0] - before) / (time.perf_counter() - start)
    for transport, _ in made:
        transport.close()
    return rate


def serve_plainly(port: int, database: str) -> None:
    """Serve the look-up as a team would write it in an hour: FastAPI and SQLite, no key, no count, no record."""
    application = FastAPI()
    kept = sqlite3.connect(database, check_same_thread=False)

    @application.post("/verify")
    def verify(body: Enterprise) -> dict[str, str]:
        row = kept.execute("SELECT name FROM enterprise WHERE credit_code = ?", (body.credit_code,)).fetchone()
        return {"result": "no_record" if row is None else "match" if row[0] == body.name else "mismatch"}

    uvicorn.run(
        application, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


class Enterprise(BaseModel):
    """What is asked of the plain look-up."""

    credit_code: str
    name: str


def write_plain(database: Path) -> None:
    """Write the enterprises as a table of SQLite with an index."""
    with sqlite3.connect(database) as made:
        made.execute("CREATE TABLE enterprise (credit_code TEXT PRIMARY KEY, name TEXT)")
        made.executemany("INSERT INTO enterprise VALUES (?, ?)", ((code, name) for code, name, _ in rows(ENTERPRISES)))


def measure() -> dict[str, dict[str, float | str]]:
    """Return calls per second beside a bare application, a plain look-up and Datasette, in turns: a busy machine hits all."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        home, ports = Path(folder) / "var", (free_port(), free_port(), free_port(), free_port())
        product = make_home(home, ENTERPRISES, datetime.now(UTC) - timedelta(seconds=1))
        script, database = Path(folder) / "calls.lua", Path(folder) / "plain.db"
        script.write_text(SCRIPT.format(secret=SECRET, purpose=PURPOSE, enterprises=ENTERPRISES))
        write_plain(database)
        by_row = Path(folder) / "rows.lua"
        by_row.write_text(ROWS_SCRIPT.format(enterprises=ENTERPRISES))
        bare, ours = f"http://127.0.0.1:{ports[0]}/", f"http://127.0.0.1:{ports[1]}/v1/products/{product}/verify"
        plain, row_api = f"http://127.0.0.1:{ports[2]}/verify", f"http://127.0.0.1:{ports[3]}{ONE_ROW}"
        environment = {"GONGSHU_HOME": str(home), "GONGSHU_GATEWAY_PORT": str(ports[1])}
        servers = [
            [sys.executable, "-c", f"from benchmarks.verify import serve_hello; serve_hello({ports[0]})"],
            [sys.executable, "-m", "gongshu.server.cli", "gateway"],
            [
                sys.executable,
                "-c",
                f"from benchmarks.verify import serve_plainly; serve_plainly({ports[2]}, {str(database)!r})",
            ],
            [sys.executable, "-m", "datasette", "serve", "--immutable", str(database), "--port", str(ports[3])],
        ]
        with ExitStack() as stack:
            for command, port in zip(servers, ports, strict=True):
                stack.enter_context(running(command, port, environment))
            asked = ((bare, None), (ours, script), (plain, script), (row_api, by_row))
            for url, what in asked:
                load(url, WARM_SECONDS, what)
            if shutil.which("wrk") is None:
                rounds = [[(load(url, ROUND_SECONDS, what), math.nan) for url, what in asked] for _ in range(ROUNDS)]
            else:
                rounds = [[timed_load(url, ROUND_SECONDS, what) for url, what in asked] for _ in range(ROUNDS)]
    return _ratios(rounds)


def _ratios(rounds: list[list[tuple[float, float]]]) -> dict[str, dict[str, float | str]]:
    def row(
        value: Callable[[list[tuple[float, float]]], float], limit: str, limit_value: float
    ) -> dict[str, float | str]:
        return {
            "value": statistics.median(map(value, rounds)),
            "unit": "ratio",
            "limit": limit,
            "limit_value": limit_value,
        }

    bare = statistics.median(found[0][0] for found in rounds)
    return {
        "verify_vs_bare_asgi": row(
            lambda found: found[1][0] / found[0][0],
            f"bare ASGI application, same server, {CONNECTIONS} connections (calls/s)", bare,
        ),
        "verify_vs_fastapi": row(
            lambda found: found[1][0] / found[2][0], "plain FastAPI and SQLite, nothing governed: at least", 2.5
        ),
        "verify_vs_datasette": row(
            lambda found: found[1][0] / found[3][0], "Datasette's row API on an immutable file: at least", 1.0
        ),
        "verify_p99_vs_bare": row(lambda found: found[1][1] / found[0][1], "the bare application's own: at most", 4.0),
    }  # fmt: skip

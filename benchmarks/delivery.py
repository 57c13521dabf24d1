"""Batches against single calls, and how the gateway's rate grows with contracts and products.

Growth: the same gateway with one contract and with a million (and with 10 000 products), calls spread over all of them,
in turns. Starting is measured from the process's start to its first answered call.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.products import AGE_SECONDS_MAX, CONTRACT, PRODUCT, PURPOSE, SECRET, make_home
from benchmarks.verify import BUILD, ENTERPRISES, ROUND_SECONDS, SCRIPT, WARM_SECONDS, free_port, load, running
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId, ProductId
from gongshu.delivery import adapters
from gongshu.delivery.types import Snapshot
from gongshu.server.wiring import FileKeys

ITEMS, ROUNDS = 500, 3
CONTRACTS, PRODUCTS = 1_000_000, 10_000

SPREAD = """
local number = 0
local run = string.format("%x-%d", math.random(0, 2^30), os.time())
wrk.method = "POST"
wrk.headers["X-Purpose"] = "{purpose}"
function init(args) run = run .. "-" .. args[1] end
function request()
  number = number + 1
  local n = (number * 7919) % {count}
  local headers = {{["Authorization"] = "Bearer secret-" .. n, ["X-Purpose"] = "{purpose}", ["X-Request-Id"] = run .. "-" .. number}}
  local body = string.format('{{"credit_code":"91350000MA%08dF","name":"enterprise %d"}}', number % {enterprises}, number % {enterprises})
  return wrk.format(nil, {path}, headers, body)
end
function done(summary) print("failed " .. summary.errors.status) end
"""
BATCH = """
local number = 0
local run = string.format("%x-%d", math.random(0, 2^30), os.time())
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {secret}"
wrk.headers["X-Purpose"] = "{purpose}"
function init(args) run = run .. "-" .. args[1] end
function request()
  number = number + 1
  wrk.headers["X-Request-Id"] = run .. "-" .. number
  local items = {{}}
  for i = 1, {items} do
    local n = (number * {items} + i) % {enterprises}
    items[i] = string.format('{{"id":"%s-%d-%d","fields":{{"credit_code":"91350000MA%08dF","name":"enterprise %d"}}}}',
      run, number, i, n, n)
  end
  return wrk.format(nil, nil, nil, '{{"items":[' .. table.concat(items, ",") .. "]}}")
end
function done(summary) print("failed " .. summary.errors.status) end
"""


def batches() -> float:
    """Return items per second in batches as a multiple of single calls per second."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        home, port = Path(folder) / "var", free_port()
        make_home(home, ENTERPRISES, datetime.now(UTC) - timedelta(seconds=1))
        single, batch = Path(folder) / "single.lua", Path(folder) / "batch.lua"
        single.write_text(SCRIPT.format(secret=SECRET, purpose=PURPOSE, enterprises=ENTERPRISES))
        batch.write_text(BATCH.format(secret=SECRET, purpose=PURPOSE, enterprises=ENTERPRISES, items=ITEMS))
        url = f"http://127.0.0.1:{port}/v1/products/{PRODUCT}"
        with running(_gateway(), port, _environment(home, port)):
            load(f"{url}/verify", WARM_SECONDS, single)
            pairs = [
                (
                    load(f"{url}/verify", ROUND_SECONDS, single),
                    ITEMS * load(f"{url}/batch", ROUND_SECONDS, batch, connections=4),
                )
                for _ in range(ROUNDS)
            ]
    return statistics.median(many / one for one, many in pairs)


def _gateway() -> list[str]:
    return [sys.executable, "-m", "gongshu.server.cli", "gateway"]


def _environment(home: Path, port: int) -> dict[str, str]:
    return {"GONGSHU_HOME": str(home), "GONGSHU_GATEWAY_PORT": str(port)}


def many(home: Path, contracts: int, products: int) -> None:
    """Write a home whose snapshot has so many contracts, spread over so many products that share one file."""
    now = datetime.now(UTC) - timedelta(seconds=1)
    make_home(home, ENTERPRISES, now)
    plain = adapters.read_snapshot(home)
    product, contract = plain.products[0], plain.contracts[0]
    offered = tuple(replace(product, id=ProductId(f"{PRODUCT}-{i}")) for i in range(products))
    signed = tuple(
        replace(
            contract, id=ContractId(f"{CONTRACT}-{i}"), product=offered[i % products].id,
            key_ids={sha256_hex(f"secret-{i}".encode()): KeyId(f"key-{i}")},
        )
        for i in range(contracts)
    )  # fmt: skip
    snapshot = Snapshot(2, now + timedelta(milliseconds=1), AGE_SECONDS_MAX, signed, offered)
    adapters.write_snapshot(home, snapshot, FileKeys(home / "keys").secret("snapshot-signing"))


def first_answer(home: Path, port: int) -> float:
    """Return the seconds from the start of a gateway to its first answered call."""
    began = time.perf_counter()
    process = subprocess.Popen(_gateway(), env={**os.environ, **_environment(home, port)})
    try:
        while time.perf_counter() - began < 60:
            with contextlib.suppress(httpx.TransportError):
                response = httpx.post(
                    f"http://127.0.0.1:{port}/v1/products/{PRODUCT}-0/verify",
                    headers={"authorization": "Bearer secret-0", "x-purpose": PURPOSE, "x-request-id": f"first-{time.time_ns()}"},
                    json={"credit_code": "91350000MA00000000F", "name": "x"},
                )  # fmt: skip
                if response.status_code == 200:
                    return time.perf_counter() - began
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()
    raise RuntimeError("the gateway did not answer within a minute")


def spread(contracts: int, products: int) -> tuple[float, float]:
    """Return calls per second as a part of those with one contract, and the seconds to the first answer."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        homes, ports, scripts = [], [free_port(), free_port()], []
        for number, (count, offered) in enumerate(((1, 1), (contracts, products))):
            home, script = Path(folder) / f"var{number}", Path(folder) / f"{number}.lua"
            many(home, count, offered)
            path = f'"/v1/products/{PRODUCT}-" .. (n % {offered}) .. "/verify"'
            script.write_text(SPREAD.format(purpose=PURPOSE, enterprises=ENTERPRISES, count=count, path=path))
            homes.append(home)
            scripts.append(script)
        start = first_answer(homes[1], ports[1])
        urls = [f"http://127.0.0.1:{port}/" for port in ports]
        environments = [_environment(home, port) for home, port in zip(homes, ports, strict=True)]
        with running(_gateway(), ports[0], environments[0]), running(_gateway(), ports[1], environments[1]):
            for url, script in zip(urls, scripts, strict=True):
                load(url, WARM_SECONDS, script)
            pairs = [
                [load(url, ROUND_SECONDS, script) for url, script in zip(urls, scripts, strict=True)]
                for _ in range(ROUNDS)
            ]
    return statistics.median(grown / one for one, grown in pairs), start


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratios; without wrk there is nothing to spread calls with, and nothing is measured."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is needed: apt-get install wrk")
    BUILD.mkdir(exist_ok=True)
    by_contracts, start = spread(CONTRACTS, 1)
    by_products, _ = spread(PRODUCTS, PRODUCTS)
    return {
        "batch_items_vs_single": {
            "value": batches(), "unit": "ratio", "limit": f"single calls, 128 connections; batches of {ITEMS}", "limit_value": 5.0,
        },
        "growth_contracts": {
            "value": by_contracts, "unit": "ratio", "limit": f"one contract; {CONTRACTS:,} contracts", "limit_value": 0.9,
        },
        "growth_products": {
            "value": by_products, "unit": "ratio", "limit": f"one product; {PRODUCTS:,} products", "limit_value": 0.9,
        },
        "snapshot_load_seconds": {
            "value": start, "unit": "s", "limit": f"to the first answer with {CONTRACTS:,} contracts", "limit_value": 10.0,
        },
    }  # fmt: skip

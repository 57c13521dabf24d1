"""HAProxy in front of gateways: its configuration from the template, and the process."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template

import httpx

TEMPLATE = Path(__file__).with_name("haproxy.cfg.template")
START_SECONDS_MAX = 15.0


def configuration(port: int, gateways: Mapping[str, int], folder: Path) -> str:
    """Return the configuration of a balancer at ``port`` before gateways, by name and port."""
    servers = "\n".join(f"    server {name} 127.0.0.1:{at}" for name, at in gateways.items())
    owners = "\n".join(f"    use-server {name} if {{ req.hdr(x-gongshu-gateway) -m str {name} }}" for name in gateways)
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        port=port, servers=servers, owners=owners, socket=folder / "haproxy.sock"
    )


@contextmanager
def balancing(port: int, gateways: Mapping[str, int], folder: Path) -> Iterator[str]:
    """Run HAProxy until the block ends; gives its address."""
    config, log = folder / "haproxy.cfg", folder / "haproxy.log"
    config.write_text(configuration(port, gateways, folder), "utf-8")
    with log.open("ab") as out:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdout=out, stderr=out)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the balancer did not start:\n{log.read_text()}")

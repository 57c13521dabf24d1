"""A platform as processes, and somebody at a browser."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
START_SECONDS_MAX = 60.0
WAIT_MS = 20_000
WIDE, NARROW = 1280, 390
CHINESE, ENGLISH = "zh-CN", "en-US"

expect.set_options(timeout=WAIT_MS)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass
class Platform:
    """The processes of one installation in demo mode."""

    home: Path
    port: int
    gateway_port: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start ``serve``, ``worker`` or ``gateway``."""
        environment = {
            **os.environ, "GONGSHU_HOME": str(self.home), "GONGSHU_HOST": "127.0.0.1", "GONGSHU_PORT": str(self.port),
            "GONGSHU_GATEWAY_PORT": str(self.gateway_port), "GONGSHU_DATABASE_URL": "",
        }  # fmt: skip
        log = (self.home / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gongshu.server.cli", name], env=environment, stdout=log, stderr=log
            )

    def stop(self, name: str) -> None:
        """End a process in order."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for(self, url: str, name: str) -> None:
        """Wait until ``url`` answers, or fail with the log of the process."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.processes[name].poll() is None:
            try:
                if httpx.get(url, timeout=5).status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{name} did not start:\n{(self.home / f'{name}.log').read_text()}")


def run_platform(home: Path) -> Iterator[Platform]:
    """Run all processes on ``home`` and stop them in the end."""
    port, gateway_port = free_ports(2)
    platform = Platform(home, port, gateway_port)
    try:
        for name in ("serve", "worker", "gateway"):
            platform.start(name)
        platform.wait_for(f"{platform.address}/sign-in", "serve")
        yield platform
    finally:
        for name in tuple(platform.processes):
            platform.stop(name)


@dataclass
class Visitor:
    """Somebody at a browser. What the browser complains about is kept, and must be nothing in the end."""

    platform: Platform
    page: Page
    locale: str
    complaints: list[str]

    def goes_to(self, path: str) -> None:
        """Open a page, which must answer."""
        response = self.page.goto(self.platform.address + path)
        assert response is not None
        assert response.ok, f"{path}: {response.status}"

    def does(self, name: str) -> None:
        """Press a button or follow a link by its words."""
        self.page.get_by_role("button", name=name, exact=True).or_(
            self.page.get_by_role("link", name=name, exact=True)
        ).first.click()

    def fills(self, **fields: str) -> None:
        """Fill fields by their names."""
        for name, value in fields.items():
            self.page.locator(f':is(input, textarea, select)[name="{name}"]').fill(value)

    def sees(self, text: str) -> None:
        """Wait until the page says ``text``."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def is_refused(self, code: str) -> None:
        """Wait until the page shows the refusal with ``code``, what is wrong and how to put it right."""
        reason = self.page.locator(f'.reasons [data-code="{code}"]')
        expect(reason).to_be_visible()
        assert reason.locator(".reason-what").inner_text().strip()
        assert reason.locator(".reason-fix").inner_text().strip()

    def is_told(self, text: str) -> None:
        """Wait for the message after a step that was done."""
        expect(self.page.locator(".flash")).to_contain_text(text)

    def shows(self, name: str) -> None:
        """Keep a picture of the page, and find that nothing hangs over its edge."""
        self.page.wait_for_load_state("load")
        width = self.page.viewport_size["width"] if self.page.viewport_size else 0
        folder = SCREENSHOTS / f"{self.locale}-{width}"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"


def is_complaint(kind: str, text: str) -> bool:
    """Whether the browser complains; a refusal has a status of its own, which the page expects."""
    return kind in {"error", "warning"} and "the server responded with a status of 4" not in text

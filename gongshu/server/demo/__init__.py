"""``gongshu demo``: the whole story on a synthetic city, or on a folder of files."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from gongshu.audit import service as audit
from gongshu.base.days import local_day
from gongshu.base.site import Site
from gongshu.server.demo import callers, develop, market, supply
from gongshu.server.demo.cast import DEMO_PASSWORD, set_up_cast
from gongshu.server.demo.stage import Stage, StoryFailedError
from gongshu.server.settings import Settings

KNOWN_CLIENTS = 400
START_SECONDS_MAX = 60.0
PROGRAMME = "story.json"


def _files(site: Site, data: Path | None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the enterprise files and the people files: of ``data`` if given, else of a city made by code."""
    if data is not None:
        found = tuple(sorted(data.glob("*.csv")))
        if not found:
            raise StoryFailedError(f"{data} holds no .csv file")
        return found, ()
    from examples.city import make_city  # noqa: PLC0415 - only the demo needs the city

    city = make_city(site.home / "city")
    return tuple(city.enterprise_files), tuple(city.people_files)


def play_once(site: Site, *, data: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Play all steps on an empty home and return ids and counts of each, and the verified checkpoint.

    A home that has seen the story keeps it: its result is returned as it was.
    """
    programme = site.home / PROGRAMME
    if programme.exists():
        say("故事已上演，保留原有数据。  The story has been played here; nothing is changed.")
        kept: dict[str, Any] = json.loads(programme.read_text("utf-8"))
        return kept
    enterprise_files, people_files = _files(site, data)
    stage = Stage(site=site, people=set_up_cast(site), say=say)
    port = callers.free_port()
    supply.ingest(stage, enterprise_files, people_files)
    supply.register(stage)
    supply.authorize(stage)
    develop.apply_for_scenario(stage)
    develop.compute_for_real(stage)
    develop.review(stage)
    market.sell(stage)
    known = supply.read_known(enterprise_files, KNOWN_CLIENTS)
    stage.made["calls_month"] = local_day(site.now()).replace(day=1)
    market.call(stage, known, port)
    market.bill(stage)
    market.trace(stage)
    market.end(stage, known, port)
    result = {"steps": stage.steps, "refusals": stage.refusals, "audit": _verified_log(stage)}
    draft = programme.with_suffix(".draft")
    draft.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    draft.replace(programme)
    return result


def _verified_log(stage: Stage) -> dict[str, Any]:
    """Put all entries into the log, recompute everything, and return the checkpoint."""
    checkpoint = audit.integrate(stage.site)
    report = audit.fsck(stage.site)
    stage.check(f"the log verifies: {report.faults[:3]}", holds=not report.faults)
    stage.say(f"    日志 {report.size} 条，根 {report.root[:16]}… 核验通过  (log of {report.size} entries verified)")
    return {"origin": checkpoint.origin, "size": report.size, "root": report.root, "is_verified": True}


def play_and_serve(settings: Settings, site: Site, *, data: Path | None, say: Callable[[str], None]) -> int:
    """Play the story unless it was played, then run console, worker and gateway until they are stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the servers below are stopped with us
    started = time.monotonic()
    play_once(site, data=data, say=say)
    environment = {
        **os.environ, "GONGSHU_HOME": str(settings.home), "GONGSHU_PORT": str(settings.console_port),
        "GONGSHU_GATEWAY_PORT": str(settings.gateway_port),
    }  # fmt: skip
    command = [sys.executable, "-m", "gongshu.server.cli"]
    servers = [
        subprocess.Popen([*command, name], env=environment)  # noqa: S603 - our own command
        for name in ("serve", "worker", "gateway")
    ]
    try:
        _wait_for(f"http://{settings.host}:{settings.console_port}/")
        seconds = time.monotonic() - started
        say(
            f"\n控制台 Console: http://{settings.host}:{settings.console_port}   ({seconds:.0f} s)\n"
            f"网关 Gateway:  http://{settings.host}:{settings.gateway_port}\n"
            f"一键登录各角色；密码均为 {DEMO_PASSWORD}。Ctrl+C 结束。\n"
            f"Sign in as any role with one click; every password is {DEMO_PASSWORD}. Ctrl+C ends."
        )
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        return 1
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if httpx.get(address, timeout=5).status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise StoryFailedError(f"{address} did not answer within {START_SECONDS_MAX:.0f} s")

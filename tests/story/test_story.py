"""The story end to end, as the command line plays it: on both stores, on the synthetic city and on real registrations."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STORY_SECONDS_MAX = 300
REAL_ROWS = 18_338
REAL_DATA = Path(
    os.environ.get("GONGSHU_REAL_DATA", Path(__file__).parents[3] / "shared" / "data" / "enterprise_registration")
)


def gongshu(home: Path, *arguments: str, database_url: str = "", expect: int = 0) -> str:
    environment = {**os.environ, "GONGSHU_HOME": str(home), "GONGSHU_DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "gongshu.server.cli", *arguments],
        env=environment, capture_output=True, text=True, timeout=STORY_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stderr[-3000:]
    return done.stdout


def play(home: Path, *arguments: str, database_url: str = "") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(gongshu(home, "demo", "--once", "--json", *arguments, database_url=database_url))
    return told


def assert_agrees(told: dict[str, Any]) -> None:
    steps = told["steps"]
    assert len(steps) == 11
    ingest = steps["01_ingest"]
    assert ingest["rows_in"] == ingest["rows_kept"] + ingest["rows_quarantined"]
    assert sum(ingest["quarantine"].values()) == ingest["rows_quarantined"]
    assert steps["10_trace"]["manifest_digest"] == ingest["manifest_digest"]
    bill = steps["09_bill"]
    assert sum(bill["shares_minor"].values()) == bill["billed_cost_minor"] > 0
    assert bill["charged_calls"] == steps["08_call"]["charged"]
    results = steps["08_call"]["results"]
    assert sum(results.values()) == steps["08_call"]["calls"] == 1000
    assert results["calls-used-up"] == 50
    assert steps["11_end"]["disposals"]
    assert told["audit"]["is_verified"]


def test_the_story_plays_on_either_store_and_is_kept(tmp_path: Path, database_url: str) -> None:
    home = tmp_path / "home"
    url = "" if database_url.startswith("sqlite") else database_url
    told = play(home, database_url=url)
    assert_agrees(told)
    assert play(home, database_url=url) == told
    gongshu(home, "audit", "fsck", database_url=url)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real registrations are not at {REAL_DATA.name}/ beside us")
def test_the_story_plays_on_real_registrations(tmp_path: Path) -> None:
    told = play(tmp_path / "home", "--data", str(REAL_DATA))
    assert_agrees(told)
    assert told["steps"]["01_ingest"]["rows_in"] == REAL_ROWS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_demo_that_was_played_opens_at_once_and_takes_its_servers_with_it(tmp_path: Path) -> None:
    home, console, gateway = tmp_path / "home", free_port(), free_port()
    play(home)
    environment = {
        **os.environ, "GONGSHU_HOME": str(home), "GONGSHU_DATABASE_URL": "", "GONGSHU_PORT": str(console),
        "GONGSHU_GATEWAY_PORT": str(gateway),
    }  # fmt: skip
    command = [sys.executable, "-m", "gongshu.server.cli", "demo"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        said = ""
        while "Ctrl+C" not in said:
            line = demo.stderr.readline()
            assert line, f"the demo ended: {said}"
            said += line
        assert answers(console)
        assert answers(gateway)
        demo.terminate()
        demo.wait(timeout=60)
    assert not answers(console)
    assert not answers(gateway)

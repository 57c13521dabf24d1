"""A disk that is really full: no answer, no charge, and on again by itself when there is room."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gongshu.compute.adapters import sandbox
from gongshu.delivery.service import NDI_OK

ROOT = Path(__file__).parents[2]
ROOM, BALLAST = 700_000, 300_000
SECONDS_MAX = 120


@pytest.mark.skipif(not sandbox.has_namespaces(), reason="this machine has no user namespaces")
def test_a_full_disk_stops_answering_and_charging_and_is_over_when_there_is_room(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["bwrap", "--unshare-user", "--dev-bind", "/", "/", "--size", str(ROOM), "--tmpfs", str(mount)]
    command += [sys.executable, "-m", "tests.small_disk", str(mount), str(BALLAST)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["codes"], said["retry_after"]) == (["disk-full"], ["1"])
    assert said["health"] == 200  # it lives, and says of each call why it is not answered
    assert said["recorded_when_full"] == said["answered_when_full"]
    assert said["afterwards"] == [NDI_OK], said
    assert said["same"]
    assert said["records"] == said["calls"]
    assert done.stderr.count("could not be written") <= 3  # the log does not grow with the calls

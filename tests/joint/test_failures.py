"""A peer that is lost or lies ends in a clear failure on the honest side, with no result and no scratch left."""

import os
import secrets
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gongshu.compute.adapters.joint import party
from gongshu.compute.adapters.joint.environment import PROJECT
from gongshu.compute.rules import joint
from gongshu.compute.types import JointKind, JointLimits
from tests.joint.conftest import BANK, GOVERNMENT, LIMITS

ROWS = 200
HOSTILE = Path(__file__).with_name("hostile.py")


def keys_of(pair, agreed, side):
    return pair.bring(side, agreed, ((f"K{number}", number) for number in range(ROWS)))


@contextmanager
def hostile(pair, agreed, mode, side=1):
    """Run a hostile peer beside the test; it is always ended."""
    station = pair.station(side)
    shown = station.certificates
    arguments = [mode, str(side), station.listen, station.peer, agreed.digest, str(ROWS + 1)]
    arguments += [str(path) for path in (shown.own, shown.key, shown.peer)]
    peer = subprocess.Popen(
        [pair.environment.python, HOSTILE, *arguments], env={"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=pair.folder,
    )  # fmt: skip
    try:
        yield peer
    finally:
        peer.kill()
        peer.wait()


def run(pair, one):
    return party.run_party(one, pair.station(one.side), pair.progress[one.side].append)


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": "something else"},
        pytest.param({"nonce": "a5" * joint.NONCE_BYTES}, marks=pytest.mark.slow),
        pytest.param({"learners": (GOVERNMENT,)}, marks=pytest.mark.slow),
        pytest.param({"valid_until": datetime.now(UTC) + timedelta(days=900)}, marks=pytest.mark.slow),
    ],
    ids=["purpose", "nonce", "learners", "time"],
)
def test_two_documents_are_refused_on_both_sides_before_a_key_is_touched(pair, agreed, change):
    ours = agreed(JointKind.INTERSECTION)
    told = pair.meet(keys_of(pair, ours, 0), keys_of(pair, replace(ours, **change), 1))
    assert [one.code for one in told] == ["joint-peer-differs"] * 2
    assert max(heard.percent for heard in pair.progress[0]) == 1
    pair.assert_nothing_is_left()


def test_a_peer_that_never_comes_is_waited_for_no_longer_than_agreed(pair, agreed):
    alone = agreed(JointKind.SUMS, limits=JointLimits(3, 5, 30))
    assert run(pair, keys_of(pair, alone, 0)).code == "joint-peer-absent"
    pair.assert_nothing_is_left()


@pytest.mark.slow
def test_a_peer_that_does_not_speak_the_protocol_counts_as_absent(pair, agreed):
    alone = agreed(JointKind.SUMS, limits=JointLimits(6, 5, 30))
    with socket.create_server(("127.0.0.1", pair.ports[1])) as server:
        server.settimeout(30)

        def babble():
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(secrets.token_bytes(100_000))
            except OSError:
                return

        babbling = threading.Thread(target=babble)
        babbling.start()
        told = run(pair, keys_of(pair, alone, 0))
        server.shutdown(socket.SHUT_RDWR)
        babbling.join()
    assert told.code == "joint-peer-absent"
    pair.assert_nothing_is_left()


@pytest.mark.parametrize(
    "mode", ["overstates", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("babbles", "boasts"))]
)
def test_a_peer_that_says_what_no_honest_node_says_is_refused(pair, agreed, mode):
    ours = agreed(JointKind.INTERSECTION)
    with hostile(pair, ours, mode):
        assert run(pair, keys_of(pair, ours, 0)).code == "joint-peer-differs"
    pair.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, kind) for mode in ("dies", "garbles", "is silent") for kind in JointKind),
        ("garbles shares", JointKind.SUMS),
        ("speaks KKRT", JointKind.INTERSECTION),
    ],
)
@pytest.mark.slow
def test_a_peer_that_is_lost_after_meeting_breaks_the_run_off(pair, agreed, mode, kind):
    ours = agreed(kind, (BANK, GOVERNMENT), limits=replace(LIMITS, runtime_seconds=120))
    with hostile(pair, ours, mode):
        assert run(pair, keys_of(pair, ours, 0)).code == "joint-broken-off"
    pair.assert_nothing_is_left()


def test_a_node_killed_half_way_ends_both_sides(pair, agreed):
    ours = agreed(JointKind.SUMS, (BANK, GOVERNMENT))
    comparing = threading.Event()

    def hear(progress):
        if progress.phase == "comparing":
            comparing.set()

    with ThreadPoolExecutor(2) as both:
        first = both.submit(run, pair, keys_of(pair, ours, 0))
        second = both.submit(party.run_party, keys_of(pair, ours, 1), pair.station(1), hear)
        assert comparing.wait(60)
        for child in children_with(str(pair.folder / "scratch1")):
            os.kill(child, signal.SIGKILL)
        assert second.result().code == "joint-broken-off"
        assert first.result().code == "joint-broken-off"
    pair.assert_nothing_is_left()


def children_with(text):
    """Return the processes that we started whose command line holds ``text``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_a_run_that_takes_too_long_is_ended(pair, agreed):
    ours = agreed(JointKind.SUMS, limits=replace(LIMITS, silence_seconds=60, runtime_seconds=2))
    with hostile(pair, ours, "is silent"):
        assert run(pair, keys_of(pair, ours, 0)).code == "joint-runtime-exceeded"
    pair.assert_nothing_is_left()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "key\n",
        "key,value\n",
        "key,value\n" + "aa,1\n" * 12,
        "key,value\n" + "".join(f"{n:032x},x\n" for n in range(20)),
    ],
)
def test_a_key_file_that_does_not_fit_is_not_brought(pair, agreed, content):
    ours = agreed(JointKind.SUMS, limits=JointLimits(5, 5, 30))
    one = keys_of(pair, ours, 1)
    one.keys.write_text(content)
    assert run(pair, one).code == "joint-input-unfit"
    assert pair.progress[1] == []  # before the peer is met
    pair.assert_nothing_is_left()

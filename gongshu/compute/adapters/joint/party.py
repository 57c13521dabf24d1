"""Runs this party's node behind bubblewrap and says how it ended: an outcome, or the code of a failure.

The node sees its own scratch folder, an outbox and the network; no other file of this machine. The library keeps what
it works on in ``/tmp``, which is the scratch folder here and is removed with it. The parent owns all time limits: the
library may wait for ever, or end its process outright, when the peer is gone.

The link is TLS, and each node accepts exactly the peer's certificate. When it stands, the node asks whether it may go on;
only then is a word said to the peer.
"""

import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gongshu.compute.adapters.joint.environment import Environment

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime")
NODE = Path(__file__).with_name("node")
INSIDE = Path("/job")
PACKAGE = "gongshu/compute/adapters/joint/node"
PROGRAM = f"import sys; sys.path.insert(0, '{INSIDE}'); from {PACKAGE.replace('/', '.')}.program import main; main()"
MATCHED = "matched.csv"
MEETING = "meeting"
LINE_BYTES_MAX = 4_096
START_SECONDS = 60
LEAVE_SECONDS = 3
DEFENCES = ("joint-protocol", "joint-link", "joint-sandbox", "limits")


@dataclass(frozen=True)
class Certificates:
    """PEM files: our certificate, its key, and the certificate of the one peer that is accepted."""

    own: Path
    key: Path
    peer: Path


@dataclass(frozen=True)
class Station:
    """Where this party's node runs and talks. Addresses are ``host:port``."""

    environment: Environment
    listen: str
    peer: str
    certificates: Certificates


@dataclass(frozen=True)
class PartyRun:
    """One run of one side: the document as agreed, byte for byte, the prepared key file, and the limits in it."""

    document: bytes
    side: int
    keys: Path
    outbox: Path
    scratch: Path
    connect_seconds: int
    runtime_seconds: int
    memory_bytes_max: int


@dataclass(frozen=True)
class Progress:
    """How far a run is, in percent of the whole, and in which phase."""

    percent: int
    phase: str


@dataclass(frozen=True)
class Told:
    """What the node told. ``passes`` is None for a side that is not to learn anything."""

    code: str = ""
    passes: bool | None = None
    count: int | None = None
    total: int | None = None
    is_signed: bool = False
    rows: tuple[int, int] = (0, 0)
    defences: tuple[str, ...] = ()


def _numeric(address: str) -> str:
    """Return the address with its host as a number: there is no name service inside."""
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host, int(port), family=socket.AF_INET, type=socket.SOCK_STREAM)
    return f"{found[0][4][0]}:{port}"


def _command(run: PartyRun, station: Station) -> list[str]:
    command = [
        shutil.which("bwrap") or "bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--clearenv", "--setenv", "LANG", "C.UTF-8", "--setenv", "PATH", "/usr/bin:/bin",
        "--setenv", "JAX_PLATFORMS", "cpu", "--setenv", "HOME", "/tmp", "--dev", "/dev", "--proc", "/proc",  # noqa: S108
        "--bind", str(run.scratch), "/tmp",  # noqa: S108 - the library's own choice; private to this run
    ]  # fmt: skip
    for folder in (*map(Path, SYSTEM_FOLDERS), *station.environment.folders):
        if folder.is_symlink() and str(folder) in SYSTEM_FOLDERS:
            command += ["--symlink", os.readlink(folder), str(folder)]  # noqa: PTH115 - as written, not resolved
        elif folder.exists():
            command += ["--ro-bind", str(folder), str(folder)]
    command += ["--ro-bind", str(NODE), str(INSIDE / PACKAGE)]
    command += ["--bind", str(run.outbox), str(INSIDE / "outbox")]
    for name, path in _certificates(station).items():
        command += ["--ro-bind", str(path), str(INSIDE / name)]
    python = str(station.environment.python)
    return [*command, "--chdir", "/tmp", "--", python, "-I", "-B", "-X", "utf8", "-c", PROGRAM]  # noqa: S108


def _certificates(station: Station) -> dict[str, Path]:
    given = station.certificates
    return {"own": given.own, "key": given.key, "peer": given.peer}


def _order(run: PartyRun, station: Station) -> bytes:
    return json.dumps({
        "document": run.document.decode(), "side": run.side, "keys": "/tmp/keys.csv", "scratch": "/tmp",  # noqa: S108
        "outbox": str(INSIDE / "outbox"), "memory_bytes_max": run.memory_bytes_max,
        "listen": _numeric(station.listen), "peer": _numeric(station.peer),
        "certificates": {name: str(INSIDE / name) for name in _certificates(station)},
    }).encode()  # fmt: skip


@contextlib.contextmanager
def _node(run: PartyRun, station: Station) -> Iterator[subprocess.Popen[bytes]]:
    order = _order(run, station)
    process = subprocess.Popen(  # noqa: S603 - our own command line
        _command(run, station), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd="/", env={"LANG": "C.UTF-8"}, start_new_session=True,
    )  # fmt: skip
    try:
        if process.stdin is not None:
            process.stdin.write(order + b"\n")
            process.stdin.flush()
        yield process
    finally:
        process.kill()  # bubblewrap takes everything inside along
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def run_party(
    run: PartyRun, station: Station, tell: Callable[[Progress], None] = lambda _: None,
    begin: Callable[[], bool] = lambda: True,
) -> Told:  # fmt: skip
    """Run this party's node to its end. Whatever fails leaves the outbox empty and the scratch folder removed.

    ``begin`` is asked once, when the peer's node has come and before anything is said to it: false ends the run there. What
    ``tell`` or ``begin`` raises ends the node and is raised.
    """
    told = Told(code="joint-node-failed")
    run.outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    run.scratch.mkdir(mode=0o700, parents=True)
    try:
        (run.scratch / "keys.csv").hardlink_to(run.keys)
        with _node(run, station) as process:
            told = _follow(process, run, tell, begin)
            if told.code in {"", "joint-peer-differs"}:  # the peer may not have heard our last word yet
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LEAVE_SECONDS)
    except FileNotFoundError:
        told = Told(code="joint-environment-missing" if run.keys.exists() else "joint-input-unfit")
    except (OSError, ValueError):
        told = Told(code="joint-node-failed")
    finally:
        if told.code or not told.passes:
            (run.outbox / MATCHED).unlink(missing_ok=True)
        shutil.rmtree(run.scratch, ignore_errors=True)
    return told


@dataclass(frozen=True)
class _Stage:
    """Until when the node may take, and what it means if it takes longer or ends without an answer."""

    deadline: float
    late: str
    ended: str


def _follow(
    process: subprocess.Popen[bytes], run: PartyRun, tell: Callable[[Progress], None], begin: Callable[[], bool]
) -> Told:
    """Read the node's lines until it answers, ends, or a limit passes."""
    stage = _Stage(time.monotonic() + START_SECONDS, "joint-node-failed", "joint-node-failed")
    output = process.stdout
    if output is None:
        return Told(code=stage.ended)
    rest, percent = b"", -1
    with selectors.DefaultSelector() as waiting:
        waiting.register(output, selectors.EVENT_READ)
        while True:
            left = stage.deadline - time.monotonic()
            if left <= 0 or not waiting.select(left):
                return Told(code=stage.late)
            got = os.read(output.fileno(), LINE_BYTES_MAX)
            if not got:
                return Told(code=stage.ended)
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                message = _read(line)
                if message is None or "percent" not in message:
                    return _told(message)
                stage = _next_stage(stage, message["phase"], run)
                if message["phase"] == MEETING and not _permit(process, begin):
                    return Told(code="joint-interrupted")
                if int(message["percent"]) > percent:  # the library's two halves do not always come in order
                    percent = int(message["percent"])
                    tell(Progress(percent, str(message["phase"])))
            if len(rest) > LINE_BYTES_MAX:
                return Told(code="joint-node-failed")


def _permit(process: subprocess.Popen[bytes], begin: Callable[[], bool]) -> bool:
    """Ask whether the node may speak to the peer that has come, and tell it."""
    if process.stdin is None or not begin():
        return False
    process.stdin.write(b"go\n")
    process.stdin.close()
    return True


def _next_stage(stage: _Stage, phase: str, run: PartyRun) -> _Stage:
    if phase == "connecting":
        return _Stage(time.monotonic() + run.connect_seconds, "joint-peer-absent", "joint-peer-absent")
    if stage.late == "joint-peer-absent":  # the peer is there
        return _Stage(time.monotonic() + run.runtime_seconds, "joint-runtime-exceeded", "joint-broken-off")
    return stage


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _told(message: dict[str, Any] | None) -> Told:
    """Read the last line. A node that says what none of ours says has failed."""
    try:
        if message is None or "failure" in message:
            return Told(code=str(message["failure"])[:LINE_BYTES_MAX] if message else "joint-node-failed")
        outcome = message["outcome"]
        first, second = outcome["rows"]
        passes, count, total = (outcome.get(name) for name in ("passes", "count", "total"))
        return Told(
            passes=None if passes is None else bool(passes), count=None if count is None else int(count),
            total=None if total is None else int(total), is_signed=bool(outcome.get("is_signed")),
            rows=(int(first), int(second)), defences=DEFENCES,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return Told(code="joint-node-failed")

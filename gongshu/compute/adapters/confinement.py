"""A cell: one process behind bubblewrap that sees nothing but what it is given, and ends when a limit passes.

All namespaces are its own (user, process, network, IPC, host name, control groups, mounts); it has no capability, no
environment, no ``/proc``, no ``/sys``, no shell, and of ``/dev`` only null, zero and urandom. System calls go through an
allow-list (``seccomp``) that leaves it one process with threads. What it prints is read up to a limit. When it ends, or is
ended, nothing of it is left: the process namespace goes with it.
"""

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gongshu.compute.adapters import seccomp
from gongshu.compute.adapters.interpreters import Interpreter, own_interpreter

START_SECONDS = 20
WATCH_SECONDS = 0.05
CHUNK_BYTES = 1 << 16
INFO_BYTES_MAX = 4_096
THREADS_MAX = 128
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
INTERPRETER_BYTES = 512 << 20  # what interpreter and libraries may hold beside what a job is given

RUNTIME_EXCEEDED, PRINTED_EXCEEDED = "runtime-exceeded", "printed-exceeded"
MEMORY_EXCEEDED, THREADS_EXCEEDED = "memory-exceeded", "threads-exceeded"


@dataclass(frozen=True)
class Mount:
    """A file or folder of the host and where it stands in the cell."""

    source: Path
    target: str
    is_writable: bool = False


@dataclass(frozen=True)
class Cell:
    """What a process is given. ``arguments`` follow the interpreter; ``order`` is its standard input.

    ``scratch_bytes``: the size of an empty ``/tmp`` in memory; 0: there is none. Its standard error goes nowhere: it is
    bubblewrap's too, which would tell paths of the host.
    """

    interpreter: Interpreter
    arguments: tuple[str, ...]
    mounts: tuple[Mount, ...]
    order: bytes
    runtime_seconds_max: float
    memory_bytes_max: int
    printed_bytes_max: int
    scratch_bytes: int = 0
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a cell ended: its exit code (128 + signal when it was killed), what it printed, which limit it passed."""

    exit_code: int
    printed: bytes
    exceeded: str = ""


def _walls(cell: Cell) -> list[str]:
    """Return bubblewrap's options, without the program."""
    command = [
        shutil.which("bwrap") or "bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc",
        "--unshare-uts", "--unshare-cgroup", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--uid", "65534", "--gid", "65534", "--hostname", "job", "--clearenv",
    ]  # fmt: skip
    given = {"LANG": "C.UTF-8", "TZ": "UTC", "LD_LIBRARY_PATH": "/image/lib:/image/python/lib", **cell.environment}
    for name, value in sorted(given.items()):
        command += ["--setenv", name, value]
    for device in DEVICES:
        command += ["--dev-bind", device, device]
    if cell.scratch_bytes:
        command += ["--size", str(cell.scratch_bytes), "--tmpfs", "/tmp"]  # noqa: S108 - private to the cell
    for source, target in cell.interpreter.files:
        command += ["--ro-bind", str(source), target]
    for mount in cell.mounts:
        command += ["--bind" if mount.is_writable else "--ro-bind", str(mount.source), mount.target]
    return [*command, "--chdir", "/job" if cell.mounts else "/", "--remount-ro", "/"]


def _memory_file(name: str, content: bytes) -> int:
    """Return a file in memory that nobody can change or make larger."""
    handle = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(handle, content)
    os.lseek(handle, 0, os.SEEK_SET)
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, SEALS)
    return handle


@contextlib.contextmanager
def _started(cell: Cell) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the cell; give its process and the number of the first process inside. When it is left, nothing of it runs."""
    rules, order = _memory_file("rules", seccomp.entry_filter()), _memory_file("order", cell.order)
    told, telling = os.pipe()
    python = [cell.interpreter.program, "-I", "-S", "-B", "-X", "utf8"]
    command = [*_walls(cell), "--seccomp", str(rules), "--info-fd", str(telling), "--", *python, *cell.arguments]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command, stdin=order, stdout=subprocess.PIPE, cwd="/", env={}, start_new_session=True,
            stderr=subprocess.DEVNULL, pass_fds=(rules, telling),
        )  # fmt: skip
    finally:
        for handle in (rules, order, telling):
            os.close(handle)
    first, inside = 0, -1
    try:
        first, inside = _first_process(told)
        yield process, first
    finally:
        os.close(told)
        process.kill()  # the first process inside dies with it, and its namespace with that
        process.wait()
        if inside >= 0:
            _end(inside)
        if process.stdout is not None:
            process.stdout.close()


def _first_process(told: int) -> tuple[int, int]:
    """Read from bubblewrap who the first process inside is; 0 and -1 when it did not come that far."""
    text, deadline = b"", time.monotonic() + START_SECONDS
    os.set_blocking(told, False)
    with selectors.DefaultSelector() as waiting:
        waiting.register(told, selectors.EVENT_READ)
        while b"}" not in text and time.monotonic() < deadline:
            if waiting.select(START_SECONDS):
                got = os.read(told, INFO_BYTES_MAX)
                text += got
                if not got:
                    break
    try:
        first = int(json.loads(text)["child-pid"])
        return first, os.pidfd_open(first)
    except (ValueError, KeyError, OSError):
        return 0, -1


def _end(inside: int) -> None:
    """Kill the first process inside and wait until it is gone: the kernel lets it go only after all others are."""
    with contextlib.suppress(OSError), selectors.DefaultSelector() as waiting:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(inside, signal.SIGKILL)
        waiting.register(inside, selectors.EVENT_READ)
        waiting.select(START_SECONDS)
    os.close(inside)


def run_cell(cell: Cell) -> Ended:
    """Run a cell to its end, or to the first limit that it passes. Nothing of it runs any more when this returns."""
    deadline = time.monotonic() + cell.runtime_seconds_max
    printed, is_open = bytearray(), True
    with _started(cell) as (process, first), selectors.DefaultSelector() as waiting, _exit_of(process) as left:
        output = process.stdout
        if output is None:
            raise OSError("the cell has no output")
        os.set_blocking(output.fileno(), False)
        for source in (output.fileno(), left):
            waiting.register(source, selectors.EVENT_READ)
        watch = _Watch(first, cell.memory_bytes_max)
        while True:
            waiting.select(WATCH_SECONDS)
            chunk = output.read(CHUNK_BYTES) if is_open else None
            if chunk:
                printed += chunk
            if len(printed) > cell.printed_bytes_max:
                return Ended(-1, bytes(printed[: cell.printed_bytes_max]), PRINTED_EXCEEDED)
            if chunk == b"":  # it closed its output; it may still run
                waiting.unregister(output.fileno())
                is_open = False
            if not chunk and process.poll() is not None:
                return _ended(process.returncode, output.read() or b"", printed, cell)
            if time.monotonic() > deadline:
                return Ended(-1, bytes(printed), RUNTIME_EXCEEDED)
            exceeded = watch.exceeded()
            if exceeded:
                return Ended(-1, bytes(printed), exceeded)


@contextlib.contextmanager
def _exit_of(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Give a descriptor that can be read when the process has ended: no polling in between."""
    handle = os.pidfd_open(process.pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _ended(code: int, rest: bytes, printed: bytearray, cell: Cell) -> Ended:
    """Return the end of a process that ended by itself, with the last it printed."""
    printed += rest
    if len(printed) > cell.printed_bytes_max:
        return Ended(-1, bytes(printed[: cell.printed_bytes_max]), PRINTED_EXCEEDED)
    exit_code = 128 - code if code < 0 else code
    return Ended(exit_code, bytes(printed), RUNTIME_EXCEEDED if exit_code == 128 + 24 else "")  # SIGXCPU


class _Watch:
    """Looks from outside at the process in the cell: its threads and the memory that it really holds.

    Limits of a process (``RLIMIT_…``) do not count threads for root, nor pages of ``/tmp`` that it maps.
    """

    def __init__(self, first: int, memory_bytes_max: int) -> None:
        self._first, self._memory, self._inside = first, memory_bytes_max, 0

    def exceeded(self) -> str:
        """Return which limit the process passes now, or ``""``."""
        if not self._inside and not self._find():
            return ""
        try:
            status = Path(f"/proc/{self._inside}/status").read_text()
        except OSError:
            return ""
        seen = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if int(seen.get("Threads", "0")) > THREADS_MAX:
            return THREADS_EXCEEDED
        held = int(seen.get("VmRSS", "0 kB").split()[0]) << 10
        return MEMORY_EXCEEDED if held > self._memory + INTERPRETER_BYTES else ""

    def _find(self) -> bool:
        """Find the process: the one child of the first process of the namespace."""
        try:
            children = Path(f"/proc/{self._first}/task/{self._first}/children").read_text().split()
        except OSError:
            return False
        self._inside = int(children[0]) if children else 0
        return self._inside > 0


_working: set[str] = set()
"""Paths of bubblewrap that made a cell. Only success is remembered: a machine that was too busy once is tried again."""


def has_namespaces() -> bool:
    """Whether cells can be made on this machine: bubblewrap is there and may make its namespaces."""
    bubblewrap = shutil.which("bwrap") or ""
    if sys.platform != "linux" or not bubblewrap:
        return False
    if bubblewrap not in _working:
        cell = Cell(
            own_interpreter(()), ("-c", "print(7)"), (), b"", START_SECONDS, memory_bytes_max=1 << 30,
            printed_bytes_max=100,
        )  # fmt: skip
        with contextlib.suppress(OSError, KeyError):
            if run_cell(cell) == Ended(0, b"7\n"):
                _working.add(bubblewrap)
    return bubblewrap in _working

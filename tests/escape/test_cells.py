"""Cells side by side: none disturbs another, none leaves a descriptor or a process behind, however it ends."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gongshu.compute.adapters.confinement import Cell, Ended, has_namespaces, run_cell
from gongshu.compute.adapters.interpreters import own_interpreter

pytestmark = pytest.mark.skipif(not has_namespaces(), reason="this machine has no user namespaces")


def cell(code: str, *, seconds: float = 20, order: bytes = b"") -> Cell:
    return Cell(
        own_interpreter(()), ("-c", code), (), order, seconds, memory_bytes_max=1 << 30, printed_bytes_max=1 << 16
    )


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def own_children(name: str) -> list[str]:
    """Return this process's children called ``name``, those that ended and wait to be asked for included."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            told = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if told.get("PPid") == str(os.getpid()) and told.get("Name") == name:
            found.append(status.parent.name)
    return found


def test_many_cells_run_at_once_and_each_gets_its_own_order():
    code = "import sys; sys.stdout.write(sys.stdin.read())"
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda number: run_cell(cell(code, order=b"%d" % number)), range(24)))
    assert ended == [Ended(0, b"%d" % number) for number in range(24)]


@pytest.mark.parametrize(
    ("code", "exceeded"),
    [
        ("pass", ""),
        ("raise SystemExit(3)", ""),
        ("import os; os.kill(os.getpid(), 9)", ""),
        ("print('x' * 1000000)", "printed-exceeded"),
        ("import time; time.sleep(60)", "runtime-exceeded"),
    ],
)
def test_nothing_is_left_of_a_cell(code, exceeded):
    before, threads = descriptors(), threading.active_count()
    assert run_cell(cell(code, seconds=0.5 if "sleep" in code else 20)).exceeded == exceeded
    assert (descriptors(), threading.active_count()) == (before, threads)
    assert own_children("bwrap") == []


def test_a_cell_that_cannot_be_made_ends_with_a_code_and_tells_no_path():
    from gongshu.compute.adapters.confinement import Mount

    missing = Cell(
        own_interpreter(()), ("-c", "print(1)"), (Mount(Path("/nowhere/secret-name"), "/job/x"),), b"", 20, 1 << 30, 1 << 16
    )  # fmt: skip
    ended = run_cell(missing)
    assert (ended.exit_code, ended.printed) == (1, b"")


def test_order_cannot_be_changed_from_inside():
    code = "import os\nos.lseek(0, 0, 0)\ntry: os.write(0, b'x')\nexcept OSError as e: print(e.errno)"
    assert run_cell(cell(code, order=b"order")).printed == b"1\n"

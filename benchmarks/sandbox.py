"""What a cell costs: the start of an interpreter in it against the same interpreter started bare.

``sandbox_start_ms`` is the difference of two medians measured in turns; its bound is 50 ms, and beside it stands the
interpreter's own start.
"""

import statistics
import subprocess
import time
from collections.abc import Callable

from gongshu.compute.adapters.confinement import Cell, has_namespaces, run_cell
from gongshu.compute.adapters.interpreters import own_interpreter

ROUNDS = 40
LIMIT_MS = 50.0
NOTHING = "pass"


def _milliseconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1_000


def measure() -> dict[str, dict[str, float | str]]:
    """Start both in turns and return the difference of the medians."""
    if not has_namespaces():
        raise RuntimeError("this machine has no user namespaces: there is no cell to measure")
    interpreter = own_interpreter(())
    cell = Cell(interpreter, ("-c", NOTHING), (), b"", 20, 1 << 30, 1 << 16)
    program = str(interpreter.files[0][0])  # the very file that the cell is given
    bare = [program, "-I", "-S", "-B", "-X", "utf8", "-c", NOTHING]

    def start_bare() -> None:
        subprocess.run(bare, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={"LANG": "C.UTF-8"}, check=True)

    inside, outside = [], []
    for _ in range(ROUNDS):
        outside.append(_milliseconds(start_bare))
        inside.append(_milliseconds(lambda: run_cell(cell)))
    own = statistics.median(outside)
    return {
        "sandbox_start_ms": {
            "value": round(statistics.median(inside) - own, 2), "unit": "ms beyond the interpreter's own start",
            "limit": f"50 ms (the interpreter itself: {own:.1f} ms)", "limit_value": LIMIT_MS,
        },
    }  # fmt: skip

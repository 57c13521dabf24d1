"""Starts a program of a developer in its cell: last walls first, then the program as ``__main__``.

Nothing that this process says is believed by the parent. It ends with 0, with 79 when memory ran out, else with 1; what
the program prints, and the traceback of its failure, goes to standard output.
"""

import builtins
import io
import json
import os
import resource
import sys
import traceback
from types import CodeType, ModuleType, TracebackType

from gongshu.compute.adapters.inside import walls

PROGRAM = "/job/program.py"
MEMORY_EXIT, FAILURE_EXIT = 79, 1
TEXT_FRAMES_MAX = 30


def _compiled() -> CodeType:
    with io.open_code(PROGRAM) as file:
        return builtins.compile(file.read(), "program.py", "exec", dont_inherit=True)


def _code_of(leaving: SystemExit) -> int:
    return 0 if leaving.code in {None, 0} else FAILURE_EXIT


def _run() -> int:
    main_module = ModuleType("__main__")
    sys.modules["__main__"] = main_module
    sys.argv = ["program.py"]
    try:
        exec(_compiled(), main_module.__dict__)  # noqa: S102 - what a cell is for
    except SystemExit as leaving:
        return _code_of(leaving)
    except MemoryError:
        return MEMORY_EXIT
    except BaseException as error:  # noqa: BLE001 - every end of a program has a code
        return FAILURE_EXIT if _show(error) else MEMORY_EXIT
    return 0


def _show(error: BaseException) -> bool:
    """Print the traceback from the program's own line on; say whether there was memory to do it."""
    try:
        traceback.print_exception(type(error), error, _below(error), limit=TEXT_FRAMES_MAX)
    except BaseException:  # noqa: BLE001 - an exception may lie about itself
        return False
    return True


def _below(error: BaseException) -> TracebackType | None:
    return error.__traceback__.tb_next if error.__traceback__ is not None else None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001, S112 - the program may have put anything in its place
            continue


def main() -> None:
    """Run the program and end."""
    order = json.loads(sys.stdin.buffer.read())
    os.dup2(1, 2)  # errors are part of what is printed; until here they were bubblewrap's
    walls.limit(
        cpu_seconds=order["cpu_seconds"], file_bytes=order["file_bytes"],
        space=(resource.RLIMIT_DATA, order["memory_bytes"]), is_alone=True,
    )  # fmt: skip
    for rules in order["rules"]:
        walls.load_filter(bytes.fromhex(rules))
    code = _run()
    _flush()
    os._exit(code)  # threads and exit handlers of the program do not hold it up

"""Which system calls a process in the sandbox may make, as BPF programs for the kernel (seccomp, mode 2).

An allow-list: what is not named does not exist there (``ENOSYS``, so that libraries fall back). What libraries try and
can do without fails with ``EPERM``; what only an attack asks for ends the process by ``SIGSYS``, which the parent sees.
See docs/decisions/0008 for why the programs are assembled here.
"""

import errno
import platform
import struct
from collections.abc import Iterable

from gongshu.compute.adapters.system_calls import ALLOWED, FATAL, REFUSED, Numbers

# linux/audit.h and the index into the table of numbers
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32_CALLS = 0x40000000

# linux/bpf_common.h and linux/seccomp.h
LOAD_WORD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, MASK, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
AT_NUMBER, AT_MACHINE, AT_ARGUMENTS, ARGUMENT_BYTES = 0, 4, 16, 8

THREAD = 0x00010000  # CLONE_THREAD
NEW_NAMESPACES = 0x7E020080  # CLONE_NEWTIME, -NS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET
SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS: memory that no limit of the process counts
TERMINAL_QUERIES = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
LOCKS = (5, 6, 7)  # F_GETLK, F_SETLK, F_SETLKW
FILE_CONTROLS = (0, 1, 2, 3, 4, *LOCKS, 1030, 1032, 1034)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, locks, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_GET_SEALS: no lease, no signal."""
SET_SECCOMP = 22
PROCESS_CONTROLS = (1, 2, 3, 15, 16, 22, 38, 39, 0x53564D41)
"""PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS,
PR_GET_NO_NEW_PRIVS, PR_SET_VMA."""

Step = tuple[int, int, int, int]
"""One instruction: code, jump when true, jump when false, constant."""


def _fail(number: int) -> Step:
    return RETURN, 0, 0, FAIL | number


def _load(offset: int) -> Step:
    return LOAD_WORD, 0, 0, offset


def _argument(index: int) -> Step:
    """Load the lower half of an argument: the kernel looks at no more of those that are tested here."""
    return _load(AT_ARGUMENTS + ARGUMENT_BYTES * index)


def _case(number: int, body: list[Step]) -> list[Step]:
    """Run ``body``, which returns on every path, when the call is ``number``; else go on behind it."""
    return [(JUMP_EQUAL, 0, len(body), number), *body]


def _one_of(index: int, values: Iterable[int], otherwise: Step) -> list[Step]:
    steps = [_argument(index)]
    for value in values:
        steps += [(JUMP_EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return [*steps, otherwise]


def _conditions() -> dict[str, list[Step]]:
    """Calls that are allowed with some arguments only."""
    denied = _fail(errno.EPERM)
    return {
        # A thread of this process, in no new namespace; never another process.
        "clone": [
            _argument(0), (JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, KILL_PROCESS),
            (JUMP_ANY_BIT, 0, 1, THREAD), (RETURN, 0, 0, ALLOW), denied,
        ],
        "mmap": [
            _argument(3), (MASK, 0, 0, SHARED_ANONYMOUS), (JUMP_EQUAL, 0, 1, SHARED_ANONYMOUS), denied,
            (RETURN, 0, 0, ALLOW),
        ],
        "fcntl": _one_of(1, FILE_CONTROLS, denied),
        "ioctl": _one_of(1, TERMINAL_QUERIES, _fail(errno.ENOTTY)),
        "prctl": _one_of(0, PROCESS_CONTROLS, denied),
        "prlimit64": _one_of(0, (0,), denied),  # its own limits only
    }  # fmt: skip


def _number(table: Numbers, name: str, column: int) -> int | None:
    return table[name][column]


def _written(steps: list[Step]) -> bytes:
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _head(machine: str) -> list[Step]:
    identity, column = MACHINES[machine]
    steps: list[Step] = [
        _load(AT_MACHINE), (JUMP_EQUAL, 1, 0, identity), (RETURN, 0, 0, KILL_PROCESS), _load(AT_NUMBER),
    ]  # fmt: skip
    if column == 0:  # calls of the x32 ABI have the same machine and numbers of their own
        steps += [(JUMP_GREATER_EQUAL, 0, 1, X32_CALLS), (RETURN, 0, 0, KILL_PROCESS)]
    return steps


def entry_filter(machine: str = "") -> bytes:
    """Return the program that bubblewrap loads before it starts the interpreter (so it still allows ``execve``).

    Raises ``KeyError`` on a machine that is neither x86-64 nor AArch64: there the sandbox is not available.
    """
    machine = machine or platform.machine()
    column = MACHINES[machine][1]
    conditions = _conditions()
    steps = _head(machine)
    for name in ALLOWED:
        number = _number(ALLOWED, name, column)
        if number is not None:
            steps += _case(number, conditions.get(name, [(RETURN, 0, 0, ALLOW)]))
    for table, action in ((FATAL, (RETURN, 0, 0, KILL_PROCESS)), (REFUSED, _fail(errno.EPERM))):
        for name in table:
            number = _number(table, name, column)
            if number is not None:
                steps += _case(number, [action])
    return _written([*steps, _fail(errno.ENOSYS)])


def inner_filter(machine: str = "", *, may_lock: bool = False) -> bytes:
    """Return the program that the interpreter loads before it runs what it was given: no other program, no other filter.

    It is laid over the first one; the kernel takes the stricter answer of the two. ``may_lock``: the engine locks the files
    that it writes. A program may not: a lock on a file that several cells read would be felt in all of them.
    """
    machine = machine or platform.machine()
    column = MACHINES[machine][1]
    denied, allowed = _fail(errno.EPERM), (RETURN, 0, 0, ALLOW)
    refused_values = {"prctl": (0, (SET_SECCOMP,)), **({} if may_lock else {"fcntl": (1, LOCKS)})}
    steps = _head(machine)
    for name in ("execve", "seccomp"):
        number = _number(ALLOWED, name, column)
        if number is not None:
            steps += _case(number, [denied])
    for name, (argument, values) in refused_values.items():
        number = _number(ALLOWED, name, column)
        if number is not None:
            tests = [step for value in values for step in ((JUMP_EQUAL, 0, 1, value), denied)]
            steps += _case(number, [_argument(argument), *tests, allowed])
    return _written([*steps, allowed])

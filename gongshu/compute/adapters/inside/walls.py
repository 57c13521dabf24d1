"""The last walls, put up from inside before anything that was given runs: limits of the process and a second filter."""

import ctypes
import resource

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER_MODE, SIGKILL = 1, 22, 38, 2, 9
INSTRUCTION_BYTES = 8
OPEN_FILES_MAX = 256
PROCESSES_MAX = 128  # threads count too
GRACE_SECONDS = 2


class _Program(ctypes.Structure):
    """``struct sock_fprog``: how many instructions, and where."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def load_filter(rules: bytes) -> None:
    """Lay one more seccomp program over those that are loaded. It cannot be taken off again."""
    program = _Program(len(rules) // INSTRUCTION_BYTES, rules)
    control = ctypes.CDLL(None, use_errno=True).prctl
    control.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    address = ctypes.addressof(program)
    if control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or control(PR_SET_SECCOMP, FILTER_MODE, address, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the filter was not loaded")


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends. In a cell the namespace does that; outside, this does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)


def limit(*, cpu_seconds: int, file_bytes: int, space: tuple[int, int], is_alone: bool) -> None:
    """Set the limits of this process, without a way back.

    ``space`` is which limit of memory (``RLIMIT_AS`` or ``RLIMIT_DATA``) and how many bytes. ``is_alone``: the account's
    processes are counted in this namespace only, so that they can be limited.
    """
    wanted = {
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + GRACE_SECONDS), space[0]: (space[1], space[1]),
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes), resource.RLIMIT_NOFILE: (OPEN_FILES_MAX, OPEN_FILES_MAX),
        resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_MEMLOCK: (0, 0), resource.RLIMIT_MSGQUEUE: (0, 0),
    }  # fmt: skip
    if is_alone:
        wanted[resource.RLIMIT_NPROC] = (PROCESSES_MAX, PROCESSES_MAX)
    for kind, (soft, hard) in wanted.items():
        resource.setrlimit(kind, (soft, hard))

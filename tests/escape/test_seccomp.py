"""The filters of system calls: their numbers against libseccomp's table, their answers by running the programs."""

import ctypes
import errno
import struct

import pytest

from gongshu.compute.adapters import seccomp
from gongshu.compute.adapters.system_calls import ALLOWED, FATAL, REFUSED

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
KILL, ALLOW = seccomp.KILL_PROCESS, seccomp.ALLOW


def answer(program: bytes, machine: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Run a BPF program as the kernel does, over ``struct seccomp_data``."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, machine, 0, *given)
    steps = list(struct.iter_unpack("=HBBI", program))
    place = register = 0
    for _ in range(len(steps) + 1):
        code, yes, no, constant = steps[place]
        place += 1
        if code == seccomp.LOAD_WORD:
            register = struct.unpack_from("=I", data, constant)[0]
        elif code == seccomp.MASK:
            register &= constant
        elif code == seccomp.RETURN:
            return constant
        else:
            tests = {
                seccomp.JUMP_EQUAL: register == constant, seccomp.JUMP_GREATER_EQUAL: register >= constant,
                seccomp.JUMP_ANY_BIT: bool(register & constant),
            }  # fmt: skip
            place += yes if tests[code] else no
    raise AssertionError("the program does not end")


def fails(number: int) -> int:
    return seccomp.FAIL | number


def test_every_number_is_the_kernels():
    library = ctypes.CDLL("libseccomp.so.2")
    resolve = library.seccomp_syscall_resolve_name_arch
    resolve.argtypes, resolve.restype = [ctypes.c_uint32, ctypes.c_char_p], ctypes.c_int
    for table in (ALLOWED, REFUSED, FATAL):
        for name, numbers in table.items():
            for column, identity in enumerate(MACHINES.values()):
                theirs = resolve(identity, name.encode())
                assert numbers[column] == (theirs if theirs >= 0 else None), (name, column)
    assert not ALLOWED.keys() & REFUSED.keys()
    assert not ALLOWED.keys() & FATAL.keys()
    assert not REFUSED.keys() & FATAL.keys()


@pytest.mark.parametrize(("column", "machine"), list(enumerate(MACHINES)))
def test_each_call_gets_the_answer_of_its_group(column, machine):
    program, identity = seccomp.entry_filter(machine), MACHINES[machine]
    known = {}
    for table, expected in ((ALLOWED, ALLOW), (REFUSED, fails(errno.EPERM)), (FATAL, KILL)):
        known |= {numbers[column]: expected for numbers in table.values() if numbers[column] is not None}
    special = {ALLOWED[name][column] for name in ("clone", "fcntl", "ioctl", "prctl")}
    for number in range(600):
        if number not in special:
            assert answer(program, identity, number) == known.get(number, fails(errno.ENOSYS)), number
    assert answer(program, 0x40000003, 20) == KILL  # the table of another machine
    if machine == "x86_64":
        assert answer(program, identity, 0x40000000 + 39) == KILL  # x32
    assert len(program) // 8 < 4096


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x3D0F00,), ALLOW),  # as pthread_create asks
        ("clone", (17,), fails(errno.EPERM)),  # fork
        ("clone", (0x4111,), fails(errno.EPERM)),  # vfork
        ("clone", (0x10000 | 0x10000000,), KILL),  # a thread in a user namespace
        ("clone", (0x40000000 | 17,), KILL),
        ("clone", ((1 << 40) | 17,), fails(errno.EPERM)),
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x21), fails(errno.EPERM)),
        ("mmap", (0, 4096, 3, 0x01, 5), ALLOW),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), fails(errno.ENOTTY)),  # TIOCSTI
        ("ioctl", (0, (1 << 32) | 0x5412), fails(errno.ENOTTY)),  # the same with rubbish above
        ("ioctl", (0, 0x541C), fails(errno.ENOTTY)),  # TIOCLINUX
        ("fcntl", (3, 1030, 0), ALLOW),
        ("fcntl", (3, 6, 0), ALLOW),  # F_SETLK: the inner filter takes it from programs
        ("fcntl", (3, 1024, 0), fails(errno.EPERM)),  # F_SETLEASE
        ("prctl", (15,), ALLOW),
        ("prctl", (35,), fails(errno.EPERM)),  # PR_SET_MM
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (1,), fails(errno.EPERM)),
    ],
)
@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_a_call_can_be_two_things(machine, name, arguments, expected):
    number = ALLOWED[name][list(MACHINES).index(machine)]
    assert answer(seccomp.entry_filter(machine), MACHINES[machine], number, arguments) == expected


@pytest.mark.parametrize(("column", "machine"), list(enumerate(MACHINES)))
def test_the_inner_filter_takes_away_what_only_the_start_needed(column, machine):
    program, identity = seccomp.inner_filter(machine), MACHINES[machine]
    assert answer(program, identity, ALLOWED["execve"][column]) == fails(errno.EPERM)
    assert answer(program, identity, ALLOWED["seccomp"][column]) == fails(errno.EPERM)
    assert answer(program, identity, ALLOWED["prctl"][column], (22,)) == fails(errno.EPERM)
    assert answer(program, identity, ALLOWED["prctl"][column], (15,)) == ALLOW
    assert answer(program, identity, ALLOWED["read"][column]) == ALLOW
    fcntl, locking = ALLOWED["fcntl"][column], seccomp.inner_filter(machine, may_lock=True)
    assert answer(program, identity, fcntl, (3, 6)) == fails(errno.EPERM)  # F_SETLK
    assert answer(program, identity, fcntl, (3, 3)) == ALLOW
    assert answer(locking, identity, fcntl, (3, 6)) == ALLOW
    assert answer(locking, identity, ALLOWED["execve"][column]) == fails(errno.EPERM)
    assert answer(program, 0x40000003, 20) == KILL


def test_a_machine_without_a_table_has_no_filter():
    with pytest.raises(KeyError):
        seccomp.entry_filter("riscv64")

"""Hostile programs in real cells: none gets out, none hangs, each ends by a code that says why."""

import os
import platform
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gongshu.compute.adapters import programs as cells
from gongshu.compute.adapters import system_calls
from tests import programs
from tests.escape.hostile_machinery import EXHAUSTION, KERNEL, NETWORK, ODD, PROCESSES
from tests.escape.hostile_programs import FILES, OUTBOX, PICKLES, PRELUDE

HOSTILE = [*FILES, *OUTBOX, *PICKLES, *NETWORK, *PROCESSES, *EXHAUSTION, *KERNEL, *ODD]

needs_cells = pytest.mark.skipif(not cells.has_namespaces(), reason="this machine has no user namespaces")
CODES = {
    "", "program-failed", "forbidden-call", "runtime-exceeded", "memory-exceeded", "threads-exceeded", "program-killed",
    "printed-exceeded", "output-exceeded", "output-missing", "output-pickle", "output-unreadable", "output-not-onnx",
    "output-type-refused", "output-hidden-characters", "output-operator-refused", "rows-exceeded",
}  # fmt: skip
SECRET_TEXT = "SECRET-OF-THE-HOST"
LIMITS = replace(programs.LIMITS, memory_bytes_max=384 << 20)
SLEEPERS = replace(LIMITS, runtime_seconds_max=1)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Put out what an attacker looks for: a secret file, a secret in the environment, servers that count their visitors."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.txt").write_text(SECRET_TEXT)
    os.environ["GONGSHU_SECRET_KEY"] = SECRET_TEXT
    name = f"gongshu-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        for server in (tcp, abstract):
            server.setblocking(False)
        yield {"home": home, "port": tcp.getsockname()[1], "socket": name, "servers": (tcp, abstract)}
    del os.environ["GONGSHU_SECRET_KEY"]


def known(host):
    """Tell the program what it would have to guess."""
    column = 0 if platform.machine() == "x86_64" else 1
    tables = (system_calls.ALLOWED, system_calls.REFUSED, system_calls.FATAL)
    calls = {
        name: numbers[column] for table in tables for name, numbers in table.items() if numbers[column] is not None
    }
    return (
        f"SECRET = {str(host['home'] / 'secret.txt')!r}\nHOME = {str(host['home'])!r}\nPORT = {host['port']}\n"
        f"SOCKET = {host['socket']!r}\nCALLS = {calls!r}\n"
    )


def processes_of(place):
    """Return the processes of the host that belong to a cell made for ``place``."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if str(place).encode() in command and b"bwrap" in command:
                found.append(folder.name)
    return found


@needs_cells
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_no_program_gets_out(hostile, host, tmp_path):
    place = tmp_path / "place"
    code = known(host) + PRELUDE + hostile.code
    outcome, outbox = programs.run(
        place, code, hostile.outputs, SLEEPERS if "runtime-exceeded" in hostile.codes else LIMITS
    )
    assert outcome.code in hostile.codes, (outcome.code, outcome.printed[-600:])
    assert outcome.code in CODES
    assert "ESCAPED" not in outcome.printed
    assert SECRET_TEXT not in outcome.printed
    assert processes_of(place) == []
    if outcome.code:
        assert list(outbox.iterdir()) == []
    assert (host["home"] / "secret.txt").read_text() == SECRET_TEXT
    assert [path.name for path in host["home"].iterdir()] == ["secret.txt"]
    for server in host["servers"]:
        with pytest.raises(BlockingIOError):
            server.accept()


def test_there_are_enough_of_them_and_each_has_its_own_name():
    names = [hostile.name for hostile in HOSTILE]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


@needs_cells
def test_the_attacks_would_be_seen_if_they_worked(host, tmp_path):
    """A test that cannot fail proves nothing: an attack on what is allowed is told as an escape."""
    code = known(host) + PRELUDE + "escaped(open('/job/manifest.json').read())"
    outcome, _ = programs.run(tmp_path / "place", code, ())
    assert outcome.printed.startswith("ESCAPED")


@needs_cells
def test_what_goes_on_is_what_was_inspected(tmp_path):
    code = (
        "import pyarrow as pa, pyarrow.parquet as pq\n"
        "t = pa.table({'a': [1, 2]}).replace_schema_metadata({'hidden': 'SECRET-OF-THE-HOST'})\n"
        "pq.write_table(t, '/job/out/out.parquet')\n"
        "open('/job/out/out.parquet', 'ab').close()\n"
    )
    outcome, outbox = programs.run(tmp_path / "place", code, ("out.parquet",))
    assert outcome.code == ""
    written = (outbox / "out.parquet").read_bytes()
    assert SECRET_TEXT.encode() in (tmp_path / "place/written/out.parquet").read_bytes()
    assert SECRET_TEXT.encode() not in written
    assert b"ARROW:schema" not in written


@needs_cells
def test_terminal_signs_in_what_is_printed_are_made_visible(tmp_path):
    code = "import sys\nsys.stdout.write('a\\x1b[2Jb\\u202ec\\n')\nsys.stdout.flush()\nimport os\nos.write(1, b'\\xff')"
    outcome, outbox = programs.run(tmp_path / "place", code, ())
    assert (outcome.code, outcome.printed) == ("", "a\ufffd[2Jb\ufffdc\n\ufffd")
    assert (outbox / "printed.txt").read_text() == outcome.printed

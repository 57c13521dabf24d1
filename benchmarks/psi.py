"""How long two nodes take to intersect a million keys each, against the library called directly on the same files.

Both are timed from the start of the processes to their end, on this machine, in turns. Ours does more: the sandbox, the
meeting, progress, the threshold, and the file handed out.
"""

import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from gongshu.base.digest import Ref
from gongshu.base.ids import PartyId
from gongshu.catalog.types import DataType
from gongshu.compute.adapters.joint import identity, keys, party
from gongshu.compute.adapters.joint.environment import Environment, default_folder, find_environment
from gongshu.compute.rules import joint
from gongshu.compute.types import JointKind, JointLimits, JointSide, JointTask
from gongshu.policies.types import Thresholds

ROWS = 1_000_000
SHARED = 500_000
ROUNDS = 3
SECONDS_MAX = 600
BUILD = Path(__file__).resolve().parent.parent / "build"  # a real disk; a temporary folder may lie in memory
TRACES = "psi_*.trace"
DIRECT = """
import sys
from spu import libspu, psi
side, first, second, own, out = sys.argv[1:]
wanted = libspu.link.Desc()
for name in (first, second):
    wanted.add_party(name, name)
link = libspu.link.create_brpc(wanted, int(side))
psi.psi_execute(psi.PsiExecuteConfig(
    protocol_conf=psi.PsiProtocolConfig(protocol=psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=0),
    input_params=psi.InputParams(path=own, selected_keys=["key"], keys_unique=True),
    output_params=psi.OutputParams(path=out, disable_alignment=True),
), link)
link.stop_link()
"""
"""The shortest program that intersects by RR22 with the library's own settings."""


def addresses() -> tuple[str, str]:
    """Return two addresses of this machine that are free now."""
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in (first, second))  # type: ignore[return-value]


def make_files(folder: Path) -> None:
    """Write each side's key file."""
    draw = Random(1)
    shared = [draw.randbytes(keys.KEY_BYTES) for _ in range(SHARED)]
    for side in (0, 1):
        own = (draw.randbytes(keys.KEY_BYTES) for _ in range(ROWS - SHARED))
        records = ((key, 0) for part in (shared, own) for key in part)
        keys.write_keys(records, folder / f"keys{side}.csv", has_values=False, rows_max=ROWS)


def directly(environment: Environment, folder: Path) -> float:
    """Call the library in two processes; return the seconds until both have ended."""
    pair, before = addresses(), set(Path("/tmp").glob(TRACES))  # noqa: S108 - the library's own choice
    start = time.perf_counter()
    commands = [
        [
            environment.python,
            "-I",
            "-c",
            DIRECT,
            str(side),
            *pair,
            folder / f"keys{side}.csv",
            folder / f"out{side}.csv",
        ]
        for side in (0, 1)
    ]
    running = [subprocess.Popen(c, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) for c in commands]
    try:
        codes = [process.wait(SECONDS_MAX) for process in running]
    finally:
        for process in running:
            process.kill()
        for trace in set(Path("/tmp").glob(TRACES)) - before:  # noqa: S108 - the library's own choice
            trace.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    found = keys.read_matched(folder / "out0.csv")
    if codes != [0, 0] or len(found) != SHARED:
        raise RuntimeError("the library called directly did not find the intersection")
    return seconds


def certificates(folder: Path, side: int) -> party.Certificates:
    """Return the files of a side's identity and of the peer's certificate."""
    secrets = [bytes([number]) * 32 for number in (1, 2)]
    for number, secret in enumerate(secrets):
        (folder / f"side{number}.pem").write_text(identity.certificate(secret))
        (folder / f"side{number}.key").write_bytes(identity.private_key(secret))
    return party.Certificates(folder / f"side{side}.pem", folder / f"side{side}.key", folder / f"side{1 - side}.pem")


def by_nodes(environment: Environment, folder: Path) -> float:
    """Run both parties' nodes; return the seconds until both outcomes are there."""
    parties = PartyId("first"), PartyId("second")
    sides = tuple(JointSide(one, Ref("entitlement", one, ""), "relation", "key", ROWS) for one in parties)
    task = JointTask(
        id="joint-bench", kind=JointKind.INTERSECTION, purpose="measure", sides=sides, learners=parties[:1],  # type: ignore[arg-type]
        key_type=DataType.TEXT, thresholds=Thresholds(10, 10, 2, 90), nonce="00" * 32,
        valid_until=datetime.now(UTC) + timedelta(days=1), limits=JointLimits(120, 60, SECONDS_MAX),
        protocol=joint.PROTOCOL, library=joint.LIBRARY,
    )  # fmt: skip
    pair = addresses()

    def run(side: int) -> party.Told:
        place = party.PartyRun(
            task.document, side, folder / f"keys{side}.csv", folder / f"outbox{side}", folder / f"scratch{side}",
            task.limits.connect_seconds, SECONDS_MAX, 6 << 30,
        )  # fmt: skip
        return party.run_party(
            place, party.Station(environment, pair[side], pair[1 - side], certificates(folder, side))
        )

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(run, (0, 1))
    seconds = time.perf_counter() - start
    if (first.code, first.count, second.code) != ("", SHARED, ""):
        raise RuntimeError(f"the nodes did not find the intersection: {first.code} {second.code}")
    return seconds


def alternate(*runs: Callable[[], float]) -> list[list[float]]:
    """Return the seconds of each run over some rounds, taken in turns so that a busy machine hits all of them."""
    return [list(column) for column in zip(*([run() for run in runs] for _ in range(ROUNDS)), strict=True)]


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratio of our seconds to the library's; nothing where joint computing is not installed."""
    environment = find_environment(default_folder())
    if environment is None or shutil.which("bwrap") is None:
        print("psi: not measured; run: make setup-joint (and install bubblewrap)", file=sys.stderr)
        return {}
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as made:
        folder = Path(made)
        make_files(folder)
        ours, theirs = alternate(lambda: by_nodes(environment, folder), lambda: directly(environment, folder))
    ratio = statistics.median(own / limit for own, limit in zip(ours, theirs, strict=True))
    return {
        "psi_vs_library": {
            "value": ratio, "unit": "ratio", "limit": "spu.psi called directly, 1 M × 1 M, RR22",
            "limit_value": statistics.median(theirs),
        }
    }  # fmt: skip

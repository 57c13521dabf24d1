"""Starts the engine's process behind bubblewrap: no network, no files but the projections and an outbox, limits on all.

Where user namespaces are missing the process runs with limits alone, and ``defences`` says so; the job report and the
audit log repeat it.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path

from gongshu.compute.types import GovernedQuery, JobLimits

THREADS = 2
START_SECONDS = 20
ANSWER_BYTES_MAX = 1 << 20
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime")
PROGRAM = Path(__file__).with_name("child.py")
INSIDE = Path("/job")
"""Where projections, outbox and program lie inside the sandbox."""
RESULT = "result"


@dataclass(frozen=True)
class Run:
    """One run of the engine: which projections are there, where results go, what may be used."""

    projections: dict[str, Path]
    outbox: Path
    files: tuple[str, ...]
    limits: JobLimits
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: counts, or the code of what went wrong. Never a value, never a message of the engine."""

    code: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()
    groups_withheld: int = 0
    units_withheld: int = 0
    has_negative: bool = False
    defences: tuple[str, ...] = ()


def _wrap(extra: list[str]) -> list[str]:
    found = shutil.which("bwrap") or ""
    command = [
        found, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
        "--setenv", "LANG", "C.UTF-8", "--dev", "/dev",
    ]  # fmt: skip
    runtime = {sys.base_prefix, sys.prefix, sysconfig.get_paths()["purelib"]}
    for folder in (*SYSTEM_FOLDERS, *sorted(runtime)):
        path = Path(folder)
        if path.is_symlink() and folder in SYSTEM_FOLDERS:
            command += ["--symlink", os.readlink(path), folder]  # noqa: PTH115 - as written, not resolved
        elif path.exists():
            command += ["--ro-bind", folder, folder]
    return [*command, *extra, "--remount-ro", "/dev", "--remount-ro", "/"]


@functools.cache
def has_namespaces() -> bool:
    """Whether bubblewrap can make its namespaces on this machine."""
    if shutil.which("bwrap") is None:
        return False
    try:
        tried = subprocess.run(  # noqa: S603 - our own command line
            [*_wrap([]), "--", sys.executable, "-I", "-S", "-c", ""],
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def _request(query: GovernedQuery, run: Run, *, is_isolated: bool) -> bytes:
    inside = {
        name: str(INSIDE / f"p{i}.parquet" if is_isolated else p) for i, (name, p) in enumerate(run.projections.items())
    }
    return json.dumps({
        "relations": inside,
        "stages": [{"name": s.name, "sql": s.sql, "is_counted": s.is_counted} for s in query.stages],
        "sql": query.sql,
        "result": RESULT,
        "files": run.files,
        "outbox": str(INSIDE / "outbox" if is_isolated else run.outbox),
        "operators": run.operators,
        "limits": {**asdict(run.limits), "threads": THREADS},
        "is_isolated": is_isolated,
    }).encode()  # fmt: skip


def _command(run: Run, *, is_isolated: bool) -> list[str]:
    if not is_isolated:
        return [sys.executable, "-I", "-X", "utf8", str(PROGRAM)]
    program = str(INSIDE / PROGRAM.name)
    extra = ["--ro-bind", str(PROGRAM), program]
    for i, path in enumerate(run.projections.values()):
        extra += ["--ro-bind", str(path), str(INSIDE / f"p{i}.parquet")]
    extra += ["--bind", str(run.outbox), str(INSIDE / "outbox"), "--chdir", str(INSIDE)]
    return [*_wrap(extra), "--", sys.executable, "-I", "-X", "utf8", program]


def run_engine(query: GovernedQuery, run: Run, *, isolate: bool = True) -> Outcome:
    """Run a governed query in its own process. ``isolate=False`` leaves the namespaces out, for tests of the rest."""
    is_isolated = isolate and has_namespaces()
    defences = ("gate", "bound-plan", "limits", *(("namespaces",) if is_isolated else ()))
    process = subprocess.Popen(  # noqa: S603 - our own command line
        _command(run, is_isolated=is_isolated), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd="/", env={"LANG": "C.UTF-8"}, start_new_session=True,
    )  # fmt: skip
    try:
        request = _request(query, run, is_isolated=is_isolated)
        answer, _ = process.communicate(request, timeout=run.limits.runtime_seconds_max + START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Outcome(code="runtime-exceeded", defences=defences)
    return _outcome(answer, defences)


def _outcome(answer: bytes, defences: tuple[str, ...]) -> Outcome:
    try:
        told = json.loads(answer[:ANSWER_BYTES_MAX])
    except ValueError:
        return Outcome(code="engine-killed", defences=defences)
    if "code" in told:
        return Outcome(code=str(told["code"]), defences=defences)
    return Outcome(
        rows=int(told["rows"]), columns=tuple(told["columns"]), groups_withheld=int(told["groups"]),
        units_withheld=int(told["units"]), has_negative=bool(told["negative"]), defences=defences,
    )  # fmt: skip

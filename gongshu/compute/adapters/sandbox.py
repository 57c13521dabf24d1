"""Starts the engine's process in a cell: no network, no files but projections and results, limits on all.

Where user namespaces are missing the process runs with limits and the filter of system calls alone, and ``defences`` says
so; the job report and the audit log repeat it.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gongshu.compute.adapters import seccomp
from gongshu.compute.adapters.confinement import RUNTIME_EXCEEDED, Cell, Ended, Mount, has_namespaces, run_cell
from gongshu.compute.adapters.interpreters import PACKAGES, own_interpreter
from gongshu.compute.types import GovernedQuery, JobLimits

__all__ = ["Outcome", "Run", "has_namespaces", "run_engine"]

THREADS = 2
START_SECONDS = 20
ANSWER_BYTES_MAX = 1 << 20
ENGINE_MODULES = ("duckdb", "_duckdb.*", "duckdb-*")
ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "gongshu/compute/adapters/child.py"
NOISE = "gongshu/compute/adapters/noise.py"
NOISE_MODULES = ("opendp", "opendp-*", "deprecated", "deprecated-*", "wrapt", "wrapt-*")
WALLS = "gongshu/compute/adapters/inside/walls.py"
INSIDE = Path("/job")
"""Where projections, results and program lie in the cell."""
RESULT = "result"
TRACE = "trace.parquet"


@dataclass(frozen=True)
class Run:
    """One run of the engine: which projections are there, where results go, what may be used."""

    projections: dict[str, Path]
    outbox: Path
    files: tuple[str, ...]
    limits: JobLimits
    operators: tuple[str, ...]
    kept: Path | None = None  # a folder where noisy tables stay until the job is over; stages with noise need it
    trace: tuple[str, Path] | None = None  # what the ledger keeps of the run: written query, and the file for it


@dataclass(frozen=True)
class Outcome:
    """What came of a run: counts, or the code of what went wrong. Never a value, never a message of the engine.

    ``units_withheld``: so many different units at least stand in withheld groups. ``members``: units of all groups, each
    counted in every group that it is in; ``members_withheld``: those of withheld groups.
    """

    code: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()
    groups_withheld: int = 0
    units_withheld: int = 0
    members_withheld: int = 0
    members: int = 0
    has_negative: bool = False
    defences: tuple[str, ...] = ()


def start_line(module: str, folders: Sequence[str]) -> str:
    """Return the line of Python that runs ``main`` of a module of ours from these folders."""
    return f"import sys; sys.path[:0] = {list(folders)!r}; from {module} import main; main()"


def _rules(*, is_isolated: bool) -> list[str]:
    """Return the filters that the process loads itself; in a cell the first one is loaded already."""
    try:
        inner = seccomp.inner_filter(may_lock=True)
        filters = [inner] if is_isolated else [seccomp.entry_filter(), inner]
    except KeyError:
        return []
    return [rules.hex() for rules in filters]


def _request(query: GovernedQuery, run: Run, *, is_isolated: bool) -> bytes:
    inside = {
        name: str(INSIDE / f"p{i}.parquet" if is_isolated else p) for i, (name, p) in enumerate(run.projections.items())
    }
    return json.dumps({
        "relations": inside,
        "stages": [asdict(stage) for stage in query.stages],
        "sql": query.sql,
        "result": RESULT,
        "files": run.files,
        "outbox": str(INSIDE / "outbox" if is_isolated else run.outbox),
        "kept": [str(INSIDE / "kept" / path.name if is_isolated else path) for path in _kept(query, run)],
        "trace": None if run.trace is None else [run.trace[0], str(INSIDE / TRACE if is_isolated else run.trace[1])],
        "operators": run.operators,
        "limits": {**asdict(run.limits), "threads": THREADS},
        "is_isolated": is_isolated,
        "rules": _rules(is_isolated=is_isolated),
    }).encode()  # fmt: skip


def _kept(query: GovernedQuery, run: Run) -> list[Path]:
    """Return the files of noisy tables, one per stage with noise. An empty one was never filled."""
    noisy = sum(stage.noise is not None for stage in query.stages)
    if not noisy:
        return []
    if run.kept is None:
        raise ValueError("a query with noise needs a folder for what is kept")
    run.kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = [run.kept / f"{number}.parquet" for number in range(noisy)]
    for path in files:
        path.touch(mode=0o600, exist_ok=True)
    return files


def _cell(query: GovernedQuery, run: Run, request: bytes) -> Cell:
    """Give the engine its program, the projections, and each result as a file that is there already: it makes none."""
    kept = _kept(query, run)
    mounts = [Mount(ROOT / name, str(INSIDE / name)) for name in (PROGRAM, WALLS)]
    mounts += [Mount(path, str(INSIDE / f"p{i}.parquet")) for i, path in enumerate(run.projections.values())]
    mounts += [Mount(ROOT / NOISE, str(INSIDE / NOISE))] if kept else []
    mounts += [Mount(path, str(INSIDE / "kept" / path.name), is_writable=True) for path in kept]
    if run.trace is not None:
        run.trace[1].touch(mode=0o600)
        mounts.append(Mount(run.trace[1], str(INSIDE / TRACE), is_writable=True))
    for name in run.files:
        (run.outbox / name).touch(exist_ok=False)
        mounts.append(Mount(run.outbox / name, str(INSIDE / "outbox" / name), is_writable=True))
    modules = (*ENGINE_MODULES, *NOISE_MODULES) if kept else ENGINE_MODULES
    return Cell(
        own_interpreter(modules), ("-c", start_line("gongshu.compute.adapters.child", (str(INSIDE), PACKAGES))),
        tuple(mounts), request, runtime_seconds_max=run.limits.runtime_seconds_max + START_SECONDS,
        memory_bytes_max=run.limits.memory_bytes_max, printed_bytes_max=ANSWER_BYTES_MAX,
    )  # fmt: skip


def _run_bare(run: Run, request: bytes) -> Ended:
    """Run the engine without a cell, on a machine that cannot make one."""
    program = start_line("gongshu.compute.adapters.child", (str(ROOT),))
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-I", "-X", "utf8", "-c", program], input=request, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd="/", env={"LANG": "C.UTF-8", "TZ": "UTC"}, start_new_session=True,
            timeout=run.limits.runtime_seconds_max + START_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ended(-1, b"", RUNTIME_EXCEEDED)
    return Ended(done.returncode, done.stdout)


def run_engine(query: GovernedQuery, run: Run, *, isolate: bool = True) -> Outcome:
    """Run a governed query in its own process. ``isolate=False`` leaves the cell out, for tests of the rest.

    A run that fails leaves no file in the outbox.
    """
    is_isolated = isolate and has_namespaces()
    request = _request(query, run, is_isolated=is_isolated)
    third = ("seccomp", "namespaces") if is_isolated else ("seccomp",) if _rules(is_isolated=False) else ()
    ended = run_cell(_cell(query, run, request)) if is_isolated else _run_bare(run, request)
    outcome = _outcome(ended, ("gate", "bound-plan", "limits", *third))
    if outcome.code:
        for name in run.files:
            (run.outbox / name).unlink(missing_ok=True)
    return outcome


def _outcome(ended: Ended, defences: tuple[str, ...]) -> Outcome:
    if ended.exceeded:
        return Outcome(code=ended.exceeded, defences=defences)
    try:
        told = json.loads(ended.printed[:ANSWER_BYTES_MAX])
        if "code" in told:
            return Outcome(code=str(told["code"]), defences=defences)
        return Outcome(
            rows=int(told["rows"]), columns=tuple(told["columns"]), groups_withheld=int(told["groups"]),
            units_withheld=int(told["units"]), members_withheld=int(told["members"]),
            members=int(told["of_members"]), has_negative=bool(told["negative"]), defences=defences,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError):  # whatever a child that was taken over may print
        return Outcome(code="engine-killed", defences=defences)

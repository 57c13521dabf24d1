"""Runs a developer's program in a cell, then reads what it wrote in a second cell that holds no data.

The files that a program may write are made beforehand, one for each name that its job declared, and given to the cell one
by one: it can make no other file, no link, no device, no name. They are read only when nothing of the cell runs any more,
and what goes on is not the program's bytes but what the second cell wrote of them.
"""

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from gongshu.compute.adapters import seccomp
from gongshu.compute.adapters.confinement import (
    MEMORY_EXCEEDED,
    PRINTED_EXCEEDED,
    Cell,
    Ended,
    Mount,
    has_namespaces,
    run_cell,
)
from gongshu.compute.adapters.interpreters import PACKAGES, JobImage, default_image_folder, find_image
from gongshu.compute.adapters.sandbox import ROOT, THREADS, start_line
from gongshu.compute.types import JobLimits, ModelMeasure

__all__ = ["PRINTED", "ProgramOutcome", "ProgramRun", "find_job_image", "has_namespaces", "run_program"]

PRINTED = "printed.txt"
INSIDE = "gongshu/compute/adapters/inside"
SCRATCH_BYTES = 256 << 20
INSPECTION_SECONDS = 120
ANSWER_BYTES_MAX = 1 << 20
OPERATORS_MAX = 200
DEFENCES = ("declared-columns", "limits", "seccomp", "namespaces", "inspection")
LINE_BREAKS = frozenset("\n\t")
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

MEMORY_EXIT = 79
KILLED_EXIT, SYSTEM_CALL_EXIT = 128, 128 + 31
CODES = {MEMORY_EXIT: MEMORY_EXCEEDED, SYSTEM_CALL_EXIT: "forbidden-call"}

ENVIRONMENT = {
    "HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONHASHSEED": "0", "JOBLIB_MULTIPROCESSING": "0", "MALLOC_ARENA_MAX": "2",  # noqa: S108
    "OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS), "POLARS_MAX_THREADS": str(THREADS),
    "ARROW_NUM_THREADS": str(THREADS),
}  # fmt: skip


@dataclass(frozen=True)
class ProgramRun:
    """One run: the program, its relations as files, the names that it may write, and an empty folder to work in."""

    image: JobImage
    code: str
    relations: dict[str, Path]
    outputs: tuple[str, ...]
    limits: JobLimits
    printed_bytes_max: int
    place: Path
    outbox: Path


@dataclass(frozen=True)
class ProgramOutcome:
    """What came of it: a code when it failed (and at which output), rows by file, what models consist of.

    ``printed`` is what the program printed, also when it failed: for synthetic rows to show, for real ones to quarantine.
    """

    code: str = ""
    output: str = ""
    rows: tuple[tuple[str, int], ...] = ()
    models: tuple[tuple[str, ModelMeasure], ...] = ()
    printed: str = ""
    defences: tuple[str, ...] = DEFENCES


def find_job_image() -> JobImage | None:
    """Return the environment of Python jobs on this machine, or ``None``."""
    return find_image(default_image_folder())


def _order(limits: JobLimits, seconds: int, file_bytes: int) -> dict[str, object]:
    return {
        "cpu_seconds": seconds * THREADS, "file_bytes": file_bytes, "memory_bytes": limits.memory_bytes_max,
        "rules": [seccomp.inner_filter().hex()],
    }  # fmt: skip


def _module(name: str) -> str:
    return start_line(f"gongshu.compute.adapters.inside.{name}", (PACKAGES, "/job"))


def _ours(*names: str) -> list[Mount]:
    return [Mount(ROOT / INSIDE / name, f"/job/{INSIDE}/{name}") for name in names]


def _made(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    folder.mkdir(mode=0o700)
    for name in names:
        (folder / name).touch(mode=0o600)
    return {name: folder / name for name in names}


def _run_cell(run: ProgramRun, written: dict[str, Path]) -> Ended:
    """Run the program. Each output may take its equal share of the bytes of all."""
    given = {name: f"in/{number}.parquet" for number, name in enumerate(run.relations)}
    program, manifest = run.place / "program.py", run.place / "manifest.json"
    program.write_text(run.code, encoding="utf-8")
    outputs = {name: f"out/{name}" for name in run.outputs}
    manifest.write_text(json.dumps({"relations": given, "outputs": outputs}), encoding="utf-8")
    mounts = [*_ours("walls.py", "start.py"), Mount(ROOT / INSIDE / "job.py", "/job/gongshu/job.py")]
    mounts += [Mount(program, "/job/program.py"), Mount(manifest, "/job/manifest.json")]
    mounts += [Mount(path, f"/job/{given[name]}") for name, path in run.relations.items()]
    mounts += [Mount(written[name], f"/job/{place}", is_writable=True) for name, place in outputs.items()]
    order = _order(run.limits, run.limits.runtime_seconds_max, _share(run))
    return run_cell(Cell(
        run.image.interpreter, ("-c", _module("start")), tuple(mounts), json.dumps(order).encode(),
        runtime_seconds_max=run.limits.runtime_seconds_max, memory_bytes_max=run.limits.memory_bytes_max,
        printed_bytes_max=run.printed_bytes_max, scratch_bytes=SCRATCH_BYTES,
        environment=ENVIRONMENT,
    ))  # fmt: skip


def _share(run: ProgramRun) -> int:
    """Return how many bytes one file may have, so that all files and what is printed stay within the limit."""
    return max(1, (run.limits.output_bytes_max - run.printed_bytes_max) // max(1, len(run.outputs)))


def _failure(ended: Ended) -> str:
    if ended.exceeded or ended.exit_code == 0:
        return ended.exceeded
    return CODES.get(ended.exit_code, "program-killed" if ended.exit_code > KILLED_EXIT else "program-failed")


def run_program(run: ProgramRun) -> ProgramOutcome:
    """Run a program to its end. Only a run that succeeds leaves files in the outbox: its outputs and what it printed."""
    written = _made(run.place / "written", run.outputs)
    ended = _run_cell(run, written)
    printed = "" if ended.exceeded == PRINTED_EXCEEDED else plain_text(ended.printed)
    full = next((name for name, path in written.items() if path.stat().st_size >= _share(run)), "")
    failure = "output-exceeded" if full and not ended.exceeded else _failure(ended)
    if failure:
        return ProgramOutcome(code=failure, output=full, printed=printed)
    outcome = _inspect(run, written)
    if outcome.code:
        return ProgramOutcome(code=outcome.code, output=outcome.output, printed=printed)
    rows = outcome.rows
    if printed:
        (run.outbox / PRINTED).write_text(printed, encoding="utf-8")
        rows = (*rows, (PRINTED, len(printed.splitlines())))
    return ProgramOutcome(rows=rows, models=outcome.models, printed=printed)


def plain_text(printed: bytes) -> str:
    """Return what was printed as text; characters that a reader would not see are replaced by a visible sign."""
    text = printed.decode(errors="replace").replace("\r\n", "\n")
    return "".join(c if c in LINE_BREAKS or unicodedata.category(c) not in HIDDEN else "\ufffd" for c in text)


def _inspect(run: ProgramRun, written: dict[str, Path]) -> ProgramOutcome:
    """Read the outputs in a cell without data; what it writes anew lands in the outbox."""
    if not run.outputs:
        return ProgramOutcome()
    clean = run.outbox
    mounts = [*_ours("walls.py", "inspection.py"), *(Mount(p, f"/job/written/{n}") for n, p in written.items())]
    for name in run.outputs:
        (clean / name).touch(mode=0o600)
        mounts.append(Mount(clean / name, f"/job/clean/{name}", is_writable=True))
    order = _order(run.limits, INSPECTION_SECONDS, _share(run))
    order |= {"outputs": run.outputs, "rows_max": run.limits.output_rows_max}
    ended = run_cell(Cell(
        run.image.interpreter, ("-c", _module("inspection")), tuple(mounts), json.dumps(order).encode(),
        runtime_seconds_max=INSPECTION_SECONDS, memory_bytes_max=run.limits.memory_bytes_max,
        printed_bytes_max=ANSWER_BYTES_MAX, scratch_bytes=SCRATCH_BYTES, environment=ENVIRONMENT,
    ))  # fmt: skip
    outcome = _told(run, ended)
    if outcome.code:
        for name in run.outputs:
            (clean / name).unlink()
    return outcome


def _told(run: ProgramRun, ended: Ended) -> ProgramOutcome:
    """Read the inspection's answer. It looked at a hostile file: whatever is odd about the answer refuses the output."""
    try:
        told = json.loads(ended.printed)
        if "code" in told:
            return ProgramOutcome(code=str(told["code"])[:40], output=str(told["output"])[:80])
        found = {name: told["outputs"][name] for name in run.outputs}
        rows = tuple((name, int(one["rows"])) for name, one in found.items())
        models = tuple((name, _measure(one["model"])) for name, one in found.items() if "model" in one)
    except (ValueError, KeyError, TypeError):
        return ProgramOutcome(code="output-unreadable")
    return ProgramOutcome(rows=rows, models=models)


def _measure(told: dict[str, object]) -> ModelMeasure:
    operators = told["operators"]
    if not isinstance(operators, list):
        raise TypeError
    return ModelMeasure(
        tuple(str(one)[:60] for one in operators[:OPERATORS_MAX]), int(str(told["numbers"])), int(str(told["texts"]))
    )

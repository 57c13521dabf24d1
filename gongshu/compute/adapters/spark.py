"""Runs a governed query on a Spark cluster through Spark Connect, in a process of its own that holds no key and no file but its own.

The cluster is not the sandbox: it is a machine park that somebody runs, and what the second and third line of defence are
worth there is told by ``DEFENCES`` and in the documentation.
"""

import json
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gongshu.compute.adapters.sandbox import Outcome
from gongshu.compute.types import GovernedQuery, JobLimits

PROGRAM = Path(__file__).with_name("spark_client.py")
PROJECT = Path(__file__).resolve().parents[3]
ASK_SECONDS = 60
START_SECONDS = 60
ANSWER_BYTES_MAX = 1 << 20
DEFENCES = ("gate", "bound-plan", "limits", "own-session")
"""What stands on Spark: the gate; the analysed plan as second opinion; limits on time, rows and bytes; a session of its own
with nothing in it but the projections. There are no namespaces around the cluster."""
TRACE_ROWS_MAX = 20_000_000
"""Units in released groups that the ledger lays beside earlier ones; a result with more is not given."""
HUGE, WHOLE = "HUGEINT", "BIGINT"
SAME_AS_DUCKDB = {
    "decimal128(38, 0)": HUGE, "int8": WHOLE, "int16": WHOLE, "int32": WHOLE, "timestamp[us, tz=UTC]": "TIMESTAMP",
}  # fmt: skip
"""Types of a result that DuckDB gives wider."""


@dataclass(frozen=True)
class SparkRun:
    """One run on a cluster: where Spark Connect listens, how the cluster reads each projection, where the result goes."""

    remote: str
    projections: dict[str, str]
    target: Path
    limits: JobLimits
    operators: tuple[str, ...]
    trace: tuple[str, Path] | None = None  # what the ledger asks beside the result, and where it goes


class Client:
    """A running client process. It answers one request after the other; a run that does not end in time ends it."""

    def __init__(self, python: Path) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            [str(python), "-I", "-X", "utf8", str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd="/", env={"LANG": "C.UTF-8"}, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def run(self, query: GovernedQuery, run: SparkRun) -> tuple[Outcome, tuple[tuple[str, str], ...]]:
        """Run a query that is written for Spark. Returns counts with the columns of the result and their types."""
        request = json.dumps({
            "remote": run.remote, "relations": run.projections, "sql": query.sql, "target": str(run.target),
            "stages": [{"name": s.name, "sql": s.sql, "is_counted": s.is_counted} for s in query.stages],
            "operators": run.operators, "limits": asdict(run.limits),
            "trace": None if run.trace is None else [run.trace[0], str(run.trace[1]), TRACE_ROWS_MAX],
        })  # fmt: skip
        answer = self._ask(request.encode() + b"\n", run.limits.runtime_seconds_max + START_SECONDS)
        return _outcome(answer)

    def _ask(self, request: bytes, seconds: int) -> bytes | None:
        stdin, stdout = self._pipes()
        with suppress(BrokenPipeError):
            stdin.write(request)
            stdin.flush()
        watch = _Watch(self._process, seconds)
        answer = stdout.readline(ANSWER_BYTES_MAX)
        return None if watch.end() else answer

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("the process was started with pipes")
        return self._process.stdin, self._process.stdout


class _Watch:
    """Kills a process that takes too long."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: int) -> None:
        import threading  # noqa: PLC0415 - used here alone

        self._late = False
        self._process = process
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.daemon = True
        self._timer.start()

    def _kill(self) -> None:
        self._late = True
        self._process.kill()

    def end(self) -> bool:
        """Stop watching; return whether it was too late."""
        self._timer.cancel()
        return self._late


def _outcome(answer: bytes | None) -> tuple[Outcome, tuple[tuple[str, str], ...]]:
    if answer is None:
        return Outcome(code="runtime-exceeded", defences=DEFENCES), ()
    try:
        told = json.loads(answer)
    except ValueError:
        return Outcome(code="engine-killed", defences=DEFENCES), ()
    if "code" in told:
        return Outcome(code=str(told["code"]), defences=DEFENCES), ()
    columns = tuple((str(name), str(kind)) for name, kind in told["columns"])
    outcome = Outcome(
        rows=int(told["rows"]), columns=tuple(name for name, _ in columns), groups_withheld=int(told["groups"]),
        units_withheld=int(told["units"]), members_withheld=int(told["members"]),
        members=int(told["of_members"]), has_negative=bool(told["negative"]), defences=DEFENCES,
    )  # fmt: skip
    return outcome, columns


def same_types(columns: tuple[tuple[str, str], ...]) -> str:
    """Write a select list in DuckDB's dialect that gives the columns of a result the types DuckDB would have given them."""
    return ", ".join(
        f"CAST({_quoted(name)} AS {wanted}) AS {_quoted(name)}"
        if (wanted := SAME_AS_DUCKDB.get(kind))
        else _quoted(name)
        for name, kind in columns
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

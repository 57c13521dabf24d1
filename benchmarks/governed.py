"""Governed queries against the same queries with the same thresholds written by hand, on TPC-H's tables (scale factor 1).

Both run on the same projections in the same engine, in turns, after what they return has been compared. What counts is the time
on the clock; beside it stands the processor's time of all threads, which others on the machine disturb less. Memory is the
peak of two equal children of the sandbox that hold the columns of one statement each.
"""

import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import tpch
from benchmarks.handwritten import STATEMENTS, ByHand
from gongshu.compute.adapters import sandbox
from gongshu.compute.rules.projections import PLAN_OPERATORS
from gongshu.compute.types import GovernedQuery, JobLimits

ROUNDS = 5
TIME_LIMIT, MEMORY_LIMIT = 1.25, 1.2
MEMORY_STATEMENTS = ("TPC-H 1", "TPC-H 6", "TPC-H 12", "orders and customers by segment and month")
LIMITS = JobLimits(4 << 30, 300, 1_000_000, 1 << 30)
BUILD = tpch.FOLDER.parent
CLOSE = 1e-9


def run_governed(engine: duckdb.DuckDBPyConnection, query: GovernedQuery) -> list[tuple[Any, ...]]:
    """Run stages and final statement as the child does."""
    for stage in query.stages:
        engine.execute(f'CREATE OR REPLACE TEMP TABLE "{stage.name}" AS {stage.sql}')
    return engine.execute(query.sql).fetchall()


def by_hand(statement: ByHand) -> GovernedQuery:
    """Return the version by hand as if it had passed the gate: the same projections, no stages."""
    return replace(tpch.ask(statement.sql).query, sql=statement.written(), stages=())


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else float(value)


def compare(name: str, mine: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]) -> None:
    """Fail unless both versions returned the same rows, in whatever order."""
    one, other = (sorted([tuple(map(_plain, row)) for row in rows], key=str) for rows in (mine, theirs))
    same = len(one) == len(other) and all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=CLOSE))
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )
    if not same or not one:
        raise AssertionError(f"{name}: governed and by hand differ: {len(one)} and {len(other)} rows")


def time_ratios() -> dict[str, float]:
    """Return, for each statement, the time of the governed query over that of the version by hand (medians of rounds)."""
    asked = {statement.name: tpch.ask(statement.sql).query for statement in STATEMENTS}
    ratios = {}
    with duckdb.connect(config={"threads": sandbox.THREADS}) as engine:
        tpch.load(engine, tpch.demanded(list(asked.values())))
        for statement in STATEMENTS:
            hand, query = by_hand(statement), asked[statement.name]
            compare(statement.name, run_governed(engine, query), run_governed(engine, hand))
            pairs = [(_seconds(engine, query), _seconds(engine, hand)) for _ in range(ROUNDS)]
            (mine, worked), (theirs, other) = (
                tuple(statistics.median(column) for column in zip(*side, strict=True))
                for side in zip(*pairs, strict=True)
            )
            ratios[statement.name] = mine / theirs
            print(f"  {statement.name}: {mine * 1000:.0f} ms, by hand {theirs * 1000:.0f} ms, × {mine / theirs:.2f}"
                  f" (processor × {worked / other:.2f})")  # fmt: skip
    return ratios


def _seconds(engine: duckdb.DuckDBPyConnection, query: GovernedQuery) -> tuple[float, float]:
    """Return the seconds of one run on the clock, and those that the processor worked."""
    start, worked = time.perf_counter(), time.process_time()
    run_governed(engine, query)
    return time.perf_counter() - start, time.process_time() - worked


# ------------------------------------------------------------------------------------------------------------ memory


def _peak_of_child(query: GovernedQuery, projections: dict[str, Path], place: Path) -> int:
    """Return the most memory (bytes) that a child of the sandbox had, measured by a process that starts it alone."""
    (place / "outbox").mkdir(exist_ok=True)
    request = {
        "stages": [[s.name, s.sql, s.is_counted] for s in query.stages], "sql": query.sql,
        "projections": {name: str(path) for name, path in projections.items()}, "outbox": str(place / "outbox"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.governed"], input=json.dumps(request), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return int(done.stdout)


def alone() -> int:
    """Run one request in a child of the sandbox and print the peak of its memory: the work of ``_peak_of_child``."""
    from gongshu.compute.types import Stage

    request = json.load(sys.stdin)
    query = GovernedQuery(
        request["sql"], (), (), (), is_aggregate=True, stages=tuple(Stage(*stage) for stage in request["stages"])
    )
    given = {name: Path(path) for name, path in request["projections"].items()}
    run = sandbox.Run(given, Path(request["outbox"]), ("result.parquet",), LIMITS, PLAN_OPERATORS)
    outcome = sandbox.run_engine(query, run, isolate=False)  # what runs behind namespaces is not counted here
    if outcome.code:
        print(outcome.code, file=sys.stderr)
        return 1
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
    return 0


def memory_ratios() -> dict[str, float]:
    """Return, for some statements, the peak memory of the governed child over that of an equal child by hand."""
    ratios = {}
    for statement in (s for s in STATEMENTS if s.name in MEMORY_STATEMENTS):
        query = tpch.ask(statement.sql).query
        with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
            place = Path(folder)
            given = {p.relation: tpch.write_projection(p, place / f"{p.relation}.parquet") for p in query.projections}
            peaks = [_peak_of_child(q, given, place) for q in (query, by_hand(statement))]
        ratios[statement.name] = peaks[0] / peaks[1]
        print(f"  {statement.name}: {peaks[0] >> 20} MB, by hand {peaks[1] >> 20} MB, × {ratios[statement.name]:.2f}")
    return ratios


def measure() -> dict[str, dict[str, float | str]]:
    """Return both ratios as geometric means."""
    spent, held = time_ratios(), memory_ratios()
    return {
        "governed_vs_handwritten": {
            "value": statistics.geometric_mean(spent.values()), "unit": "ratio",
            "limit": f"1.25: same thresholds by hand, {len(spent)} statements, geometric mean", "limit_value": TIME_LIMIT,
        },
        "governed_memory_vs_handwritten": {
            "value": statistics.geometric_mean(held.values()), "unit": "ratio",
            "limit": f"1.20: equal child by hand, {len(held)} statements, geometric mean", "limit_value": MEMORY_LIMIT,
        },
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(alone())

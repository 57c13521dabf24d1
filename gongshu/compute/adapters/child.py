"""The engine's process: holds the governed projections and nothing else, runs checked SQL, answers with counts.

Run as a program by ``sandbox``: a JSON request on standard input, a JSON answer on standard output. It imports nothing
of ours. Errors are answered by code; no message of the engine, which may hold a value, leaves this process.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

import duckdb

PR_SET_PDEATHSIG = 1
ADDRESS_SPACE_EXTRA_BYTES = 3 << 30  # what interpreter, library and thread stacks reserve without using it
OPEN_FILES_MAX = 256
PROCESSES_MAX = 64
FORMATS = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER"}

EXIT_LIMIT = 3


class RefusedError(Exception):
    """The run ends with this code."""


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text in quotes."""
    return "'" + text.replace("'", "''") + "'"


def limit_myself(limits: dict[str, int], *, is_isolated: bool) -> None:
    """Take only what the job may use; die with the parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    space = limits["memory_bytes_max"] + ADDRESS_SPACE_EXTRA_BYTES
    cpu = limits["runtime_seconds_max"] * limits["threads"] + 1
    wanted = {
        resource.RLIMIT_AS: space, resource.RLIMIT_CPU: cpu, resource.RLIMIT_FSIZE: limits["output_bytes_max"],
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX, resource.RLIMIT_CORE: 0,
    }  # fmt: skip
    if is_isolated:  # outside a namespace this would count every process of the account
        wanted[resource.RLIMIT_NPROC] = PROCESSES_MAX
    for kind, value in wanted.items():
        resource.setrlimit(kind, (value, value))


def open_engine(request: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """Load the projections into memory and lock the engine: no files but the outbox, no extensions, no settings."""
    limits = request["limits"]
    engine = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False,
            "allow_community_extensions": False, "memory_limit": f"{limits['memory_bytes_max']}B",
            "threads": limits["threads"], "max_temp_directory_size": "0KB", "temp_directory": "",
        },
    )  # fmt: skip
    for name, path in request["relations"].items():
        engine.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM read_parquet({literal(path)})")  # noqa: S608 - quoted
    engine.execute(f"SET allowed_directories = [{literal(request['outbox'])}]")
    for setting in ("explain_output = 'all'", "enable_external_access = false", "lock_configuration = true"):
        engine.execute(f"SET {setting}")
    return engine


def _walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    found, rest = [], [node]
    while rest:
        here = rest.pop()
        found.append(here)
        rest += here.get("children", [])
    return found


def check_plan(engine: duckdb.DuckDBPyConnection, sql: str, request: dict[str, Any], readable: set[str]) -> set[str]:
    """Return the relations that the bound plan scans; refuse any other, and any operator that is not expected.

    The plan before optimisation is looked at: the optimised one hides what is answered from statistics.
    """
    plans = dict(engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall())
    roots = json.loads(plans.get("logical_plan", "[]"))
    if len(roots) != 1:
        raise RefusedError("plan-unexpected")
    scanned = set()
    for node in _walk(roots[0]):
        if node["name"] not in request["operators"]:
            raise RefusedError("plan-unexpected")
        table = node.get("extra_info", {}).get("Table")
        if table is not None:
            scanned.add(str(table).rpartition(".main.")[2].strip('"').replace('""', '"'))
    if not scanned <= readable:
        raise RefusedError("plan-unexpected")
    return scanned


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run the stages and the final statement; write the result's files; count what was withheld."""
    limits = request["limits"]
    engine = open_engine(request)
    given, readable, scanned = set(request["relations"]), set(request["relations"]), set[str]()
    withheld = {"groups": 0, "units": 0, "negative": False}
    for stage in request["stages"]:
        scanned |= check_plan(engine, stage["sql"], request, readable)
        engine.execute(f"CREATE TEMP TABLE {quoted(stage['name'])} AS {stage['sql']}")
        readable.add(stage["name"])
        if not stage["is_counted"]:
            continue
        groups, units, negative = engine.execute(
            "SELECT count(*) FILTER (NOT passes), coalesce(sum(units) FILTER (NOT passes), 0), "  # noqa: S608 - quoted
            f"coalesce(bool_or(negative) FILTER (passes), false) FROM {quoted(stage['name'])}"
        ).fetchone() or (0, 0, False)
        withheld["groups"] += int(groups)
        withheld["units"] += int(units)
        withheld["negative"] = withheld["negative"] or bool(negative)
    scanned |= check_plan(engine, request["sql"], request, readable)
    if given - scanned:
        raise RefusedError("plan-unexpected")
    engine.execute(f"CREATE TEMP TABLE {quoted(request['result'])} AS {request['sql']}")
    result = engine.table(request["result"])
    counted = engine.execute(f"SELECT count(*) FROM {quoted(request['result'])}").fetchone()  # noqa: S608 - quoted
    rows = int(counted[0]) if counted else 0
    if rows > limits["output_rows_max"]:
        raise RefusedError("rows-exceeded")
    for name in request["files"]:
        path, form = os.path.join(request["outbox"], name), FORMATS[name[name.rindex(".") :]]  # noqa: PTH118 - no imports
        engine.execute(f"COPY {quoted(request['result'])} TO {literal(path)} ({form})")
    return {"rows": rows, "columns": result.columns, **withheld}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return counts, or the code of what went wrong."""
    try:
        return run(request)
    except RefusedError as refused:
        return {"code": str(refused)}
    except (duckdb.OutOfMemoryException, MemoryError):
        return {"code": "memory-exceeded"}
    except duckdb.BinderException:
        return {"code": "plan-unexpected"}
    except (duckdb.Error, OSError):
        return {"code": "engine-failed"}


def main() -> int:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.read())
    limit_myself(request["limits"], is_isolated=request["is_isolated"])
    sys.stdout.write(json.dumps(answer(request)))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy: the process and its memory go


if __name__ == "__main__":
    main()

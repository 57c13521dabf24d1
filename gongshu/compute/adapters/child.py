"""The engine's process: reads the governed projections and nothing else, runs checked SQL, answers with counts.

Run as a program by ``sandbox``: a JSON request on standard input, a JSON answer on standard output. Errors are answered
by code; no message of the engine, which may hold a value, leaves this process.

A projection is a view over its Parquet file: the engine reads only the columns and row groups that it needs. The bound
plan does not name the view, so each has a mark of its own, drawn anew for every run: a condition that is always true and
that no statement can know.
"""

import json
import os
import resource
import secrets
import sys
from typing import Any

import duckdb

from gongshu.compute.adapters.inside import walls

ADDRESS_SPACE_EXTRA_BYTES = 3 << 30  # what interpreter, library and thread stacks reserve without using it
FORMATS = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false",
    ".csv": "FORMAT csv, HEADER, USE_TMP_FILE false",
}
MARK_BYTES = 16
SCAN = "READ_PARQUET"

Marks = dict[str, str]
"""Condition that the bound plan shows above a projection's file → the projection's name."""


class RefusedError(Exception):
    """The run ends with this code."""


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text in quotes."""
    return "'" + text.replace("'", "''") + "'"


def limit_myself(request: dict[str, Any]) -> None:
    """Take only what the job may use; die with the parent; start no other program."""
    limits = request["limits"]
    walls.die_with_parent()
    walls.limit(
        cpu_seconds=limits["runtime_seconds_max"] * limits["threads"] + 1, file_bytes=limits["output_bytes_max"],
        space=(resource.RLIMIT_AS, limits["memory_bytes_max"] + ADDRESS_SPACE_EXTRA_BYTES),
        is_alone=request["is_isolated"],
    )  # fmt: skip
    for rules in request["rules"]:
        walls.load_filter(bytes.fromhex(rules))


def open_engine(request: dict[str, Any]) -> tuple[duckdb.DuckDBPyConnection, Marks]:
    """Open the projections and lock the engine: no file but them and the results, no extensions, no settings."""
    limits = request["limits"]
    engine = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False, "autoload_known_extensions": False,
            "allow_community_extensions": False, "memory_limit": f"{limits['memory_bytes_max']}B",
            "threads": limits["threads"], "max_temp_directory_size": "0KB", "temp_directory": "",
        },
    )  # fmt: skip
    marks: Marks = {}
    for name, path in request["relations"].items():
        mark = literal(secrets.token_hex(MARK_BYTES))
        view = f"SELECT * FROM read_parquet({literal(path)}) WHERE {mark} = {mark}"  # noqa: S608 - quoted
        engine.execute(f"CREATE VIEW {quoted(name)} AS {view}")
        marks[f"(CAST({mark} AS VARCHAR) = CAST({mark} AS VARCHAR))"] = name
    known = [*request["relations"].values(), *_results(request), *request["kept"]]
    known += [] if request["trace"] is None else [request["trace"][1]]
    engine.execute(f"SET allowed_paths = [{', '.join(literal(path) for path in known)}]")
    # The bar that DuckDB draws of what takes longer than two seconds would stand in the way of the answer.
    settings = ("explain_output = 'all'", "enable_progress_bar = false", "enable_external_access = false")
    for setting in (*settings, "lock_configuration = true"):
        engine.execute(f"SET {setting}")
    return engine, marks


def _results(request: dict[str, Any]) -> list[str]:
    return [os.path.join(request["outbox"], name) for name in request["files"]]  # noqa: PTH118 - no imports


def _marked(node: dict[str, Any], marks: Marks) -> str | None:
    """Return the projection that ``node`` reads, when it is the marked reading of one."""
    children = node.get("children", [])
    if node["name"] != "FILTER" or [child["name"] for child in children] != [SCAN]:
        return None
    return marks.get(node.get("extra_info", {}).get("Expressions", ""))


def _is_one_query(engine: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether ``sql`` is one query and nothing else: what stands behind a semicolon would run while its plan is asked for."""
    statements = engine.extract_statements(sql)
    try:
        return [statement.type for statement in statements] == [duckdb.StatementType.SELECT]
    except ValueError:  # a statement newer than the list of types
        return False


def check_plan(
    engine: duckdb.DuckDBPyConnection, sql: str, request: dict[str, Any], readable: set[str], marks: Marks
) -> set[str]:
    """Return the relations that the bound plan scans; refuse any other, and any operator that is not expected.

    The plan before optimisation is looked at: the optimised one hides what is answered from statistics.
    """
    if not _is_one_query(engine, sql):
        raise RefusedError("plan-unexpected")
    plans = dict(engine.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall())
    roots = json.loads(plans.get("logical_plan", "[]"))
    if len(roots) != 1:
        raise RefusedError("plan-unexpected")
    scanned, rest = set(), [roots[0]]
    while rest:
        node = rest.pop()
        projection = _marked(node, marks)
        if projection is not None:
            scanned.add(projection)
            continue
        if node["name"] not in request["operators"]:
            raise RefusedError("plan-unexpected")
        table = node.get("extra_info", {}).get("Table")
        if table is not None:
            scanned.add(str(table).rpartition(".main.")[2].strip('"').replace('""', '"'))
        rest += node.get("children", [])
    if not scanned <= readable:
        raise RefusedError("plan-unexpected")
    return scanned


def add_noise(engine: duckdb.DuckDBPyConnection, stage: dict[str, Any], kept: str) -> None:
    """Make the table of a stage with noise. Without OpenDP there is none, and nothing is told."""
    try:
        from gongshu.compute.adapters import noise  # noqa: PLC0415 - only some runs have it
    except ImportError:
        raise RefusedError("noise-missing") from None
    noise.make_table(engine, stage["name"], stage["sql"], stage["noise"], kept)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run the stages and the final statement; write the result's files; count what was withheld."""
    limits = request["limits"]
    engine, marks = open_engine(request)
    given, readable, scanned = set(request["relations"]), set(request["relations"]), set[str]()
    withheld = {"groups": 0, "units": 0, "members": 0, "of_members": 0, "negative": False}
    kept = iter(request["kept"])
    for stage in request["stages"]:
        scanned |= check_plan(engine, stage["sql"], request, readable, marks)
        if stage["noise"] is None:
            engine.execute(f"CREATE TEMP TABLE {quoted(stage['name'])} AS {stage['sql']}")
        else:
            add_noise(engine, stage, next(kept))
        readable.add(stage["name"])
        if not stage["is_counted"]:
            continue
        groups, units, members, of_members, negative = engine.execute(
            "SELECT count(*) FILTER (NOT passes), coalesce(max(units) FILTER (NOT passes), 0), "  # noqa: S608 - quoted
            "coalesce(sum(units) FILTER (NOT passes), 0), coalesce(sum(units), 0), "
            f"coalesce(bool_or(negative) FILTER (passes), false) FROM {quoted(stage['name'])}"
        ).fetchone() or (0, 0, 0, 0, False)
        if groups:  # of two groups the larger has that many different units for sure; their sum may count some twice
            certain = int(units) if groups > 1 else 0
            withheld["units"] = min(withheld["units"], certain) if withheld["groups"] else certain
        withheld["groups"] += int(groups)
        withheld["members"] += int(members)
        withheld["of_members"] += int(of_members)
        withheld["negative"] = withheld["negative"] or bool(negative)
    scanned |= check_plan(engine, request["sql"], request, readable, marks)
    if given - scanned:
        raise RefusedError("plan-unexpected")
    engine.execute(f"CREATE TEMP TABLE {quoted(request['result'])} AS {request['sql']}")
    result = engine.table(request["result"])
    counted = engine.execute(f"SELECT count(*) FROM {quoted(request['result'])}").fetchone()  # noqa: S608 - quoted
    rows = int(counted[0]) if counted else 0
    if rows > limits["output_rows_max"]:
        raise RefusedError("rows-exceeded")
    for path in _results(request):
        form = FORMATS[path[path.rindex(".") :]]
        engine.execute(f"COPY {quoted(request['result'])} TO {literal(path)} ({form})")
    if request["trace"] is not None:
        sql, path = request["trace"]
        check_plan(engine, sql, request, readable, marks)
        engine.execute(f"COPY ({sql}) TO {literal(path)} ({FORMATS['.parquet']})")
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


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.read())
    limit_myself(request)
    sys.stdout.write(json.dumps(answer(request)))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy: the process and its memory go

"""The client of a Spark cluster: runs checked SQL there through Spark Connect and brings the result back, counts beside it.

Run as a program by ``spark`` in an interpreter that has ``pyspark``: a JSON request per line on standard input, a JSON answer
per line on standard output. It imports nothing of ours. Errors are answered by code; no message of Spark, which may hold a
value, leaves this process. Every request has a session of its own, which ends with it.
"""

import contextlib
import json
import os
import re
import resource
import sys
import threading
import warnings
from typing import Any

ADDRESS_SPACE_EXTRA_BYTES = 6 << 30  # what interpreter, gRPC and Arrow reserve without using it
OPEN_FILES_MAX = 1024
SETTINGS = {
    "spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.caseSensitive": "true",
    "spark.sql.variable.substitute": "false", "spark.sql.runSQLOnFiles": "false",
    "spark.sql.parser.escapedStringLiterals": "false", "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.binaryAsString": "false", "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.maxPlanStringLength": "2147483632", "spark.sql.debug.maxToStringFields": "1000000",
    "spark.sql.legacy.parseNullPartitionSpecAsStringLiteral": "false", "spark.sql.crossJoin.enabled": "true",
}  # fmt: skip
"""What the rewritten text counts on. A session where one of them is otherwise is refused."""
RETRIES = {"max_retries": 5, "initial_backoff": 200, "max_backoff": 5_000, "backoff_multiplier": 2.0}
"""A cluster that is away for longer than some ten seconds is away: the job fails and can be submitted again. Milliseconds."""
PARSED, ANALYSED, OPTIMISED = "== Parsed Logical Plan ==", "== Analyzed Logical Plan ==", "== Optimized Logical Plan =="
NODE = re.compile(r"^(?P<indent>[: ]*)(?:[:+]- )?(?P<name>[A-Z]\w*)(?P<rest>.*)$")
VIEW = re.compile(r"^ \(`(?P<name>(?:[^`]|``)*)`, \[")
LEAVES = frozenset({"Relation", "LogicalRDD", "LogicalRelation"})
UNIT_COLUMN = "unit:"


class RefusedError(Exception):
    """The run ends with this code."""


def quoted(name: str) -> str:
    """Return an identifier in quotes."""
    return "`" + name.replace("`", "``") + "`"


def limit_myself(limits: dict[str, int]) -> None:
    """Take only what the job may use here; what it uses on the cluster is the cluster's to limit."""
    space = limits["memory_bytes_max"] + ADDRESS_SPACE_EXTRA_BYTES
    wanted = {
        resource.RLIMIT_AS: space, resource.RLIMIT_FSIZE: limits["output_bytes_max"],
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX, resource.RLIMIT_CORE: 0,
    }  # fmt: skip
    for kind, value in wanted.items():
        resource.setrlimit(kind, (value, value))


def open_session(remote: str) -> Any:
    """Return a session of our own with the settings that the text counts on."""
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415 - the limits are set before
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    session = SparkSession.builder.remote(remote).create()
    session.client.set_retry_policies([DefaultPolicy(**RETRIES)])
    for key, value in SETTINGS.items():
        session.conf.set(key, value)
        if session.conf.get(key) != value:
            raise RefusedError("engine-settings")
    return session


def show_relations(session: Any, relations: dict[str, str]) -> None:
    """Give the projections their names, in this session only. Units of 64 bits come as decimals: they become numbers again."""
    for name, url in relations.items():
        frame = session.read.parquet(url)
        items = [quoted(field) for field in frame.columns]
        if UNIT_COLUMN in frame.columns and dict(frame.dtypes)[UNIT_COLUMN].startswith("decimal"):
            unit = quoted(UNIT_COLUMN)
            signed = f"CASE WHEN {unit} > 9223372036854775807 THEN {unit} - 18446744073709551616 ELSE {unit} END"
            items[frame.columns.index(UNIT_COLUMN)] = f"CAST({signed} AS BIGINT) AS {unit}"
            frame = frame.selectExpr(*items)
        frame.createOrReplaceTempView(quoted(name))


def check_plan(session: Any, sql: str, operators: frozenset[str], readable: set[str]) -> set[str]:
    """Return the relations that the analysed plan reads; refuse any other, and any operator that is not expected.

    EXPLAIN runs nothing, and in parentheses nothing but a query can stand. The plan before optimisation is looked at.
    """
    text = session.sql(f"EXPLAIN EXTENDED SELECT * FROM (\n{sql}\n)").collect()[0][0]  # noqa: S608 - looked at, not run
    return scanned_by(text, operators, readable)


def scanned_by(text: str, operators: frozenset[str], readable: set[str]) -> set[str]:
    """Read the analysed plan out of the text of EXPLAIN EXTENDED, line by line; a line that is no operator refuses it."""
    if [text.count(title) for title in (PARSED, ANALYSED, OPTIMISED)] != [1, 1, 1]:
        raise RefusedError("plan-unexpected")
    analysed = text[text.index(ANALYSED) + len(ANALYSED) : text.index(OPTIMISED)].strip("\n").split("\n")
    scanned: set[str] = set()
    views: list[int] = []
    for line in analysed[1:]:  # of a query, the first line tells the columns
        found = NODE.match(line)
        if found is None or found["name"] not in operators:
            raise RefusedError("plan-unexpected")
        depth = len(line) - len(found["name"]) - len(found["rest"])
        views = [view for view in views if view < depth]
        if found["name"] == "View":
            named = VIEW.match(found["rest"])
            name = named["name"].replace("``", "`") if named else ""
            if name not in readable:
                raise RefusedError("plan-unexpected")
            scanned.add(name)
            views.append(depth)
        if found["name"] in LEAVES and not views:
            raise RefusedError("plan-unexpected")
    return scanned


def run(session: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run the stages and the final statement; write the result's file; count what was withheld."""
    limits, operators = request["limits"], frozenset(request["operators"])
    given, readable, scanned = set(request["relations"]), set(request["relations"]), set[str]()
    show_relations(session, request["relations"])
    withheld = {"groups": 0, "units": 0, "members": 0, "of_members": 0, "negative": False}
    for stage in request["stages"]:
        scanned |= check_plan(session, stage["sql"], operators, readable)
        kept = session.sql(stage["sql"]).localCheckpoint(eager=True)
        kept.createOrReplaceTempView(quoted(stage["name"]))
        readable.add(stage["name"])
        if not stage["is_counted"]:
            continue
        groups, units, members, of_members, negative = session.sql(
            "SELECT count_if(NOT passes), coalesce(max(CASE WHEN NOT passes THEN units END), 0), "  # noqa: S608 - quoted
            "coalesce(sum(CASE WHEN NOT passes THEN units END), 0), coalesce(sum(units), 0), "
            f"coalesce(bool_or(CASE WHEN passes THEN negative END), false) FROM {quoted(stage['name'])}"
        ).collect()[0]
        if groups:  # of two groups the larger has that many different units for sure; their sum may count some twice
            certain = int(units) if groups > 1 else 0
            withheld["units"] = min(withheld["units"], certain) if withheld["groups"] else certain
        withheld["groups"] += int(groups)
        withheld["members"] += int(members)
        withheld["of_members"] += int(of_members)
        withheld["negative"] = withheld["negative"] or bool(negative)
    scanned |= check_plan(session, request["sql"], operators, readable)
    if given - scanned:
        raise RefusedError("plan-unexpected")
    rows, columns = bring(session, request["sql"], request["target"], limits)
    if request["trace"] is not None:
        sql, target, rows_max = request["trace"]
        check_plan(session, sql, operators, readable)
        bring(session, sql, target, {**limits, "output_rows_max": rows_max})
    return {"rows": rows, "columns": columns, **withheld}


def bring(session: Any, sql: str, target: str, limits: dict[str, int]) -> tuple[int, list[list[str]]]:
    """Run a checked query and write what comes back as Parquet; return the number of rows, and names and types of columns."""
    import pyarrow as pa  # noqa: PLC0415 - the limits are set before
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = session.sql(sql).limit(limits["output_rows_max"] + 1).toArrow()
    if table.num_rows > limits["output_rows_max"]:
        raise RefusedError("rows-exceeded")
    if table.nbytes > limits["output_bytes_max"]:
        raise RefusedError("bytes-exceeded")
    for index, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.int32()))
    pq.write_table(table, target, compression="zstd")
    return table.num_rows, [[field.name, str(field.type)] for field in table.schema]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return counts, or the code of what went wrong. After the time that it may take the operation is interrupted."""
    late = threading.Event()
    session: Any = None

    def interrupt() -> None:
        late.set()
        if session is not None:
            session.interruptAll()

    timer = threading.Timer(request["limits"]["runtime_seconds_max"], interrupt)
    timer.daemon = True
    timer.start()
    try:
        session = open_session(request["remote"])
        return run(session, request)
    except RefusedError as refused:
        return {"code": str(refused)}
    except MemoryError:
        return {"code": "memory-exceeded"}
    except Exception as error:  # noqa: BLE001 - of whatever kind: what it says may hold a value
        return {"code": "runtime-exceeded" if late.is_set() else code_of(error)}
    finally:
        timer.cancel()
        if session is not None:
            close(session)


def code_of(error: Exception) -> str:
    """Return the code of an error: unreachable, a statement that does not bind, or anything else."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    if "UNAVAILABLE" in text or "RetriesExceeded" in names:
        return "engine-unreachable"
    if names & {"AnalysisException", "ParseException"}:
        return "plan-unexpected"
    return "engine-failed"


def close(session: Any) -> None:
    """End the session on the server: its views and stages go."""
    with contextlib.suppress(Exception):  # the server drops it after a while anyway
        session.stop()


def main() -> int:
    """Answer requests until standard input ends."""
    warnings.simplefilter("ignore")
    is_limited = False
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if not is_limited:
            limit_myself(request["limits"])
            is_limited = True
        sys.stdout.write(json.dumps(answer(request)) + "\n")
        sys.stdout.flush()
    os._exit(0)  # nothing is left to tidy: channels and threads go with the process


if __name__ == "__main__":
    main()

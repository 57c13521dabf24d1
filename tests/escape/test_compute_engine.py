"""The second and third lines of defence, each with the others switched off: a hole in one must not be enough."""

import json
from dataclasses import replace

import duckdb
import pytest

from gongshu.compute.adapters import child, sandbox
from gongshu.compute.rules.jobs import LIMITS
from gongshu.compute.rules.projections import PLAN_OPERATORS
from gongshu.compute.types import GovernedQuery, Stage

needs_namespaces = pytest.mark.skipif(not sandbox.has_namespaces(), reason="this machine has no user namespaces")


def query(sql: str, *stages: str) -> GovernedQuery:
    made = tuple(Stage(f"stage:{i}", text) for i, text in enumerate(stages))
    return GovernedQuery(sql, (), (), (), is_aggregate=True, stages=made)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "outbox").mkdir()
    path = tmp_path / "p0.parquet"
    duckdb.sql("SELECT i % 5 AS k, i AS secret FROM range(100) AS t(i)").write_parquet(str(path))
    limits = replace(LIMITS, runtime_seconds_max=20)
    return sandbox.Run({"t": path}, tmp_path / "outbox", ("result.parquet",), limits, PLAN_OPERATORS)


@pytest.mark.parametrize("isolate", [True, False])
def test_a_governed_query_runs_and_says_which_defences_stood(run, isolate):
    outcome = sandbox.run_engine(query("SELECT k, count(*) AS n FROM t GROUP BY k"), run, isolate=isolate)
    assert (outcome.code, outcome.rows, outcome.columns) == ("", 5, ("k", "n"))
    assert ("namespaces" in outcome.defences) is (isolate and sandbox.has_namespaces())


UNEXPECTED = [
    "SELECT * FROM duckdb_settings(), t",
    "SELECT * FROM query('SELECT * FROM t'), duckdb_tables()",
    "SELECT range AS x FROM range(3), t",
    "SELECT unnest([secret]) FROM t",
    "SELECT * FROM t USING SAMPLE 5",
    "SELECT 1",  # reads less than was projected
    "SELECT * FROM other",
    'SELECT * FROM "stage:9"',
    "SELECT * FROM information_schema.tables, t",
    "SELECT * FROM pragma_table_info('t'), t",
    "PRAGMA database_list",
    "SET memory_limit = '100GB'",
]


@pytest.mark.parametrize("sql", UNEXPECTED)
def test_the_bound_plan_refuses_what_the_gate_would_have_to_have_let_through(run, sql):
    outcome = sandbox.run_engine(query(sql), run)
    assert outcome.code in {"plan-unexpected", "engine-failed"}
    assert list(run.outbox.iterdir()) == []


EVERYTHING = (
    *PLAN_OPERATORS,
    "READ_CSV",
    "READ_PARQUET",
    "READ_TEXT",
    "GLOB",
    "RANGE",
    "UNNEST",
    "DUCKDB_SETTINGS",
    "READ_BLOB",
)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.k, c.content FROM t, read_text('/etc/hostname') AS c",
        "SELECT t.k, c.file FROM t, glob('/*') AS c",
        "SELECT * FROM t, read_csv('/etc/passwd')",
        "SELECT * FROM t, 'https://example.invalid/x.csv'",
    ],
)
@pytest.mark.parametrize("isolate", [True, False])
def test_the_locked_engine_reads_no_file_even_without_gate_and_plan(run, sql, isolate):
    outcome = sandbox.run_engine(query(sql), replace(run, operators=EVERYTHING), isolate=isolate)
    assert outcome.code in {"engine-failed", "plan-unexpected"}


def test_an_endless_statement_is_ended(run):
    limits = replace(run.limits, runtime_seconds_max=1)
    slow = query("SELECT count(*) AS n FROM t, range(1000000000000) AS r(x) WHERE x % 7 = k")
    outcome = sandbox.run_engine(slow, replace(run, operators=EVERYTHING, limits=limits))
    assert outcome.code in {"engine-killed", "runtime-exceeded"}


def test_the_engine_draws_no_bar_into_its_answer(run):
    request = json.loads(sandbox._request(query("SELECT 1"), run, is_isolated=False))
    engine, _ = child.open_engine(request)
    with engine:
        assert engine.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)


def test_a_statement_that_needs_too_much_memory_or_rows_ends_by_code(run):
    limits = replace(run.limits, memory_bytes_max=64 << 20)
    big = query("SELECT list(x) AS l FROM range(300000000) AS r(x), (SELECT min(k) FROM t) AS m")
    outcome = sandbox.run_engine(big, replace(run, operators=EVERYTHING, limits=limits))
    assert outcome.code in {"memory-exceeded", "engine-killed", "engine-failed"}
    few = replace(run, limits=replace(run.limits, output_rows_max=10))
    assert sandbox.run_engine(query("SELECT secret FROM t"), few).code == "rows-exceeded"


def test_errors_come_back_as_codes_without_values(run):
    outcome = sandbox.run_engine(query("SELECT CAST('value ' || secret AS INTEGER) AS x FROM t"), run)
    assert outcome.code == "engine-failed"
    assert "value" not in repr(outcome)


INTRUDER = """
import json, os, socket, sys
request = json.loads(sys.stdin.buffer.read())
found = {}
def attempt(name, act):
    try:
        found[name] = str(act())[:200]
    except BaseException as error:
        found[name] = "refused " + type(error).__name__
def connect():
    with socket.socket() as s:
        s.settimeout(2); s.connect(("127.0.0.1", %(port)d)); return "connected"
attempt("secret", lambda: open(%(secret)r).read())
attempt("etc", lambda: open("/etc/shadow").read())
attempt("home", lambda: open(%(home)r).read())
attempt("proc", lambda: open("/proc/1/environ").read())
attempt("network", connect)
attempt("write", lambda: open("/job/p0.parquet", "ab").write(b"x"))
attempt("write_program", lambda: open("/job/intruder.py", "a").write("x"))
attempt("write_root", lambda: open("/new", "w").write("x"))
attempt("write_job", lambda: open("/job/new", "w").write("x"))
attempt("write_tmp", lambda: open("/tmp/new", "w").write("x"))
attempt("environment", lambda: "leak" if "GONGSHU_PROBE" in os.environ else "refused")
attempt("signal", lambda: os.kill(%(pid)d, 0))
attempt("stray", lambda: open("/job/outbox/found.json", "w").write("x"))
attempt("link", lambda: os.symlink("/etc/passwd", "/job/outbox/link"))
print(json.dumps({"code": json.dumps(found)}))
"""


@needs_namespaces
def test_a_program_in_the_sandbox_finds_no_file_no_network_no_process(run, tmp_path, monkeypatch):
    import os
    import socket

    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    monkeypatch.setenv("GONGSHU_PROBE", "1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        intruder = INTRUDER % {
            "port": server.getsockname()[1], "secret": str(secret), "home": __file__, "pid": os.getpid(),
        }  # fmt: skip
        monkeypatch.setattr(sandbox, "start_line", lambda module, folders: intruder)
        found = json.loads(sandbox.run_engine(query("SELECT 1"), run).code)
    assert {name: text for name, text in found.items() if not text.startswith("refused")} == {}
    assert len(found) == 14
    assert list(run.outbox.iterdir()) == []


def test_a_link_in_the_outbox_is_no_output(tmp_path):
    from gongshu.compute.adapters import folders

    (tmp_path / "result.csv").symlink_to("/etc/hostname")
    with pytest.raises(FileNotFoundError):
        folders.describe(tmp_path, {"result.csv": 1})


WITHHELD = [
    # Two groups of the same five units: five of them for sure, and not ten.
    (["SELECT k AS c0, false AS passes, 5 AS units, false AS negative FROM t WHERE k < 2 GROUP BY k"], (2, 5, 10, 10)),
    # The same small group in two steps is one small group.
    (
        ["SELECT k AS c0, false AS passes, 30 AS units, false AS negative FROM t WHERE k = 1 GROUP BY k"] * 2,
        (2, 0, 60, 60),
    ),
    (
        [
            "SELECT k AS c0, false AS passes, 30 AS units, false AS negative FROM t WHERE k < 2 GROUP BY k",
            "SELECT k AS c0, false AS passes, 12 AS units, false AS negative FROM t WHERE k < 3 GROUP BY k",
        ],
        (5, 12, 96, 96),
    ),
    # Of three groups the first is shown: both others together are two thirds of all units.
    (
        ["SELECT k AS c0, k = 0 AS passes, 20 AS units, false AS negative FROM t WHERE k < 3 GROUP BY k"],
        (2, 20, 40, 60),
    ),
]


@pytest.mark.parametrize(("stages", "told"), WITHHELD)
def test_withheld_groups_are_told_with_no_more_units_than_they_have_for_sure(run, stages, told):
    outcome = sandbox.run_engine(query('SELECT c0 FROM "stage:0" WHERE passes', *stages), run)
    counted = (outcome.groups_withheld, outcome.units_withheld, outcome.members_withheld, outcome.members)
    assert (outcome.code, counted) == ("", told)
